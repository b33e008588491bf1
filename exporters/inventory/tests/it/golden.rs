//! What users meet of the service, held to the files in `tests/golden`.

use std::process::Command;

use serde_json::json;
use testkit::{Golden, TempDir};

use crate::support::{BINARY, Place, send};

fn golden() -> Golden {
    Golden::new(BINARY, env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_command_line_is_that_of_the_golden_files() {
    golden().command_line();
}

/// With a remote, and devices of every kind.
#[tokio::test]
async fn the_series_are_those_of_the_golden_file() {
    let remote = TempDir::new().unwrap();
    let made = Command::new("git")
        .args(["init", "-q", "--bare", "-b", "main"])
        .arg(remote.path())
        .status();
    assert!(made.unwrap().success());
    let store = format!(
        "store:\n  remote: {{url: 'file://{}', sync_interval: 1s}}\n",
        remote.path().display()
    );
    let place = Place::with(include_str!("../../../../examples/inventory.yaml"), &store);
    let service = place.start().await;
    // The first change is the first commit.
    let change = json!({"role": "core"});
    let request = service.json("PATCH", "/api/v1/devices/r1", &change);
    assert_eq!(send(request.header("if-match", "*")).await.status, 200);
    let page = async || anyhow::Ok(service.get("/metrics").await.text);
    let needed = ["sotp_inventory_remote_up 1", "sotp_inventory_version_info{"];
    golden()
        .metrics("metrics.txt", &needed, page)
        .await
        .unwrap();
}
