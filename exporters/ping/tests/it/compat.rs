//! In the place of other probers: their files and flags in, their names, types and labels out, beside Debian's programs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{Samples, eventually};

use crate::service::{Files, Service};
use testkit::namespace;

/// Type and label names of each family that begins with one of `prefixes`.
fn shape(page: &str, prefixes: &[&str]) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut shape: BTreeMap<String, (String, BTreeSet<String>)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .map(|(name, kind)| (name.to_owned(), (kind.to_owned(), BTreeSet::new())))
        .collect();
    for sample in Samples::parse(page).unwrap().all() {
        let names = ["", "_bucket", "_sum", "_count"];
        let family = names.iter().find_map(|end| {
            sample
                .name
                .strip_suffix(end)
                .filter(|name| shape.contains_key(*name))
        });
        if let Some((_, labels)) = family.and_then(|family| shape.get_mut(family)) {
            labels.extend(sample.labels.keys().cloned());
        }
    }
    shape
}

/// Another program in the namespace of the calling thread, and where it listens.
struct Peer(std::process::Child, String);

impl Peer {
    fn start(program: &str, port: u16, flags: &[String]) -> Option<Self> {
        let address = format!("127.0.0.1:{port}");
        let started = Command::new(program)
            .arg(format!("--web.listen-address={address}"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(child) => Some(Self(child, address)),
            Err(error) => {
                testkit::skip(format_args!("{program}: {error}"));
                None
            }
        }
    }

    async fn page(&self, path: &str) -> String {
        let (client, url) = (testkit::client(), format!("http://{}{path}", self.1));
        let ask = || async {
            let response = client.get(&url).send().await?.error_for_status()?;
            Ok(response.text().await?)
        };
        eventually(Duration::from_secs(20), ask).await.unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The page of metrics, once `what` holds of it.
async fn until(service: &Service, what: impl Fn(&Samples) -> bool) -> String {
    let ask = || async {
        let page = service.page("/metrics").await;
        let samples = Samples::parse(&page)?;
        anyhow::ensure!(what(&samples), "{page}");
        Ok(page)
    };
    eventually(Duration::from_secs(20), ask).await.unwrap()
}

const SMOKEPING: &str = "targets:\n- hosts: [127.0.0.1, '::1']\n  interval: 200ms\n  network: ip\n  protocol: icmp\n  size: 56\n";

#[tokio::test]
async fn smokeping_prober_by_name_type_and_label() {
    let Some(namespace) = namespace::enter("compat::smokeping_prober_by_name_type_and_label")
    else {
        return;
    };
    let files = Files::new("devices: []\n", "");
    files.write("smokeping.yml", SMOKEPING);
    let file = format!("--config.file={}", files.path("smokeping.yml").display());
    let flags = [
        "--compat=smokeping_prober".into(),
        file.clone(),
        "-i".into(),
        "500ms".into(),
        "127.0.0.9".into(),
    ];
    let service = files.start_with(&namespace, &flags).await;
    let count = "smokeping_response_duration_seconds_count";
    let ours = until(&service, |samples| {
        ["127.0.0.1", "127.0.0.9", "::1"]
            .iter()
            .all(|host| samples.sum(count, &[("host", host)]) >= 3.0)
    })
    .await;
    let samples = Samples::parse(&ours).unwrap();
    let labels = [("host", "::1"), ("ip", "::1"), ("source", ""), ("tos", "0")];
    assert_eq!(samples.value("smokeping_response_ttl", &labels), Some(64.0));
    assert_eq!(
        samples.value("smokeping_prober_config_last_reload_successful", &[]),
        Some(1.0)
    );
    assert!(
        samples.value(
            "smokeping_prober_config_last_reload_success_timestamp_seconds",
            &[]
        ) > Some(1e9)
    );

    let Some(peer) = Peer::start(
        "prometheus-smokeping-prober",
        19_374,
        &[file, "127.0.0.9".into()],
    ) else {
        return;
    };
    let ask = || async {
        let page = peer.page("/metrics").await;
        anyhow::ensure!(page.contains("smokeping_response_ttl{"));
        Ok(page)
    };
    let theirs = eventually(Duration::from_secs(20), ask).await.unwrap();
    let theirs = shape(&theirs, &["smokeping_"]);
    let mut ours = shape(&ours, &["smokeping_"]);
    assert!(theirs.len() >= 7, "{theirs:?}");
    // Debian has 0.6.1; later versions added three counters and two labels.
    for later in [
        "smokeping_prober_errors_total",
        "smokeping_receive_errors_total",
        "smokeping_send_errors_total",
    ] {
        assert!(ours.remove(later).is_some(), "{later}");
    }
    for (name, (_, labels)) in &mut ours {
        if labels.contains("host") {
            assert!(labels.remove("source") && labels.remove("tos"), "{name}");
        }
        if name.ends_with("build_info") {
            labels.remove("tags");
        }
    }
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn a_changed_file_of_a_peer_is_followed_and_a_bad_one_is_not() {
    let test = "compat::a_changed_file_of_a_peer_is_followed_and_a_bad_one_is_not";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let files = Files::new("devices: []\n", "");
    files.write("smokeping.yml", SMOKEPING);
    let file = format!("--config.file={}", files.path("smokeping.yml").display());
    let service = files
        .start_with(&namespace, &["--compat=smokeping_prober".into(), file])
        .await;
    let requests =
        |samples: &Samples, host| samples.sum("smokeping_requests_total", &[("host", host)]);
    let page = until(&service, |samples| requests(samples, "127.0.0.1") >= 5.0).await;
    let before = requests(&Samples::parse(&page).unwrap(), "127.0.0.1");
    files.write(
        "smokeping.yml",
        "targets:\n- hosts: [127.0.0.1, 127.0.0.7]\n  interval: 100ms\n",
    );
    let page = until(&service, |samples| requests(samples, "127.0.0.7") >= 1.0).await;
    let samples = Samples::parse(&page).unwrap();
    assert!(
        requests(&samples, "127.0.0.1") >= before,
        "its counters go on"
    );
    assert_eq!(
        samples
            .select("smokeping_requests_total", &[("host", "::1")])
            .count(),
        0
    );
    files.write(
        "smokeping.yml",
        "targets:\n- hosts: [127.0.0.1]\n  intervall: 1s\n",
    );
    let good = "smokeping_prober_config_last_reload_successful";
    let page = until(&service, |samples| samples.value(good, &[]) == Some(0.0)).await;
    assert!(
        requests(&Samples::parse(&page).unwrap(), "127.0.0.7") > 0.0,
        "the last good one stays"
    );
}

#[tokio::test]
async fn ping_exporter_by_name_and_value() {
    let Some(namespace) = namespace::enter("compat::ping_exporter_by_name_and_value") else {
        return;
    };
    let files = Files::new("devices: []\n", "");
    let text = "targets:\n- 127.0.0.1\n- host: '::1'\n  rack: a1\n- 198.18.77.7\nping: {interval: 200ms, timeout: 300ms, history-size: 5}\n";
    files.write("ping_exporter.yml", text);
    let file = format!(
        "--config.path={}",
        files.path("ping_exporter.yml").display()
    );
    let flags = [
        "--compat=ping_exporter".into(),
        file,
        "--metrics.rttunit=both".into(),
        "--metrics.deprecated=enable".into(),
    ];
    let service = files.start_with(&namespace, &flags).await;
    let page = until(&service, |samples| {
        samples.select("ping_loss_ratio", &[]).count() == 3
            && samples.select("ping_rtt_mean_seconds", &[]).count() == 2
    })
    .await;
    let found = shape(&page, &["ping_rtt_", "ping_loss_", "ping_up"]);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ping_loss_ratio",
            "ping_rtt_best_ms",
            "ping_rtt_best_seconds",
            "ping_rtt_mean_ms",
            "ping_rtt_mean_seconds",
            "ping_rtt_ms",
            "ping_rtt_seconds",
            "ping_rtt_std_deviation_ms",
            "ping_rtt_std_deviation_seconds",
            "ping_rtt_worst_ms",
            "ping_rtt_worst_seconds",
            "ping_up",
        ]
    );
    for (name, (kind, labels)) in &found {
        assert_eq!(kind, "gauge", "{name}");
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        match name.as_str() {
            "ping_up" => assert_eq!(labels, ["version"]),
            "ping_rtt_ms" | "ping_rtt_seconds" => {
                assert_eq!(labels, ["ip", "ip_version", "rack", "target", "type"]);
            }
            _ => assert_eq!(labels, ["ip", "ip_version", "rack", "target"]),
        }
    }
    let samples = Samples::parse(&page).unwrap();
    let six = [
        ("target", "::1"),
        ("ip", "::1"),
        ("ip_version", "6"),
        ("rack", "a1"),
    ];
    let value = |name: &str| samples.value(name, &six).unwrap();
    assert_eq!(value("ping_loss_ratio"), 0.0);
    let [best, mean, worst] =
        ["best", "mean", "worst"].map(|what| value(&format!("ping_rtt_{what}_seconds")));
    assert!(
        0.0 < best && best <= mean && mean <= worst && worst < 1.0,
        "{best} {mean} {worst}"
    );
    assert!((value("ping_rtt_best_ms") / best - 1e3).abs() < 1e-6);
    assert_eq!(
        samples.value(
            "ping_loss_ratio",
            &[("target", "198.18.77.7"), ("ip_version", "4")]
        ),
        Some(1.0)
    );
}

const BLACKBOX: &str = "modules:\n  http_2xx: {prober: http}\n  icmp: {prober: icmp, icmp: {preferred_ip_protocol: ip4}}\n";

#[tokio::test]
async fn blackbox_exporter_by_name_type_and_label() {
    let Some(namespace) = namespace::enter("compat::blackbox_exporter_by_name_type_and_label")
    else {
        return;
    };
    let files = Files::new("devices: []\n", "");
    files.write("blackbox.yml", BLACKBOX);
    let file = format!("--config.file={}", files.path("blackbox.yml").display());
    let flags = [
        "--compat=blackbox".into(),
        file.clone(),
        "--timeout-offset=0.25".into(),
    ];
    let service = files.start_with(&namespace, &flags).await;
    let page = service
        .page("/probe?target=127.0.0.1&module=icmp&hostname=passed.over")
        .await;
    assert_eq!(
        Samples::parse(&page).unwrap().value("probe_success", &[]),
        Some(1.0),
        "{page}"
    );
    for path in [
        "/probe?target=127.0.0.1&module=http_2xx",
        "/probe?target=127.0.0.1",
        "/probe?target=127.0.0.1&module=none",
    ] {
        assert_eq!(service.status(path).await, 400, "{path}");
    }
    let ours = service.page("/metrics").await;
    let samples = Samples::parse(&ours).unwrap();
    assert_eq!(
        samples.value("blackbox_module_unknown_total", &[]),
        Some(3.0)
    );

    let Some(peer) = Peer::start("prometheus-blackbox-exporter", 19_116, &[file]) else {
        return;
    };
    let theirs = shape(&peer.page("/metrics").await, &["blackbox_"]);
    let mut ours = shape(&ours, &["blackbox_"]);
    for (name, (_, labels)) in &mut ours {
        if name.ends_with("build_info") {
            labels.remove("tags");
        }
    }
    assert_eq!(ours, theirs);
}

#[test]
fn convert_prints_both_files_and_what_is_left() {
    let dir = testkit::TempDir::new().unwrap();
    dir.write(
        "peer.yml",
        "targets:\n- hosts: [198.18.0.1]\n  labels: {rack: a1}\n",
    )
    .unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sotp-ping"));
        command.arg("convert").args(args).output().unwrap()
    };
    let path = dir.join("peer.yml");
    let path = path.to_str().unwrap();
    let output = run(&["--from", "smokeping_prober", path]);
    let (text, said) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{said}");
    assert!(
        text.contains("address: \"198.18.0.1\"")
            && text.contains("\n---\n")
            && text.contains("interval: 1s"),
        "{text}"
    );
    assert!(said.contains("not carried over: label rack"), "{said}");
    let output = run(&["--from=smokeping_prober", "--part=config", path]);
    assert!(
        !String::from_utf8(output.stdout)
            .unwrap()
            .contains("devices:")
    );
    dir.write("peer.yml", "target: []\n").unwrap();
    let output = run(&["--from", "smokeping_prober", path]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("peer.yml:1:1: unknown key \"target\"")
    );
}
