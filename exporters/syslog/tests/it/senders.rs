//! Real senders over every transport: syslog-ng, logger, Python's handler, rsyslog over TLS.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::world::{World, from};

/// A child that is killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate for `localhost` with its key in a folder.
fn certificate(folder: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
}

async fn world() -> World {
    let mut world = World::prepared("").await;
    certificate(world.folder.path());
    world.configure(
        "relays: [127.0.0.0/8]\nlisten: {udp: [{address: '127.0.0.1:0'}], tcp: [{address: '127.0.0.1:0'}, {address: '127.0.0.2:0', tls: {cert_file: cert.pem, key_file: key.pem}}]}",
    );
    world.process = Some(world.spawn().start().await.unwrap());
    world
}

fn plain(world: &World) -> u16 {
    world.address("transport=tcp").port()
}

fn tls(world: &World) -> u16 {
    world.address("transport=tls").port()
}

#[tokio::test]
async fn syslog_ng_over_udp_tcp_and_tls() {
    let folder = tempfile::tempdir().unwrap();
    let mut program =
        match testkit::debian::syslog_ng(&folder.path().join("ng.conf"), folder.path()) {
            Ok(program) => program,
            Err(error) => return testkit::skip(format!("syslog-ng cannot be had: {error:#}")),
        };
    let world = world().await;
    let source = from("127.0.0.1:0").local_addr().unwrap().port();
    let config = format!(
        "@version: current\noptions {{ keep-hostname(yes); }};\nsource s {{ network(transport(\"udp\") ip(\"127.0.0.1\") port({source}) flags(syslog-protocol)); }};\n\
         destination u {{ syslog(\"127.0.0.1\" port({}) transport(\"udp\") persist-name(\"u\")); }};\n\
         destination t {{ syslog(\"127.0.0.1\" port({}) transport(\"tcp\") persist-name(\"t\")); }};\n\
         destination l {{ network(\"127.0.0.1\" port({}) transport(\"tcp\") persist-name(\"l\")); }};\n\
         destination e {{ syslog(\"127.0.0.2\" port({}) transport(\"tls\") tls(peer-verify(optional-untrusted)) persist-name(\"e\")); }};\n\
         log {{ source(s); destination(u); destination(t); destination(l); destination(e); }};\n",
        world.udp().port(),
        plain(&world),
        plain(&world),
        tls(&world),
    );
    std::fs::write(folder.path().join("ng.conf"), config).unwrap();
    let _relay = Running(
        program
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let socket = from("127.0.0.1:0");
    let mut number = 0;
    let result = testkit::eventually(std::time::Duration::from_secs(30), || {
        number += 1;
        let line =
            format!("<38>1 2026-11-14T08:30:56.123Z r2 sshd 77 ID{number} - relayed {number} end");
        let _ = socket.send_to(line.as_bytes(), ("127.0.0.1", source));
        let entries = world.loki.entries();
        async move {
            let mut ways: Vec<&str> = entries
                .iter()
                .filter(|e| {
                    e.get("device") == Some("r2")
                        && e.get("process") == Some("sshd")
                        && e.get("hostname") == Some("r2")
                })
                .filter_map(|e| e.get("transport"))
                .collect();
            ways.sort_unstable();
            ways.dedup();
            crate::world::check(ways == ["tcp", "tls", "udp"], || {
                format!("came by {ways:?}")
            })
        }
    })
    .await;
    if let Err(error) = result {
        panic!("{error:#}\n{}", world.process().log());
    }
    let entries = world.loki.entries();
    let forms = |form: &str| {
        entries
            .iter()
            .filter(|e| e.get("form") == Some(form))
            .count()
    };
    assert!(forms("rfc5424") > 0 && forms("rfc3164") > 0);
    world.balanced().await;
}

#[tokio::test]
async fn logger_and_python_over_udp_tcp_and_tls() {
    let world = world().await;
    let (udp, tcp, secure) = (
        world.udp().port().to_string(),
        plain(&world).to_string(),
        tls(&world),
    );
    let mut expected = 0;
    for (way, port) in [("-d", &udp), ("-T", &tcp)] {
        for form in ["--rfc3164", "--rfc5424"] {
            let status = Command::new("logger")
                .args([
                    "-n",
                    "127.0.0.1",
                    "-P",
                    port,
                    way,
                    form,
                    "-t",
                    "net",
                    "-p",
                    "auth.warning",
                ])
                .arg(format!("by logger {way} {form}"))
                .status()
                .unwrap();
            assert!(status.success());
            expected += 1;
        }
    }
    world.stored("by logger", expected).await;
    for entry in world.loki.entries() {
        assert_eq!(entry.get("process"), Some("net"), "{}", entry.line);
        assert_eq!(entry.get("severity"), Some("warning"), "{}", entry.line);
        assert_eq!(entry.get("facility"), Some("auth"), "{}", entry.line);
        assert!(entry.get("device_time").is_some(), "{}", entry.line);
    }
    let script = format!(
        "import logging, logging.handlers as h, socket, ssl\n\
         l = logging.getLogger('x')\n\
         l.addHandler(h.SysLogHandler(address=('127.0.0.1', {udp})))\n\
         l.addHandler(h.SysLogHandler(address=('127.0.0.1', {tcp}), socktype=socket.SOCK_STREAM))\n\
         t = h.SysLogHandler(address=('127.0.0.1', {tcp}), socktype=socket.SOCK_STREAM)\n\
         c = ssl.create_default_context(cafile={ca:?})\n\
         t.socket = c.wrap_socket(socket.create_connection(('127.0.0.2', {secure})), server_hostname='localhost')\n\
         l.addHandler(t)\n\
         l.error('from python with \\u00fc')\n\
         logging.shutdown()\n",
        ca = world.path("cert.pem").display().to_string(),
    );
    let status = Command::new("python3")
        .args(["-c", &script])
        .status()
        .unwrap();
    assert!(status.success());
    world.stored("<11>from python with ü", 3).await;
    let entries = world.loki.entries();
    let mut ways: Vec<&str> = entries
        .iter()
        .filter(|e| e.line.contains("python"))
        .filter_map(|e| e.get("transport"))
        .collect();
    ways.sort_unstable();
    assert_eq!(ways, ["tcp", "tls", "udp"]);
    world.balanced().await;
}
