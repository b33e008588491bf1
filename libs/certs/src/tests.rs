//! The files and what a verifier says of them.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{RootCertStore, server::WebPkiClientVerifier};
use testkit::TempDir;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn part(name: &str) -> Part {
    Part {
        name: name.to_owned(),
        hosts: vec!["127.0.0.1".to_owned(), name.to_owned()],
        group: None,
    }
}

fn roots(files: &Files) -> Arc<RootCertStore> {
    testkit::crypto();
    let mut roots = RootCertStore::empty();
    let pem = CertificateDer::from_pem_file(&files.authority).unwrap();
    roots.add(pem).unwrap();
    Arc::new(roots)
}

/// Whether who trusts the authority of `trusting` takes the certificate of `shown` for `host`, so far from now.
fn takes(trusting: &Files, shown: &Files, host: &str, later: Duration) -> bool {
    let verifier = WebPkiServerVerifier::builder(roots(trusting))
        .build()
        .unwrap();
    let certificate = CertificateDer::from_pem_file(&shown.certificate).unwrap();
    let now = UnixTime::since_unix_epoch(UnixTime::now().as_secs_duration() + later);
    let name = ServerName::try_from(host.to_owned()).unwrap();
    verifier
        .verify_server_cert(&certificate, &[], &name, &[], now)
        .is_ok()
}

trait Seconds {
    fn as_secs_duration(&self) -> Duration;
}

impl Seconds for UnixTime {
    fn as_secs_duration(&self) -> Duration {
        Duration::from_secs(self.as_secs())
    }
}

#[test]
fn a_part_is_taken_by_its_names_by_whoever_trusts_the_authority_and_by_nobody_else() {
    let (place, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let authority = Authority::open(place.path()).unwrap();
    assert!(authority.renew(&part("ping"), DAY).unwrap());
    assert!(authority.renew(&part("loki"), DAY).unwrap());
    let (ping, loki) = (authority.files("ping"), authority.files("loki"));
    for host in ["127.0.0.1", "loki"] {
        assert!(takes(&ping, &loki, host, Duration::ZERO), "{host}");
    }
    for host in ["127.0.0.2", "ping"] {
        assert!(!takes(&ping, &loki, host, Duration::ZERO), "{host}");
    }
    assert!(!takes(&ping, &loki, "loki", DAY * 2), "it ends");
    let other = Authority::open(elsewhere.path()).unwrap();
    other.renew(&part("loki"), DAY).unwrap();
    assert!(!takes(&ping, &other.files("loki"), "loki", Duration::ZERO));
    // The same certificate is that of a client.
    let clients = WebPkiClientVerifier::builder(roots(&loki)).build().unwrap();
    let shown = CertificateDer::from_pem_file(&ping.certificate).unwrap();
    clients
        .verify_client_cert(&shown, &[], UnixTime::now())
        .unwrap();
}

#[test]
fn what_is_due_is_renewed_with_its_key_and_by_the_same_authority() {
    let place = TempDir::new().unwrap();
    let authority = Authority::open(place.path()).unwrap();
    let ping = part("ping");
    authority.renew(&ping, DAY).unwrap();
    let files = authority.files("ping");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let (first, key, trusted) = (
        read(&files.certificate),
        read(&files.key),
        read(&files.authority),
    );
    // Another start: the same authority, and nothing is due.
    let authority = Authority::open(place.path()).unwrap();
    assert!(!authority.renew(&ping, DAY).unwrap());
    assert_eq!(read(&files.certificate), first);
    // Of a lifetime of four days a third is more than what is left.
    assert!(authority.renew(&ping, DAY * 4).unwrap());
    assert_ne!(read(&files.certificate), first);
    assert_eq!((read(&files.key), read(&files.authority)), (key, trusted));
    assert!(takes(&files, &files, "ping", DAY * 3));
    // Another address is another certificate.
    let mut moved = ping.clone();
    moved.hosts.push("::1".to_owned());
    assert!(authority.renew(&moved, DAY * 4).unwrap());
    assert!(takes(&files, &files, "::1", Duration::ZERO));
    // So is a file that is none.
    std::fs::write(&files.certificate, "nothing").unwrap();
    assert!(authority.renew(&moved, DAY * 4).unwrap());
}

#[test]
fn keys_are_nobody_elses_and_what_is_wrong_is_said() {
    let place = TempDir::new().unwrap();
    let authority = Authority::open(place.path()).unwrap();
    authority.renew(&part("ping"), DAY).unwrap();
    let mode = |path: &str| {
        let file = std::fs::metadata(place.join(path)).unwrap();
        file.permissions().mode() & 0o777
    };
    assert_eq!(mode("ca.key"), 0o600);
    assert_eq!(mode("ping/tls.key"), 0o600);
    assert_eq!((mode("ping"), mode("ca.crt")), (0o700, 0o644));
    let with = |name: &str, group: Option<&str>| Part {
        group: group.map(str::to_owned),
        ..part(name)
    };
    let error = authority.renew(&with("../x", None), DAY).unwrap_err();
    assert!(matches!(error, Error::Name(_)), "{error}");
    let unknown = with("loki", Some("no-such-group"));
    let error = authority.renew(&unknown, DAY).unwrap_err();
    assert!(matches!(error, Error::Group(_)), "{error}");
    // Containers have numbers where nobody has a name; nobody else may read the key.
    let own = nix::unistd::getgid().as_raw();
    let numbered = with("tempo", Some(&own.to_string()));
    assert!(authority.renew(&numbered, DAY).unwrap());
    assert_eq!((mode("tempo"), mode("tempo/tls.key")), (0o750, 0o640));
    // A certificate of another key is no authority of this folder.
    std::fs::copy(place.join("ping/tls.crt"), place.join("ca.crt")).unwrap();
    let error = units::chain(&Authority::open(place.path()).unwrap_err());
    assert!(error.contains("remove both"), "{error}");
}
