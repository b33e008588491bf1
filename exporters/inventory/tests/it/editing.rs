//! The real binary, edited: by its callers, by many at once, by hand, and cut off.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{Place, send, try_send};

const SMALL: &str = "\
# ours
sites:
  - name: lab   # the rack
groups:
  - name: core
    defaults: {role: core, platform: frr}
devices:
  - name: r1
    address: 192.0.2.1
    groups: [core]
  # kept
  - name: r2
    address: 192.0.2.2
";

#[tokio::test]
async fn an_entry_lives_from_add_to_delete() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let r3 = json!({"name": "r3", "address": "192.0.2.3", "site": "lab"});

    let dry = send(service.json("POST", "/api/v1/devices?validate=true", &r3)).await;
    assert_eq!(
        (dry.status, &dry.body["valid"]),
        (200, &json!(true)),
        "{}",
        dry.text
    );
    assert_eq!(
        dry.body["changes"],
        json!([{"op": "add", "path": "devices/r3", "after": r3}])
    );
    assert_eq!(service.get("/api/v1/devices/r3").await.status, 404);
    assert_eq!(place.text(), SMALL);

    let added = send(service.json("POST", "/api/v1/devices", &r3)).await;
    assert_eq!((added.status, &added.body), (201, &r3), "{}", added.text);
    assert_eq!(added.headers["location"], "/api/v1/devices/r3");
    assert_eq!(
        place.text(),
        format!("{SMALL}  - name: r3\n    address: 192.0.2.3\n    site: lab\n")
    );
    // The view has the entry's tag in its own, so that either can be given back.
    let view = service.get("/api/v1/devices/r3").await;
    assert_eq!(view.body["site"], "lab");
    assert!(
        view.tag.starts_with(added.tag.trim_end_matches('"')),
        "{} {}",
        view.tag,
        added.tag
    );
    assert_eq!(
        service.get("/api/v1/devices/r3?form=written").await.body,
        r3
    );

    let mut changed = r3.clone();
    changed["role"] = "edge".into();
    let none = send(service.json("PUT", "/api/v1/devices/r3", &changed)).await;
    assert_eq!(none.status, 428, "{}", none.text);
    let put = service.put("/api/v1/devices/r3", &view.tag, &changed).await;
    assert_eq!((put.status, &put.body), (200, &changed), "{}", put.text);
    let stale = service.put("/api/v1/devices/r3", &view.tag, &r3).await;
    assert_eq!(
        (stale.status, &stale.body["current"]),
        (412, &json!(put.tag)),
        "{}",
        stale.text
    );
    let patch = send(
        service
            .request("PATCH", "/api/v1/devices/r3")
            .header("content-type", "application/merge-patch+json")
            .header("if-match", &put.tag)
            .body(r#"{"role":null,"ping":{"interval":"5s"}}"#),
    )
    .await;
    assert_eq!(
        patch.body,
        json!({"name": "r3", "address": "192.0.2.3", "site": "lab", "ping": {"interval": "5s"}}),
        "{}",
        patch.text
    );
    let delete = send(
        service
            .request("DELETE", "/api/v1/devices/r3")
            .header("if-match", &patch.tag),
    )
    .await;
    assert_eq!((delete.status, &*delete.text), (204, ""));
    assert_eq!(place.text(), SMALL);
    assert_eq!(service.get("/api/v1/devices/r3").await.status, 404);

    // What the history says, and git with it.
    let versions = service.get("/api/v1/versions?entry=devices/r3").await;
    let messages: Vec<&str> = versions.body["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["message"].as_str().unwrap())
        .collect();
    assert_eq!(
        messages,
        [
            "Delete device r3",
            "Change device r3",
            "Change device r3",
            "Add device r3"
        ]
    );
    assert_eq!(place.git(&["log", "--format=%an", "-1"]).trim(), "alice");
    assert_eq!(place.git(&["status", "--porcelain"]), "");
    assert_eq!(place.git(&["show", "HEAD:inventory.yaml"]), SMALL);
    let oldest = &versions.body["versions"][3]["version"];
    let diff = service
        .get(&format!("/api/v1/diff?from={}", oldest.as_str().unwrap()))
        .await;
    assert_eq!(
        diff.body["changes"],
        json!([{"op": "remove", "path": "devices/r3", "before": r3}]),
        "{}",
        diff.text
    );
    let wish = json!({"version": oldest, "entry": "devices/r3"});
    assert_eq!(
        send(service.json("POST", "/api/v1/restore", &wish))
            .await
            .status,
        403
    );
    let restored = send(service.json_by("carol", "POST", "/api/v1/restore", &wish)).await;
    assert_eq!(restored.status, 200, "{}", restored.text);
    assert_eq!(
        service.get("/api/v1/devices/r3?form=written").await.body,
        r3
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_with_the_field() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    for (body, status, field, detail) in [
        (
            json!({"name": "r1", "address": "192.0.2.9"}),
            409,
            "name",
            "a device called r1 is there already; change it at /api/v1/devices/r1",
        ),
        (
            json!({"name": "r9", "address": "192.0.2.1"}),
            422,
            "address",
            "the address 192.0.2.1 is taken by devices[r1].address; expected each once",
        ),
        (
            json!({"name": "r9", "address": "192.0.2.9", "ping": {"interval": "1ms"}}),
            422,
            "ping.interval",
            "\"1ms\" is not a duration in bounds; expected one such as 250ms, 1.5s or 1m30s, from 10ms to 1h",
        ),
        (
            json!({"name": "r9", "adress": "192.0.2.9"}),
            422,
            "",
            "unknown key \"adress\"; expected one of name, address, addresses, groups, site, role, platform, tags, ping, snmp, ssh, flow, syslog, mqtt, checks, host, cloud, maintenance, desired, ports",
        ),
        (json!({"name": "r9", "address": 5}), 422, "", ""),
        (
            json!([1]),
            422,
            "",
            "expected an object with the keys of a device",
        ),
    ] {
        let answer = send(service.json("POST", "/api/v1/devices", &body)).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        if !detail.is_empty() {
            let error = &answer.body["errors"][0];
            assert_eq!(
                (&error["field"], &error["detail"]),
                (&json!(field), &json!(detail)),
                "{}",
                answer.text
            );
        }
    }
    let lab = service.get("/api/v1/sites/lab").await;
    let used = send(service.json(
        "POST",
        "/api/v1/devices",
        &json!({"name": "r4", "address": "192.0.2.4", "site": "lab"}),
    ))
    .await;
    assert_eq!(used.status, 201);
    let answer = send(
        service
            .request("DELETE", "/api/v1/sites/lab")
            .header("if-match", &lab.tag),
    )
    .await;
    assert_eq!(
        (answer.status, &answer.body["type"]),
        (409, &json!("/problems/in-use")),
        "{}",
        answer.text
    );
    assert_eq!(
        answer.body["errors"][0]["field"], "devices[r4].site",
        "{}",
        answer.text
    );
    assert_eq!(
        send(service.request("POST", "/api/v1/devices").body("x"))
            .await
            .status,
        415
    );
    assert_eq!(
        send(
            service
                .request("POST", "/api/v1/devices")
                .header("content-type", "application/json")
                .body("{")
        )
        .await
        .status,
        400
    );
    assert_eq!(
        send(
            service
                .json(
                    "PUT",
                    "/api/v1/devices/zz",
                    &json!({"name": "zz", "address": "192.0.2.7"})
                )
                .header("if-none-match", "*")
        )
        .await
        .status,
        201
    );
    assert_eq!(
        send(
            service
                .json(
                    "PUT",
                    "/api/v1/devices/zz",
                    &json!({"name": "zz", "address": "192.0.2.7"})
                )
                .header("if-none-match", "*")
        )
        .await
        .status,
        412
    );
    assert_eq!(
        send(
            service
                .json(
                    "PUT",
                    "/api/v1/devices/yy",
                    &json!({"name": "zz", "address": "192.0.2.7"})
                )
                .header("if-match", "*")
        )
        .await
        .status,
        422
    );
    // A file that a person broke is not written over.
    let good = place.text();
    std::fs::write(place.file(), "devices: {").unwrap();
    let answer = send(service.json(
        "POST",
        "/api/v1/devices",
        &json!({"name": "r5", "address": "192.0.2.5"}),
    ))
    .await;
    assert_eq!(
        (answer.status, &answer.body["type"]),
        (409, &json!("/problems/bad-file")),
        "{}",
        answer.text
    );
    assert_eq!(place.text(), "devices: {");
    std::fs::write(place.file(), &good).unwrap();
    let answer = send(service.json(
        "POST",
        "/api/v1/devices",
        &json!({"name": "r5", "address": "192.0.2.5"}),
    ))
    .await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

#[tokio::test]
async fn who_may_not_changes_nothing() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let body = json!({"name": "r9", "address": "192.0.2.9"});
    for (user, method, path, status) in [
        ("bob", "POST", "/api/v1/devices", 403),
        ("mallory", "POST", "/api/v1/devices", 401),
        ("alice", "POST", "/api/v1/groups", 403),
        ("alice", "POST", "/api/v1/credentials", 403),
        ("bob", "DELETE", "/api/v1/devices/r1", 403),
        ("bob", "PUT", "/api/v1/devices/r1", 403),
        ("bob", "PATCH", "/api/v1/devices/r1", 403),
        ("bob", "POST", "/api/v1/import?format=csv", 403),
        ("bob", "POST", "/api/v1/restore", 403),
        ("alice", "POST", "/api/v1/remote/push", 403),
        ("alice", "POST", "/api/v1/remote/pull", 403),
    ] {
        let mut body = body.clone();
        if path.ends_with("/r1") || path.ends_with("groups") || path.ends_with("credentials") {
            body = json!({"name": "r1"});
        }
        if path.ends_with("restore") {
            body = json!({"version": "0000000"});
        }
        if path.contains("remote") {
            body = json!({});
        }
        let request = service
            .json_by(user, method, path, &body)
            .header("if-match", "*");
        let answer = send(request).await;
        assert_eq!(
            answer.status, status,
            "{user} {method} {path}: {}",
            answer.text
        );
    }
    assert_eq!(place.text(), SMALL);
    // Without an access section there is nobody who may.
    let plain = testkit::Process::spawn(
        crate::support::BINARY,
        [format!("--inventory.source={}", place.file().display())],
    )
    .await
    .unwrap();
    for (method, path) in [
        ("POST", "/api/v1/devices"),
        ("DELETE", "/api/v1/devices/r1"),
        ("POST", "/api/v1/remote/push"),
    ] {
        let request = testkit::client()
            .request(method.parse().unwrap(), plain.url(path))
            .header("content-type", "application/json")
            .body("{}");
        let answer = send(request).await;
        assert_eq!(
            (answer.status, &answer.body["type"]),
            (403, &json!("/problems/read-only")),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_repeated_request_is_done_once_even_across_a_restart() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let body = json!({"name": "r9", "address": "192.0.2.9"});
    let ask = |service: &crate::support::Service, key: &str, body: &Value| {
        send(
            service
                .json("POST", "/api/v1/devices", body)
                .header("idempotency-key", key),
        )
    };
    let first = ask(&service, "k-1", &body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let again = ask(&service, "\"k-1\"", &body).await;
    assert_eq!(
        (again.status, &again.tag, &again.body),
        (201, &first.tag, &body),
        "{}",
        again.text
    );
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(
        ask(
            &service,
            "k-1",
            &json!({"name": "rX", "address": "192.0.2.8"})
        )
        .await
        .status,
        422
    );
    assert_eq!(ask(&service, "k-2", &body).await.status, 409);
    assert_eq!(ask(&service, "", &body).await.status, 400);
    drop(service);
    let service = place.start().await;
    let again = ask(&service, "k-1", &body).await;
    assert_eq!(
        (again.status, &again.tag, &again.body),
        (201, &first.tag, &body),
        "{}",
        again.text
    );
    // The key of one caller is not that of another.
    let other = send(
        service
            .json_by("carol", "POST", "/api/v1/devices", &body)
            .header("idempotency-key", "k-1"),
    )
    .await;
    assert_eq!(other.status, 409);
}

#[tokio::test]
async fn what_a_person_writes_is_a_version_too() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let text = SMALL.replace("192.0.2.2", "192.0.2.22");
    std::fs::write(place.file(), &text).unwrap();
    let added = send(service.json(
        "POST",
        "/api/v1/devices",
        &json!({"name": "r3", "address": "192.0.2.3"}),
    ))
    .await;
    assert_eq!(added.status, 201, "{}", added.text);
    let versions = service.get("/api/v1/versions").await.body["versions"].clone();
    let told: Vec<_> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|v| {
            (
                v["author"].as_str().unwrap(),
                v["message"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("alice", "Add device r3"),
            ("by hand", "Edit device r2 by hand"),
            ("sotp-inventory", "Begin with the inventory as it is")
        ]
    );
    assert_eq!(
        place.text(),
        format!("{text}  - name: r3\n    address: 192.0.2.3\n")
    );
    // Without any call too.
    std::fs::write(place.file(), SMALL).unwrap();
    eventually(Duration::from_secs(30), || async {
        let newest =
            service.get("/api/v1/versions?limit=1").await.body["versions"][0]["message"].clone();
        anyhow::ensure!(newest == "Edit 2 entries by hand", "{newest}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(
        service.get("/api/v1/devices/r2").await.body["address"],
        "192.0.2.2"
    );
}

/// A thousand at once: each adds a device of its own and a tag to one of ten that all want.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_writers_lose_nothing() {
    let shared: String = (0..100)
        .map(|n| format!("  - name: shared{n}\n    address: 10.1.0.{n}\n"))
        .collect();
    let place = Place::new(&format!("devices:\n{shared}"));
    let service = Arc::new(place.start().await);
    // Fewer connections than the service holds by default: one that it gives up would be a lost answer, not a lost change.
    let door = Arc::new(tokio::sync::Semaphore::new(400));
    let writer = async |service: Arc<crate::support::Service>,
                        door: Arc<tokio::sync::Semaphore>,
                        n: u32|
           -> anyhow::Result<u32> {
        let send = async |request| {
            let _place = door.acquire().await?;
            try_send(request).await
        };
        let own =
            json!({"name": format!("own{n}"), "address": format!("10.2.{}.{}", n / 256, n % 256)});
        let added = send(service.json("POST", "/api/v1/devices", &own)).await?;
        anyhow::ensure!(added.status == 201, "{}", added.text);
        let path = format!("/api/v1/devices/shared{}", n % 100);
        for lost in 0..1000 {
            let seen = send(service.request("GET", &format!("{path}?form=written"))).await?;
            let mut entry = seen.body.clone();
            let mut tags = entry["tags"].as_array().cloned().unwrap_or_default();
            tags.push(format!("w{n}").into());
            entry["tags"] = tags.into();
            let put = send(
                service
                    .json("PUT", &path, &entry)
                    .header("if-match", &seen.tag),
            )
            .await?;
            match put.status {
                200 => return Ok(lost),
                412 => {}
                _ => anyhow::bail!("{}", put.text),
            }
        }
        anyhow::bail!("never won")
    };
    let tasks: Vec<_> = (0..1000)
        .map(|n| tokio::spawn(writer(Arc::clone(&service), Arc::clone(&door), n)))
        .collect();
    let mut lost = 0;
    for task in tasks {
        lost += task.await.unwrap().unwrap();
    }
    // Somebody did write at the same time as another, or this shows nothing.
    assert!(lost > 0, "no two writers ever met");
    for n in 0..100 {
        let entry = service
            .get(&format!("/api/v1/devices/shared{n}?form=written"))
            .await
            .body;
        assert_eq!(entry["tags"].as_array().unwrap().len(), 10, "{entry}");
    }
    let list = service.get("/api/v1/devices?name=own&limit=1").await.body;
    assert_eq!(list["total"], 1000);
    service.get("/api/v1/versions").await;
    assert_eq!(place.git(&["rev-list", "--count", "HEAD"]).trim(), "2001");
    assert_eq!(place.git(&["show", "HEAD:inventory.yaml"]), place.text());
}

/// Killed again and again while many write: what was answered for is there, the file is whole, and so is git.
#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_it_keeps_what_it_answered_for() {
    let place = Place::new("# ours\ndevices:\n  - name: r0\n    address: 192.0.2.1\n");
    let mut answered: Vec<u32> = Vec::new();
    let mut next = 0;
    for round in 0..6_u64 {
        let service = Arc::new(place.start().await);
        for n in &answered {
            assert_eq!(
                service.get(&format!("/api/v1/devices/k{n}")).await.status,
                200,
                "k{n} was answered for and is gone in round {round}"
            );
        }
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let service = Arc::clone(&service);
                let first = next + writer * 1000;
                tokio::spawn(async move {
                    let mut done = Vec::new();
                    for n in first..first + 1000 {
                        let body = json!({"name": format!("k{n}"), "address": format!("10.{}.{}.{}", n / 65536, n / 256 % 256, n % 256)});
                        match try_send(service.json("POST", "/api/v1/devices", &body)).await {
                            Ok(answer) if answer.status == 201 => done.push(n),
                            Ok(answer) => panic!("{}: {}", answer.status, answer.text),
                            Err(_) => return done,
                        }
                    }
                    done
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(150 + 130 * round)).await;
        service
            .process
            .signal(nix::sys::signal::Signal::SIGKILL)
            .unwrap();
        for writer in writers {
            answered.extend(writer.await.unwrap());
        }
        next += 8000;
        let text = place.text();
        assert!(
            text.starts_with("# ours\n")
                && inventory::Inventory::parse(&text, "t".as_ref()).is_ok(),
            "{text}"
        );
    }
    assert!(answered.len() > 20, "{} writes in all", answered.len());
    // Only the newest process may have left something half done that an ended one's git still finishes.
    let service = place.start().await;
    for n in &answered {
        assert_eq!(
            service.get(&format!("/api/v1/devices/k{n}")).await.status,
            200,
            "k{n}"
        );
    }
    service.get("/api/v1/versions").await;
    assert_eq!(place.git(&["show", "HEAD:inventory.yaml"]), place.text());
    place.git(&["fsck", "--strict"]);
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let devices: String = (0..25)
        .map(|n| {
            format!(
                "  - {{name: d{n:02}, address: 10.0.0.{n}, role: {}}}\n",
                if n % 2 == 0 { "even" } else { "odd" }
            )
        })
        .collect();
    let place = Place::new(&format!("devices:\n{devices}"));
    let service = place.start().await;
    let mut names = Vec::new();
    let mut path = "/api/v1/devices?role=even&limit=5".to_owned();
    loop {
        let page = service.get(&path).await.body;
        assert_eq!(page["total"], 13);
        names.extend(
            page["devices"]
                .as_array()
                .unwrap()
                .iter()
                .map(|device| device["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/devices?role=even&limit=5&after={next}");
    }
    assert_eq!(names.len(), 13);
    assert_eq!((&*names[0], &*names[12]), ("d00", "d24"));
    for query in ["limit=0", "limit=x", "colour=red", "after=nobody"] {
        assert_eq!(
            service
                .get(&format!("/api/v1/devices?{query}"))
                .await
                .status,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn lists_of_other_systems_come_in_after_a_preview_and_go_out_again() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    let import = async |format: &str, body: &str, more: &str, tag: &str| {
        let path = format!("/api/v1/import?format={format}{more}");
        let request = service
            .by("carol", "POST", &path)
            .header("content-type", "text/plain")
            .body(body.to_owned());
        send(if tag.is_empty() {
            request
        } else {
            request.header("if-match", tag)
        })
        .await
    };
    let bad = "name,address,site\nx1,192.0.2.300,lab\nx2,192.0.2.31\n,192.0.2.32,lab\nx3,192.0.2.33,new\nx3,192.0.2.34,new\n";
    let preview = import("csv", bad, "&validate=true", "").await;
    assert_eq!(preview.status, 422, "{}", preview.text);
    let lines: Vec<_> = preview.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["line"].as_u64().unwrap(), e["field"].as_str().unwrap()))
        .collect();
    assert_eq!(
        lines,
        [
            (2, "devices[x1].address"),
            (3, ""),
            (4, "name"),
            (6, "name")
        ],
        "{}",
        preview.text
    );
    assert_eq!(place.text(), SMALL);
    for (format, body, device, expected) in [
        (
            "csv",
            "name,address,site,tags,snmp_module,snmp_auth\nc1,192.0.2.41,brno,\"a b\",\"if_mib,bgp\",lab\n",
            "c1",
            json!({"name": "c1", "address": "192.0.2.41", "site": "brno", "tags": ["a", "b"], "snmp": {"module": "if_mib,bgp", "auth": "lab"}}),
        ),
        (
            "oxidized",
            "# routers\no1:192.0.2.42:ios:core\n",
            "o1",
            json!({"name": "o1", "address": "192.0.2.42", "groups": ["core"], "platform": "ios"}),
        ),
        (
            "netbox",
            r#"{"count":1,"next":null,"results":[{"name":"n1","site":{"slug":"lab"},"role":{"slug":"edge"},"platform":null,"primary_ip4":{"address":"192.0.2.43/24"},"tags":[{"slug":"t"}]}]}"#,
            "n1",
            json!({"name": "n1", "address": "192.0.2.43", "site": "lab", "role": "edge", "tags": ["t"]}),
        ),
        (
            "ansible",
            "all:\n  children:\n    leaf:\n      hosts:\n        a1: {ansible_host: 192.0.2.44, ansible_network_os: frr.frr.frr, ansible_port: 2222}\n",
            "a1",
            json!({"name": "a1", "address": "192.0.2.44", "groups": ["leaf"], "platform": "frr", "ssh": {"port": 2222}}),
        ),
    ] {
        let preview = import(format, body, "&validate=true", "").await;
        assert_eq!(preview.status, 200, "{format}: {}", preview.text);
        assert_eq!(
            service
                .get(&format!("/api/v1/devices/{device}"))
                .await
                .status,
            404,
            "a preview wrote"
        );
        assert_eq!(import(format, body, "", "").await.status, 428);
        assert_eq!(import(format, body, "", "\"0123\"").await.status, 412);
        let tag = preview.body["if_match"].as_str().unwrap().to_owned();
        let done = import(format, body, "", &tag).await;
        assert_eq!(done.status, 200, "{format}: {}", done.text);
        let written = service
            .get(&format!("/api/v1/devices/{device}?form=written"))
            .await
            .body;
        assert_eq!(written, expected, "{format}");
        // What goes out comes in again and changes nothing.
        let out = service
            .get(&format!("/api/v1/export?format={format}"))
            .await
            .text;
        let again = import(format, &out, "&validate=true", "").await;
        assert_eq!(again.status, 200, "{format}: {}", again.text);
    }
    for (format, body) in [
        ("csv", "\u{0}"),
        ("netbox", "{"),
        ("netbox", "7"),
        ("ansible", "a: ["),
        ("ansible", "[]"),
        ("oxidized", ":::::"),
    ] {
        let answer = import(format, body, "&validate=true", "").await;
        assert_eq!(answer.status, 422, "{format} {body}: {}", answer.text);
        assert!(
            answer.body["errors"][0]["line"].as_u64() >= Some(1),
            "{}",
            answer.text
        );
    }
    assert_eq!(import("excel", "", "", "").await.status, 400);
}

/// Web users are there for changes: who only reads discovery, metrics and health needs no password, unless it is asked for.
#[tokio::test]
async fn web_users_lock_changes_and_what_else_is_asked_for() {
    let mut place = Place::new(SMALL);
    for locked in [false, true] {
        if locked {
            place.extra = vec!["--inventory.lock-reading".to_owned()];
        }
        let service = place.start().await;
        let anybody = reqwest::Client::builder().no_proxy().build().unwrap();
        let ask = async |path: &str| {
            let answer = anybody.get(service.process.url(path)).send().await.unwrap();
            answer.status().as_u16()
        };
        let expected = if locked { 401 } else { 200 };
        for path in [
            "/sd/ping",
            "/sd/snmp?shard=0&of=2",
            "/metrics",
            "/-/healthy",
            "/-/ready",
        ] {
            assert_eq!(ask(path).await, expected, "{path} {locked}");
        }
        for path in [
            "/",
            "/config",
            "/api/v1/devices",
            "/api/v1/inventory",
            "/sd",
            "/metrics/x",
        ] {
            assert_eq!(ask(path).await, 401, "{path} {locked}");
        }
        let url = service.process.url("/sd/ping");
        let wrong = anybody.get(&url).basic_auth("bob", Some("wrong"));
        assert_eq!(wrong.send().await.unwrap().status(), 401, "{locked}");
        let posted = anybody.post(&url).send().await.unwrap();
        assert_eq!(posted.status(), 401, "{locked}");
    }
}

/// A machine of one person: whoever asks from it may change the inventory, and nobody whose request was handed on.
#[tokio::test]
async fn from_this_machine_the_inventory_is_edited_without_a_password_where_that_is_configured() {
    let place = Place::new(SMALL);
    let config = format!(
        "access: {{loopback: operator}}\naudit: {{folder: {}}}\n",
        place.dir.join("audit").display()
    );
    place.dir.write("config.yaml", config).unwrap();
    let process = testkit::Process::spawn(
        crate::support::BINARY,
        [
            format!("--inventory.source={}", place.file().display()),
            format!("--config.file={}", place.dir.join("config.yaml").display()),
        ],
    );
    let process = process.await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let add = |name: &str| {
        let body = json!({"name": name, "address": format!("{name}.example.net")});
        client.post(process.url("/api/v1/devices")).json(&body)
    };
    let answer = add("r3").send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    assert!(place.text().contains("r3.example.net"));
    for (field, value) in [
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("host", "evil.example:19870"),
        ("origin", "http://evil.example"),
        ("x-grafana-user", "admin"),
    ] {
        let answer = add("r4").header(field, value).send().await.unwrap();
        assert!(
            [401, 403].contains(&answer.status().as_u16()),
            "{field}: {}",
            answer.status()
        );
    }
    assert!(!place.text().contains("r4.example.net"));
}
