//! The interface put to the test by schemathesis: whatever is asked, the service answers as its document says.

use std::fmt::Write as _;

use serde_json::json;
use testkit::Server;

use crate::golden::Place;
use crate::schemathesis;

/// Some fifteen seconds. It may do everything that an operator may, beside a real Alertmanager and devices that nobody answers on.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing() {
    let alertmanager = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
    let server = Server::alertmanager(alertmanager).await.unwrap();
    let mut devices = String::from("devices:\n");
    for n in 1..4 {
        let _ = writeln!(
            devices,
            "  - {{name: r{n}, address: 127.0.0.{n}, platform: frr, ssh: {{port: 9}}}}"
        );
    }
    let config = format!("alertmanager: {{url: '{}'}}\n", server.url);
    let place = Place::with(&devices, &config).await;
    // Something to be found behind the ids that it tries.
    let wanted = json!({"runbook": "port-up", "device": "r1", "port": "eth1"});
    let run = place
        .ask("POST", "/api/v1/jobs", "bob", Some(&wanted))
        .await;
    let (status, job) = run.unwrap();
    assert_eq!(status, 202);
    let document = place
        .ask("GET", "/api/v1/openapi.json", "alice", None)
        .await;
    let mut document = document.unwrap().1;
    // The document, with names that there are: by chance nobody hits them.
    for (place, names) in [
        ("/RunRequest/properties/device", json!(["r1", "r2", "r3"])),
        (
            "/RunRequest/properties/runbook",
            json!(["port-up", "diagnostics", "config-drift"]),
        ),
        (
            "/CommandRequest/properties/command",
            json!(["show version", "show interface {ifname}"]),
        ),
        (
            "/CommandRequest/properties/devices/items",
            json!(["r1", "r2"]),
        ),
    ] {
        let found = document.pointer_mut(&format!("/components/schemas{place}"));
        found.unwrap()["enum"] = names;
    }
    // A matcher of its own: what is answered may be any.
    let silence = document.pointer_mut("/components/schemas/SilenceRequest/properties");
    let silence = silence.unwrap();
    let word = json!({"type": "string", "pattern": "^[a-z]{1,9}$"});
    silence["comment"] = word.clone();
    silence["matchers"]["items"] = json!({"type": "object", "required": ["name", "value", "isRegex"], "additionalProperties": false,
        "properties": {"name": word, "value": word, "isRegex": {"type": "boolean"}}});
    let one =
        document.pointer_mut("/paths/~1api~1v1~1jobs~1{id}~1approve/post/parameters/0/schema");
    one.unwrap()["enum"] = json!([job["job"], "none"]);
    place
        .dir
        .write("openapi.json", document.to_string())
        .unwrap();
    let base = place.process.url("");
    let tried = [
        "--url",
        &*base,
        "--max-examples",
        "6",
        "--phases",
        "examples,coverage,fuzzing",
        "--exclude-path-regex",
        "webhook|events",
    ];
    let document = place.dir.join("openapi.json").display().to_string();
    let run = schemathesis::run(document, "alice:word", &tried, place.dir.path());
    let Some(output) = run.await else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        place.process.log()
    );
    // It did something of each kind, and nothing that it did broke the service.
    let records = place.records();
    for verb in ["runbook.run", "command.run", "silence.create"] {
        let begun = |line: &&str| line.contains("\"begun\"") && line.contains(verb);
        let of_alice = |line: &&str| line.contains("alice");
        let done = records.lines().filter(begun).filter(of_alice).count();
        assert!(done > 0, "nothing was done by {verb}: {said}");
    }
    place.ready().await;
}
