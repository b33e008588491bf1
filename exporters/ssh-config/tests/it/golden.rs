//! What users meet of the service, held to the files in `tests/golden`.

use testkit::Golden;

use crate::world::{EXPORTER, World, ask, series};

#[test]
fn command_line_is_that_of_the_golden_files() {
    Golden::new(EXPORTER, env!("CARGO_MANIFEST_DIR")).command_line();
}

#[tokio::test]
async fn series_are_those_of_the_golden_files() {
    let world = World::new().await;
    world.waive("frr-log-commands", "2099-12-31");
    let process = world.start().await;
    series(&process, "sshconfig_up", &[("device", "r1")], 1.0).await;
    world.r1.answer(
        "show running-config",
        &crate::world::CONFIG.replace("log commands\n", ""),
    );
    crate::world::event(
        &process,
        "configuration_change",
        "r1",
        serde_json::json!({}),
        "s3cretEvents",
    )
    .await;
    series(
        &process,
        "sshconfig_changes_total",
        &[("device", "r1")],
        1.0,
    )
    .await;
    let page = async || Ok(ask(&process, "alice", "/metrics").await.1);
    let needed = [
        "sshconfig_rule_violated_since_timestamp_seconds{",
        "sshconfig_last_change_timestamp_seconds{",
        "sshconfig_lines_total{",
        "sshconfig_unsaved{",
        "sshconfig_device_info{",
        "sshconfig_waiver_expires_timestamp_seconds{",
    ];
    Golden::new(EXPORTER, env!("CARGO_MANIFEST_DIR"))
        .metrics("metrics.txt", &needed, page)
        .await
        .unwrap();
}

#[tokio::test]
async fn every_route_is_described_and_everything_described_is_a_route() {
    let world = World::new().await;
    let process = world
        .spawn()
        .args(["--log.level=debug", "--log.format=json"])
        .start()
        .await
        .unwrap();
    let (status, document) = ask(&process, "alice", "/api/v1/openapi.json").await;
    assert_eq!(status, 200);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    testkit::golden::hold(&root.join("docs/ssh-config.openapi.json"), &document);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let routes = testkit::interface::routes(&process).await.unwrap();
    assert_eq!(routes, testkit::interface::described(&document));
}
