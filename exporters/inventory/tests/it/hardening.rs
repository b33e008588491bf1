//! What attacks were tried with: rights are those of what is done, what was answered is what happened, and nobody waits for a stranger.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{Place, send, try_send};

const SMALL: &str = "sites:\n  - name: prague\ngroups:\n  - name: core\ndevices:\n  - name: r1\n    address: 192.0.2.1\n    groups: [core]\n";

/// Every record of the audit log, oldest first.
fn records(place: &Place) -> Vec<Value> {
    let file = place.dir.join("audit/audit-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn recorded(place: &Place, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut found = None;
    eventually(Duration::from_secs(20), || {
        let record = records(place).into_iter().find(&wanted);
        found = record.clone();
        async move {
            anyhow::ensure!(record.is_some());
            Ok(())
        }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}: {:#?}", records(place)));
    found.unwrap()
}

/// The configuration with other rules, or other users.
fn configure(place: &Place, change: impl Fn(&str) -> String) {
    let path = place.dir.join("config.yaml");
    let text = change(&std::fs::read_to_string(&path).unwrap());
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_header_does_not_make_a_change_something_else() {
    let place = Place::new(SMALL);
    configure(&place, |text| {
        let rules = "  rules: [{verbs: [device.change, site.change], role: admin}, {verbs: [device.add, site.add], role: operator}]\n";
        text.replacen("audit:", &format!("{rules}audit:"), 1)
    });
    let service = place.start().await;
    let moved = json!({"name": "r1", "address": "203.0.113.66"});
    for (path, body) in [
        ("/api/v1/devices/r1", &moved),
        (
            "/api/v1/sites/prague",
            &json!({"name": "prague", "region": "x"}),
        ),
    ] {
        for none in ["", "\"x\"", "*"] {
            let request = service.json("PUT", path, body).header("if-match", "*");
            let request = if none.is_empty() {
                request
            } else {
                request.header("if-none-match", none)
            };
            assert_eq!(send(request).await.status, 403, "{path} {none}");
        }
    }
    // What it is to be is added by whoever may add, and recorded as that.
    let new = json!({"name": "r9", "address": "192.0.2.9"});
    let added = service
        .json("PUT", "/api/v1/devices/r9", &new)
        .header("if-none-match", "*");
    assert_eq!(send(added).await.status, 201);
    let begun = recorded(&place, |record| record["event"] == "begun").await;
    assert_eq!(
        (&begun["verb"], &begun["object"]),
        (&json!("device.add"), &json!("device/r9"))
    );
    let refused = recorded(&place, |record| record["event"] == "refused").await;
    assert_eq!(
        (&refused["verb"], &refused["object"]),
        (&json!("device.change"), &json!("device/r1"))
    );
}

#[tokio::test]
async fn wrong_passwords_leave_records_that_name_no_password() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let body = json!({"name": "r9", "address": "192.0.2.9"});
    for (user, object) in [("alice", "web_user/alice"), ("hunter2", "web_user/unknown")] {
        for attempt in 0..3 {
            let request = testkit::client().post(service.process.url("/api/v1/devices"));
            let request = request.json(&body);
            let request = request.basic_auth(user, Some(format!("guess-{attempt}")));
            assert_eq!(send(request).await.status, 401);
        }
        let record = recorded(&place, |record| record["object"] == object).await;
        assert_eq!(
            (&record["event"], &record["verb"]),
            (&json!("refused"), &json!("login"))
        );
        assert_eq!(record["detail"], "401: wrong password from 127.0.0.1");
    }
    // The others come as a number when their minute is over.
    let all = records(&place);
    assert_eq!(all.len(), 2, "{all:#?}");
    let text = format!("{all:?}");
    assert!(
        !text.contains("hunter2") && !text.contains("guess"),
        "{text}"
    );
}

/// Two readers may take different ones of two equal keys: what one has checked the other does otherwise.
#[tokio::test]
async fn a_body_with_a_key_twice_is_refused() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    for (method, path, body) in [
        (
            "POST",
            "/api/v1/devices",
            r#"{"name":"r9","address":"192.0.2.9","address":"203.0.113.9"}"#,
        ),
        (
            "PATCH",
            "/api/v1/devices/r1",
            r#"{"labels":{"a":"1","\u0061":"2"}}"#,
        ),
        ("POST", "/api/v1/sites", "{\"name\":\"x\",\n\"name\":\"y\"}"),
    ] {
        let request = service.request(method, path);
        let request = request.header("content-type", "application/json");
        let request = request.header("if-match", "*");
        let answer = send(request.body(body)).await;
        assert_eq!(answer.status, 400, "{method} {path}");
    }
    assert_eq!(std::fs::read_to_string(place.file()).unwrap(), SMALL);
}

#[tokio::test]
async fn the_trace_of_a_change_is_in_its_record() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let body = json!({"name": "r9", "address": "192.0.2.9"});
    for (user, event) in [("alice", "ended"), ("bob", "refused")] {
        let request = service
            .json_by(user, "POST", "/api/v1/devices", &body)
            .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
        send(request).await;
        let record = recorded(&place, |record| record["event"] == event).await;
        assert_eq!(record["trace_id"], trace, "{record}");
    }
}

#[tokio::test]
async fn refusals_and_what_others_change_leave_records() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let body = json!({"name": "r9", "address": "192.0.2.9"});
    for (user, path, detail) in [
        ("mallory", "/api/v1/devices", "401: user_not_mapped"),
        ("bob", "/api/v1/devices", "403: forbidden"),
        ("carol", "/api/v1/remote/pull", "409: no-remote"),
    ] {
        let asked = if path.ends_with("pull") {
            json!({})
        } else {
            body.clone()
        };
        send(service.json_by(user, "POST", path, &asked)).await;
        recorded(&place, |record| {
            record["detail"]
                .as_str()
                .is_some_and(|it| it.starts_with(detail))
        })
        .await;
    }
    let stale = service
        .request("PATCH", "/api/v1/devices/r1")
        .header("content-type", "application/json");
    send(stale.header("if-match", "\"0\"").body("{}")).await;
    let record = recorded(&place, |record| {
        record["detail"] == "412: changed-meanwhile"
    })
    .await;
    assert_eq!(record["object"], "device/r1");
    send(service.json(
        "POST",
        "/api/v1/devices",
        &json!({"name": "r9", "adress": "x"}),
    ))
    .await;
    recorded(&place, |record| record["detail"] == "422: invalid").await;
    // By hand, good and bad; and on the branch.
    std::fs::write(place.file(), SMALL.replace("192.0.2.1", "203.0.113.99")).unwrap();
    let hand = |outcome: &'static str| {
        move |record: &Value| {
            record["verb"] == "inventory.edit_by_hand"
                && (record["outcome"] == outcome || record["event"] == outcome)
        }
    };
    recorded(&place, hand("done")).await;
    std::fs::write(place.file(), "devices: {").unwrap();
    recorded(&place, hand("refused")).await;
    std::fs::write(place.file(), SMALL.replace("192.0.2.1", "203.0.113.99")).unwrap();
    service.committed().await;
    std::fs::write(place.file(), SMALL).unwrap();
    place.git(&["add", "inventory.yaml"]);
    place.git(&[
        "-c",
        "user.name=eve",
        "-c",
        "user.email=eve@localhost",
        "commit",
        "-qm",
        "by eve",
    ]);
    let verbs = ["branch.take_over", "inventory.edit_by_hand"];
    recorded(&place, |record| {
        record["seq"].as_u64() > Some(7) && verbs.iter().any(|verb| record["verb"] == *verb)
    })
    .await;
}

