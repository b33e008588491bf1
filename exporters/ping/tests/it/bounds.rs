//! `/probe` costs a bounded number of places, whoever asks, and none when nobody waits any more.

use std::time::Duration;

use testkit::eventually;
use testkit::namespace::{self, Peer, ip};

use crate::service::Files;

#[tokio::test]
async fn probes_of_a_caller_have_their_places_and_end_with_him() {
    let test = "bounds::probes_of_a_caller_have_their_places_and_end_with_him";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let silent = Peer::behind("a0", "a1");
    ip("address add 198.18.1.1/24 dev a0");
    silent.ip("address add 198.18.1.2/24 dev a1");
    silent.set("ipv4/icmp_echo_ignore_all", "1");
    let modules =
        "modules:\n  long: {prober: icmp, timeout: 50s, icmp: {preferred_ip_protocol: ip4}}\n";
    let files = Files::new("devices: []\n", modules);
    let service = files
        .start_as_nobody(&namespace, &["--web.max-requests=4"])
        .await;
    let url = service.url("/probe?module=long&target=198.18.1.2");
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let request = testkit::client().get(&url).timeout(Duration::from_secs(60));
        waiting.spawn(async move { request.send().await.map(|answer| answer.status().as_u16()) });
    }
    // One address has four places; the others are answered while those are held.
    for _ in 0..8 {
        let refused = waiting.join_next().await.unwrap().unwrap();
        assert_eq!(refused.unwrap(), 503);
    }
    let held = async |count: f64| {
        eventually(Duration::from_secs(20), || async {
            let samples = service.scrape().await;
            let now = samples.sum("sotp_http_requests_in_flight", &[]);
            // The scrape itself has a place.
            anyhow::ensure!(now == count + 1.0, "{now} in flight");
            Ok(samples)
        })
        .await
        .unwrap()
    };
    let samples = held(4.0).await;
    assert_eq!(samples.sum("sotp_http_requests_refused_total", &[]), 8.0);
    waiting.abort_all();
    held(0.0).await;
    let answered = service.page("/probe?module=long&target=127.0.0.1").await;
    assert!(answered.contains("probe_success 1"), "{answered}");
}
