use std::time::Duration;

use serde_json::json;

use crate::world::{CONFIG, SECRETS, SWITCH, World, ask, asked, event, event_with, page, series};

const R1: &[(&str, &str)] = &[("device", "r1")];

#[tokio::test]
async fn change_becomes_a_version_with_the_name_of_who_made_it_and_no_secret_is_anywhere() {
    let world = World::new().await;
    let process = world.start().await;
    for device in ["r1", "r2"] {
        series(&process, "sshconfig_up", &[("device", device)], 1.0).await;
    }
    series(&process, "sshconfig_up", &[("device", "r3")], 0.0).await;
    let samples = page(&process).await;
    for (state, count) in [
        ("collected", 4.0),
        ("no_ssh", 0.0),
        ("no_credential", 1.0),
        ("no_driver", 1.0),
    ] {
        assert_eq!(
            samples.value("sshconfig_devices", &[("state", state)]),
            Some(count),
            "{state}"
        );
    }
    assert_eq!(
        samples.value("sshconfig_changes_total", R1),
        Some(0.0),
        "the first version is no change"
    );
    assert_eq!(samples.value("sshconfig_masked_secrets", R1), Some(1.0));
    assert_eq!(
        samples.value(
            "sshconfig_rule_violations",
            &[("device", "r1"), ("rule", "frr-log-syslog")]
        ),
        Some(0.0)
    );

    world.r1.answer(
        "show running-config",
        &CONFIG.replace("log syslog informational\n", ""),
    );
    assert_eq!(
        event(
            &process,
            "login",
            "r1",
            json!({"user": "sotp"}),
            "s3cretEvents"
        )
        .await,
        200
    );
    assert_eq!(
        event(
            &process,
            "login",
            "r1",
            json!({"user": "bob"}),
            "s3cretEvents"
        )
        .await,
        200
    );
    let began = std::time::Instant::now();
    assert_eq!(
        event(
            &process,
            "configuration_change",
            "r1",
            json!({"command": "no log syslog"}),
            "s3cretEvents"
        )
        .await,
        200
    );
    series(&process, "sshconfig_changes_total", R1, 1.0).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );

    let versions = asked(&process, "/api/v1/devices/r1/versions").await;
    let versions = versions["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 2);
    assert_eq!(
        (
            &versions[0]["user"],
            &versions[0]["trigger"],
            &versions[0]["removed"]
        ),
        (&json!("bob"), &json!("syslog"), &json!(1))
    );
    assert_eq!(versions[1]["user"], "");
    let difference = asked(&process, "/api/v1/devices/r1/diff").await;
    assert_eq!(
        (&difference["added"], &difference["removed"]),
        (&json!(0), &json!(1))
    );
    let (_, unified) = ask(
        &process,
        "alice",
        "/api/v1/devices/r1/diff?format=unified&from=-1",
    )
    .await;
    assert!(
        unified.contains("\n-log syslog informational\n"),
        "{unified}"
    );
    let (_, before) = ask(
        &process,
        "alice",
        "/api/v1/devices/r1/configuration?version=-1",
    )
    .await;
    assert!(
        before.contains("log syslog informational") && before.contains(" password <masked:"),
        "{before}"
    );
    let now = jiff::Timestamp::now();
    let (_, at) = ask(
        &process,
        "alice",
        &format!("/api/v1/devices/r1/configuration?at={now}"),
    )
    .await;
    assert!(!at.contains("log syslog informational"));

    series(
        &process,
        "sshconfig_rule_violations",
        &[("device", "r1"), ("rule", "frr-log-syslog")],
        1.0,
    )
    .await;
    let violations = asked(&process, "/api/v1/violations").await;
    let found = violations["violations"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0]["device"], &found[0]["rule"], &found[0]["by"]),
        (&json!("r1"), &json!("frr-log-syslog"), &json!("bob"))
    );

    let line = testkit::eventually(Duration::from_secs(10), || async {
        let entry = world.loki.entries().into_iter().next();
        entry.ok_or_else(|| std::io::Error::other(process.log()).into())
    })
    .await
    .unwrap();
    assert_eq!(
        (line.get("device"), line.get("event"), line.get("user")),
        (Some("r1"), Some("configuration_change"), Some("bob"))
    );
    assert!(
        line.line
            .starts_with("bob changed the configuration of r1 (+0 -1)\n"),
        "{}",
        line.line
    );

    let (_, metrics) = ask(&process, "alice", "/metrics").await;
    let (_, config) = ask(&process, "alice", "/config").await;
    for (what, text) in [
        ("log", process.log()),
        ("archive", world.archived()),
        ("metrics", metrics),
        ("config", config),
        ("loki", format!("{:?}", world.loki.entries())),
    ] {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} is in {what}");
        }
    }
    assert!(world.archived().contains("bob"));
}

