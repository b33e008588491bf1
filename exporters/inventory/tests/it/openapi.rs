//! The OpenAPI document: committed, held against the router call by call, and put to the test by schemathesis.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::schemathesis;
use crate::support::{Place, send};

const SMALL: &str = "sites:\n  - name: lab\ngroups:\n  - name: core\ncredentials:\n  - name: main\ndevices:\n  - name: r1\n    address: 192.0.2.1\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[tokio::test]
async fn the_committed_document_is_the_one_that_is_served() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let served = service.get("/api/v1/openapi.json").await.text;
    let path = root().join("docs/inventory.openapi.json");
    testkit::golden::hold(&path, &served);
}

/// Each call of the document is there, and each other method on its path is not.
#[tokio::test]
async fn the_document_and_the_router_say_the_same() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let document = service.get("/api/v1/openapi.json").await.body;
    let mut calls = 0;
    for (pattern, operations) in document["paths"].as_object().unwrap() {
        let path = pattern
            .replace("{name}", "none")
            .replace("{version}", "0000000")
            .replace("{id}", "none");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = send(service.request(method, &path)).await;
            let described = operations.get(method.to_ascii_lowercase());
            assert_eq!(
                described.is_some(),
                answer.status != 405,
                "{method} {pattern}: {} {}",
                answer.status,
                answer.text
            );
            let Some(described) = described else { continue };
            calls += 1;
            let status = answer.status.to_string();
            assert!(
                described["responses"].get(&status).is_some(),
                "{method} {pattern} answered {status}, which is not described: {}",
                answer.text
            );
            // A refusal of ours, not that of a path that is not there.
            assert_ne!(answer.text, "no such page\n", "{method} {pattern}");
        }
    }
    assert!(calls > 30, "{calls}");
}

/// What the router knows, the document knows, and the other way round.
#[tokio::test]
async fn every_route_is_described_and_everything_described_is_a_route() {
    let mut place = Place::new(SMALL);
    place.extra = vec![
        "--log.level=debug".to_owned(),
        "--log.format=json".to_owned(),
    ];
    let service = place.start().await;
    let document = service.get("/api/v1/openapi.json").await.body;
    let routes = testkit::interface::routes(&service.process).await.unwrap();
    assert_eq!(routes, testkit::interface::described(&document));
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let url = service.process.url("/api/v1/openapi.json");
    let tried = [
        "--max-examples",
        "15",
        "--phases",
        "examples,coverage,fuzzing,stateful",
    ];
    let run = schemathesis::run(url, "carol:secret", &tried, place.dir.path());
    let Some(output) = run.await else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // It did ask, and nothing it did broke the service.
    let versions = service.get("/api/v1/versions").await;
    assert_eq!(versions.status, 200);
    assert!(
        versions.body["versions"].as_array().unwrap().len() > 1,
        "nothing was changed by it: {said}"
    );
    let added = send(service.json(
        "POST",
        "/api/v1/devices",
        &json!({"name": "after-all", "address": "198.18.0.1"}),
    ))
    .await;
    assert_eq!(added.status, 201, "{}", added.text);
    let _: Value = service.get("/api/v1/devices").await.body;
}
