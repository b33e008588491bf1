//! Every call of the documentation, run as it stands there.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Place, Service, send};

/// The blocks of the page that begin with this line.
fn blocks<'a>(page: &'a str, line: &str) -> Vec<&'a str> {
    page.split(&format!("```{line}\n"))
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// Runs blocks in one shell; any status that is no success ends it, in a pipe as well. Answers how many calls they make.
async fn run(place: &Place, service: &Service, blocks: &[&str]) -> usize {
    let mut script =
        "set -eu\nset -o pipefail\ncurl() { command curl -sS --fail-with-body \"$@\"; }\n"
            .to_owned();
    let url = service.process.url("");
    for block in blocks {
        script.push_str(&block.replace("http://127.0.0.1:19870", &url));
    }
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
    blocks
        .iter()
        .map(|block| block.matches("curl ").count())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_page_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/details/inventory.md")).unwrap();
    let (api, remote, conflict) = (
        blocks(&page, "sh api"),
        blocks(&page, "sh api remote"),
        blocks(&page, "sh api conflict"),
    );
    assert!(
        api.len() >= 5 && remote.len() == 1 && conflict.len() == 1,
        "{} {} {}",
        api.len(),
        remote.len(),
        conflict.len()
    );
    let far = testkit::TempDir::new().unwrap();
    let bare = far.join("bare.git").display().to_string();
    let store = format!("store:\n  remote: {{url: 'file://{bare}'}}\n");
    let place = Place::with("devices:\n  - name: r1\n    address: 192.0.2.1\n", &store);
    place.git(&["init", "-q", "--bare", "-b", "main", &bare]);
    let service = place.start().await;
    let calls = run(&place, &service, &[api.clone(), remote.clone()].concat()).await;
    assert!(calls > 25, "{calls}");
    assert_eq!(service.get("/api/v1/devices/r8").await.body["site"], "brno");
    assert_eq!(service.get("/api/v1/devices/r7").await.body["site"], "brno");
    // Both sides change one device.
    let clone = far.join("clone").display().to_string();
    place.git(&["clone", "-q", &bare, &clone]);
    let file = far.join("clone/inventory.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("192.0.2.8", "192.0.2.88")).unwrap();
    place.git(&["-C", &clone, "commit", "-qam", "theirs"]);
    place.git(&["-C", &clone, "push", "-q"]);
    let change = service.json("PATCH", "/api/v1/devices/r8", &json!({"role": "core"}));
    assert_eq!(send(change.header("if-match", "*")).await.status, 200);
    let pull = service.json_by("carol", "POST", "/api/v1/remote/pull", &json!({}));
    assert_eq!(send(pull).await.status, 409);
    run(&place, &service, &conflict).await;
    let resolved = service.get("/api/v1/devices/r8").await.body;
    assert_eq!(
        (&resolved["role"], &resolved["address"]),
        (&json!("edge"), &json!("192.0.2.8"))
    );

    // Each call of the interface is among them.
    let text = std::fs::read_to_string(root.join("docs/inventory.openapi.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let made: Vec<(String, Vec<&str>)> = [api, remote, conflict]
        .concat()
        .into_iter()
        .flat_map(|block| block.split("curl ").skip(1).map(call))
        .collect();
    let mut missing = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        // Only a write that takes longer than its request has such an address.
        if path == "/api/v1/changes/{id}" {
            continue;
        }
        for method in methods.as_object().unwrap().keys() {
            let pattern: Vec<&str> = path.split('/').collect();
            let fits = |path: &[&str]| {
                let same = |(step, made): (&&str, &&str)| step == made || step.starts_with('{');
                path.len() == pattern.len() && pattern.iter().zip(path).all(same)
            };
            if !made.iter().any(|(by, path)| by == method && fits(path)) {
                missing.push(format!("{method} {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "not on the page: {missing:?}");
}

/// Method and path of a call, in the text after `curl `.
fn call(text: &str) -> (String, Vec<&str>) {
    let line = text.lines().next().unwrap();
    let (_, rest) = line.split_once("http://127.0.0.1:19870").unwrap();
    let path = rest.split(['\'', '"', '?']).next().unwrap();
    let method = match line.split_once("-X ") {
        Some((_, method)) => method.split(' ').next().unwrap().to_ascii_lowercase(),
        None if line.contains(" -d ") || line.contains("--data-binary") => "post".to_owned(),
        None => "get".to_owned(),
    };
    (method, path.split('/').collect())
}
