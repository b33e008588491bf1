//! The ways to devices: through a jump host, and over sessions that were kept.

use testkit::ssh::Device;

use crate::world::{CONFIG, World, ask, page, series};

/// A world whose two routers are reached through `bastion` alone, on which `password` is right.
async fn behind(password: &str) -> (World, testkit::ssh::Running) {
    let world = World::new().await;
    let bastion = Device::new("bastion", "jump", password)
        .at([127, 0, 0, 9].into())
        .start()
        .await
        .unwrap();
    let read = |name: &str| std::fs::read_to_string(world.dir.join(name)).unwrap();
    let port = bastion.address.port();
    let host = format!(
        "- {{name: bastion, address: 127.0.0.9, platform: linux-host, ssh: {{port: {port}, credentials: jump}}}}\n"
    );
    world
        .dir
        .write("inventory.yaml", read("inventory.yaml") + &host)
        .unwrap();
    world
        .dir
        .write("known_hosts", read("known_hosts") + &bastion.known_host)
        .unwrap();
    world.dir.write("jump-password", "s3cretJump\n").unwrap();
    let config = read("ssh-config.yaml").replace(
        "credentials: [",
        "credentials: [{name: jump, user: jump, password_file: jump-password, devices: [bastion]}, ",
    );
    world.dir.write("ssh-config.yaml", config).unwrap();
    world.configure("jump_hosts: [{host: bastion, devices: [r1, r2, bastion]}]\n");
    (world, bastion)
}

#[tokio::test]
async fn devices_behind_a_jump_host_are_collected_through_one_login_on_it() {
    let (world, bastion) = behind("s3cretJump").await;
    let process = world.start().await;
    for device in ["r1", "r2", "r6"] {
        series(&process, "sshconfig_up", &[("device", device)], 1.0).await;
    }
    assert_eq!(bastion.logins(), 1);
    let forwards: Vec<_> = bastion.typed();
    assert!(
        forwards.contains(&"forward 127.0.0.1".to_owned())
            && forwards.contains(&"forward 127.0.0.2".to_owned())
            && !forwards.contains(&"forward 127.0.0.6".to_owned()),
        "{forwards:?}"
    );
    let (_, text) = ask(&process, "alice", "/api/v1/devices/r1/configuration").await;
    assert_eq!(text.lines().count(), CONFIG.lines().count() - 3, "{text}");
}

#[tokio::test]
async fn jump_host_that_refuses_the_login_is_asked_once_whoever_is_behind_it() {
    let (world, bastion) = behind("another").await;
    let process = world.start().await;
    series(&process, "sshconfig_up", &[("device", "r6")], 1.0).await;
    for device in ["r1", "r2"] {
        series(
            &process,
            "sshconfig_failures_total",
            &[("device", device)],
            1.0,
        )
        .await;
    }
    let reason = |reason: &'static str| [("reason", reason)];
    let samples = page(&process).await;
    let failures = "sshconfig_failures_by_reason_total";
    assert_eq!(samples.value(failures, &reason("jump_host")), Some(1.0));
    assert_eq!(bastion.logins(), 1, "{}", process.log());
    assert!(world.r1.typed().is_empty());
    assert!(!process.log().contains("s3cretJump"));
}

async fn collect(process: &testkit::Process, device: &str) {
    let path = format!("/api/v1/devices/{device}/collect");
    let request = testkit::client()
        .post(process.url(&path))
        .basic_auth("alice", Some("reads"));
    assert_eq!(request.send().await.unwrap().status().as_u16(), 202);
}

#[tokio::test]
async fn kept_session_spares_the_next_login_and_one_of_too_many_is_closed() {
    let world = World::new().await;
    world.configure("keep_sessions: 1h\nkept_sessions_most: 2\n");
    let process = world.start().await;
    for device in ["r1", "r2", "r6"] {
        series(&process, "sshconfig_up", &[("device", device)], 1.0).await;
    }
    series(&process, "sshconfig_sessions_kept", &[], 2.0).await;
    let logins = || [&world.r1, &world.r2, &world.r6].map(testkit::ssh::Running::logins);
    assert_eq!(logins(), [1, 1, 1]);
    world
        .r1
        .answer("show running-config", &CONFIG.replace("to r2", "to r9"));
    world
        .r2
        .answer("show running-config", &CONFIG.replace("to r2", "to r9"));
    for device in ["r1", "r2"] {
        collect(&process, device).await;
        series(
            &process,
            "sshconfig_changes_total",
            &[("device", device)],
            1.0,
        )
        .await;
    }
    // Two of the three were kept, so one of these two at least needed no login.
    let again: usize = logins().iter().sum();
    let kept = page(&process)
        .await
        .value("sshconfig_sessions_total", &[("result", "kept")]);
    assert!(
        kept.is_some_and(|kept| (1.0..=2.0).contains(&kept)),
        "{kept:?}"
    );
    assert!((3..=4).contains(&again), "{again}");
}