/// What the sender of an event calls it, and whom it names, does not matter where the driver reads it in the line.
#[tokio::test]
async fn change_is_read_in_the_line_of_the_device_with_who_made_it() {
    let world = World::new().await;
    let process = world.start().await;
    let r6 = [("device", "r6")];
    series(&process, "sshconfig_up", &r6, 1.0).await;
    let changed = |text: &str| world.r6.answer("show running-config", text);
    let tell = async |kind: &str, message: &str| {
        let fields = json!({"message": message});
        event_with(&process, kind, "r6", fields, "s3cretEvents").await
    };
    changed(&SWITCH.replace("198.18.0.9", "198.18.0.8"));
    let enters =
        "%SYS-5-CONFIG_E: Enter configuration mode from console by carol on vty5 (198.18.0.9)";
    assert_eq!(tell("", enters).await, (200, "ignored\n".to_owned()));
    let line = "%SYS-5-CONFIG_I: Configured from console by carol on vty5 (198.18.0.9)";
    assert_eq!(tell("", line).await, (200, "taken\n".to_owned()));
    series(&process, "sshconfig_changes_total", &r6, 1.0).await;
    changed(SWITCH);
    let line = line.replace("carol", "dave");
    assert_eq!(tell("configuration_change", &line).await.1, "taken\n");
    series(&process, "sshconfig_changes_total", &r6, 2.0).await;
    let versions = asked(&process, "/api/v1/devices/r6/versions").await;
    let by = |number: usize| versions["versions"][number]["user"].clone();
    assert_eq!((by(0), by(1)), (json!("dave"), json!("carol")));
}

#[tokio::test]
async fn configuration_without_its_end_is_counted_and_the_version_before_stays() {
    let world = World::new().await;
    let process = world.start().await;
    series(&process, "sshconfig_up", R1, 1.0).await;
    world
        .r1
        .answer("show running-config", CONFIG.strip_suffix("end\n").unwrap());
    event(
        &process,
        "configuration_change",
        "r1",
        json!({}),
        "s3cretEvents",
    )
    .await;
    series(
        &process,
        "sshconfig_incomplete_total",
        &[("device", "r1"), ("reason", "evidence")],
        1.0,
    )
    .await;
    let versions = asked(&process, "/api/v1/devices/r1/versions").await;
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1);
    let (_, now) = ask(&process, "alice", "/api/v1/devices/r1/configuration").await;
    assert!(now.ends_with("end\n"));
}

#[tokio::test]
async fn what_is_known_survives_a_restart_and_nobody_logs_in_again_before_it_is_time() {
    let world = World::new().await;
    let mut process = world.start().await;
    series(&process, "sshconfig_up", R1, 1.0).await;
    world
        .r1
        .answer("show running-config", &CONFIG.replace("to r2", "to r9"));
    event(
        &process,
        "configuration_change",
        "r1",
        json!({"user": "carol"}),
        "s3cretEvents",
    )
    .await;
    series(&process, "sshconfig_changes_total", R1, 1.0).await;
    let success = page(&process)
        .await
        .value("sshconfig_last_success_timestamp_seconds", R1);
    process.terminate().unwrap();
    process.wait(Duration::from_secs(20)).await.unwrap();
    let logins = world.r1.typed().len();
    let process = world.start().await;
    series(&process, "sshconfig_changes_total", R1, 1.0).await;
    assert_eq!(
        page(&process)
            .await
            .value("sshconfig_last_success_timestamp_seconds", R1),
        success
    );
    assert_eq!(world.r1.typed().len(), logins);
    let versions = asked(&process, "/api/v1/devices/r1/versions?limit=1").await;
    assert_eq!(versions["versions"][0]["user"], "carol");
}

