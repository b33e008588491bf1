//! What it costs at most to have devices collected.

use std::time::Duration;

use testkit::ssh::{Device, Fault};
use testkit::{Samples, Spawn, TempDir, eventually};

use crate::world::{EXPORTER, World};

/// Two devices that stop in the middle of their configuration; five requests.
async fn sessions(parallel: usize) -> [usize; 2] {
    let world = World::of(|device| device.fault(Fault::Stall(20))).await;
    let config = world.dir.join("ssh-config.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}parallel: {parallel}\n")).unwrap();
    let process = world.start().await;
    let asks = ["r1", "r2", "r1", "r2", "r1"].map(|device| {
        let url = process.url(&format!("/api/v1/devices/{device}/collect"));
        let request = testkit::client().post(url);
        tokio::spawn(request.basic_auth("alice", Some("reads")).send())
    });
    let begun = || {
        [&world.r1, &world.r2].map(|device| {
            let typed = device.typed();
            let shows = typed.iter().filter(|line| *line == "show running-config");
            shows.count()
        })
    };
    eventually(Duration::from_secs(30), || async {
        let begun: usize = begun().iter().sum();
        anyhow::ensure!(begun >= parallel.min(2), "{begun} sessions");
        Ok(())
    })
    .await
    .unwrap();
    for ask in asks {
        let answer = ask.await.unwrap().unwrap();
        assert_eq!(answer.status().as_u16(), 202);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    begun()
}

#[tokio::test]
async fn a_device_has_one_session_and_all_have_as_many_as_are_allowed() {
    let (one, many) = tokio::join!(sessions(1), sessions(30));
    assert_eq!(one.iter().sum::<usize>(), 1, "in all: {one:?}");
    assert_eq!(many, [1, 1], "on a device");
}

/// Devices that memory is compared with, and those that come on top of them.
const FEW: u32 = 8;
const MORE: u32 = 24;
/// Bytes of each configuration.
const SIZE: usize = 250_000;

/// Resident memory of a process in bytes.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().split_whitespace().next().unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

/// What is known of a device once its configuration is stored is a digest: ten thousand devices fit into little memory.
#[tokio::test]
async fn configurations_are_not_in_memory_once_they_are_stored() {
    let mut text = String::from("hostname r1\nlog syslog informational\nlog commands\n!\n");
    for number in 0.. {
        if text.len() > SIZE {
            break;
        }
        text += &format!("interface eth{number}\n description to r{number}\nexit\n!\n");
    }
    let farm = Device::new("r1", "sotp", "s3cretLogin")
        .at([0, 0, 0, 0].into())
        .piece(16 << 10)
        .answer("show running-config", &(text + "end\n"))
        .start()
        .await
        .unwrap();
    let port = farm.address.port();
    let dir = TempDir::new().unwrap();
    let (_, key) = farm.known_host.split_once(' ').unwrap();
    let all = 1..=FEW + MORE;
    let known: String = all
        .map(|number| format!("[127.1.0.{number}]:{port} {key}"))
        .collect();
    dir.write("known_hosts", known).unwrap();
    dir.write("password", "s3cretLogin\n").unwrap();
    let config = "every: 1h\nparallel: 4\nhost_keys: {file: known_hosts}\ncredentials: [{name: lab, user: sotp, password_file: password, everywhere: true}]\n";
    let config = dir.write("ssh-config.yaml", config).unwrap();
    let inventory = |count: u32| {
        let device = |number| {
            format!(
                "- {{name: d{number}, address: 127.1.0.{number}, platform: frr, ssh: {{port: {port}, credentials: lab}}}}\n"
            )
        };
        let devices: String = (1..=count).map(device).collect();
        let text = format!("devices:\n{devices}");
        dir.write("inventory.yaml", text).unwrap()
    };
    let process = Spawn::new(EXPORTER)
        .args([
            format!("--config.file={}", config.display()),
            format!("--inventory.source={}", inventory(FEW).display()),
        ])
        .start()
        .await
        .unwrap();
    let collected = async |count: u32| {
        eventually(Duration::from_secs(120), || async {
            let page = process.get("/metrics").await?.1;
            let up = Samples::parse(&page)?.sum("sshconfig_up", &[]);
            anyhow::ensure!(
                (up - f64::from(count)).abs() < 0.5,
                "{up} of {count}: {}",
                process.log()
            );
            Ok(())
        })
        .await
        .unwrap();
        resident(process.pid())
    };
    let few = collected(FEW).await;
    inventory(FEW + MORE);
    process.hang_up().unwrap();
    let all = collected(FEW + MORE).await;
    let each = all.saturating_sub(few) / MORE as usize;
    println!("{each} bytes for each further device");
    assert!(each < SIZE * 3 / 4, "{few} and {all}: {each} a device");
}
