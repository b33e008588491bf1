//! What a handler learns of a client certificate: only what was verified, and only while it holds.

use std::time::Duration;

use crate::support::{Authority, Pair, SOON, ask, client, connect, spawn};
use rcgen::{DnType, SanType};
use rustls::version::{TLS12, TLS13};
use testkit::{Process, TempDir};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const WHOAMI: &str = "GET /whoami HTTP/1.1";

struct Secured {
    servers: Authority,
    clients: Authority,
    dir: TempDir,
    service: Process,
}

fn web(policy: &str) -> String {
    let ca = if matches!(
        policy,
        "VerifyClientCertIfGiven" | "RequireAndVerifyClientCert"
    ) {
        "  client_ca_file: clients.pem\n"
    } else {
        ""
    };
    format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: {policy}\n{ca}"
    )
}

async fn secured(policy: &str) -> Secured {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let dir = TempDir::new().unwrap();
    servers.issue(&["localhost"]).write(&dir, "server");
    dir.write("clients.pem", clients.pem()).unwrap();
    let path = dir.write("web.yml", web(policy)).unwrap();
    let args = [
        format!("--web.config.file={}", path.display()),
        "--config.auto-reload-interval=100ms".to_owned(),
    ];
    let service = spawn(&args).https().start().await.unwrap();
    Secured {
        servers,
        clients,
        dir,
        service,
    }
}

impl Secured {
    async fn connect(&self, own: Option<&Pair>) -> TlsStream<TcpStream> {
        let config = client(&self.servers, &[&TLS12, &TLS13], own);
        connect(self.service.address(), config).await.unwrap()
    }

    async fn whoami(&self, own: Option<&Pair>) -> String {
        ask(&mut self.connect(own).await, WHOAMI).await.unwrap()
    }
}

fn probe(authority: &Authority, seconds: (i64, i64)) -> Pair {
    let subject = [
        (DnType::CountryName, "CZ"),
        (DnType::OrganizationName, "NOC, \"Prague\""),
        (DnType::CommonName, "probe+1,O=root"),
    ];
    let names = vec![
        SanType::DnsName("probe.example.net".try_into().unwrap()),
        SanType::URI("spiffe://example.net/probe".try_into().unwrap()),
        SanType::IpAddress([127, 0, 0, 1].into()),
    ];
    authority.issue_for(&subject, names, seconds)
}

#[tokio::test]
async fn verified_certificate_is_told_with_every_value_escaped() {
    let it = secured("VerifyClientCertIfGiven").await;
    let answer = it.whoami(Some(&probe(&it.clients, (-60, 600)))).await;
    let wanted = "\nsubject: CN=probe\\+1\\,O=root,O=NOC\\, \\\"Prague\\\",C=CZ\n";
    assert!(answer.contains(wanted), "{answer}");
    assert!(
        answer.contains(
            "\nnames: dns:probe.example.net uri:spiffe://example.net/probe ip:127.0.0.1\n"
        ),
        "{answer}"
    );
    let answer = it.whoami(None).await;
    assert!(answer.contains("\nsubject: none\n"), "{answer}");
}

/// The escaping is that of openssl, whose output people copy into the configuration.
#[tokio::test]
async fn subject_is_what_openssl_prints() {
    let it = secured("VerifyClientCertIfGiven").await;
    let own = probe(&it.clients, (-60, 600));
    own.write(&it.dir, "probe");
    let printed = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in"])
        .arg(it.dir.join("probe.crt"))
        .output();
    let Ok(printed) = printed else {
        eprintln!("openssl is not installed: its form is not compared");
        return;
    };
    let printed = String::from_utf8(printed.stdout).unwrap();
    let subject = printed.trim().strip_prefix("subject=").unwrap().to_owned();
    let answer = it.whoami(Some(&own)).await;
    assert!(
        answer.contains(&format!("\nsubject: {subject}\n")),
        "{subject} {answer}"
    );
}

#[tokio::test]
async fn certificate_that_nobody_verified_is_none() {
    for policy in ["RequestClientCert", "RequireAnyClientCert"] {
        let it = secured(policy).await;
        let answer = it.whoami(Some(&probe(&it.clients, (-60, 600)))).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("\nsubject: none\n"),
            "{policy}: {answer}"
        );
    }
}

#[tokio::test]
async fn certificate_ends_with_its_time_on_an_open_connection() {
    let it = secured("VerifyClientCertIfGiven").await;
    let mut stream = it.connect(Some(&probe(&it.clients, (-60, 4)))).await;
    assert!(
        ask(&mut stream, WHOAMI)
            .await
            .unwrap()
            .contains("subject: CN=probe")
    );
    let mut last = String::new();
    let until = tokio::time::Instant::now() + Duration::from_secs(15);
    while !last.contains("subject: none") && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(200)).await;
        last = ask(&mut stream, WHOAMI).await.unwrap();
    }
    assert!(last.contains("\nsubject: none\n"), "{last}");
}

#[tokio::test]
async fn certificate_ends_with_the_trust_in_its_authority() {
    let it = secured("VerifyClientCertIfGiven").await;
    let own = probe(&it.clients, (-60, 600));
    let mut stream = it.connect(Some(&own)).await;
    // Another certificate of the server changes nothing.
    it.servers.issue(&["localhost"]).write(&it.dir, "server");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(
        ask(&mut stream, WHOAMI)
            .await
            .unwrap()
            .contains("subject: CN=probe")
    );
    it.dir
        .write("clients.pem", Authority::new("others").pem())
        .unwrap();
    let until = tokio::time::Instant::now() + SOON;
    loop {
        let answer = ask(&mut stream, WHOAMI).await.unwrap();
        if answer.contains("\nsubject: none\n") {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "{answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
