//! TLS with a real client: versions, suites, client certificates, change of certificate.

use crate::support::{Authority, Pair, SOON, ask, client, connect, spawn};
use rustls::version::{TLS12, TLS13};
use testkit::{Process, TempDir, eventually};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const HEALTH: &str = "GET /-/healthy HTTP/1.1";

/// A service behind TLS with these further lines of `tls_server_config`.
struct Secured {
    authority: Authority,
    dir: TempDir,
    service: Process,
}

async fn secured(lines: &str) -> Secured {
    let (authority, dir) = (Authority::new("servers"), TempDir::new().unwrap());
    authority.issue(&["localhost"]).write(&dir, "server");
    let web = dir
        .write(
            "web.yml",
            format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{lines}"),
        )
        .unwrap();
    let args = [
        format!("--web.config.file={}", web.display()),
        "--config.auto-reload-interval=100ms".to_owned(),
    ];
    let service = spawn(&args).https().start().await.unwrap();
    Secured {
        authority,
        dir,
        service,
    }
}

impl Secured {
    /// Whether a client with this certificate gets an answer.
    async fn admits(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        own: Option<&Pair>,
    ) -> bool {
        // With TLS 1.3 the client learns of a refusal when it reads.
        let Ok(mut stream) = connect(
            self.service.address(),
            client(&self.authority, versions, own),
        )
        .await
        else {
            return false;
        };
        ask(&mut stream, HEALTH)
            .await
            .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }
}

