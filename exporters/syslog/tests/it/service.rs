//! The real binary against the strict double of Loki.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::loki::{Loki, Misbehave};
use testkit::{Process, Samples, Spawn, eventually};

struct World {
    loki: Loki,
    folder: tempfile::TempDir,
    process: Option<Process>,
    extra: String,
    listen: String,
}

const INVENTORY: &str = "
sites:
  - name: lab
devices:
  - {name: r1, address: 192.0.2.11, site: lab, role: router, syslog: {sources: [127.0.0.1]}}
  - {name: r2, address: 192.0.2.12, site: lab, role: router, syslog: {sources: [127.0.0.2]}}
  - {name: quiet, address: 192.0.2.13, site: lab, role: router, syslog: {sources: [127.0.0.3]}}
  - {name: far, address: 192.0.2.14, site: lab, role: switch}
";

impl World {
    async fn new(listen: &str, extra: &str) -> Self {
        let loki = Loki::start(None).await.unwrap();
        loki.limits(|l| l.rate = None);
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self {
            loki,
            folder,
            process: None,
            extra: extra.to_owned(),
            listen: listen.to_owned(),
        };
        world.start().await;
        world
    }

    async fn start(&mut self) {
        let path = |name: &str| self.folder.path().join(name);
        std::fs::write(path("inventory.yaml"), INVENTORY).unwrap();
        let config = format!(
            "listen: {{{}}}\n{}\nloki: [{{name: main, url: '{}', bytes_per_second: 0, batch_age: 20ms, hold_retry: 100ms}}]\n",
            self.listen,
            self.extra,
            self.loki.push_url()
        );
        std::fs::write(path("syslog.yaml"), config).unwrap();
        let spawn = Spawn::new(env!("CARGO_BIN_EXE_sotp-syslog")).args([
            format!("--config.file={}", path("syslog.yaml").display()),
            format!("--inventory.source={}", path("inventory.yaml").display()),
        ]);
        self.process = Some(spawn.start().await.unwrap());
    }

    fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    /// The address that the log says for a transport.
    fn address(&self, what: &str) -> SocketAddr {
        let mut line = None;
        // It listens by now, but its log may still be on its way through the pipe.
        for _ in 0..400 {
            let log = self.process().log();
            line = log.lines().find(|l| l.contains(what)).map(str::to_owned);
            if line.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let line = line.unwrap_or_else(|| panic!("no {what:?} in\n{}", self.process().log()));
        let at = line
            .split("address=")
            .nth(1)
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .trim_matches('"');
        at.parse().unwrap()
    }

    fn udp(&self) -> SocketAddr {
        self.address("listening for datagrams")
    }

    fn tcp(&self) -> SocketAddr {
        self.address("listening for streams")
    }

    async fn stored(&self, count: usize) {
        let result = eventually(Duration::from_secs(20), || async {
            anyhow_like(self.loki.len() >= count, || {
                format!("{} of {count} stored", self.loki.len())
            })
        })
        .await;
        if let Err(error) = result {
            panic!("{error}\n{}", self.process().log());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(self.loki.len(), count, "no more than was sent");
    }

    async fn balanced(&self) -> Samples {
        let samples = self.process().scrape().await.unwrap();
        for device in ["r1", "r2", "quiet", "far", "unknown"] {
            let sum = |name: &str| samples.sum(name, &[("device", device)]);
            let came =
                sum("syslog_messages_received_total") + sum("syslog_messages_recovered_total");
            let went = sum("syslog_messages_dropped_total")
                + sum("syslog_messages_delivered_total")
                + sum("syslog_messages_queued")
                + sum("syslog_messages_evicted_total")
                + sum("syslog_messages_dead_lettered_total");
            assert_eq!(came, went, "the statistics of {device}");
        }
        // The queue counts itself, a moment after the statistics were read: under load the two meet at one of the next scrapes.
        testkit::eventually(Duration::from_secs(5), || async {
            let samples = self.process().scrape().await?;
            let queued = samples.sum("syslog_messages_queued", &[]);
            let kept = samples.sum("syslog_spool_messages", &[]);
            anyhow_like(queued == kept, || {
                format!("statistics {queued}, queue {kept}")
            })
        })
        .await
        .unwrap();
        samples
    }

    async fn stop(&mut self) {
        let process = self.process.as_mut().unwrap();
        process.terminate().unwrap();
        let status = process.wait(Duration::from_secs(15)).await.unwrap();
        assert!(status.success(), "{status}\n{}", process.log());
        self.process = None;
    }
}

fn anyhow_like(good: bool, text: impl Fn() -> String) -> Result<(), toolkit::anyhow::Error> {
    if good {
        Ok(())
    } else {
        Err(toolkit::anyhow::anyhow!(text()))
    }
}

const UDP: &str = "udp: [{address: '127.0.0.1:0'}], tcp: []";
const BOTH: &str = "udp: [{address: '127.0.0.1:0'}], tcp: [{address: '127.0.0.1:0'}]";

fn from(source: &str) -> UdpSocket {
    UdpSocket::bind(source).unwrap()
}

#[tokio::test]
async fn a_message_becomes_an_event_of_its_device() {
    let mut world = World::new(UDP, "runbook_url: https://example.net/runbooks").await;
    let line = "<187>943: pe1 LC/0/2/CPU0:Jul  7 20:16:14.834 UTC: ifmgr[214]: %PKT_INFRA-LINK-3-UPDOWN : Interface TenGigE0/2/0/4, changed state to Down";
    from("127.0.0.1:0")
        .send_to(line.as_bytes(), world.udp())
        .unwrap();
    from("127.0.0.2:0")
        .send_to(b"some words \xff without a header\0", world.udp())
        .unwrap();
    from("127.0.0.9:0").send_to(b"<13>Nov 14 08:30:56 far sshd[9]: Accepted password for op from 192.0.2.10 port 50000 ssh2", world.udp()).unwrap();
    from("127.0.0.9:0")
        .send_to(b"<13>Nov 14 08:30:56 nobody sshd[9]: x", world.udp())
        .unwrap();
    world.stored(4).await;
    let entries = world.loki.entries();
    let find = |device: &str| {
        entries
            .iter()
            .find(|e| e.get("device") == Some(device))
            .unwrap()
    };
    let first = find("r1");
    assert_eq!(first.line, line);
    for (name, value) in [
        ("job", "syslog"),
        ("site", "lab"),
        ("role", "router"),
        ("severity", "error"),
        ("event", "interface_state"),
        ("level", "error"),
        ("hostname", "pe1"),
        ("process", "ifmgr"),
        ("pid", "214"),
        ("mnemonic", "PKT_INFRA-LINK-3-UPDOWN"),
        ("vendor", "cisco_iosxr"),
        ("ifName", "TenGigE0/2/0/4"),
        ("state", "Down"),
        ("sentence", "Interface TenGigE0/2/0/4 is now Down."),
        ("sequence", "943"),
        ("runbook", "https://example.net/runbooks#interface_state"),
        ("source_ip", "127.0.0.1"),
        ("transport", "udp"),
    ] {
        assert_eq!(first.get(name), Some(value), "{name}");
    }
    assert!(
        first
            .get("device_time")
            .unwrap()
            .contains("-07-07T20:16:14.834Z")
    );
    assert_eq!(find("r2").line, "some words \\xff without a header");
    assert_eq!(find("r2").get("form"), Some("raw"));
    assert_eq!(
        find("far").get("event"),
        Some("login"),
        "an unknown address is known by the name in its header"
    );
    assert!(
        entries
            .iter()
            .any(|e| e.get("device").is_none() && e.get("hostname") == Some("nobody"))
    );
    let samples = world.balanced().await;
    assert_eq!(
        samples.sum(
            "network_event_total",
            &[("device", "r1"), ("event", "interface_state")]
        ),
        1.0
    );
    assert_eq!(
        samples.sum("syslog_messages_raw_total", &[("device", "r2")]),
        1.0
    );
    assert_eq!(
        samples.sum("syslog_device_silent", &[("device", "quiet")]),
        0.0
    );
    world.stop().await;
}

#[tokio::test]
async fn every_framing_and_a_cut_line_on_one_connection() {
    let world = World::new(
        BOTH,
        "limits: {message_bytes: 1000, unfinished_timeout: 300ms}",
    )
    .await;
    let mut stream = TcpStream::connect(world.tcp()).unwrap();
    let long = "x".repeat(3_000);
    stream
        .write_all(
            format!("<13>one\n10 <13>two\nab<14>three\r\n3004 <15>{long}<16>four\n<17>never ended")
                .as_bytes(),
        )
        .unwrap();
    world.stored(5).await;
    let lines: Vec<(String, bool, bool)> = world
        .loki
        .entries()
        .iter()
        .map(|e| {
            (
                e.line.clone(),
                e.get("truncated").is_some(),
                e.get("unfinished").is_some(),
            )
        })
        .collect();
    assert_eq!(lines[0], ("<13>one".to_owned(), false, false));
    assert_eq!(lines[1], ("<13>two\nab".to_owned(), false, false));
    assert_eq!(lines[2], ("<14>three".to_owned(), false, false));
    assert!(lines[3].1 && lines[3].0.len() == 1_000);
    assert_eq!(lines[4].0, "<16>four");
    world.stored(6).await;
    assert!(
        world.loki.entries()[5].get("unfinished").is_some(),
        "a sender that never ends its line"
    );
    stream.write_all(b" still\n<18>goes on\n").unwrap();
    world.stored(8).await;
    world.balanced().await;
}

#[tokio::test]
async fn loki_away_then_killed_then_back_loses_and_doubles_nothing() {
    let mut world = World::new(BOTH, "").await;
    world.loki.always(Some(Misbehave::Status(503, "away")));
    let mut stream = TcpStream::connect(world.tcp()).unwrap();
    for i in 0..2_000 {
        stream
            .write_all(format!("<13>Nov 14 08:30:56 r9 app[1]: number {i}\n").as_bytes())
            .unwrap();
    }
    let socket = from("127.0.0.2:0");
    for i in 0..500 {
        socket
            .send_to(format!("<13>datagram {i}").as_bytes(), world.udp())
            .unwrap();
    }
    let counted = eventually(Duration::from_secs(20), || async {
        let samples = world.balanced().await;
        let queued = samples.sum("syslog_messages_queued", &[]);
        anyhow_like(queued == 2_500.0, || format!("{queued} queued"))
    })
    .await;
    counted.unwrap();
    // Killed without a chance to say anything.
    drop(world.process.take());
    world.start().await;
    let samples = world.balanced().await;
    assert_eq!(samples.sum("syslog_messages_recovered_total", &[]), 2_500.0);
    world.loki.always(None);
    world.stored(2_500).await;
    let mut lines: Vec<String> = world.loki.entries().into_iter().map(|e| e.line).collect();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 2_500);
    world.balanced().await;
    world.stop().await;
}

#[tokio::test]
async fn poison_is_dead_lettered_and_replayed() {
    let mut world = World::new(UDP, "").await;
    world.loki.limits(|l| l.poison = Some("number 77 "));
    let socket = from("127.0.0.1:0");
    for i in 0..200 {
        socket
            .send_to(format!("<13>number {i} here").as_bytes(), world.udp())
            .unwrap();
    }
    world.stored(199).await;
    eventually(Duration::from_secs(10), || async {
        let dead_lettered = world
            .balanced()
            .await
            .sum("syslog_messages_dead_lettered_total", &[("device", "r1")]);
        anyhow_like(dead_lettered == 1.0, || {
            format!("{dead_lettered} dead-lettered")
        })
    })
    .await
    .unwrap();
    world.stop().await;
    world.loki.limits(|l| l.poison = None);
    let path = |name: &str| world.folder.path().join(name);
    // Not the blocking kind: the double answers on this thread.
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_sotp-syslog"))
        .arg("replay")
        .arg(format!("--config.file={}", path("syslog.yaml").display()))
        .arg(format!(
            "--inventory.source={}",
            path("inventory.yaml").display()
        ))
        .arg(path("data/dead-letters.jsonl"))
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "1 stored, 0 refused again, 0 of no configured destination\n"
    );
    assert_eq!(world.loki.len(), 200);
}