/// Our reference of git cannot be moved, so that after some changes the next have to wait.
async fn stuck(place: &Place, service: &crate::support::Service) -> Vec<std::path::PathBuf> {
    let locks = ["refs/heads/main.lock", "refs/sotp/main.lock"]
        .map(|lock| place.dir.join("network/.git").join(lock));
    for lock in &locks {
        std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
        // git may have one of its own for a moment.
        eventually(Duration::from_secs(10), || async {
            std::fs::File::create_new(lock)?;
            Ok(())
        })
        .await
        .unwrap();
    }
    for number in 0.. {
        assert!(number < 200, "changes never wait");
        let body =
            json!({"name": format!("m{number}"), "address": format!("10.4.0.{}", number + 1)});
        let answer = send(service.json("POST", "/api/v1/devices", &body)).await;
        if answer.status != 201 {
            assert_eq!(
                (answer.status, &answer.body["type"]),
                (503, &json!("/problems/busy")),
                "{}",
                answer.text
            );
            break;
        }
    }
    locks.to_vec()
}

/// Takes some seconds: that a change waits is only seen by its time being over.
#[tokio::test]
async fn what_was_answered_503_is_not_done_later() {
    let mut place = Place::new(SMALL);
    place.extra.push("--web.request-timeout=1s".to_owned());
    let service = place.start().await;
    service.committed().await;
    let locks = stuck(&place, &service).await;
    let delete = service
        .request("DELETE", "/api/v1/devices/r1")
        .header("if-match", "*");
    assert_eq!(send(delete).await.status, 503);
    for lock in &locks {
        std::fs::remove_file(lock).unwrap();
    }
    // A change after it goes through, which it would have had to go before.
    eventually(Duration::from_secs(20), || async {
        let body = json!({"name": "later", "address": "10.5.0.1"});
        let answer = try_send(
            service
                .json("PUT", "/api/v1/devices/later", &body)
                .header("if-none-match", "*"),
        )
        .await?;
        anyhow::ensure!([201, 412].contains(&answer.status), "{}", answer.text);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(service.get("/api/v1/devices/r1").await.status, 200);
    assert!(
        !records(&place)
            .iter()
            .any(|record| record["verb"] == "device.delete" && record["event"] == "begun")
    );
}

#[tokio::test]
async fn a_log_that_was_taken_away_stops_changes_until_it_is_declared() {
    let place = Place::new(SMALL);
    let body = |name: &str, last: u8| json!({"name": name, "address": format!("192.0.2.{last}")});
    let add = |service: &crate::support::Service, name: &str, last| {
        send(service.json("POST", "/api/v1/devices", &body(name, last)))
    };
    let service = place.start().await;
    assert_eq!(add(&service, "r8", 8).await.status, 201);
    std::fs::remove_dir_all(place.dir.join("audit")).unwrap();
    let refused = add(&service, "ghost", 9).await;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (507, &json!("/problems/not-recorded"))
    );
    drop(service);
    // A start does not forget it.
    let service = place.start().await;
    assert_eq!(add(&service, "ghost", 9).await.status, 507);
    assert_eq!(service.get("/sd/ping").await.status, 200);
    let metrics = service.get("/metrics").await.text;
    assert!(
        metrics.contains("\nsotp_audit_refusing 1\n")
            && metrics.contains("\nsotp_audit_head_sequence 2\n"),
        "{metrics}"
    );
    let declared = access::audit::resume(&access::audit::Resume {
        folder: &place.dir.join("audit"),
        head: None,
        anchors: &[],
        by: "carol",
        reason: "the folder was removed",
    })
    .unwrap();
    assert_eq!(declared.lost, Some((1, 2)));
    assert_eq!(add(&service, "r9", 9).await.status, 201);
    let report = access::audit::verify::verify(&place.dir.join("audit"), &[]).unwrap();
    assert_eq!((report.findings.len(), report.lost.len()), (0, 1));
}

/// A list as large as any may be is worked out beside the store: who changes one device does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_list_does_not_keep_a_change_waiting() {
    let place = Place::new(SMALL);
    let service = std::sync::Arc::new(place.start().await);
    let hosts = |count: usize| {
        let host = |n: usize| {
            format!(
                "    h{n}: {{ansible_host: 10.{}.{}.{}}}\n",
                n >> 16,
                n >> 8 & 255,
                n & 255
            )
        };
        format!(
            "all:\n  hosts:\n{}",
            (0..count).map(host).collect::<String>()
        )
    };
    let path = "/api/v1/import?format=ansible&validate=true";
    let import = |text: String| {
        service
            .request("POST", path)
            .header("content-type", "text/yaml")
            .body(text)
    };
    let many = tokio::spawn(try_send(import(hosts(20_000))));
    // It is under way once its text has been sent.
    tokio::task::yield_now().await;
    let began = Instant::now();
    let change = service
        .request("PATCH", "/api/v1/devices/r1")
        .header("content-type", "application/json");
    let changed = send(change.header("if-match", "*").body(r#"{"role":"z"}"#)).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let preview = many.await.unwrap().unwrap();
    assert_eq!(preview.status, 200, "{}", preview.text);
    let short: String = (0..50_001).map(|n| format!("    h{n}:\n")).collect();
    let too_many = send(import(format!("all:\n  hosts:\n{short}"))).await;
    assert_eq!(
        (too_many.status, &too_many.body["type"]),
        (413, &json!("/problems/too-large"))
    );
}

/// Fifty requests for a history of two hundred commits, each of which is looked into, hung up at once.
#[tokio::test]
async fn a_history_that_nobody_waits_for_is_not_read() {
    let mut place = Place::new(SMALL);
    let bin = place.dir.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let running = place.dir.join("running");
    std::fs::create_dir(&running).unwrap();
    // Each git that reads a file leaves a mark for as long as it runs.
    let script = format!(
        "#!/bin/sh\nm={}/$$\n: > $m\nsleep 0.05\nenv PATH=\"${{PATH#*:}}\" git \"$@\"\nr=$?\nrm $m\nexit $r\n",
        running.display()
    );
    std::fs::write(bin.join("git"), script).unwrap();
    std::fs::set_permissions(
        bin.join("git"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    place.git(&["init", "-q", "--initial-branch", "main"]);
    place.git(&["add", "inventory.yaml"]);
    for number in 0..60 {
        let text = SMALL.replace(
            "groups: [core]",
            &format!("groups: [core]\n    role: {}", "r".repeat(number + 1)),
        );
        std::fs::write(place.file(), text).unwrap();
        place.git(&[
            "-c",
            "user.name=eve",
            "-c",
            "user.email=eve@localhost",
            "commit",
            "--allow-empty",
            "-qam",
            "by eve",
        ]);
    }
    let path = std::env::var("PATH").unwrap();
    place
        .env
        .push(("PATH".to_owned(), format!("{}:{path}", bin.display())));
    let service = place.start().await;
    service.committed().await;
    let count = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    let mut most = 0;
    for _ in 0..50 {
        let asked = service.request("GET", "/api/v1/versions?entry=devices/nothere");
        let _ = tokio::time::timeout(Duration::from_millis(20), try_send(asked)).await;
        most = most.max(count(&running));
    }
    assert!(most <= 8, "{most} at a time");
    // Those that were begun stop between two commits: nothing runs on.
    eventually(Duration::from_secs(5), || async {
        for _ in 0..5 {
            anyhow::ensure!(count(&running) == 0, "still running");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    })
    .await
    .unwrap();
    // And who waits gets the answer.
    let answer = service.get("/api/v1/versions?limit=3").await;
    assert_eq!(
        answer.body["versions"].as_array().unwrap().len(),
        3,
        "{}",
        answer.text
    );
}

/// No file may grow: to whoever writes that is a disk without room. What was there is answered all the same, also after a start.
#[tokio::test]
async fn a_full_disk_does_not_keep_the_service_from_answering() {
    let devices: String = (0..40)
        .map(|n| format!("  - name: d{n}\n    address: 10.0.0.{}\n", n + 1))
        .collect();
    let text = format!("devices:\n{devices}");
    let place = Place::new(&text);
    {
        let service = place.start().await;
        let body = json!({"name": "r8", "address": "192.0.2.8"});
        assert_eq!(
            send(service.json("POST", "/api/v1/devices", &body))
                .await
                .status,
            201
        );
        service.committed().await;
    }
    // What a person wrote while it was down cannot be taken over now: it could not be recorded.
    std::fs::write(place.file(), text.replace("10.0.0.1\n", "10.9.0.1\n")).unwrap();
    let limited = place.dir.join("limited");
    let script = format!(
        "#!/bin/sh\ntrap '' XFSZ\nulimit -f 1\nexec {} \"$@\"\n",
        crate::support::BINARY
    );
    std::fs::write(&limited, script).unwrap();
    std::fs::set_permissions(
        &limited,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let service = place.start_of(&limited).await;
    assert_eq!(service.get("/api/v1/devices/r8").await.status, 200);
    assert_eq!(
        service.get("/api/v1/devices/d0").await.body["address"],
        "10.0.0.1"
    );
    let body = json!({"name": "r9", "address": "192.0.2.9"});
    let refused = send(service.json("POST", "/api/v1/devices", &body)).await;
    assert_eq!(refused.status, 507, "{}", refused.text);
    assert_eq!(service.get("/api/v1/devices/r9").await.status, 404);
    drop(service);
    // With room again it is taken over, and recorded.
    let service = place.start().await;
    assert_eq!(
        service.get("/api/v1/devices/d0").await.body["address"],
        "10.9.0.1"
    );
    recorded(&place, |record| record["verb"] == "inventory.edit_by_hand").await;
}

/// Where the source names another file by mistake, what is in that file stands nowhere.
#[tokio::test]
async fn a_wrong_file_is_not_quoted() {
    let dir = testkit::TempDir::new().unwrap();
    let path = dir.write("inventory.yaml", SMALL).unwrap();
    let flag = format!("--inventory.source={}", path.display());
    let process = testkit::Process::spawn(env!("CARGO_BIN_EXE_sotp-inventory"), [flag]);
    let process = process.await.unwrap();
    for wrong in [
        "root:$6$hunter2:19000:0:99999:7:::\nbin:hunter2:1\n",
        "hunter2",
        "password: hunter2\nhunter2: x\n",
        "- hunter2\n",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
        "{hunter2",
    ] {
        std::fs::write(&path, wrong).unwrap();
        let (code, told) = process.post("/-/reload", "").await.unwrap();
        assert_eq!(code, 500, "{wrong}: {told}");
        let (_, status) = process.get("/api/v1/status").await.unwrap();
        assert!(status.contains("inventory.yaml:"), "{status}");
        for text in [told, status, process.log()] {
            assert!(!text.contains("hunter2"), "{wrong}: {text}");
        }
    }
    // One with a slip in it is told in full.
    std::fs::write(&path, "devices: []\nsite: []\n").unwrap();
    let (_, told) = process.post("/-/reload", "").await.unwrap();
    assert!(told.contains("unknown key \"site\""), "{told}");
}