#[tokio::test]
async fn only_who_may_reads_and_asks_and_only_signed_events_are_taken() {
    let world = World::new().await;
    let process = world.start().await;
    series(&process, "sshconfig_up", R1, 1.0).await;
    for path in [
        "/api/v1/devices",
        "/api/v1/violations",
        "/api/v1/devices/r1/versions",
        "/api/v1/devices/r1/configuration",
        "/api/v1/devices/r1/diff",
    ] {
        assert_eq!(ask(&process, "eve", path).await.0, 401, "{path}");
    }
    assert_eq!(
        ask(&process, "alice", "/api/v1/devices/r9/versions")
            .await
            .0,
        404
    );
    assert_eq!(
        ask(
            &process,
            "alice",
            "/api/v1/devices/r1/configuration?at=soon"
        )
        .await
        .0,
        400
    );
    assert_eq!(
        ask(
            &process,
            "alice",
            "/api/v1/devices/r2/configuration?version=../../HEAD"
        )
        .await
        .0,
        400
    );
    assert_eq!(
        event(&process, "configuration_change", "r1", json!({}), "wrong").await,
        403
    );
    let collect = |user: &'static str, device: &'static str| {
        let request =
            testkit::client().post(process.url(&format!("/api/v1/devices/{device}/collect")));
        async move {
            request
                .basic_auth(user, Some("reads"))
                .send()
                .await
                .unwrap()
                .status()
                .as_u16()
        }
    };
    assert_eq!(collect("eve", "r1").await, 401);
    assert_eq!(collect("alice", "r4").await, 409);
    let asked_before = world.r1.typed().len();
    assert_eq!(collect("alice", "r1").await, 202);
    testkit::eventually(Duration::from_secs(10), || async {
        match world.r1.typed().len() > asked_before {
            true => Ok(()),
            false => Err(std::io::Error::other("not asked").into()),
        }
    })
    .await
    .unwrap();
    let audit: String = std::fs::read_dir(world.dir.join("audit"))
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .collect();
    assert!(audit.contains("configuration.collect"), "{audit}");
}

#[tokio::test]
async fn changed_host_key_is_refused_and_shows() {
    let world = World::new().await;
    let [one, two] =
        [&world.r1, &world.r2].map(|device| device.known_host.split_once(' ').unwrap());
    let swapped = format!("{} {}{} {}", one.0, two.1, two.0, one.1);
    world.dir.write("known_hosts", swapped).unwrap();
    let process = world.start().await;
    series(&process, "sshconfig_host_key_changed", R1, 1.0).await;
    assert!(world.r1.typed().is_empty());
    series(
        &process,
        "sshconfig_failures_by_reason_total",
        &[("reason", "host_key_changed")],
        2.0,
    )
    .await;
}

/// Twenty ask for the history and go while git stands still: four threads wait for it, not twenty.
#[tokio::test]
async fn what_nobody_waits_for_is_not_read() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let world = World::new().await;
    let process = world.start().await;
    series(&process, "sshconfig_up", R1, 1.0).await;
    let path = "/api/v1/devices/r1/versions";
    asked(&process, path).await;
    let status = |pid: &str, field: &str| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(field));
        value.unwrap_or_default().trim().to_owned()
    };
    let own = process.pid().to_string();
    let git = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find_map(|it| {
            let pid = it.file_name().into_string().ok()?;
            let reads = std::fs::read_to_string(it.path().join("cmdline"))
                .ok()?
                .contains("cat-file");
            (reads && status(&pid, "PPid:") == own).then_some(pid)
        });
    let git = Pid::from_raw(git.expect("git reads for it").parse().unwrap());
    let threads = || status(&own, "Threads:").parse::<usize>().unwrap();
    kill(git, Signal::SIGSTOP).unwrap();
    let before = threads();
    let many = (0..20).map(|_| {
        let request = testkit::client().get(process.url(path));
        let request = request.basic_auth("alice", Some("reads"));
        tokio::spawn(request.timeout(Duration::from_secs(2)).send())
    });
    for one in many.collect::<Vec<_>>() {
        assert!(one.await.unwrap().is_err(), "git stands still");
    }
    let after = threads();
    kill(git, Signal::SIGCONT).unwrap();
    assert!(after <= before + 8, "{before} threads became {after}");
    asked(&process, path).await;
}