#[tokio::test]
async fn the_unix_socket_takes_what_logger_and_python_send() {
    let world = World::new(
        "udp: [], tcp: [{address: '127.0.0.1:0'}], unix: [log.sock]",
        "",
    )
    .await;
    let path = world.folder.path().join("log.sock");
    UnixDatagram::unbound()
        .unwrap()
        .send_to(b"<13>Nov 14 08:30:56 app[3]: by hand", &path)
        .unwrap();
    let mut expected = 1;
    let logger = Command::new("logger")
        .args(["-u", path.to_str().unwrap(), "-t", "mytag", "by logger"])
        .status();
    if logger.is_ok_and(|s| s.success()) {
        expected += 1;
    }
    let port = world.tcp().port().to_string();
    for framing in [&["--octet-count"][..], &[]] {
        let sent = Command::new("logger")
            .args([
                "-n",
                "127.0.0.1",
                "-P",
                &port,
                "-T",
                "--rfc5424",
                "-t",
                "net",
            ])
            .args(framing)
            .arg("over tcp")
            .status();
        if sent.is_ok_and(|s| s.success()) {
            expected += 1;
        }
    }
    let script = format!(
        "import logging, logging.handlers as h, socket\nl = logging.getLogger('x')\nl.addHandler(h.SysLogHandler(address={:?}))\nl.addHandler(h.SysLogHandler(address=('127.0.0.1', {port}), socktype=socket.SOCK_STREAM))\nl.error('from python')\n",
        path.display().to_string()
    );
    let python = Command::new("python3").args(["-c", &script]).status();
    if python.is_ok_and(|s| s.success()) {
        expected += 2;
    }
    assert!(
        expected >= 4,
        "at least logger is on every machine that runs this"
    );
    world.stored(expected).await;
    let entries = world.loki.entries();
    assert!(
        entries
            .iter()
            .any(|e| e.get("process") == Some("mytag") && e.line.contains("by logger"))
    );
    assert!(
        entries
            .iter()
            .any(|e| e.get("process") == Some("net") && e.get("form") == Some("rfc5424"))
    );
    world.balanced().await;
}

