//! `/probe` beside Debian's blackbox_exporter, on the same targets.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{Samples, eventually};

use crate::service::{Files, of};
use testkit::namespace;

const PEER: &str = "prometheus-blackbox-exporter";
const PEER_ADDRESS: &str = "127.0.0.1:19115";
const MODULES: &str = "modules:\n  icmp: {prober: icmp, timeout: 2s, icmp: {preferred_ip_protocol: ip4}}\n  \
                       sized: {prober: icmp, timeout: 2s, icmp: {payload_size: 900, dont_fragment: true, ttl: 9}}\n  \
                       tiny: {prober: icmp, timeout: 2s, icmp: {payload_size: 1}}\n";

/// Names with types, as the page declares them.
fn declared(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(str::to_owned)
        .collect()
}

/// Series without their values.
fn series(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
        .collect()
}

struct Peer(std::process::Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn names_types_and_values_are_those_of_blackbox_exporter() {
    let test = "probe::names_types_and_values_are_those_of_blackbox_exporter";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let inventory = "devices: [{name: followed, address: 127.0.0.5}]\n";
    let files = Files::new(inventory, MODULES);
    let service = files.start(&namespace).await;
    service
        .until("it answers", |samples| {
            of(samples, "ping_responses_total", "followed", "ipv4") >= 1.0
        })
        .await;
    let ours = async |query: &str| service.page(&format!("/probe?{query}")).await;

    let value = |page: &str, name: &str| Samples::parse(page).unwrap().value(name, &[]);
    for (query, protocol) in [
        ("target=127.0.0.6", 4.0),
        ("target=::1", 6.0),
        ("target=127.0.0.6&module=sized", 4.0),
        ("target=::1&module=sized", 6.0),
        ("target=127.0.0.6&module=tiny", 4.0),
        ("target=::1&module=tiny", 6.0),
    ] {
        let page = ours(query).await;
        assert_eq!(value(&page, "probe_success"), Some(1.0), "{query}:\n{page}");
        assert_eq!(value(&page, "probe_ip_protocol"), Some(protocol), "{query}");
        let hop_limit = value(&page, "probe_icmp_reply_hop_limit");
        assert_eq!(hop_limit, Some(64.0), "{query}");
        let phase = [("phase", "rtt")];
        let rtt = Samples::parse(&page).unwrap();
        let rtt = rtt.value("probe_icmp_duration_seconds", &phase);
        assert!(
            rtt.is_some_and(|rtt| 0.0 < rtt && rtt < 2.0),
            "{query}: {rtt:?}"
        );
    }
    let page = ours("target=198.18.9.9").await;
    assert_eq!(
        value(&page, "probe_success"),
        Some(0.0),
        "no route:\n{page}"
    );
    let asked = service.scrape().await;
    let answers = |answer| asked.value("ping_probes_total", &[("answer", answer)]);
    assert_eq!(
        (answers("followed"), answers("own_request")),
        (Some(0.0), Some(7.0))
    );

    let started = Command::new(PEER)
        .arg(format!("--web.listen-address={PEER_ADDRESS}"))
        .arg(format!(
            "--config.file={}",
            files.path("ping.yaml").display()
        ))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _peer = match started {
        Ok(child) => Peer(child),
        Err(error) => {
            eprintln!("skipped: {test}: {PEER}: {error}");
            return;
        }
    };
    let client = testkit::client();
    let theirs = async |query: &str| {
        let ask = || async {
            let url = format!("http://{PEER_ADDRESS}/probe?module=icmp&{query}");
            Ok(client
                .get(url)
                .send()
                .await?
                .error_for_status()?
                .text()
                .await?)
        };
        eventually(Duration::from_secs(10), ask).await.unwrap()
    };
    let (us, them) = (
        ours("target=followed").await,
        theirs("target=127.0.0.5").await,
    );
    assert_eq!(declared(&us), declared(&them));
    assert_eq!(series(&us), series(&them));
    for name in [
        "probe_success",
        "probe_ip_protocol",
        "probe_ip_addr_hash",
        "probe_icmp_reply_hop_limit",
    ] {
        assert_eq!(value(&us, name), value(&them, name), "{name}");
    }
    let (us, them) = (
        ours("target=127.0.0.6").await,
        theirs("target=127.0.0.6").await,
    );
    assert_eq!(declared(&us), declared(&them));
    assert_eq!(series(&us), series(&them));
    for name in ["probe_success", "probe_icmp_reply_hop_limit"] {
        assert_eq!(value(&us, name), value(&them, name), "{name}");
    }
    let (us, them) = (
        ours("target=nobody.invalid").await,
        theirs("target=nobody.invalid").await,
    );
    assert_eq!(series(&us), series(&them));
    assert_eq!(value(&us, "probe_success"), value(&them, "probe_success"));
    // Without a target both refuse.
    let refused = client
        .get(format!("http://{PEER_ADDRESS}/probe?module=icmp"))
        .send()
        .await;
    assert_eq!(
        refused.unwrap().status().as_u16(),
        service.status("/probe").await
    );
}
