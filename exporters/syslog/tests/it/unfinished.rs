//! Thousands of messages that are begun and never ended, by every framing: memory stays bounded and is given back.

use std::sync::Arc;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::load::many_files;
use crate::world::{World, metric};

/// Bytes of each message that are sent; the end never is.
const BEGUN: usize = 60_000;
const BOUND: f64 = 16e6 * 1.05;

/// Takes seconds, since it sends 300 MB through as many connections as the issue names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_messages_that_never_end_share_one_bound_and_cost_honest_senders_nothing() {
    if !many_files() {
        testkit::skip("this process may not open 12,000 files");
        return;
    }
    testkit::crypto();
    let mut world = World::prepared("").await;
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    std::fs::write(world.path("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(world.path("cert.pem"), certificate.pem()).unwrap();
    world.configure(
        "listen: {udp: [], tcp: [{address: '127.0.0.1:0'}, {address: '127.0.0.2:0', tls: {cert_file: cert.pem, key_file: key.pem}}]}\nlimits: {unfinished_timeout: 10m}",
    );
    world.process = Some(world.spawn().start().await.unwrap());
    let (plain, tls) = (
        world.address("transport=tcp"),
        world.address("transport=tls"),
    );
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let resident = async || {
        let samples = world.process().scrape().await.unwrap();
        samples.sum("process_resident_memory_bytes", &[])
    };
    let idle = resident().await;
    let text = "x".repeat(BEGUN);
    // Another address is slow, and has begun before all the others.
    let slow = tokio::net::TcpSocket::new_v4().unwrap();
    slow.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut slow = slow.connect(plain).await.unwrap();
    slow.write_all(format!("<13>slow {text}").as_bytes())
        .await
        .unwrap();
    metric(&world, "syslog_unfinished_bytes", &[], |v| v > 60e3).await;
    let mut open: Vec<Box<dyn AsyncWrite + Send + Unpin>> = Vec::new();
    let mut most: f64 = 0.0;
    for number in 0..5_000 {
        let socket = TcpStream::connect(if number % 10 == 9 { tls } else { plain });
        let socket = socket.await.unwrap();
        let mut stream: Box<dyn AsyncWrite + Send + Unpin> = if number % 10 == 9 {
            let name = "localhost".try_into().unwrap();
            Box::new(connector.connect(name, socket).await.unwrap())
        } else {
            Box::new(socket)
        };
        let begun = if number % 2 == 0 {
            format!("100000 <13>half {number} {text}")
        } else {
            format!("<13>half {number} {text}")
        };
        stream.write_all(begun.as_bytes()).await.unwrap();
        open.push(stream);
        if number % 500 == 499 {
            // Somebody with something to say, at length, in the middle of it.
            let mut honest = TcpStream::connect(plain).await.unwrap();
            let whole = format!("<13>honest {number} {text} end of it\n");
            honest.write_all(whole.as_bytes()).await.unwrap();
            let samples = world.process().scrape().await.unwrap();
            let held = samples.sum("syslog_unfinished_bytes", &[]);
            assert!(held <= BOUND, "{held} bytes are held");
            most = most.max(samples.sum("process_resident_memory_bytes", &[]));
        }
    }
    metric(&world, "syslog_connections", &[], |v| v >= 5_000.0).await;
    metric(&world, "syslog_unfinished_cut_total", &[], |v| v > 4_500.0).await;
    slow.write_all(b" end of it\n").await.unwrap();
    world.stored("end of it", 11).await;
    most = most.max(resident().await);
    eprintln!("idle {idle}, most {most}");
    assert!(most - idle < 100e6, "{idle} bytes idle, {most} with them");
    let cut = |entry: &testkit::loki::Entry| entry.get("unfinished") == Some("true");
    let entries = world.loki.entries();
    assert!(entries.iter().any(|e| e.line.contains("half") && cut(e)));
    assert!(
        !entries
            .iter()
            .any(|e| e.line.contains("end of it") && cut(e))
    );
    // The rest of what was cut is skipped, and the next message of the same connection is whole.
    for stream in open.iter_mut().take(2) {
        let rest = format!("{}\n<13>the next one\n", "y".repeat(100_000 - BEGUN));
        stream.write_all(rest.as_bytes()).await.unwrap();
    }
    world.stored("the next one", 2).await;
    drop((open, slow));
    metric(&world, "syslog_connections", &[], |v| v == 0.0).await;
    metric(&world, "syslog_unfinished_bytes", &[], |v| v == 0.0).await;
    let after = resident().await;
    eprintln!("idle {idle}, most {most} after {after}");
    metric(&world, "process_resident_memory_bytes", &[], |v| {
        v < idle + 40e6
    })
    .await;
}
