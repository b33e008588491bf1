//! The panel check itself: against a real Prometheus that scrapes sample series from a small server of the test.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sotp_checks::panels::{self, Outcome, Wanted};
use sotp_checks::prometheus::Prometheus;
use sotp_checks::root;
use testkit::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Serves `testdata/samples.prom` as [`page`] does.
async fn exporter(without: &'static [&'static str]) -> String {
    page("samples.prom", without).await
}

/// Serves this file of `testdata` on a free port, every `{n}` in it replaced by the tenths of seconds since the first request, so
/// that counters grow, and every `{once}` by 1 for the first seconds and 2 then, as of a port that goes down. Lines with one of `without` in them are left out.
async fn page(file: &str, without: &'static [&'static str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(file);
    let page = std::fs::read_to_string(path).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut began = None;
        while let Ok((mut stream, _)) = listener.accept().await {
            let elapsed = began.get_or_insert_with(Instant::now).elapsed();
            let tenths = (elapsed.as_millis() / 100).to_string();
            let once = if elapsed < Duration::from_secs(6) {
                "1"
            } else {
                "2"
            };
            let kept = page
                .lines()
                .filter(|line| !without.iter().any(|name| line.contains(name)));
            let body: String = kept
                .map(|line| line.replace("{n}", &tenths).replace("{once}", once) + "\n")
                .collect();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let mut request = [0; 4096];
            // One read holds the whole request of a scrape.
            if stream.read(&mut request).await.is_ok() {
                drop(stream.write_all((head + &body).as_bytes()).await);
            }
        }
    });
    address
}

async fn prometheus(name: &str, exporter: &str) -> Server {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let rules = folder.join(format!("{name}-rules.yaml"));
    let text = std::fs::read_to_string(root().join("alerts/rules/ping.yaml")).unwrap();
    // The baseline is recorded once a minute; a test need not wait for it.
    std::fs::write(&rules, text.replace("interval: 1m", "interval: 1s")).unwrap();
    // Two devices as the SNMP exporter shows them, and the exporter itself.
    let (device, snmp) = (
        page("samples-snmp-device.prom", &[]).await,
        page("samples-snmp.prom", &[]).await,
    );
    let labels = |name: &str| {
        format!(
            "{{targets: ['{device}'], labels: {{device: {name}, site: north, role: router, instance: {name}}}}}"
        )
    };
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n\
         - job_name: ping\n  static_configs: [{{targets: ['{exporter}']}}]\n\
         - job_name: snmp-exporter\n  static_configs: [{{targets: ['{snmp}']}}]\n\
         - job_name: snmp\n  static_configs: [{}, {}]\n",
        rules.display(),
        labels("r1"),
        labels("r2"),
    );
    Server::prometheus(&config).await.unwrap()
}

fn dashboards() -> PathBuf {
    root().join("dashboards")
}

async fn ask(
    server: &Server,
    condition: Option<&str>,
    device: Option<&str>,
    within: u64,
) -> Outcome {
    let wanted = Wanted {
        condition: condition.map(str::to_owned),
        variables: device
            .map(|name| ("device".to_owned(), name.to_owned()))
            .into_iter()
            .collect(),
        range: 300,
        scrape: 1,
        within: Duration::from_secs(within),
    };
    panels::run(
        &dashboards(),
        &Prometheus::new(&server.url).unwrap(),
        &wanted,
    )
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_something_when_every_series_is_there() {
    let server = prometheus("panels-full", &exporter(&[]).await).await;
    let outcome = ask(&server, None, Some("r1"), 60).await;
    assert_eq!(outcome.empty, Vec::<String>::new(), "{outcome}");
    assert!(outcome.filled > 50, "{outcome}");
    // r2 is down in the samples, an alert fires for it, and nobody has to say which device it is.
    let outcome = ask(&server, Some("firing"), None, 60).await;
    assert_eq!(outcome.empty, Vec::<String>::new(), "{outcome}");
    assert!(outcome.filled >= 5, "{outcome}");
    let all = panels::conditions(&dashboards()).unwrap();
    let mut conditions: Vec<&str> = all.iter().map(|one| one.condition.as_str()).collect();
    conditions.sort_unstable();
    conditions.dedup();
    for condition in conditions {
        if matches!(condition, "firing" | "ahead") {
            continue;
        }
        // An alert about a device that is asked over SNMP is about r2.
        let device = (condition != "firing-of-snmp-device").then_some("r1");
        let outcome = ask(&server, Some(condition), device, 60).await;
        assert_eq!(
            outcome.empty,
            Vec::<String>::new(),
            "{condition}: {outcome}"
        );
        assert!(outcome.filled > 0, "{condition}: {outcome}");
    }
    let outcome = ask(&server, None, Some("r2"), 1).await;
    let last = outcome
        .empty
        .iter()
        .find(|line| line.contains("Round trip and loss in figures C"));
    assert!(
        last.is_some_and(|line| line.contains("device=\"r2\"")),
        "{outcome}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_without_its_series_is_named() {
    let server = prometheus(
        "panels-empty",
        &exporter(&["ping_socket_mode_info", "sotp_site_l"]).await,
    )
    .await;
    let outcome = ask(&server, None, Some("r1"), 20).await;
    let mut named: Vec<&str> = outcome
        .empty
        .iter()
        .filter_map(|line| line.split(':').next())
        .collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "sotp-map / Sites and where they stand B",
            "sotp-map / Sites and where they stand C",
            "sotp-map / Sites on the map B",
            "sotp-map / Sites on the map C",
            "sotp-now / Sites on the map B",
            "sotp-now / Sites on the map C",
            "sotp-platform / Sockets A",
        ],
        "{outcome}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_whose_variables_stay_empty_is_named() {
    let server = prometheus(
        "panels-none",
        &exporter(&["ping_", "remediator_", "sotp_", "syslog_", "network_"]).await,
    )
    .await;
    let outcome = ask(&server, None, Some("r1"), 2).await;
    let unset: Vec<&str> = outcome
        .empty
        .iter()
        .filter_map(|line| {
            line.split_once(": variable `site`: label_values(ping_up, site) found no value")
        })
        .map(|(uid, _)| uid)
        .collect();
    assert_eq!(
        unset,
        [
            "sotp-availability",
            "sotp-console",
            "sotp-map",
            "sotp-now",
            "sotp-remediation",
            "sotp-routing",
            "sotp-sensors",
            "sotp-site",
        ],
        "{outcome}"
    );
}
