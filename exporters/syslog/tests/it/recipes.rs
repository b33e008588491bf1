//! The recipes of `docs/syslog.md` for relays in front, word for word but for address and port.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::world::{BOTH, World, check, from};

/// A relay that ends with the test.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The blocks of a language in the page, with the service's address in them.
fn recipes(language: &str, world: &World) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/syslog.md");
    let page = std::fs::read_to_string(path).unwrap();
    let port = world.address("transport=tcp").port();
    let found: Vec<String> = page
        .split(&format!("```{language}\n"))
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .map(|block| {
            assert!(block.contains("5514") && block.contains("syslog.example.net"));
            block
                .replace("syslog.example.net", "127.0.0.1")
                .replace("5514", &port.to_string())
        })
        .collect();
    assert_eq!(found.len(), 2, "recipes for {language}");
    found
}

/// A port that nothing listens on yet.
fn port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// Sends lines to the relay until the service knows each by its device; none may belong to anybody else.
async fn arrives(world: &World, port: u16, lines: &[(&str, &str, &str)]) {
    let socket = from("127.0.0.1:0");
    let result = testkit::eventually(Duration::from_secs(30), || {
        for (line, ..) in lines {
            let _ = socket.send_to(line.as_bytes(), ("127.0.0.1", port));
        }
        let entries = world.loki.entries();
        async move {
            for (line, device, mnemonic) in lines {
                let known = entries.iter().any(|e| {
                    e.get("device") == Some(device) && e.get("mnemonic") == Some(mnemonic)
                });
                check(known, || format!("not from {device}: {line}"))?;
            }
            Ok(())
        }
    })
    .await;
    if let Err(error) = result {
        panic!("{error:#}\n{}", world.process().log());
    }
    for entry in world.loki.entries() {
        let mnemonic = entry.get("mnemonic").unwrap_or_default().to_owned();
        if let Some((.., device, _)) = lines.iter().find(|l| l.2 == mnemonic) {
            assert_eq!(entry.get("device"), Some(*device), "{mnemonic}");
        }
    }
}

/// What servers send, and what only the device's own line saves.
const PLAIN: [(&str, &str, &str); 1] = [(
    "<28>Jun 21 14:03:12 r2 rpd[2902]: RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer 192.0.2.1 (External AS 64512) changed state from Established to Idle",
    "r2",
    "RPD_BGP_NEIGHBOR_STATE_CHANGED",
)];
const OWN: [(&str, &str, &str); 5] = [
    PLAIN[0],
    (
        "<189>521: r2: *Nov 14 08:30:56.699 UTC: %LINK-5-CHANGED: Interface Gi2, changed state to administratively down",
        "r2",
        "LINK-5-CHANGED",
    ),
    (
        "<29>2026-7-23 01:00:34.270.1 r2 %%01IFNET/4/IF_STATE(l)[4997]:Interface Ethernet0/0/8 has turned into DOWN state.",
        "r2",
        "IFNET/4/IF_STATE",
    ),
    // No name in it: the address in front is the device's.
    (
        "<189>522: *Nov 14 08:30:56.699 UTC: %SYS-5-CONFIG_I: Configured from console by op on vty0 (192.0.2.10)",
        "r1",
        "SYS-5-CONFIG_I",
    ),
    // A name that the inventory does not have: the address in front again.
    (
        "<189>523: somebody: *Nov 14 08:30:56.699 UTC: %SYS-6-LOGOUT: User op has exited tty session 1(192.0.2.10)",
        "r1",
        "SYS-6-LOGOUT",
    ),
];

async fn service() -> World {
    World::new(&format!("relays: [127.0.0.0/8]\n{BOTH}")).await
}

#[tokio::test]
async fn the_recipes_for_rsyslog_work_as_they_are_written() {
    let program = Path::new("/usr/sbin/rsyslogd");
    assert!(
        program.exists(),
        "rsyslogd is needed: apt-get install rsyslog"
    );
    let world = service().await;
    for (recipe, lines) in recipes("rsyslog", &world).iter().zip([&PLAIN[..], &OWN]) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let port = port();
        let config = format!(
            "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")\nglobal(workDirectory=\"{}\")\n{recipe}",
            folder.path().display()
        );
        std::fs::write(path("rsyslog.conf"), config).unwrap();
        let _relay = Relay(
            Command::new(program)
                .args(["-n", "-f", &path("rsyslog.conf"), "-i", &path("pid")])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        arrives(&world, port, lines).await;
    }
}

#[tokio::test]
async fn the_recipes_for_syslog_ng_work_as_they_are_written() {
    let world = service().await;
    for (at, recipe) in recipes("syslog-ng", &world).iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ng.conf");
        let mut program = match testkit::debian::syslog_ng(&path, folder.path()) {
            Ok(program) => program,
            Err(error) => return testkit::skip(format!("syslog-ng cannot be had: {error:#}")),
        };
        let port = port();
        let (flags, lines) = [("", &PLAIN[..]), (" flags(no-parse)", &OWN)][at];
        let config = format!(
            "@version: current\nsource s {{ network(transport(\"udp\") ip(\"127.0.0.1\") port({port}){flags}); }};\n{recipe}log {{ source(s); destination(d_sotp); }};\n"
        );
        std::fs::write(&path, config).unwrap();
        let _relay = Relay(
            program
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        arrives(&world, port, lines).await;
    }
}
