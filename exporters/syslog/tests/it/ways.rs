//! Ways in behind a load balancer, and ways out to several Lokis.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use testkit::loki::Loki;
use tokio::net::TcpListener;

use crate::world::{BOTH, World, check, from, metric};

#[tokio::test]
async fn behind_a_load_balancer_a_message_belongs_to_who_sent_it() {
    let world =
        World::new("listen: {udp: [], tcp: [{address: '127.0.0.1:0', proxy_protocol: true}]}")
            .await;
    let send = |header: &[u8], text: &str| {
        let mut stream = TcpStream::connect(world.tcp()).unwrap();
        // The header may come in pieces.
        let (first, second) = header.split_at(header.len().min(9));
        stream.write_all(first).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        stream.write_all(second).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    send(
        b"PROXY TCP4 127.0.0.2 127.0.0.1 40000 514\r\n",
        "<13>version one end\n",
    );
    let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    second.extend_from_slice(&[127, 0, 0, 2, 127, 0, 0, 1, 0x9c, 0x40, 2, 2]);
    send(&second, "21 <13>version two end\n");
    // The balancer speaks for itself.
    send(b"PROXY UNKNOWN\r\n", "<13>health check end\n");
    let mut wrong = send(b"<13>no header at all\n", "");
    wrong
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert!(!matches!(wrong.read(&mut [0; 8]), Ok(1..)), "it is closed");
    for text in ["version one", "version two", "health check"] {
        world.stored(text, 1).await;
    }
    for entry in world.loki.entries() {
        let own = entry.line.contains("health");
        assert_eq!(entry.get("device"), Some(if own { "r1" } else { "r2" }));
        let source = if own { "127.0.0.1" } else { "127.0.0.2" };
        assert_eq!(entry.get("source_ip"), Some(source), "{}", entry.line);
    }
    metric(&world, "syslog_proxy_headers_failed_total", &[], |v| {
        v == 1.0
    })
    .await;
    world.balanced().await;
}

/// Speaks TLS in front of an address, asks for a certificate, and passes everything on.
async fn tls_in_front(
    to: std::net::SocketAddr,
    server: &rcgen::CertifiedKey<rcgen::KeyPair>,
    client: &rcgen::CertifiedKey<rcgen::KeyPair>,
) -> u16 {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(client.cert.der().clone()).unwrap();
    let asks = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots));
    let key = rustls_pki_types::PrivateKeyDer::try_from(server.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(asks.build().unwrap())
        .with_single_cert(vec![server.cert.der().clone()], key.unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(socket).await {
                    let mut plain = tokio::net::TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut plain).await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn two_lokis_get_everything_one_as_json_one_over_tls_with_a_password_that_is_mended() {
    testkit::crypto();
    let certified = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec![name.to_owned()];
        let params = rcgen::CertificateParams::new(names).unwrap();
        let cert = params.self_signed(&key).unwrap();
        rcgen::CertifiedKey {
            cert,
            signing_key: key,
        }
    };
    let (server, client) = (certified("127.0.0.1"), certified("sotp"));
    let safe = Loki::start(None).await.unwrap();
    safe.limits(|l| l.rate = None);
    // `sotp:secret` in base64.
    safe.require_authorization("Basic c290cDpzZWNyZXQ=");
    let port = tls_in_front(safe.address(), &server, &client).await;
    let mut world = World::prepared(BOTH).await;
    for (name, text) in [
        ("ca.pem", server.cert.pem()),
        ("client.pem", client.cert.pem()),
        ("client.key", client.signing_key.serialize_pem()),
        ("password", "wrong\n".to_owned()),
    ] {
        std::fs::write(world.path(name), text).unwrap();
    }
    let plain = world.loki.push_url();
    let common = "bytes_per_second: 0, batch_age: 20ms, hold_retry: 100ms";
    let config = format!(
        "{BOTH}\nloki:\n- {{name: main, url: '{plain}', format: json, {common}}}\n\
         - {{name: safe, url: 'https://127.0.0.1:{port}/loki/api/v1/push', ca_file: ca.pem, cert_file: client.pem, \
         key_file: client.key, basic_auth: {{username: sotp, password_file: password}}, {common}}}\n"
    );
    std::fs::write(world.path("syslog.yaml"), config).unwrap();
    world.process = Some(world.spawn().start().await.unwrap());
    let socket = from("127.0.0.1:0");
    let text = "<189>7: *Nov 14 08:30:56.699: %SYS-5-CONFIG_I: Configured from \"größe\" by op on vty0 end";
    for _ in 0..50 {
        socket.send_to(text.as_bytes(), world.udp()).unwrap();
    }
    world.stored("CONFIG_I", 50).await;
    let held = [("destination", "safe"), ("reason", "unauthorized")];
    metric(&world, "syslog_push_held", &held, |v| v == 1.0).await;
    // What waits has an age, and what was pushed a latency.
    let samples = world.balanced().await;
    let of = |name: &str, destination: &str| samples.sum(name, &[("destination", destination)]);
    assert_eq!(of("syslog_spool_messages", "safe"), 50.0);
    assert!(of("syslog_spool_oldest_age_seconds", "safe") > 0.0);
    assert_eq!(of("syslog_spool_messages", "main"), 0.0);
    assert_eq!(of("syslog_spool_oldest_age_seconds", "main"), 0.0);
    assert!(of("syslog_push_duration_seconds_count", "main") >= 1.0);
    assert!(samples.sum("syslog_spool_bytes", &[]) > 50.0 * 80.0);
    assert!(safe.is_empty());
    std::fs::write(world.path("password"), "secret\n").unwrap();
    testkit::eventually(Duration::from_secs(30), || async {
        check(safe.len() == 50, || format!("{} of 50 stored", safe.len()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", world.process().log()));
    let sorted = |loki: &Loki| {
        let mut entries = loki.entries();
        // JSON carries the metadata as an object, in no order.
        entries.iter_mut().for_each(|e| e.metadata.sort());
        entries
    };
    assert_eq!(
        sorted(&safe),
        sorted(&world.loki),
        "the same, byte for byte"
    );
    world.balanced().await;
}