#[tokio::test]
async fn a_full_queue_stops_the_stream_and_drops_casual_datagrams_only() {
    let extra = "spool: {max_bytes: 1200000, segment_bytes: 300000, reserve_bytes: 300000, durability: system}";
    let world = World::new(BOTH, extra).await;
    world.loki.always(Some(Misbehave::Status(503, "away")));
    let socket = from("127.0.0.1:0");
    let body = "x".repeat(1_000);
    for i in 0..3_000 {
        socket
            .send_to(format!("<14>casual {i} {body}").as_bytes(), world.udp())
            .unwrap();
        if i % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    for i in 0..50 {
        socket
            .send_to(format!("<10>urgent {i} {body}").as_bytes(), world.udp())
            .unwrap();
    }
    // The stream takes what room there is: the datagrams must have been read before it.
    eventually(Duration::from_secs(20), || async {
        let samples = world.process().scrape().await?;
        let waiting = samples.sum("syslog_kernel_buffer_bytes", &[]);
        anyhow_like(waiting == 0.0, || format!("{waiting} bytes not read"))
    })
    .await
    .unwrap();
    let mut stream = TcpStream::connect(world.tcp()).unwrap();
    let sender = std::thread::spawn(move || {
        for i in 0..16_000 {
            stream
                .write_all(format!("<14>patient {i} {}\n", "y".repeat(1_000)).as_bytes())
                .unwrap();
        }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    let samples = world.balanced().await;
    assert!(samples.sum("syslog_messages_dropped_total", &[("reason", "queue_full")]) > 500.0);
    assert!(!sender.is_finished(), "the stream is made to wait");
    world.loki.always(None);
    eventually(Duration::from_secs(30), || async {
        anyhow_like(world.loki.len() > 16_000, || {
            format!("{} stored after the wait", world.loki.len())
        })
    })
    .await
    .unwrap();
    sender.join().unwrap();
    eventually(Duration::from_secs(30), || async {
        let queued = world.balanced().await.sum("syslog_messages_queued", &[]);
        anyhow_like(queued == 0.0, || format!("{queued} queued"))
    })
    .await
    .unwrap();
    let patient = world
        .loki
        .entries()
        .iter()
        .filter(|e| e.line.contains("patient"))
        .count();
    assert_eq!(patient, 16_000, "a stream loses none");
    let urgent = world
        .loki
        .entries()
        .iter()
        .filter(|e| e.line.contains("urgent"))
        .count();
    assert_eq!(urgent, 50, "urgent messages used the reserve");
    world.balanced().await;
}

#[tokio::test]
async fn explain_says_what_a_line_is() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sotp-syslog"))
        .args(["explain", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"<134>system,info,account user admin logged in from 192.0.2.5 via ssh\nwhat is this a=b\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].contains("\"sentence\":\"admin logged in from 192.0.2.5 by ssh.\""),
        "{text}"
    );
    for part in [
        "\"facility\":\"local0\"",
        "\"rule\":\"@system\"",
        "\"runbook\":\"docs/syslog-events.md#login\"",
    ] {
        assert!(lines[0].contains(part), "{part}: {text}");
    }
    assert!(
        lines[1].contains("\"event\":\"unknown\"") && lines[1].contains("\"field.a\":\"b\""),
        "{text}"
    );
}

#[tokio::test]
async fn tls_asks_for_a_certificate_and_takes_a_new_one_without_a_break() {
    use std::sync::Arc;

    use tokio::io::AsyncWriteExt as _;

    testkit::crypto();
    let folder = tempfile::tempdir().unwrap();
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let issue = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        (certificate, key)
    };
    let write = |name: &str| {
        let (certificate, key) = issue("localhost");
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        let _ = name;
        certificate.der().clone()
    };
    write("first");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let listen = format!(
        "udp: [], tcp: [{{address: '127.0.0.1:0', tls: {{cert_file: '{}', key_file: '{}', client_ca_file: '{}'}}}}]",
        path("cert.pem"),
        path("key.pem"),
        path("ca.pem")
    );
    let world = World::new(&listen, "").await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let connect = |client: Option<(rcgen::Certificate, rcgen::KeyPair)>| {
        let builder = rustls::ClientConfig::builder().with_root_certificates(roots.clone());
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder
                    .with_client_auth_cert(vec![certificate.der().clone()], key)
                    .unwrap()
            }
        };
        let address = world.tcp();
        async move {
            let socket = tokio::net::TcpStream::connect(address).await?;
            tokio_rustls::TlsConnector::from(Arc::new(config))
                .connect("localhost".try_into().unwrap(), socket)
                .await
        }
    };
    let mut first = connect(Some(issue("r1"))).await.unwrap();
    first.write_all(b"9 <13>first").await.unwrap();
    world.stored(1).await;
    assert_eq!(world.loki.entries()[0].get("transport"), Some("tls"));
    if let Ok(mut stranger) = connect(None).await {
        // With TLS 1.3 the client learns of the refusal later than the server.
        let _ = stranger.write_all(b"12 <13>stranger").await;
        let _ = stranger.flush().await;
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let renewed = write("second");
    let mut second = connect(Some(issue("r1"))).await.unwrap();
    let shown = second.get_ref().1.peer_certificates().unwrap()[0].clone();
    assert_eq!(
        shown, renewed,
        "the new certificate is shown without a restart"
    );
    second.write_all(b"10 <13>second").await.unwrap();
    first.write_all(b"10 <13>still1").await.unwrap();
    world.stored(3).await;
    assert!(
        world
            .loki
            .entries()
            .iter()
            .all(|e| !e.line.contains("stranger"))
    );
    let samples = world.balanced().await;
    assert_eq!(samples.sum("syslog_tls_handshakes_failed_total", &[]), 1.0);
}

