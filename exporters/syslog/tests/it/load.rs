//! Many connections, senders that misbehave, one that sends too much, a certificate that changes under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{BOTH, World, check, from, metric};

/// Raises the limit of open files for this process and its children.
pub(crate) fn many_files() -> bool {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = 12_000;
    soft >= wanted || (hard >= wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok())
}

#[tokio::test]
async fn five_thousand_connections_and_no_more_than_the_limit() {
    if !many_files() {
        testkit::skip("this process may not open 12,000 files");
        return;
    }
    let world = World::new(&format!("{BOTH}\nlimits: {{connections: 5000}}")).await;
    let connect = async |source: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(source.parse().unwrap()).unwrap();
        socket.connect(world.tcp()).await.unwrap()
    };
    let is_closed = async |mut stream: TcpStream| {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0; 8])).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    };
    let mut all = Vec::new();
    for number in 0..5_000 {
        // Who holds more than half leaves the last tenth to the others.
        if number == 4_500 {
            let greedy = connect("127.0.0.1:0").await;
            assert!(is_closed(greedy).await, "it has its share");
        }
        let source = if number < 4_500 {
            "127.0.0.1:0"
        } else {
            "127.0.0.2:0"
        };
        let mut stream = connect(source).await;
        stream
            .write_all(format!("<13>hello {number}\n").as_bytes())
            .await
            .unwrap();
        all.push(stream);
    }
    world.stored("<13>hello", 5_000).await;
    metric(&world, "syslog_connections", &[], |v| v == 5_000.0).await;
    let refused = connect("127.0.0.2:0").await;
    assert!(is_closed(refused).await, "one too many is closed");
    for (number, stream) in all.iter_mut().enumerate() {
        stream
            .write_all(format!("<13>again {number}\n").as_bytes())
            .await
            .unwrap();
    }
    world.stored("<13>again", 5_000).await;
    drop(all);
    metric(&world, "syslog_connections", &[], |v| v == 0.0).await;
    let samples = world.balanced().await;
    assert_eq!(samples.sum("syslog_connections_refused_total", &[]), 2.0);
}

#[tokio::test]
async fn dawdlers_hold_nobody_up_and_an_endless_line_takes_no_memory() {
    let world = World::new(&format!(
        "{BOTH}\nlimits: {{message_bytes: 10000, unfinished_timeout: 1s, idle_timeout: 3s}}"
    ))
    .await;
    let resident = || async {
        let samples = world.process().scrape().await.unwrap();
        samples.sum("process_resident_memory_bytes", &[])
    };
    let before = resident().await;
    // One byte at a time, and never the end.
    let mut slow = Vec::new();
    for _ in 0..200 {
        slow.push(TcpStream::connect(world.tcp()).await.unwrap());
    }
    let mut endless = TcpStream::connect(world.tcp()).await.unwrap();
    let flood = vec![b'x'; 1 << 20];
    endless.write_all(b"<13>endless ").await.unwrap();
    for round in 0..40 {
        for stream in &mut slow {
            let _ = stream.write_all(b"s").await;
        }
        endless.write_all(&flood).await.unwrap();
        if round % 10 == 0 {
            let mut quick = TcpStream::connect(world.tcp()).await.unwrap();
            quick
                .write_all(format!("<13>quick {round}\n").as_bytes())
                .await
                .unwrap();
        }
    }
    world.stored("<13>quick", 4).await;
    let grown = resident().await - before;
    assert!(grown < 40e6, "{grown} bytes more for a line of 40 MB");
    world.stored("<13>endless", 1).await;
    let entries = world.loki.entries();
    let line = entries.iter().find(|e| e.line.contains("endless")).unwrap();
    assert_eq!(line.line.len(), 10_000);
    assert_eq!(line.get("truncated"), Some("true"));
    endless.write_all(b"\n<13>its next line\n").await.unwrap();
    world.stored("<13>its next line", 1).await;
    // What the dawdlers wrote is kept, marked, and they are let go after the idle time.
    drop(endless);
    metric(&world, "syslog_connections", &[], |v| v == 0.0).await;
    assert!(
        world
            .loki
            .entries()
            .iter()
            .any(|e| e.get("unfinished") == Some("true"))
    );
    world.balanced().await;
}

