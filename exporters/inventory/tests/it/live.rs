//! A change by API reaches everybody within five seconds: discovery, a real Prometheus, another reader.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Server, eventually};

use crate::support::{Place, send};

/// What a change may take to be seen by everything that asks us.
const SEEN: Duration = Duration::from_secs(5);
/// Prometheus takes over targets once in five seconds, whatever discovery says meanwhile; then it scrapes.
const TARGETS: Duration = Duration::from_secs(5 + 5);

#[tokio::test]
async fn a_device_comes_and_goes_within_five_seconds() {
    let place = Place::new("devices:\n  - name: r1\n    address: 192.0.2.1\n");
    let service = place.start().await;
    let at = service.process.address().to_owned();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: inventory\n    basic_auth: {{username: bob, password: secret}}\n    static_configs: [{{targets: ['{at}']}}]\n  \
         - job_name: ping\n    basic_auth: {{username: bob, password: secret}}\n    http_sd_configs:\n      - {{url: 'http://{at}/sd/ping', refresh_interval: 1s, basic_auth: {{username: bob, password: secret}}}}\n    relabel_configs:\n      - {{source_labels: [__address__], target_label: instance}}\n      - {{target_label: __address__, replacement: '{at}'}}\n      - {{target_label: __metrics_path__, replacement: /metrics}}\n"
    );
    let prometheus = Server::prometheus(&config).await.unwrap();
    eventually(Duration::from_secs(60), || async {
        anyhow::ensure!(
            !prometheus
                .query("up{job=\"ping\",device=\"r1\"}==1")
                .await?
                .is_empty(),
            "r1 is not scraped"
        );
        Ok(())
    })
    .await
    .unwrap();
    let seen = async |query: &str, there: bool, within: Duration| {
        let began = Instant::now();
        eventually(within, || async {
            let found = prometheus.query(query).await?;
            anyhow::ensure!(found.is_empty() != there, "{query}: {found:?}");
            Ok(())
        })
        .await
        .unwrap();
        began.elapsed()
    };
    // As the ping service reads it.
    let options = inventory::UrlOptions {
        username: Some("bob".to_owned()),
        password_file: Some(
            place
                .dir
                .write("password", crate::support::PASSWORD)
                .unwrap(),
        ),
        ..inventory::UrlOptions::default()
    };
    let source = inventory::Source::Url {
        url: service.process.url(""),
        options,
    };
    let feed = inventory::Feed::open(source).await.unwrap();
    let follower = feed.clone();
    tokio::spawn(async move { follower.follow().await });
    let known = async |name: &str, there: bool| {
        eventually(SEEN, || async {
            anyhow::ensure!(
                feed.current().device(name).is_some() == there,
                "{:?}",
                feed.health()
            );
            Ok(())
        })
        .await
        .unwrap();
    };
    // Added: discovered, scraped, and in the series.
    let body = json!({"name": "r2", "address": "192.0.2.2"});
    let added = send(service.json("POST", "/api/v1/devices", &body)).await;
    assert_eq!(added.status, 201, "{}", added.text);
    assert!(service.get("/sd/ping").await.text.contains("\"r2\""));
    known("r2", true).await;
    seen(
        "sotp_device_info{job=\"inventory\",device=\"r2\"}",
        true,
        SEEN,
    )
    .await;
    let scraped = seen(
        "up{job=\"ping\",device=\"r2\",instance=\"192.0.2.2\"}==1",
        true,
        TARGETS,
    )
    .await;
    // Deleted: the series are stale, which takes one scrape and not the five minutes of the look-back.
    let deleted = send(
        service
            .request("DELETE", "/api/v1/devices/r2")
            .header("if-match", &added.tag),
    )
    .await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    assert!(!service.get("/sd/ping").await.text.contains("\"r2\""));
    known("r2", false).await;
    seen(
        "sotp_device_info{job=\"inventory\",device=\"r2\"}",
        false,
        SEEN,
    )
    .await;
    let stale = seen("up{job=\"ping\",device=\"r2\"}", false, TARGETS).await;
    assert!(
        !prometheus
            .query("up{job=\"ping\",device=\"r1\"}")
            .await
            .unwrap()
            .is_empty(),
        "r1 went too"
    );
    println!("scraped after {scraped:?}, stale after {stale:?}");
}