#[tokio::test]
async fn a_thousand_connections_at_once_and_one_that_dawdles() {
    let world = World::new(BOTH, "").await;
    let mut slow = tokio::net::TcpStream::connect(world.tcp()).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..1_000 {
        all.push(tokio::net::TcpStream::connect(world.tcp()).await.unwrap());
    }
    for (at, stream) in all.iter_mut().enumerate() {
        use tokio::io::AsyncWriteExt as _;
        stream
            .write_all(format!("<13>from {at}\n").as_bytes())
            .await
            .unwrap();
        if at % 100 == 0 {
            slow.write_all(b"s").await.unwrap();
        }
    }
    world.stored(1_000).await;
    let samples = world.balanced().await;
    assert_eq!(samples.sum("syslog_connections", &[]), 1_001.0);
}

#[tokio::test]
async fn a_noisy_device_costs_another_none() {
    let world = World::new(
        UDP,
        "limits: {device_messages_per_second: 1000, device_burst: 1000}",
    )
    .await;
    let (noisy, quiet) = (from("127.0.0.1:0"), from("127.0.0.2:0"));
    for i in 0..20_000 {
        noisy
            .send_to(format!("<13>noise {i}").as_bytes(), world.udp())
            .unwrap();
        if i % 200 == 0 {
            quiet
                .send_to(format!("<13>word {i}").as_bytes(), world.udp())
                .unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    eventually(Duration::from_secs(20), || async {
        let stored = world
            .balanced()
            .await
            .sum("syslog_messages_delivered_total", &[("device", "r2")]);
        anyhow_like(stored == 100.0, || {
            format!("{stored} of 100 of the quiet device")
        })
    })
    .await
    .unwrap();
    let samples = world.balanced().await;
    assert!(
        samples.sum(
            "syslog_messages_dropped_total",
            &[("device", "r1"), ("reason", "rate")]
        ) > 5_000.0
    );
    assert_eq!(
        samples.sum("syslog_messages_dropped_total", &[("device", "r2")]),
        0.0
    );
}

#[tokio::test]
async fn rsyslog_in_front_keeps_the_device() {
    let Ok(rsyslogd) = which("rsyslogd") else {
        panic!("rsyslogd is needed: apt-get install rsyslog")
    };
    let world = World::new(BOTH, "relays: [127.0.0.1/32]").await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = format!(
        "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")\nglobal(workDirectory=\"{}\")\n*.* action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{}\" protocol=\"tcp\" TCP_Framing=\"octet-counted\" template=\"RSYSLOG_SyslogProtocol23Format\")\n",
        folder.path().display(),
        world.tcp().port()
    );
    std::fs::write(path("rsyslog.conf"), config).unwrap();
    let mut relay = Command::new(rsyslogd)
        .args(["-n", "-f", &path("rsyslog.conf"), "-i", &path("pid")])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let socket = from("127.0.0.1:0");
    for i in 0..50 {
        socket.send_to(format!("<38>Nov 14 08:30:56 far sshd[9]: Accepted password for op{i} from 192.0.2.10 port 50000 ssh2").as_bytes(), ("127.0.0.1", port)).unwrap();
    }
    let result = eventually(Duration::from_secs(15), || async {
        let count = world
            .loki
            .entries()
            .iter()
            .filter(|e| e.get("device") == Some("far") && e.get("event") == Some("login"))
            .count();
        anyhow_like(count == 50, || format!("{count} of 50"))
    })
    .await;
    relay.kill().unwrap();
    relay.wait().unwrap();
    result.unwrap();
}

fn which(name: &str) -> Result<std::path::PathBuf, ()> {
    ["/usr/sbin", "/usr/bin", "/sbin"]
        .iter()
        .map(|d| std::path::Path::new(d).join(name))
        .find(|p| p.exists())
        .ok_or(())
}
