//! Every call of the documentation, run as it stands there.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::Command;

mod support;

use support::Place;

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_page_works() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/inventory.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> = page
        .split("```sh api\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 5, "{}", blocks.len());
    let place = Place::new("devices:\n  - name: r1\n    address: 192.0.2.1\n");
    let service = place.start().await;
    let url = service.process.url("");
    // Any status that is no success ends it, in a pipe as well.
    let mut script =
        "set -eu\nset -o pipefail\ncurl() { command curl -sS --fail-with-body \"$@\"; }\n"
            .to_owned();
    let mut calls = 0;
    for block in &blocks {
        calls += block.matches("curl ").count();
        script.push_str(&block.replace("http://127.0.0.1:19870", &url));
    }
    assert!(calls > 20, "{calls}");
    let folder = place.dir.path().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        Command::new("bash")
            .args(["-x", "-c", &script])
            .current_dir(folder)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(service.get("/api/v1/devices/r8").await.body["site"], "brno");
    assert_eq!(service.get("/api/v1/devices/r7").await.body["site"], "brno");
}
