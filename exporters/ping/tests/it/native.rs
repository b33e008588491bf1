//! The native histogram as Prometheus reads it.

use std::time::Duration;

use testkit::{Server, eventually};

use crate::service::Files;
use testkit::namespace;

/// Prometheus with native histograms, which scrapes the service.
async fn prometheus() -> Server {
    let config = "global: {scrape_interval: 1s}\n\
                  scrape_configs: [{job_name: ping, static_configs: [{targets: ['127.0.0.1:19427']}]}]\n";
    let feature = ["--enable-feature=native-histograms"];
    Server::prometheus_with(config, &feature).await.unwrap()
}

/// Waits until the native histogram, which no classic one gives a count of, has ten observations.
async fn counted(prometheus: &Server, query: &str) -> f64 {
    eventually(Duration::from_secs(30), || async {
        let native = prometheus.value(query).await?;
        anyhow::ensure!(native >= 10.0, "{native}");
        Ok(native)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn smokeping_prober_has_a_native_histogram_too() {
    let test = "native::smokeping_prober_has_a_native_histogram_too";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let prometheus = prometheus().await;
    let files = Files::new("devices: []\n", "");
    let flags = ["--compat=smokeping_prober", "-i", "100ms", "127.0.0.9"].map(str::to_owned);
    let _service = files.start_with(&namespace, &flags).await;
    counted(
        &prometheus,
        "histogram_count(smokeping_response_duration_seconds{host=\"127.0.0.9\"})",
    )
    .await;
    let quantile = prometheus
        .value("histogram_quantile(0.5, smokeping_response_duration_seconds)")
        .await;
    let quantile = quantile.unwrap();
    assert!(quantile > 0.0 && quantile < 1.0, "{quantile}");
}

#[tokio::test]
async fn prometheus_takes_the_native_histogram_and_all_other_series() {
    let test = "native::prometheus_takes_the_native_histogram_and_all_other_series";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let prometheus = prometheus().await;
    let inventory = "devices: [{name: d1, address: 127.0.0.1, ping: {interval: 100ms}}]";
    let files = Files::new(inventory, "");
    let service = files.start(&namespace).await;
    // Its counts and the counter come from the same scrape.
    let counted = counted(
        &prometheus,
        "histogram_count(ping_rtt_seconds{device=\"d1\"})",
    )
    .await;
    let difference = "histogram_count(ping_rtt_seconds) - on (device) ping_responses_total";
    assert_eq!(prometheus.value(difference).await.unwrap(), 0.0);
    let quantile = prometheus
        .value("histogram_quantile(0.5, ping_rtt_seconds)")
        .await
        .unwrap();
    let mean =
        prometheus.value("histogram_sum(ping_rtt_seconds) / histogram_count(ping_rtt_seconds)");
    let mean = mean.await.unwrap();
    assert!(
        quantile > 0.0 && quantile < 1.0 && mean > 0.0 && mean < 1.0,
        "{quantile} {mean}"
    );
    let up = prometheus.value("up").await.unwrap();
    assert_eq!(up, 1.0, "{counted} counted");
    for query in [
        "ping_up",
        "ping_target_info",
        "ping_targets",
        "sotp_build_info",
    ] {
        assert_eq!(prometheus.value(query).await.unwrap(), 1.0, "{query}");
    }
    // The text page is classic as before.
    let page = service.page("/metrics").await;
    assert!(page.contains("ping_rtt_seconds_bucket{device=\"d1\""));
}