#[tokio::test]
async fn the_heaviest_sender_this_machine_has_costs_another_none() {
    // Streams are made to wait, datagrams beyond the limit of their device are dropped and counted.
    let world = World::new(
        "listen: {udp: [{address: '127.0.0.1:0', sockets: 1, receive_buffer_bytes: 67108864}], tcp: []}\nlimits: {device_messages_per_second: 500, device_burst: 500}",
    )
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let to = world.udp();
    let noise = std::thread::spawn(move || {
        let socket = from("127.0.0.1:0");
        let mut sent = 0u64;
        while !told.load(Ordering::Relaxed) {
            for _ in 0..200 {
                let _ = socket.send_to(b"<13>noise noise noise noise noise noise", to);
                sent += 1;
            }
            // As fast as can be, but the kernel's buffer is one for all senders: what it drops nobody can save.
            std::thread::sleep(Duration::from_millis(2));
        }
        sent
    });
    let quiet = from("127.0.0.2:0");
    for number in 0..300 {
        quiet
            .send_to(format!("<13>word {number}").as_bytes(), to)
            .unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let sent = noise.join().unwrap() as f64;
    let kernel = world
        .process()
        .scrape()
        .await
        .unwrap()
        .sum("syslog_kernel_dropped_total", &[]);
    metric(
        &world,
        "syslog_messages_received_total",
        &[("device", "r1")],
        |v| v + kernel >= sent,
    )
    .await;
    if kernel > 0.0 {
        testkit::skip("the kernel's buffer overflowed: this machine was too busy to tell");
        return;
    }
    world.stored("<13>word", 300).await;
    let samples = world.balanced().await;
    let dropped = |device| samples.sum("syslog_messages_dropped_total", &[("device", device)]);
    assert!(
        dropped("r1") > sent / 4.0,
        "{} of {sent} dropped",
        dropped("r1")
    );
    assert_eq!(dropped("r2"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_changes_under_load_and_no_line_is_lost() {
    testkit::crypto();
    let mut world = World::prepared("").await;
    let issue = |folder: &std::path::Path| {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
        certificate.der().clone()
    };
    let first = issue(world.folder.path());
    world.configure("listen: {udp: [], tcp: [{address: '127.0.0.1:0', tls: {cert_file: cert.pem, key_file: key.pem}}]}");
    world.process = Some(world.spawn().start().await.unwrap());
    let roots: Arc<std::sync::Mutex<Vec<_>>> = Arc::new(std::sync::Mutex::new(vec![first]));
    let (sent, stop) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let shown: Arc<std::sync::Mutex<std::collections::HashSet<Vec<u8>>>> = Arc::default();
    let address = world.tcp();
    let mut senders = Vec::new();
    for _ in 0..4 {
        let (sent, stop, roots, shown) = (sent.clone(), stop.clone(), roots.clone(), shown.clone());
        senders.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let mut store = rustls::RootCertStore::empty();
                for root in roots.lock().unwrap().iter() {
                    store.add(root.clone()).unwrap();
                }
                let config = rustls::ClientConfig::builder()
                    .with_root_certificates(store)
                    .with_no_client_auth();
                let socket = TcpStream::connect(address).await.unwrap();
                let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
                // Between the two files there may be a moment when they do not fit: the last pair stays in use.
                let Ok(mut stream) = connector
                    .connect("localhost".try_into().unwrap(), socket)
                    .await
                else {
                    continue;
                };
                let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                shown.lock().unwrap().insert(certificate);
                for _ in 0..20 {
                    let text = format!("<13>secret {} end", sent.fetch_add(1, Ordering::Relaxed));
                    stream
                        .write_all(format!("{} {text}", text.len()).as_bytes())
                        .await
                        .unwrap();
                }
                stream.shutdown().await.unwrap();
                let _ = stream.read(&mut [0; 1]).await;
            }
        }));
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let next = {
            let folder = tempfile::tempdir().unwrap();
            let next = issue(folder.path());
            roots.lock().unwrap().push(next.clone());
            for name in ["key.pem", "cert.pem"] {
                std::fs::copy(folder.path().join(name), world.path(name)).unwrap();
            }
            next
        };
        testkit::eventually(Duration::from_secs(20), || async {
            let seen = shown.lock().unwrap().contains(&next.to_vec());
            check(seen, || "the new certificate is not shown".to_owned())
        })
        .await
        .unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    world
        .stored("<13>secret", sent.load(Ordering::Relaxed))
        .await;
    let samples = world.balanced().await;
    assert_eq!(samples.sum("syslog_connections", &[]), 0.0);
}
