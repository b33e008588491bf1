//! The native histogram as Prometheus reads it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::{TempDir, eventually};

use crate::namespace;
use crate::service::Files;

const PROMETHEUS: &str = "http://127.0.0.1:19090";

/// Ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Prometheus with native histograms, which scrapes the service; `None` where there is no such program.
fn prometheus() -> Option<(Running, TempDir)> {
    let data = TempDir::new().unwrap();
    let config = "global: {scrape_interval: 1s}\n\
                  scrape_configs: [{job_name: ping, static_configs: [{targets: ['127.0.0.1:19427']}]}]\n";
    data.write("prometheus.yml", config).unwrap();
    let prometheus = Command::new("prometheus")
        .arg(format!(
            "--config.file={}",
            data.join("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            data.join("data").display()
        ))
        .arg("--web.listen-address=127.0.0.1:19090")
        .arg("--enable-feature=native-histograms")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match prometheus {
        Ok(child) => Some((Running(child), data)),
        Err(error) => {
            testkit::skip(format_args!("no prometheus: {error}"));
            None
        }
    }
}

/// The first value of a query.
async fn value(query: &str) -> anyhow::Result<f64> {
    let encoded: String = query.bytes().map(|b| format!("%{b:02x}")).collect();
    let url = format!("{PROMETHEUS}/api/v1/query?query={encoded}");
    let text = testkit::client().get(url).send().await?.text().await?;
    let answer: serde_json::Value = serde_json::from_str(&text)?;
    let value = answer["data"]["result"][0]["value"][1].as_str();
    let value = value.ok_or_else(|| anyhow::anyhow!("{query}: {text}"))?;
    Ok(value.parse()?)
}

/// Waits until the native histogram, which no classic one gives a count of, has ten observations.
async fn counted(query: &str) -> f64 {
    eventually(Duration::from_secs(30), || async {
        let native = value(query).await?;
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
    let Some(_prometheus) = prometheus() else {
        return;
    };
    let files = Files::new("devices: []\n", "");
    let flags = ["--compat=smokeping_prober", "-i", "100ms", "127.0.0.9"].map(str::to_owned);
    let _service = files.start_with(&namespace, &flags).await;
    counted("histogram_count(smokeping_response_duration_seconds{host=\"127.0.0.9\"})").await;
    let quantile = value("histogram_quantile(0.5, smokeping_response_duration_seconds)").await;
    let quantile = quantile.unwrap();
    assert!(quantile > 0.0 && quantile < 1.0, "{quantile}");
}

#[tokio::test]
async fn prometheus_takes_the_native_histogram_and_all_other_series() {
    let test = "native::prometheus_takes_the_native_histogram_and_all_other_series";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let Some(_prometheus) = prometheus() else {
        return;
    };
    let inventory = "devices: [{name: d1, address: 127.0.0.1, ping: {interval: 100ms}}]";
    let files = Files::new(inventory, "");
    let service = files.start(&namespace).await;
    // Its counts and the counter come from the same scrape.
    let counted = counted("histogram_count(ping_rtt_seconds{device=\"d1\"})").await;
    let difference = "histogram_count(ping_rtt_seconds) - on (device) ping_responses_total";
    assert_eq!(value(difference).await.unwrap(), 0.0);
    let quantile = value("histogram_quantile(0.5, ping_rtt_seconds)")
        .await
        .unwrap();
    let mean = value("histogram_sum(ping_rtt_seconds) / histogram_count(ping_rtt_seconds)");
    let mean = mean.await.unwrap();
    assert!(
        quantile > 0.0 && quantile < 1.0 && mean > 0.0 && mean < 1.0,
        "{quantile} {mean}"
    );
    let up = value("up").await.unwrap();
    assert_eq!(up, 1.0, "{counted} counted");
    for query in [
        "ping_up",
        "ping_target_info",
        "ping_targets",
        "sotp_build_info",
    ] {
        assert_eq!(value(query).await.unwrap(), 1.0, "{query}");
    }
    // The text page is classic as before.
    let page = service.page("/metrics").await;
    assert!(page.contains("ping_rtt_seconds_bucket{device=\"d1\""));
}