#[tokio::test]
async fn both_versions_are_offered_and_no_plain_text() {
    let it = secured("").await;
    assert!(it.admits(&[&TLS12], None).await);
    assert!(it.admits(&[&TLS13], None).await);
    let mut plain = tokio::net::TcpStream::connect(it.service.address())
        .await
        .unwrap();
    let answer = ask(&mut plain, HEALTH).await;
    assert!(
        !answer.as_ref().is_ok_and(|text| text.contains("healthy")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn minimum_version_is_held() {
    let it = secured("  min_version: TLS13\n").await;
    assert!(!it.admits(&[&TLS12], None).await);
    assert!(it.admits(&[&TLS13], None).await);
}

#[tokio::test]
async fn maximum_version_is_held() {
    let it = secured("  max_version: TLS12\n").await;
    assert!(it.admits(&[&TLS12], None).await);
    assert!(!it.admits(&[&TLS13], None).await);
}

#[tokio::test]
async fn suites_and_curves_are_held() {
    let it = secured(
        "  cipher_suites: [TLS_CHACHA20_POLY1305_SHA256]\n  curve_preferences: [CurveP384]\n",
    )
    .await;
    let stream = connect(it.service.address(), client(&it.authority, &[&TLS13], None))
        .await
        .unwrap();
    let session = stream.get_ref().1;
    assert_eq!(
        session.negotiated_cipher_suite().unwrap().suite(),
        rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
    );
    assert_eq!(
        session.negotiated_key_exchange_group().unwrap().name(),
        rustls::NamedGroup::secp384r1
    );
    assert!(!it.admits(&[&TLS12], None).await);
}

#[tokio::test]
async fn http2_is_offered_unless_turned_off() {
    for (lines, wanted) in [("", true), ("http_server_config:\n  http2: false\n", false)] {
        let it = secured(lines).await;
        let mut config = (*client(&it.authority, &[&TLS13], None)).clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = connect(it.service.address(), config.into()).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), wanted);
    }
}

#[tokio::test]
async fn http2_requests_are_answered() {
    let it = secured("").await;
    testkit::crypto();
    let root = reqwest::Certificate::from_pem(it.authority.pem().as_bytes()).unwrap();
    let port: u16 = it
        .service
        .address()
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .resolve("localhost", ([127, 0, 0, 1], port).into())
        .build()
        .unwrap();
    let answer = http
        .get(format!("https://localhost:{port}/metrics"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, reqwest::Version::HTTP_2)
    );
    assert!(answer.text().await.unwrap().contains("sotp_build_info"));
    // More bytes of header fields than allowed: 431, and the connection goes on.
    let long = "x".repeat(20_000);
    let refused = http
        .get(format!("https://localhost:{port}/"))
        .header("x-long", long)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 431);
    assert_eq!(
        http.get(format!("https://localhost:{port}/-/healthy"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn client_certificates_are_asked_for_as_configured() {
    let (clients, strangers) = (Authority::new("clients"), Authority::new("strangers"));
    let (known, unknown) = (
        clients.issue(&["prometheus.example"]),
        strangers.issue(&["prometheus.example"]),
    );
    // Type, then whether no certificate, an unknown one and a known one get in.
    for (kind, none, stranger, own) in [
        ("NoClientCert", true, true, true),
        ("RequestClientCert", true, true, true),
        ("RequireAnyClientCert", false, true, true),
        ("RequireClientCert", false, true, true),
        ("VerifyClientCertIfGiven", true, false, true),
        ("RequireAndVerifyClientCert", false, false, true),
    ] {
        let ca = if kind.contains("Verify") {
            "  client_ca_file: clients.crt\n"
        } else {
            ""
        };
        let it = secured_with(&clients, &format!("  client_auth_type: {kind}\n{ca}")).await;
        for version in [&TLS12, &TLS13] {
            assert_eq!(
                it.admits(&[version], None).await,
                none,
                "{kind} {version:?}, no certificate"
            );
            assert_eq!(
                it.admits(&[version], Some(&unknown)).await,
                stranger,
                "{kind} {version:?}, unknown certificate"
            );
            assert_eq!(
                it.admits(&[version], Some(&known)).await,
                own,
                "{kind} {version:?}, known certificate"
            );
        }
    }
}

async fn secured_with(clients: &Authority, lines: &str) -> Secured {
    let (authority, dir) = (Authority::new("servers"), TempDir::new().unwrap());
    authority.issue(&["localhost"]).write(&dir, "server");
    dir.write("clients.crt", clients.pem()).unwrap();
    let web = dir
        .write(
            "web.yml",
            format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{lines}"),
        )
        .unwrap();
    let service = spawn(&[format!("--web.config.file={}", web.display())])
        .https()
        .start()
        .await
        .unwrap();
    Secured {
        authority,
        dir,
        service,
    }
}

#[tokio::test]
async fn only_allowed_names_get_in() {
    let clients = Authority::new("clients");
    let lines = "  client_ca_file: clients.crt\n  client_auth_type: RequireAndVerifyClientCert\n  \
                 client_allowed_sans: [prometheus.example, 198.18.0.9, \"2001:db8:0::9\"]\n";
    let it = secured_with(&clients, lines).await;
    for (names, wanted) in [
        (&["prometheus.example"][..], true),
        (&["other.example", "198.18.0.9"], true),
        (&["2001:db8::9"], true),
        (&["other.example"], false),
        (&["198.18.0.10"], false),
        (&["evil.prometheus.example"], false),
    ] {
        assert_eq!(
            it.admits(&[&TLS13], Some(&clients.issue(names))).await,
            wanted,
            "{names:?}"
        );
    }
}

#[tokio::test]
async fn certificate_changes_without_dropping_a_connection() {
    let it = secured("").await;
    let config = || client(&it.authority, &[&TLS13], None);
    let mut old = connect(it.service.address(), config()).await.unwrap();
    let first = old.get_ref().1.peer_certificates().unwrap()[0].clone();
    assert!(ask(&mut old, HEALTH).await.unwrap().contains("healthy"));

    let next = it.authority.issue(&["localhost"]);
    next.write(&it.dir, "server");
    eventually(SOON, || async {
        let stream = connect(it.service.address(), config()).await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        anyhow::ensure!(shown == next.der(), "the old certificate is still shown");
        Ok(())
    })
    .await
    .unwrap();
    assert_ne!(first, next.der());
    // The connection of before goes on.
    assert!(ask(&mut old, HEALTH).await.unwrap().contains("healthy"));
}

#[tokio::test]
async fn bad_certificate_leaves_the_old_one_and_says_so() {
    let it = secured("").await;
    it.dir
        .write(
            "server.crt",
            "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
    eventually(SOON, || async {
        anyhow::ensure!(
            it.service.log().contains("configuration refused"),
            "{}",
            it.service.log()
        );
        Ok(())
    })
    .await
    .unwrap();
    let mut stream = connect(it.service.address(), client(&it.authority, &[&TLS13], None))
        .await
        .unwrap();
    let answer = ask(&mut stream, "POST /-/reload HTTP/1.1").await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 500")
            && answer.contains("web.yml: tls_server_config: certificate and key cannot be used"),
        "{answer}"
    );
    let metrics = ask(&mut stream, "GET /metrics HTTP/1.1").await.unwrap();
    assert!(
        metrics.contains("sotp_config_last_reload_successful 0\n"),
        "{metrics}"
    );
    // The poll logs one reason once.
    let lines = it.service.log().matches("configuration refused").count();
    assert!(lines <= 2, "{}", it.service.log());
}

#[tokio::test]
async fn handshake_that_stands_still_is_cut_off_and_counted() {
    use tokio::io::AsyncReadExt as _;
    let (authority, dir) = (Authority::new("servers"), TempDir::new().unwrap());
    authority.issue(&["localhost"]).write(&dir, "server");
    let text = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let web = dir.write("web.yml", text).unwrap();
    let args = [
        format!("--web.config.file={}", web.display()),
        "--web.header-timeout=500ms".to_owned(),
    ];
    let it = Secured {
        service: spawn(&args).https().start().await.unwrap(),
        authority,
        dir,
    };
    let mut silent = tokio::net::TcpStream::connect(it.service.address())
        .await
        .unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(SOON, silent.read_to_end(&mut rest)).await;
    assert!(
        closed.is_ok(),
        "a client that says nothing keeps its connection"
    );
    let mut plain = tokio::net::TcpStream::connect(it.service.address())
        .await
        .unwrap();
    let _ = ask(&mut plain, HEALTH).await;
    let mut stream = connect(it.service.address(), client(&it.authority, &[&TLS13], None))
        .await
        .unwrap();
    let metrics = ask(&mut stream, "GET /metrics HTTP/1.1").await.unwrap();
    for reason in ["header_time", "tls_handshake"] {
        let line = format!("sotp_http_connections_closed_total{{reason=\"{reason}\"}} 1\n");
        assert!(metrics.contains(&line), "{reason}: {metrics}");
    }
}

/// A service with this flag, and a connection to it that speaks HTTP/2 as far as its handshake.
async fn http2(flag: &str) -> (Secured, TlsStream<TcpStream>) {
    let (authority, dir) = (Authority::new("servers"), TempDir::new().unwrap());
    authority.issue(&["localhost"]).write(&dir, "server");
    let text = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let web = dir.write("web.yml", text).unwrap();
    let args = [
        format!("--web.config.file={}", web.display()),
        flag.to_owned(),
    ];
    let service = spawn(&args).https().start().await.unwrap();
    let it = Secured {
        service,
        authority,
        dir,
    };
    let mut config = (*client(&it.authority, &[&TLS13], None)).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = connect(it.service.address(), config.into()).await.unwrap();
    (it, stream)
}

#[tokio::test]
async fn http2_connection_without_requests_is_closed() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (_it, mut stream) = http2("--web.idle-timeout=500ms").await;
    // The preface and an empty SETTINGS frame, RFC 9113 section 3.4; then a PING again and again.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let pings = async {
        while write
            .write_all(b"\0\0\x08\x06\0\0\0\0\0pingping")
            .await
            .is_ok()
        {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let mut rest = Vec::new();
    let end = async {
        tokio::select! {
            _ = read.read_to_end(&mut rest) => {}
            () = pings => {}
        }
    };
    tokio::time::timeout(SOON, end)
        .await
        .expect("pings keep the connection open");
}

/// A reader with a window of zero that goes on to ask and to ping: frames of HTTP/2 itself are no progress.
#[tokio::test]
async fn http2_responses_that_nobody_takes_end_their_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (it, mut stream) = http2("--web.write-timeout=1s").await;
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags];
        frame.extend([0, 0, 0, stream]);
        frame.extend(payload);
        frame
    };
    // SETTINGS_INITIAL_WINDOW_SIZE 0, RFC 9113 section 6.5.2.
    let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    hello.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]));
    // GET https://x/large by HPACK, RFC 7541 appendix A: 2, 7, 1 and 4 of the static table.
    for id in [1, 3, 5] {
        hello.extend(frame(1, 5, id, b"\x82\x87\x01\x01x\x04\x06/large"));
    }
    stream.write_all(&hello).await.unwrap();
    let began = std::time::Instant::now();
    let pings = async {
        let mut taken = vec![0; 64 * 1024];
        loop {
            let ping = frame(6, 0, 0, b"01234567");
            if stream.write_all(&ping).await.is_err() {
                return;
            }
            let read = stream.read(&mut taken);
            let read = tokio::time::timeout(std::time::Duration::from_millis(100), read).await;
            if matches!(read, Ok(Ok(0) | Err(_))) {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, pings)
        .await
        .expect("responses that nobody takes keep their connection");
    assert!(began.elapsed() >= std::time::Duration::from_secs(1));
    let mut stream = connect(it.service.address(), client(&it.authority, &[&TLS13], None))
        .await
        .unwrap();
    let metrics = ask(&mut stream, "GET /metrics HTTP/1.1").await.unwrap();
    let line = "sotp_http_connections_closed_total{reason=\"slow_reader\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
}
