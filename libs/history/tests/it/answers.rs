//! A real Prometheus answers over the history as over what it has measured itself.

use std::time::Instant;

use history::{Device, End, INFO, Instances, Link, Network, Period, Stream, write};
use testkit::{Server, TempDir};

/// Two routers and two hosts in a row.
fn network() -> Network {
    let device = |name: &str, site: &str, snmp| Device {
        name: name.to_owned(),
        site: site.to_owned(),
        role: if snmp { "edge" } else { "host" }.to_owned(),
        platform: "frr".to_owned(),
        address: format!("198.18.0.{}", name.len()),
        snmp,
    };
    let link = |a: (usize, &str), b: (usize, &str), speed| Link {
        ends: [a, b].map(|(device, interface)| End {
            device,
            interface: interface.to_owned(),
            index: 2,
        }),
        speed,
        cost: 10,
    };
    Network {
        devices: vec![
            device("r1", "berlin", true),
            device("r2", "vienna", true),
            device("h1", "berlin", false),
            device("h2", "vienna", false),
        ],
        links: vec![
            link((0, "to-r2"), (1, "to-r1"), 1),
            link((0, "to-h1"), (2, "to-r1"), 10_000),
            link((1, "to-h2"), (3, "to-r2"), 10_000),
        ],
        streams: vec![Stream {
            from: 2,
            to: 3,
            bits_per_second: 412_000.0,
        }],
        instances: Instances {
            ping: "127.0.0.1:19427".to_owned(),
            inventory: "127.0.0.1:19870".to_owned(),
        },
    }
}

/// The value of a query at a second, of its first series.
async fn at(server: &Server, query: &str, second: i64) -> Option<f64> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let data = server
        .api(&format!("query?query={encoded}&time={second}"))
        .await
        .unwrap();
    let series = data["result"].as_array()?.first()?.clone();
    series["value"][1].as_str()?.parse().ok()
}

/// Writes two to three months, which takes its seconds.
#[tokio::test]
async fn a_real_prometheus_answers_rates_and_availability_with_season_outage_and_window() {
    let (network, period) = (network(), Period::until(jiff::Timestamp::now()));
    let scratch = TempDir::new().unwrap();
    let data = TempDir::new().unwrap();
    let begun = Instant::now();
    let written = write(
        &network,
        period,
        "promtool".as_ref(),
        data.path(),
        scratch.path(),
        || false,
    )
    .unwrap();
    println!("{written:?} in {:?}", begun.elapsed());
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    let server = Server::prometheus_over("global: {}\n", data.path())
        .await
        .unwrap();

    // A rate over the busy link by day and by night, a weekday and a Sunday; it has grown since.
    let rate = "rate(ifHCOutOctets{device=\"r1\",ifName=\"to-r2\"}[10m]) * 8";
    let noon = |second: i64| second.div_euclid(86_400) * 86_400 + 43_200;
    let mut days = (1..8).map(|back| noon(period.to - back * 86_400));
    let is = |day: &i64, wanted: i64| (day.div_euclid(86_400) + 4).rem_euclid(7) == wanted;
    let wednesday = days.clone().find(|day| is(day, 3)).unwrap();
    let sunday = days.find(|day| is(day, 0)).unwrap();
    let busy = at(&server, rate, wednesday + 4 * 3_600).await.unwrap();
    let night = at(&server, rate, wednesday - 8 * 3_600).await.unwrap();
    let rest = at(&server, rate, sunday + 4 * 3_600).await.unwrap();
    let then = at(&server, rate, wednesday + 4 * 3_600 - 49 * 86_400)
        .await
        .unwrap();
    assert!(busy > 3.0 * night, "{busy} {night}");
    assert!(busy > 1.4 * rest, "{busy} {rest}");
    assert!(busy > 1.2 * then, "{busy} {then}");
    assert!((500_000.0..900_000.0).contains(&busy), "{busy}");
    // Both ends of a link tell the same.
    let far = "rate(ifHCInOctets{device=\"r2\",ifName=\"to-r1\"}[10m]) * 8";
    let far = at(&server, far, wednesday + 4 * 3_600).await.unwrap();
    assert!((far - busy).abs() < 1e-6 * busy, "{far} {busy}");

    // The outage: the host and its link are down for its whole length, and only then.
    let outage = period.outage();
    let minutes = ((outage.to - outage.from) / 60) as f64;
    let down = "count_over_time((ping_up{device=\"h2\"} == 0)[1d:1m])";
    let midnight = outage.from.div_euclid(86_400) * 86_400 + 86_400;
    assert_eq!(at(&server, down, midnight).await, Some(minutes));
    let inside = outage.from + 600;
    let oper = "ifOperStatus{device=\"r2\",ifName=\"to-h2\"}";
    assert_eq!(at(&server, oper, inside).await, Some(2.0));
    assert_eq!(at(&server, oper, outage.to + 60).await, Some(1.0));
    let lost = "rate(ping_lost_total{device=\"h2\"}[5m])";
    assert_eq!(at(&server, lost, inside).await, Some(1.0));
    assert_eq!(at(&server, lost, outage.to + 600).await, Some(0.0));
    let last = "avg_over_time(ping_up{device=\"h2\"}[1d])";
    let available = at(&server, last, midnight - 60).await.unwrap();
    assert!(
        (available - (1.0 - minutes / 1_440.0)).abs() < 2e-3,
        "{available}"
    );

    // The window, in which the device is silent for a while, begins its counters anew, and counts as planned.
    let (window, work) = (period.maintenance(), period.work());
    let planned = "sotp_device_maintenance{device=\"r2\"}";
    assert_eq!(at(&server, planned, window.from + 60).await, Some(1.0));
    assert_eq!(at(&server, planned, window.to + 60).await, Some(0.0));
    assert_eq!(
        at(&server, "ping_up{device=\"r2\"}", work.from + 60).await,
        Some(0.0)
    );
    let state = "device:ping_state:code{device=\"r2\"}";
    assert_eq!(at(&server, state, work.from + 60).await, Some(2.0));
    let resets = "resets(ifHCInOctets{device=\"r2\",ifName=\"to-r1\"}[3h])";
    assert_eq!(at(&server, resets, window.to).await, Some(1.0));
    assert!(at(&server, rate, window.to).await.unwrap() > 0.0);

    // Where nothing was watched nothing is known.
    let gap = period.gap();
    assert_eq!(
        at(&server, "ping_up{device=\"h1\"}", gap.from + 900).await,
        None
    );
    let seen = "count_over_time(ping_up{device=\"h1\"}[1h])";
    assert!(at(&server, seen, gap.to + 600).await.unwrap() < 45.0);

    // It says what it is, for as long as it lasts.
    assert_eq!(at(&server, INFO, period.from + 86_400).await, Some(1.0));
    assert_eq!(at(&server, INFO, period.to).await, Some(1.0));
}
