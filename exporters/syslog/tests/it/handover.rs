//! An upgrade under load, and sockets from a service manager.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::world::{BOTH, World, from, metric};

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_under_load_loses_and_doubles_nothing() {
    let mut world = World::prepared(BOTH).await;
    let socket = world.path("handover.sock");
    let flag = format!("--handover.socket={}", socket.display());
    world.process = Some(world.spawn().args([flag.clone()]).start().await.unwrap());
    let (udp, tcp) = (world.udp(), world.tcp());
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let datagrams = std::thread::spawn(move || {
        let socket = from("127.0.0.1:0");
        let mut sent = 0u32;
        while !told.load(Ordering::Relaxed) {
            for _ in 0..20 {
                // One heavy by its port, one by its address alone: both are given sockets that are handed over too.
                let fresh = from("127.0.0.2:0");
                for sender in [&socket, &fresh] {
                    let text = format!("<13>datagram {sent} end");
                    sender.send_to(text.as_bytes(), udp).unwrap();
                    sent += 1;
                }
            }
            std::thread::sleep(Duration::from_millis(4));
        }
        sent
    });
    let told = stop.clone();
    let stream = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(tcp).unwrap();
        let mut sent = 0u32;
        while !told.load(Ordering::Relaxed) {
            let text = format!("<13>stream {sent} end");
            // Halves of a frame, so that the upgrade may fall between them.
            let frame = format!("{} {text}", text.len());
            let (first, second) = frame.split_at(9);
            stream.write_all(first.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_micros(300));
            stream.write_all(second.as_bytes()).unwrap();
            sent += 1;
        }
        sent
    });
    metric(&world, "syslog_own_sockets", &[], |own| own >= 2.0).await;
    for _ in 0..2 {
        let mut old = world.process.take().unwrap();
        world.process = Some(world.spawn().args([flag.clone()]).start().await.unwrap());
        let status = old.wait(Duration::from_secs(20)).await.unwrap();
        assert!(status.success(), "{status}\n{}", old.log());
        assert_eq!(world.udp(), udp, "the same sockets");
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let (datagrams, streams) = (datagrams.join().unwrap(), stream.join().unwrap());
    assert!(datagrams > 1_000 && streams > 200, "{datagrams} {streams}");
    world.stored("<13>datagram", datagrams as usize).await;
    world.stored("<13>stream", streams as usize).await;
    let entries = world.loki.entries();
    let unique: HashSet<&str> = entries.iter().map(|e| e.line.as_str()).collect();
    assert_eq!(unique.len(), entries.len(), "each line once");
    world.balanced().await;
}

#[tokio::test]
async fn a_bad_configuration_does_not_end_the_process_that_runs() {
    let mut world = World::prepared(BOTH).await;
    let flag = format!("--handover.socket={}", world.path("h.sock").display());
    world.process = Some(world.spawn().args([flag.clone()]).start().await.unwrap());
    std::fs::write(world.path("bad.yaml"), "listen: {udp: nonsense}").unwrap();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_sotp-syslog"))
        .args([
            flag,
            format!("--config.file={}", world.path("bad.yaml").display()),
        ])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    from("127.0.0.1:0")
        .send_to(b"<13>still here", world.udp())
        .unwrap();
    world.stored("still here", 1).await;
}

#[tokio::test]
async fn sockets_of_the_service_manager_are_used_with_what_waits_in_them() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    from("127.0.0.1:0")
        .send_to(b"<13>before the start", address)
        .unwrap();
    let world = World::prepared(&format!(
        "listen: {{udp: [{{address: '{address}'}}], tcp: []}}"
    ))
    .await;
    let mut child = Command::new("sh")
        .args([
            "-c",
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=syslog exec \"$@\"",
            "sh",
        ])
        .arg(env!("CARGO_BIN_EXE_sotp-syslog"))
        .arg("--web.listen-address=127.0.0.1:0")
        .arg(format!(
            "--config.file={}",
            world.path("syslog.yaml").display()
        ))
        .arg(format!(
            "--inventory.source={}",
            world.path("inventory.yaml").display()
        ))
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let result = testkit::eventually(Duration::from_secs(30), || async {
        let count = world.loki.len();
        crate::world::check(count == 1, || format!("{count} stored"))
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    result.unwrap();
    assert_eq!(world.loki.entries()[0].line, "<13>before the start");
}
