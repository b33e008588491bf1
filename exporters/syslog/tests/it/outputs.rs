//! Copies to other servers and files, and webhooks.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::world::{BOTH, World, check, from, metric};

#[tokio::test]
async fn copies_reach_rsyslog_and_a_file_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = format!(
        "module(load=\"imtcp\")\nglobal(workDirectory=\"{}\")\ntemplate(name=\"whole\" type=\"string\" string=\"%rawmsg%\\n\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\naction(type=\"omfile\" file=\"{}\" template=\"whole\" flushOnTXEnd=\"on\")\n",
        folder.path().display(),
        path("copy.log"),
    );
    std::fs::write(path("rsyslog.conf"), config).unwrap();
    let start = || {
        Command::new("/usr/sbin/rsyslogd")
            .args(["-n", "-f", &path("rsyslog.conf"), "-i", &path("pid")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let world = World::new(&format!(
        "{BOTH}\nforward: [{{name: siem, url: 'tcp://127.0.0.1:{port}'}}, {{name: old, url: 'udp://{}'}}]\nfiles: [{{name: archive, path: copies/all.log, max_bytes: 4096, keep: 50}}]",
        udp.local_addr().unwrap()
    ))
    .await;
    // Sent while nobody listens there: it waits.
    let socket = from("127.0.0.1:0");
    let line = |number: u32| format!("<13>Nov 14 08:30:56 r1 app[1]: copy number {number} end");
    for number in 0..100 {
        socket
            .send_to(line(number).as_bytes(), world.udp())
            .unwrap();
    }
    world.stored("copy number", 100).await;
    let mut server = start();
    for number in 100..200 {
        socket
            .send_to(line(number).as_bytes(), world.udp())
            .unwrap();
    }
    let wanted: HashSet<String> = (0..200).map(line).collect();
    let arrived = || {
        let text = std::fs::read_to_string(path("copy.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<HashSet<_>>()
    };
    let result = testkit::eventually(Duration::from_secs(30), || async {
        let arrived = arrived();
        check(wanted.is_subset(&arrived), || {
            format!("{} of 200 in rsyslog's file", arrived.len())
        })
    })
    .await;
    server.kill().unwrap();
    server.wait().unwrap();
    if let Err(error) = result {
        panic!("{error}\n{}", world.process().log());
    }
    let mut buffer = [0; 2_000];
    let mut datagrams = HashSet::new();
    while datagrams.len() < 200 {
        let length = udp.recv(&mut buffer).unwrap();
        datagrams.insert(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert_eq!(datagrams, wanted);
    let files = || {
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(world.path("copies"))
            .into_iter()
            .flatten()
        {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    };
    testkit::eventually(Duration::from_secs(20), || async {
        check(files().len() >= 200, || {
            format!("{} lines in files", files().len())
        })
    })
    .await
    .unwrap();
    assert_eq!(files().into_iter().collect::<HashSet<_>>(), wanted);
    assert!(
        world.path("copies/all.log.1").exists(),
        "a full file is put aside"
    );
    for destination in ["siem", "old", "archive", "main"] {
        metric(
            &world,
            "syslog_messages_delivered_total",
            &[("destination", destination)],
            |v| v == 200.0,
        )
        .await;
    }
    world.balanced().await;
}

#[tokio::test]
async fn a_tls_copy_goes_on_after_the_server_went_away() {
    testkit::crypto();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let private = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let got: Arc<Mutex<String>> = Arc::default();
    let sink = got.clone();
    tokio::spawn(async move {
        // The first connection goes away after its first message.
        for patience in [1, usize::MAX] {
            let (socket, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(socket).await.unwrap();
            let mut buffer = [0; 4_096];
            let mut reads = 0;
            while reads < patience
                && let Ok(length @ 1..) = stream.read(&mut buffer).await
            {
                sink.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&buffer[..length]));
                reads += 1;
            }
        }
    });
    let world = World::prepared("").await;
    std::fs::write(world.path("ca.pem"), certificate.pem()).unwrap();
    world.configure(&format!(
        "{BOTH}\nforward: [{{name: siem, url: 'tls://127.0.0.1:{port}', ca_file: ca.pem, server_name: localhost}}]"
    ));
    let mut world = world;
    world.process = Some(world.spawn().start().await.unwrap());
    let socket = from("127.0.0.1:0");
    for number in 0..30 {
        let line = format!("<13>secret copy {number} end");
        socket.send_to(line.as_bytes(), world.udp()).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    testkit::eventually(Duration::from_secs(30), || async {
        let got = got.lock().unwrap();
        let missing = (0..30)
            .filter(|n| !got.contains(&format!("<13>secret copy {n} end")))
            .count();
        check(missing == 0, || format!("{missing} missing"))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", world.process().log()));
    assert!(got.lock().unwrap().starts_with("21 <13>secret copy 0 end"));
}

type Calls = Arc<Mutex<Vec<(String, serde_json::Value)>>>;

/// Answers `POST` with 503 as often as asked, then with 204; keeps the heads and bodies of those.
async fn receiver(failures: usize) -> (u16, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let calls: Calls = Arc::default();
    let kept = calls.clone();
    let left = Arc::new(Mutex::new(failures));
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (kept, left) = (kept.clone(), left.clone());
            tokio::spawn(async move {
                let mut text = Vec::new();
                loop {
                    let mut buffer = [0; 8_192];
                    let Ok(length @ 1..) = socket.read(&mut buffer).await else {
                        return;
                    };
                    text.extend_from_slice(&buffer[..length]);
                    let whole = String::from_utf8_lossy(&text).into_owned();
                    let Some((head, body)) = whole.split_once("\r\n\r\n") else {
                        continue;
                    };
                    let Ok(body) = serde_json::from_str(body) else {
                        continue;
                    };
                    let fail = {
                        let mut left = left.lock().unwrap();
                        let fail = *left > 0;
                        *left = left.saturating_sub(1);
                        fail
                    };
                    if !fail {
                        kept.lock().unwrap().push((head.to_ascii_lowercase(), body));
                    }
                    let answer: &[u8] = if fail {
                        b"HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n"
                    } else {
                        b"HTTP/1.1 204 Done\r\n\r\n"
                    };
                    if socket.write_all(answer).await.is_err() {
                        return;
                    }
                    text.clear();
                }
            });
        }
    });
    (port, calls)
}

#[tokio::test]
async fn events_call_who_asked_for_them_even_while_loki_is_away() {
    let (port, calls) = receiver(2).await;
    let (with_user, calls_with_user) = receiver(0).await;
    let world = World::prepared("").await;
    std::fs::write(world.path("key"), "Jefe\n").unwrap();
    std::fs::write(world.path("token"), "sesame\n").unwrap();
    world.configure(&format!(
        "{BOTH}\nwebhooks:\n  - {{name: configurations, url: 'http://127.0.0.1:{port}/changed', events: [configuration_change], secret_file: key, bearer_token_file: token, interval: 60s}}\n  - {{name: user, url: 'http://127.0.0.1:{with_user}/', events: [configuration_change], basic_auth: {{username: sotp, password_file: token}}, interval: 60s}}"
    ));
    let mut world = world;
    world
        .loki
        .always(Some(testkit::loki::Misbehave::Status(503, "away")));
    world.process = Some(world.spawn().start().await.unwrap());
    let socket = from("127.0.0.1:0");
    let changed = "<189>1: r1: *Nov 14 08:30:56.699 UTC: %SYS-5-CONFIG_I: Configured from console by admin on vty0 (192.0.2.10)";
    let link = "<187>2: r1: *Nov 14 08:30:56.699 UTC: %LINK-3-UPDOWN: Interface Gi2, changed state to down";
    for line in [link, changed, changed, link] {
        socket.send_to(line.as_bytes(), world.udp()).unwrap();
    }
    let hook = [("webhook", "configurations")];
    metric(&world, "syslog_webhook_calls_total", &hook, |v| v == 1.0).await;
    metric(&world, "syslog_webhook_merged_total", &hook, |v| v == 1.0).await;
    metric(&world, "syslog_webhook_attempts_failed_total", &hook, |v| {
        v == 2.0
    })
    .await;
    metric(&world, "syslog_webhook_queued", &hook, |v| v == 0.0).await;
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 1);
    let (head, body) = &calls[0];
    assert!(head.starts_with("post /changed "), "{head}");
    assert!(head.contains("authorization: bearer sesame"), "{head}");
    assert!(head.contains("x-sotp-signature: sha256="), "{head}");
    assert!(
        head.contains(&format!(
            "idempotency-key: {}",
            body["id"].as_str().unwrap()
        )),
        "{head}"
    );
    metric(
        &world,
        "syslog_webhook_calls_total",
        &[("webhook", "user")],
        |v| v == 1.0,
    )
    .await;
    let head = calls_with_user.lock().unwrap()[0].0.clone();
    // base64 of sotp:sesame; the head is in lower case here.
    let expected = "authorization: basic c290cdpzzxnhbwu=";
    assert!(head.contains(expected), "{head}");
    for (name, expected) in [
        ("event", "configuration_change"),
        ("device", "r1"),
        ("site", "lab"),
        ("role", "router"),
        ("severity", "notice"),
        ("message", changed),
    ] {
        assert_eq!(body[name], expected, "{name} in {body}");
    }
    assert!(
        body["sentence"].as_str().unwrap().contains("admin"),
        "{body}"
    );
    world.balanced().await;
}
