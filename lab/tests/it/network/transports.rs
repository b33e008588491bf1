//! Routers whose syslog travels over UDP, TCP and TLS, and the receiver that hears them.

use std::process::{Child, Command, Stdio};

use super::{SECOND, START};
use crate::net::Net;
use crate::processes::{binaries, eventually};

/// The receiver in the box's root.
struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Starts sotp-syslog with the lab's inventory and the certificate that the lab made for it.
fn receiver(net: &Net) -> Receiver {
    let at = |name: &str| net.folder.join(name).display().to_string();
    let inventory = net.lab(&["inventory"]);
    assert!(inventory.status.success());
    std::fs::write(net.folder.join("devices.yaml"), inventory.stdout).unwrap();
    let config = format!(
        "listen:\n  udp: [{{address: '198.18.255.254:514'}}]\n  tcp:\n  - {{address: '198.18.255.254:514'}}\n  \
         - {{address: '198.18.255.254:6514', tls: {{cert_file: {}, key_file: {}}}}}\n\
         spool: {{path: {}}}\ndead_letters: {{path: {}}}\nevents_at_once: true\nloki: []\n\
         files: [{{name: all, path: {}}}]\n",
        net.state("syslog.pem"),
        net.state("syslog.key"),
        at("spool"),
        at("dead.jsonl"),
        at("messages"),
    );
    std::fs::write(net.folder.join("syslog.yaml"), config).unwrap();
    let program = binaries().join("sotp-syslog").display().to_string();
    let log = std::fs::File::create(net.folder.join("receiver.log")).unwrap();
    let child = net
        .inside(
            "box",
            &[
                &program,
                "--web.listen-address=198.18.255.254:19514",
                &format!("--config.file={}", at("syslog.yaml")),
                &format!("--inventory.source={}", at("devices.yaml")),
            ],
        )
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Receiver(child)
}

pub(super) fn each_way_tells_its_device(net: &Net) {
    let _receiver = receiver(net);
    let ways = [("r1", "udp"), ("r2", "tcp"), ("r3", "tls")];
    let counted = |device: &str, transport: &str| -> Result<(), String> {
        let url = "http://198.18.255.254:19514/metrics";
        let text = net.inside("box", &["curl", "-sS", url]).output().unwrap();
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        let found = text.lines().any(|line| {
            line.starts_with("syslog_messages_received_total{")
                && line.contains(&format!("device=\"{device}\""))
                && line.contains(&format!("transport=\"{transport}\""))
                && !line.ends_with(" 0")
        });
        let log = || std::fs::read_to_string(net.folder.join("receiver.log")).unwrap_or_default();
        found.then_some(()).ok_or_else(|| {
            let lines: Vec<&str> = text
                .lines()
                .filter(|l| l.starts_with("syslog_messages_received_total"))
                .collect();
            format!("{}\n{}", lines.join("\n"), log())
        })
    };
    for (device, transport) in ways {
        eventually(
            &format!("{device} is heard over {transport}"),
            START,
            || {
                net.exec(device, &["logger", "--tag", "test", "by", transport]);
                counted(device, transport)
            },
        );
    }
    // Each by its own way alone.
    for (device, transport) in ways {
        for (_, other) in ways.iter().filter(|way| way.1 != transport) {
            assert!(counted(device, other).is_err(), "{device} over {other}");
        }
    }
    // What FRR and the links say comes the same way, whole and in the form of RFC 5424.
    assert!(net.lab(&["break", "r1-r3"]).status.success());
    eventually("the broken link is told by r3", 10 * SECOND, || {
        let text = std::fs::read_to_string(net.folder.join("messages")).unwrap_or_default();
        text.lines()
            .any(|l| {
                l.contains(" r3 netlink ") && l.contains("Interface to-r1, changed state to down")
            })
            .then_some(())
            .ok_or(text)
    });
}
