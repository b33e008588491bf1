//! The real binary: pages, series, changes of the file, wrong files.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Process, Spawn, TempDir, client, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_sotp-inventory");
/// What a change may take to be live.
const LIVE: Duration = Duration::from_secs(2);

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/inventory.yaml")
}

fn source(path: &Path) -> String {
    format!("--inventory.source={}", path.display())
}

async fn start(path: &Path) -> Process {
    Process::spawn(BINARY, [source(path)]).await.unwrap()
}

async fn get(process: &Process, path: &str) -> Value {
    let (status, body) = process.get(path).await.unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn run(args: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(BINARY).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn targets(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item["targets"][0].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn every_job_is_discovered() {
    let process = start(&example()).await;
    process.ready(LIVE).await.unwrap();
    assert_eq!(
        targets(&get(&process, "/sd/ping").await),
        [
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
            "192.0.2.11",
            "h2.example.net"
        ]
    );
    let snmp = get(&process, "/sd/snmp").await;
    assert_eq!(targets(&snmp), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(
        snmp[0]["labels"],
        json!({"device": "r1", "site": "prague", "role": "router", "platform": "frr",
            "__param_module": "if_mib", "__param_auth": "lab_v3"})
    );
    assert_eq!(
        targets(&get(&process, "/sd/ssh").await),
        ["192.0.2.1:22", "192.0.2.2:22", "192.0.2.3:22"]
    );
    assert_eq!(
        get(&process, "/sd/flow").await[0]["targets"],
        json!(["192.0.2.1", "2001:db8::1"])
    );
    assert_eq!(
        get(&process, "/sd/syslog").await.as_array().unwrap().len(),
        3
    );
    assert_eq!(get(&process, "/sd/mqtt").await, json!([]));
    assert_eq!(process.get("/sd/other").await.unwrap().0, 404);
}

#[tokio::test]
async fn shards_share_the_devices() {
    let process = start(&example()).await;
    let mut all = Vec::new();
    for shard in 0..3 {
        let list = get(&process, &format!("/sd/ping?shard={shard}&of=3")).await;
        all.extend(targets(&list).into_iter().map(str::to_owned));
    }
    all.sort();
    assert_eq!(
        all,
        [
            "192.0.2.1",
            "192.0.2.11",
            "192.0.2.2",
            "192.0.2.3",
            "h2.example.net"
        ]
    );
}

#[tokio::test]
async fn parameters_that_are_not_understood_are_refused_with_what_was_expected() {
    const EXPECTED: &str =
        "expected shard=I and of=N with I from 0 to N - 1 and N from 1 to 1024, or neither";
    let process = start(&example()).await;
    for (query, detail) in [
        ("shard=0", format!("shard without of; {EXPECTED}")),
        ("of=2", format!("of without shard; {EXPECTED}")),
        ("shard=x&of=2", format!("shard is \"x\"; {EXPECTED}")),
        ("shard=-1&of=2", format!("shard is \"-1\"; {EXPECTED}")),
        (
            "shard=0&of=99999999",
            format!("of is \"99999999\"; {EXPECTED}"),
        ),
        (
            "shard=0&shard=1&of=2",
            format!("shard stands twice; {EXPECTED}"),
        ),
        (
            "shrad=0&of=2",
            format!("unknown parameter \"shrad\"; {EXPECTED}"),
        ),
        (
            "shard=2&of=2",
            "shard 2 of 2 cannot be; expected of from 1 to 1024 and shard from 0 to of - 1"
                .to_owned(),
        ),
        (
            "shard=0&of=0",
            "shard 0 of 0 cannot be; expected of from 1 to 1024 and shard from 0 to of - 1"
                .to_owned(),
        ),
    ] {
        let (status, body) = process.get(&format!("/sd/ping?{query}")).await.unwrap();
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, &problem["detail"]),
            (400, &json!(detail)),
            "{query}"
        );
        assert_eq!(problem["status"], 400);
    }
}

#[tokio::test]
async fn lists_carry_a_type_and_a_tag_that_holds_until_the_content_changes() {
    let dir = TempDir::new().unwrap();
    let path = dir
        .write("inventory.yaml", std::fs::read(example()).unwrap())
        .unwrap();
    let process = start(&path).await;
    for page in [
        "/sd/ping",
        "/sd/snmp?shard=0&of=2",
        "/api/v1/inventory",
        "/api/v1/devices",
        "/api/v1/sites",
        "/api/v1/devices/r1",
    ] {
        let ask = |tag: Option<String>| {
            let request = client().get(process.url(page));
            tag.into_iter()
                .fold(request, |request, tag| request.header("If-None-Match", tag))
                .send()
        };
        let first = ask(None).await.unwrap();
        assert_eq!(
            first.headers()["content-type"],
            "application/json",
            "{page}"
        );
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        for same in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"x\", {tag}"),
            "*".to_owned(),
        ] {
            let again = ask(Some(same)).await.unwrap();
            assert_eq!(
                (
                    again.status().as_u16(),
                    again.headers()["etag"].to_str().unwrap()
                ),
                (304, &*tag),
                "{page}"
            );
            assert_eq!(again.text().await.unwrap(), "");
        }
        let head = client()
            .head(process.url(page))
            .header("If-None-Match", &tag);
        let head = head.send().await.unwrap();
        assert_eq!(head.status(), 304, "{page}");
        assert_eq!(
            head.headers().get("content-length"),
            None,
            "{page}: 0 is not the length of the list"
        );
        assert_eq!(ask(Some("\"x\"".into())).await.unwrap().status(), 200);
    }
    let version = get(&process, "/api/v1/status").await["version"].clone();
    // Another look of the same content is the same version; another content is another one.
    let text = std::fs::read_to_string(example()).unwrap();
    dir.write("inventory.yaml", format!("# another look\n{text}"))
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(get(&process, "/api/v1/status").await["version"], version);
    dir.write(
        "inventory.yaml",
        text.replace("192.0.2.1\n", "192.0.2.99\n"),
    )
    .unwrap();
    eventually(LIVE, || async {
        anyhow::ensure!(get(&process, "/api/v1/status").await["version"] != version);
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_json_view_shows_what_devices_inherit() {
    let process = start(&example()).await;
    let r3 = get(&process, "/api/v1/devices/r3").await;
    assert_eq!(r3["platform"], "frr");
    assert_eq!(
        r3["snmp"],
        json!({"module": "if_mib", "auth": "lab_v3", "port": 161})
    );
    assert_eq!(r3["maintenance"][0]["start"], "2026-03-01T21:00:00Z");
    let devices = get(&process, "/api/v1/devices").await;
    assert_eq!(devices["devices"].as_array().unwrap().len(), 5);
    assert_eq!(devices["devices"][2], r3);
    let brno = get(&process, "/api/v1/sites/brno").await;
    assert_eq!(brno["devices"], json!(["r3", "h2"]));
    assert_eq!(brno["latitude"], 49.1951);
    for page in ["/api/v1/devices/none", "/api/v1/sites/none"] {
        assert_eq!(process.get(page).await.unwrap().0, 404);
    }
    // What other services read is the document itself, and it is read back the same.
    let (_, body) = process.get("/api/v1/inventory").await.unwrap();
    let again = inventory::Inventory::parse(&body, Path::new("t")).unwrap();
    assert_eq!(again.version(), devices["version"].as_str().unwrap());
    let (_, schema) = process.get("/api/v1/schema").await.unwrap();
    assert_eq!(schema, inventory::json_schema());
}

#[tokio::test]
async fn series_tell_of_devices_and_sites() {
    let process = start(&example()).await;
    let (_, text) = process.get("/metrics").await.unwrap();
    let own: String = text
        .lines()
        .filter(|line| {
            [
                "sotp_device_",
                "sotp_site_",
                "sotp_inventory_devices",
                "sotp_inventory_sites",
            ]
            .iter()
            .any(|name| line.starts_with(name))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(
        own,
        r#"sotp_device_info{device="r1",site="prague",role="router",platform="frr",address="192.0.2.1"} 1
sotp_device_info{device="r2",site="prague",role="router",platform="frr",address="192.0.2.2"} 1
sotp_device_info{device="r3",site="brno",role="router",platform="frr",address="192.0.2.3"} 1
sotp_device_info{device="h1",site="prague",role="host",platform="linux",address="192.0.2.11"} 1
sotp_device_info{device="h2",site="brno",role="host",platform="linux",address="h2.example.net"} 1
sotp_device_maintenance{device="r1",site="prague",role="router"} 0
sotp_device_maintenance{device="r2",site="prague",role="router"} 0
sotp_device_maintenance{device="r3",site="brno",role="router"} 0
sotp_device_maintenance{device="h1",site="prague",role="host"} 0
sotp_device_maintenance{device="h2",site="brno",role="host"} 0
sotp_site_info{site="prague",region="Central Europe"} 1
sotp_site_info{site="brno",region="Central Europe"} 1
sotp_site_latitude_degrees{site="prague"} 50.0755
sotp_site_latitude_degrees{site="brno"} 49.1951
sotp_site_longitude_degrees{site="prague"} 14.4378
sotp_site_longitude_degrees{site="brno"} 16.6068
sotp_inventory_devices 5
sotp_inventory_sites 2
"#
    );
    let samples = process.scrape().await.unwrap();
    assert_eq!(samples.value("sotp_inventory_source_up", &[]), Some(1.0));
    assert_eq!(
        samples.value("sotp_inventory_source_changes_total", &[]),
        Some(1.0)
    );
}

#[tokio::test]
async fn planned_work_shows_while_it_holds() {
    let dir = TempDir::new().unwrap();
    let now = jiff::Timestamp::now();
    let second = |n: i64| now + jiff::SignedDuration::from_secs(n);
    let text = format!(
        "devices:\n- name: a\n  address: 192.0.2.1\n  maintenance: [{{start: {}, end: {}}}]\n",
        second(-60),
        second(3)
    );
    let process = start(&dir.write("inventory.yaml", text).unwrap()).await;
    let state = async || {
        process
            .scrape()
            .await
            .unwrap()
            .value("sotp_device_maintenance", &[("device", "a")])
            .unwrap()
    };
    assert!((state().await - 1.0).abs() < f64::EPSILON);
    eventually(Duration::from_secs(6), || async {
        anyhow::ensure!(state().await == 0.0, "still in maintenance");
        Ok(())
    })
    .await
    .unwrap();
}

async fn becomes(process: &Process, expected: &[&str]) {
    eventually(LIVE, || async {
        let list = get(process, "/sd/ping").await;
        anyhow::ensure!(targets(&list) == expected, "{list}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_change_is_live_within_two_seconds_and_a_bad_one_never() {
    let dir = TempDir::new().unwrap();
    let good = |n: u8| format!("devices: [{{name: d{n}, address: 192.0.2.{n}}}]\n");
    let path = dir.write("inventory.yaml", good(1)).unwrap();
    let process = start(&path).await;
    becomes(&process, &["192.0.2.1"]).await;
    std::fs::write(&path, good(2)).unwrap();
    becomes(&process, &["192.0.2.2"]).await;

    std::fs::write(&path, "devices: [{name: d3, adress: 192.0.2.3}]\n").unwrap();
    eventually(LIVE, || async {
        let status = get(&process, "/api/v1/status").await;
        anyhow::ensure!(status["up"] == false, "{status}");
        assert!(
            status["last_error"]
                .as_str()
                .unwrap()
                .contains("unknown key \"adress\""),
            "{status}"
        );
        Ok(())
    })
    .await
    .unwrap();
    let samples = process.scrape().await.unwrap();
    assert_eq!(samples.value("sotp_inventory_source_up", &[]), Some(0.0));
    assert_eq!(
        samples.value("sotp_inventory_source_failures_total", &[]),
        Some(1.0)
    );
    assert_eq!(
        samples.value("sotp_device_info", &[("device", "d2")]),
        Some(1.0)
    );
    becomes(&process, &["192.0.2.2"]).await;
    assert!(process.log().contains("unknown key"), "{}", process.log());

    std::fs::remove_file(&path).unwrap();
    eventually(LIVE, || async {
        let status = get(&process, "/api/v1/status").await;
        anyhow::ensure!(
            status["last_error"]
                .as_str()
                .unwrap()
                .contains("cannot read"),
            "{status}"
        );
        Ok(())
    })
    .await
    .unwrap();
    becomes(&process, &["192.0.2.2"]).await;
    std::fs::write(&path, good(4)).unwrap();
    becomes(&process, &["192.0.2.4"]).await;
    assert_eq!(
        process
            .scrape()
            .await
            .unwrap()
            .value("sotp_inventory_source_up", &[]),
        Some(1.0)
    );
}

#[tokio::test]
async fn a_swapped_link_is_live_within_two_seconds() {
    let dir = TempDir::new().unwrap();
    for n in [1, 2] {
        std::fs::create_dir(dir.join(format!("..{n}"))).unwrap();
        dir.write(
            format!("..{n}/inventory.yaml"),
            format!("devices: [{{name: d{n}, address: 192.0.2.{n}}}]\n"),
        )
        .unwrap();
    }
    symlink("..1", dir.join("..data")).unwrap();
    symlink("..data/inventory.yaml", dir.join("inventory.yaml")).unwrap();
    let process = start(&dir.join("inventory.yaml")).await;
    becomes(&process, &["192.0.2.1"]).await;
    symlink("..2", dir.join("..new")).unwrap();
    std::fs::rename(dir.join("..new"), dir.join("..data")).unwrap();
    becomes(&process, &["192.0.2.2"]).await;
}

#[test]
fn a_bad_inventory_ends_the_start_with_64_and_every_error() {
    let dir = TempDir::new().unwrap();
    let bad = dir
        .write(
            "bad.yaml",
            "devices:\n  - {name: a, adress: 192.0.2.1}\n  - {name: b, address: 192.0.2.256}\n",
        )
        .unwrap();
    let shown = bad.display().to_string();
    let expected = format!(
        "error: {shown}:2:15: devices[0]: unknown key \"adress\"; expected one of name, address, addresses, groups, site, role, platform, tags, ping, snmp, ssh, flow, syslog, mqtt, checks, host, cloud, maintenance, desired, ports\n\
        {shown}:3:24: devices[1].address: \"192.0.2.256\" is not an address; expected an IPv4 address, an IPv6 address or a DNS name\n"
    );
    for more in [
        &["--config.check"][..],
        &["--web.listen-address=127.0.0.1:0"][..],
    ] {
        let args: Vec<&str> = more
            .iter()
            .copied()
            .chain(["--inventory.source", &shown])
            .collect();
        assert_eq!(
            run(&args),
            (64, String::new(), expected.clone()),
            "{args:?}"
        );
    }
    let (code, _, error) = run(&[
        "--config.check",
        "--inventory.source=/nonexistent/inventory.yaml",
    ]);
    assert_eq!(code, 64);
    assert_eq!(
        error,
        "error: cannot read /nonexistent/inventory.yaml: No such file or directory (os error 2)\n"
    );
}

#[test]
fn flags_end_without_a_service() {
    let example = example().display().to_string();
    let (code, out, _) = run(&["--config.check", "--inventory.source", &example]);
    assert_eq!(code, 0);
    assert!(
        out.starts_with(&format!(
            "{example}: inventory is good: 5 devices, 2 sites\n"
        )),
        "{out}"
    );
    assert_eq!(
        run(&["--inventory.print-schema"]),
        (0, inventory::json_schema(), String::new())
    );
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, 0);
    for flag in [
        "--inventory.source",
        "--inventory.print-schema",
        "--config.check",
        "SOTP_INVENTORY_SOURCE",
    ] {
        assert!(help.contains(flag), "{help}");
    }
    assert_eq!(run(&["--no-such-flag"]).0, 64);
    let (code, default, _) = run(&["--config.print-default"]);
    assert_eq!(code, 0);
    let dir = TempDir::new().unwrap();
    let file = dir
        .write("config.yaml", default)
        .unwrap()
        .display()
        .to_string();
    assert_eq!(
        run(&[
            "--config.check",
            "--config.file",
            &file,
            "--inventory.source",
            &example
        ])
        .0,
        0
    );
}

#[test]
fn what_is_no_file_and_what_is_no_setting_is_told() {
    let (code, _, error) = run(&["--inventory.source=http://127.0.0.1:19870"]);
    assert_eq!(code, 64);
    assert!(
        error.contains("--inventory.source") && error.contains("expected the path of a file"),
        "{error}"
    );
    let dir = TempDir::new().unwrap();
    let path = dir.write("config.yaml", "devices: []\n").unwrap();
    let (code, _, error) = run(&[
        &source(&example()),
        &format!("--config.file={}", path.display()),
        "--config.check",
    ]);
    assert_eq!(code, 64);
    assert!(
        error.ends_with(
            ":1:1: unknown key \"devices\"; expected one of access, audit, store; here stand access, audit and store, devices belong into --inventory.source\n"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn the_landing_page_leads_to_every_page() {
    let process = start(&example()).await;
    let (_, page) = process.get("/").await.unwrap();
    for link in [
        "/sd/ping",
        "/sd/mqtt",
        "/api/v1/inventory",
        "/api/v1/devices",
        "/api/v1/status",
        "/metrics",
    ] {
        assert!(
            page.contains(&format!("href=\"{link}\"")) || page.contains(&format!("href={link}")),
            "{link}: {page}"
        );
        assert_eq!(process.get(link).await.unwrap().0, 200, "{link}");
    }
}

/// The whole way: file, this service, and a reader of it.
#[tokio::test]
async fn a_reader_follows_the_service_through_its_restart() {
    let dir = TempDir::new().unwrap();
    let good = |n: u8| format!("devices: [{{name: d{n}, address: 192.0.2.{n}}}]\n");
    let path = dir.write("inventory.yaml", good(1)).unwrap();
    let process = start(&path).await;
    let address = process.address().to_owned();
    let url: inventory::Source = format!("http://{address}").parse().unwrap();
    let feed = inventory::Feed::open(url).await.unwrap();
    let follower = feed.clone();
    let task = tokio::spawn(async move { follower.follow().await });
    let has = async |name: &'static str, within: u64| {
        eventually(Duration::from_secs(within), || async {
            anyhow::ensure!(feed.current().device(name).is_some(), "{:?}", feed.health());
            Ok(())
        })
        .await
        .unwrap();
    };
    has("d1", 1).await;
    std::fs::write(&path, good(2)).unwrap();
    has("d2", 4).await;
    drop(process);
    eventually(Duration::from_secs(4), || async {
        anyhow::ensure!(!feed.health().up);
        Ok(())
    })
    .await
    .unwrap();
    has("d2", 1).await;
    std::fs::write(&path, good(3)).unwrap();
    let process = Spawn::new(BINARY)
        .args([source(&path)])
        .listen(address)
        .start()
        .await
        .unwrap();
    has("d3", 8).await;
    assert!(feed.health().up);
    drop(process);
    task.abort();
}

#[tokio::test]
async fn a_reload_tells_what_is_wrong_with_the_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.write("inventory.yaml", "devices: []").unwrap();
    let process = start(&path).await;
    let reload = async || process.post("/-/reload", "").await.unwrap();
    let (status, text) = reload().await;
    assert_eq!((status, &*text), (200, "configuration unchanged\n"));
    std::fs::write(&path, "devices: {").unwrap();
    let (status, text) = reload().await;
    assert_eq!(status, 500, "{text}");
    assert!(text.contains("inventory.yaml:1:"), "{text}");
    std::fs::write(&path, "devices: [{name: r1, address: 192.0.2.1}]").unwrap();
    // Who follows the file may have seen it before the request.
    let (status, text) = reload().await;
    assert_eq!(status, 200, "{text}");
    becomes(&process, &["192.0.2.1"]).await;
}
