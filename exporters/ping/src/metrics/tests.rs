use std::path::Path;

use toolkit::Format;

use super::*;
use crate::targets::Rows;

fn rendered(view: View) -> String {
    rendered_with(view, "metrics: {series: full}\n")
}

fn rendered_with(view: View, config: &str) -> String {
    let modes = [(Family::V4, Mode::Unprivileged), (Family::V6, Mode::Raw)];
    let view = Arc::new(ArcSwap::from_pointee(view));
    let config = Config::parse(config, Path::new("ping.yaml")).unwrap();
    let ages = Arc::new(Ages::default());
    ages.set(&"n.example.org".into(), 1_700_000_000);
    let metrics = Metrics::new(view, Arc::default(), &modes, Live::fixed(config), ages);
    let mut out = Encoder::new(Format::Text);
    metrics.collect(&mut out);
    assert_eq!(out.refused(), 0);
    String::from_utf8(out.finish()).unwrap()
}

fn row(counters: &Counters) -> Row {
    let labels = Labels::new([
        ("device", "r1"),
        ("site", "lab"),
        ("role", ""),
        ("family", "ipv4"),
    ]);
    let profile = crate::engine::ProbeProfile {
        family: Family::V4,
        timing: crate::accounting::Timing {
            burst: 1,
            spacing: 1_000_000_000,
            interval: 1_000_000_000,
            timeout: 2_000_000_000,
            down_after: 3,
        },
        size: 56,
        out: netio::control::Outgoing::default(),
    };
    let row = Row {
        labels,
        says_address: false,
        zone: None,
        spec: crate::engine::Spec {
            profile: Arc::new(profile),
            address: Some("198.18.0.1".parse().unwrap()),
            phase: 0,
        },
        counters: Arc::default(),
    };
    row.counters.publish(counters);
    row
}

#[test]
fn the_whole_page_is_as_in_the_golden_file() {
    let mut counters = Counters {
        requests: 9,
        lost: 2,
        in_flight: 1,
        late: 1,
        reordered: 1,
        hop_limit: 61,
        hop_limit_changes: 2,
        state: State::Up,
        ..Counters::default()
    };
    counters.errors[Reason::HostUnreachable.index()] = 3;
    for nanos in [40_000, 60_000, 700_000_000] {
        counters.observe(nanos);
    }
    counters.vary(20_000);
    counters.burst(3);
    counters.reply_dscp = 47;
    counters.icmp_error = (3 << 8) + 13 + 1;
    counters.smooth_loss = 1 << 26;
    let names = vec![crate::targets::NameRow {
        labels: Labels::new([("device", "n"), ("site", ""), ("role", "")]),
        name: "n.example.org".into(),
        resolvable: false,
    }];
    let mut rows = Rows::default();
    rows.add(row(&counters), []);
    names.into_iter().for_each(|name| rows.add_name(name));
    let page = rendered(rows.view());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/metrics.txt");
    testkit::golden::hold(&path, &page);
}

#[test]
fn what_is_not_known_is_not_said() {
    let mut rows = Rows::default();
    rows.add(row(&Counters::default()), []);
    let page = rendered(rows.view());
    for name in [
        "ping_up",
        "ping_last_rtt_seconds",
        "ping_mos",
        "ping_reply_dscp",
        "ping_last_icmp_error_type",
    ] {
        assert!(!page.contains(&format!("{name}{{")), "{name}");
    }
    assert!(
        page.contains(
            "ping_requests_total{device=\"r1\",site=\"lab\",role=\"\",family=\"ipv4\"} 0\n"
        )
    );
    assert!(
        page.contains(
            "ping_failed_total{device=\"r1\",site=\"lab\",role=\"\",family=\"ipv4\"} 0\n"
        )
    );
}

#[test]
fn reasons_and_bursts_begin_with_the_target_that_has_them() {
    let page = |counters: Counters| {
        let mut rows = Rows::default();
        rows.add(row(&counters), []);
        rendered(rows.view())
    };
    let zero = page(Counters::default());
    assert!(
        !zero.contains("ping_errors_total{") && !zero.contains("ping_loss_burst_requests_count")
    );

    let lost = page(Counters {
        lost: 1,
        ..Counters::default()
    });
    let bursts =
        "ping_loss_burst_requests_count{device=\"r1\",site=\"lab\",role=\"\",family=\"ipv4\"} 0\n";
    assert!(lost.contains(bursts) && !lost.contains("ping_errors_total{"));

    let mut counters = Counters::default();
    counters.errors[Reason::Prohibited.index()] = 2;
    counters.errors[Reason::NoRoute.index()] = 1;
    let failed = page(counters);
    let labels = "device=\"r1\",site=\"lab\",role=\"\",family=\"ipv4\"";
    assert!(failed.contains(bursts));
    assert!(failed.contains(&format!("ping_failed_total{{{labels}}} 3\n")));
    assert!(failed.contains(&format!(
        "ping_errors_total{{{labels},reason=\"prohibited\"}} 2\n"
    )));
    assert!(failed.contains(&format!(
        "ping_errors_total{{{labels},reason=\"no_route\"}} 1\n"
    )));
    assert_eq!(failed.matches("ping_errors_total{").count(), 2);
}

/// What dashboards and alerts use is half of it.
#[test]
fn the_usual_series_are_half_of_all_and_agree_with_them() {
    let page = |config: &str| {
        let mut rows = Rows::default();
        for number in 0..100 {
            let mut counters = Counters {
                requests: 600,
                hop_limit: 61,
                reply_dscp: 1,
                state: State::Up,
                ..Counters::default()
            };
            for nanos in 0..599 {
                counters.observe(number * 100_000 + nanos * 1_000);
            }
            rows.add(row(&counters), []);
        }
        rendered_with(rows.view(), config)
    };
    let of_targets = |page: &str| -> Vec<String> {
        let lines = page.lines().filter(|line| line.contains("device="));
        lines.map(str::to_owned).collect()
    };
    let (usual, full) = (page(""), page("metrics: {series: full}\n"));
    let bytes = |lines: &[String]| lines.iter().map(String::len).sum::<usize>();
    let (usual, full) = (of_targets(&usual), of_targets(&full));
    assert!(
        2 * bytes(&usual) <= bytes(&full),
        "{} of {} bytes, {} of {} lines",
        bytes(&usual),
        bytes(&full),
        usual.len(),
        full.len()
    );
    let full: std::collections::HashSet<String> = full.into_iter().collect();
    let other: Vec<&String> = usual.iter().filter(|line| !full.contains(*line)).collect();
    assert!(other.is_empty(), "{other:?}");
}
