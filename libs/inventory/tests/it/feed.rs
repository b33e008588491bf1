//! Following a file and a service: the last good inventory, whatever happens.

mod server;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use inventory::{Error, Feed, Guard, Inventory, Source, UrlOptions};
use proptest::prelude::*;
use server::Server;
use testkit::{TempDir, eventually};

/// What a change may take to be seen.
const SEEN: Duration = Duration::from_secs(2);

fn text(device: u8) -> String {
    format!("devices: [{{name: d{device}, address: 192.0.2.{device}}}]\n")
}

fn json(device: u8) -> String {
    let inventory = Inventory::parse(&text(device), Path::new("t")).unwrap();
    String::from_utf8(inventory.json().to_vec()).unwrap()
}

fn names(feed: &Feed) -> Vec<String> {
    feed.current()
        .devices()
        .iter()
        .map(|device| device.name.to_string())
        .collect()
}

async fn shows(feed: &Feed, device: &str) {
    eventually(SEEN, || async {
        anyhow::ensure!(names(feed) == [device], "{:?}", names(feed));
        Ok(())
    })
    .await
    .unwrap();
}

fn follow(feed: &Feed) -> tokio::task::JoinHandle<()> {
    let feed = feed.clone();
    tokio::spawn(async move { feed.follow().await })
}

#[tokio::test]
async fn a_file_that_is_not_there_or_not_good_cannot_be_opened() {
    let dir = TempDir::new().unwrap();
    let error = Feed::open(Source::File(dir.join("none")))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, Error::Read { .. }), "{error}");
    let bad = dir.write("bad.yaml", "device: []").unwrap();
    let error = Feed::open(Source::File(bad)).await.err().unwrap();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[tokio::test]
async fn a_change_of_the_file_reaches_readers_within_two_seconds() {
    let dir = TempDir::new().unwrap();
    let path = dir.write("inventory.yaml", text(1)).unwrap();
    let feed = Feed::open(Source::File(path.clone())).await.unwrap();
    let mut waiting = feed.clone();
    let task = follow(&feed);
    // In place, with the same length, twice within one tick of the clock.
    std::fs::write(&path, text(2)).unwrap();
    std::fs::write(&path, text(3)).unwrap();
    shows(&feed, "d3").await;
    let seen = waiting.changed().await;
    assert!(seen.device("d3").is_some() || seen.device("d2").is_some());
    // The file is replaced after it lay still for longer than a time stamp is coarse.
    tokio::time::sleep(Duration::from_secs(3)).await;
    dir.write("inventory.yaml", text(4)).unwrap();
    shows(&feed, "d4").await;
    task.abort();
}

#[tokio::test]
async fn a_swapped_link_is_a_change() {
    let dir = TempDir::new().unwrap();
    for device in [1, 2] {
        std::fs::create_dir(dir.join(format!("..{device}"))).unwrap();
        dir.write(format!("..{device}/inventory.yaml"), text(device))
            .unwrap();
    }
    symlink("..1", dir.join("..data")).unwrap();
    symlink("..data/inventory.yaml", dir.join("inventory.yaml")).unwrap();
    let feed = Feed::open(Source::File(dir.join("inventory.yaml")))
        .await
        .unwrap();
    assert_eq!(names(&feed), ["d1"]);
    let task = follow(&feed);
    symlink("..2", dir.join("..new")).unwrap();
    std::fs::rename(dir.join("..new"), dir.join("..data")).unwrap();
    shows(&feed, "d2").await;
    task.abort();
}

#[derive(Clone, Debug)]
enum Act {
    Good(u8),
    Bad(u8),
    Huge,
    Delete,
    Link(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1_u8..5).prop_map(Act::Good),
        2 => (1_u8..3).prop_map(Act::Bad),
        1 => Just(Act::Huge),
        1 => Just(Act::Delete),
        2 => (1_u8..5).prop_map(Act::Link),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// The model: the device of the last good content, and whether the content is good now.
    #[test]
    fn the_last_good_content_stays(acts in proptest::collection::vec(act(), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = TempDir::new().unwrap();
            let path = dir.write("inventory.yaml", text(9)).unwrap();
            let feed = Feed::open(Source::File(path.clone())).await.unwrap();
            let (mut last, mut failures, mut changes) = (9, 0, 1);
            for act in acts {
                let good = match act {
                    Act::Good(device) => {
                        dir.write("inventory.yaml", text(device)).unwrap();
                        Some(device)
                    }
                    Act::Link(device) => {
                        dir.write(format!("good{device}"), text(device)).unwrap();
                        let _ = std::fs::remove_file(&path);
                        symlink(format!("good{device}"), &path).unwrap();
                        Some(device)
                    }
                    Act::Bad(kind) => {
                        let bad = if kind == 1 { &b"devices: {"[..] } else { &b"\xff\xfe"[..] };
                        dir.write("inventory.yaml", bad).unwrap();
                        None
                    }
                    Act::Huge => {
                        dir.write("inventory.yaml", "").unwrap();
                        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                        file.set_len(inventory::MAX_BYTES as u64 + 1).unwrap();
                        None
                    }
                    Act::Delete => {
                        let _ = std::fs::remove_file(&path);
                        None
                    }
                };
                let result = feed.refresh().await;
                assert_eq!(result.is_ok(), good.is_some(), "{result:?}");
                match good {
                    Some(device) => {
                        changes += u64::from(device != last);
                        assert_eq!(result.unwrap(), device != last);
                        last = device;
                    }
                    None => failures += 1,
                }
                let health = feed.health();
                assert_eq!(names(&feed), [format!("d{last}")]);
                assert_eq!((health.up, health.failures, health.changes), (good.is_some(), failures, changes));
                assert_eq!(health.last_error.is_some(), good.is_none());
                assert_eq!(health.version, feed.current().version());
            }
        });
    }
}

fn many(devices: std::ops::RangeInclusive<u8>) -> String {
    let device = |number| format!("- {{name: d{number}, address: 192.0.2.{number}}}\n");
    let devices: String = devices.map(device).collect();
    format!("devices:\n{devices}")
}

/// An editor that empties the file and writes it again, or writes it in pieces, takes no device away.
#[tokio::test]
async fn a_file_that_is_emptied_or_half_written_takes_no_device_away() {
    let dir = TempDir::new().unwrap();
    let path = dir.write("inventory.yaml", many(1..=20)).unwrap();
    let feed = Feed::open(Source::File(path.clone())).await.unwrap();
    let task = follow(&feed);
    for bad in ["", "devices: []\n", &many(1..=3)] {
        std::fs::write(&path, bad).unwrap();
        eventually(SEEN * 3, || async {
            anyhow::ensure!(feed.health().shrunk, "{:?}", feed.health());
            Ok(())
        })
        .await
        .unwrap();
        let health = feed.health();
        assert_eq!((names(&feed).len(), health.up), (20, false));
        let told = health.last_error.unwrap();
        assert!(told.contains("and there were 20: held back"), "{told}");
        // Another content is taken, and so is the old one.
        std::fs::write(&path, many(1..=20)).unwrap();
        eventually(SEEN * 3, || async {
            anyhow::ensure!(feed.health().up, "{:?}", feed.health());
            Ok(())
        })
        .await
        .unwrap();
        assert!(!feed.health().shrunk);
    }
    assert_eq!(
        feed.health().failures,
        3,
        "one for each, however often it was looked at"
    );
    task.abort();
}

/// A reload is somebody's word for it.
#[tokio::test]
async fn fewer_devices_are_taken_when_they_are_confirmed() {
    let dir = TempDir::new().unwrap();
    let path = dir.write("inventory.yaml", many(1..=20)).unwrap();
    let feed = Feed::open(Source::File(path.clone())).await.unwrap();
    std::fs::write(&path, many(1..=2)).unwrap();
    let error = feed.refresh().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Shrunk {
                before: 20,
                after: 2,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(names(&feed).len(), 20);
    assert!(feed.refresh().await.unwrap());
    assert_eq!(names(&feed).len(), 2);
    // With a limit of its own nothing is held back.
    let open = Feed::open_guarded(Source::File(path.clone()), Guard::new(1.0));
    let open = open.await.unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(open.refresh().await.unwrap());
    assert_eq!(names(&open).len(), 0);
}

/// What sotp-inventory has compared already is not held back a second time; what another server answers is.
#[tokio::test]
async fn a_service_that_empties_its_inventory_is_believed_when_it_has_checked_it() {
    let server = Server::start().await;
    server.answer(200, json(1), "\"one\"");
    let dir = TempDir::new().unwrap();
    let cache = dir.join("cache.json");
    let options = UrlOptions {
        cache_file: Some(cache.clone()),
        ..UrlOptions::default()
    };
    let feed = Feed::open(server.source(options)).await.unwrap();
    let empty = Inventory::parse("devices: []", Path::new("t")).unwrap();
    let empty = String::from_utf8(empty.json().to_vec()).unwrap();
    server.answer(200, empty.clone(), "\"two\"");
    let error = feed.refresh().await.unwrap_err();
    assert!(matches!(error, Error::Shrunk { .. }), "{error}");
    assert_eq!(
        std::fs::read_to_string(&cache).unwrap(),
        json(1),
        "nor kept"
    );
    server.answer_checked(200, empty, "\"three\"");
    assert!(feed.refresh().await.unwrap());
    assert_eq!(names(&feed).len(), 0);
}

#[tokio::test]
async fn a_service_is_asked_with_the_tag_of_its_last_answer() {
    let server = Server::start().await;
    server.answer(200, json(1), "\"one\"");
    let feed = Feed::open(server.source(UrlOptions::default()))
        .await
        .unwrap();
    assert_eq!(names(&feed), ["d1"]);
    assert_eq!(
        feed.health().source,
        format!("http://{}/", server.address())
    );
    let task = follow(&feed);
    eventually(SEEN, || async {
        let heads = server.heads();
        anyhow::ensure!(heads.len() >= 2, "one request only");
        assert!(
            heads[0].starts_with("GET /api/v1/inventory HTTP/1.1"),
            "{}",
            heads[0]
        );
        assert!(!heads[0].contains("if-none-match"), "{}", heads[0]);
        assert!(heads[1].contains("if-none-match: \"one\""), "{}", heads[1]);
        Ok(())
    })
    .await
    .unwrap();
    server.answer(200, json(2), "\"two\"");
    shows(&feed, "d2").await;
    task.abort();
}

#[tokio::test]
async fn every_failure_of_a_service_leaves_the_last_good_inventory() {
    let server = Server::start().await;
    server.answer(200, json(1), "\"one\"");
    let feed = Feed::open(server.source(UrlOptions::default()))
        .await
        .unwrap();
    let huge = " ".repeat(inventory::MAX_BYTES + 1);
    for (status, body, expected) in [
        (500, json(2), "500"),
        (404, String::new(), "404"),
        (302, String::new(), "302"),
        (200, "devices: {".to_owned(), ":1:"),
        (200, "{\"device\": []}".to_owned(), "this is no inventory"),
        (
            200,
            "{\"devices\": {}, \"device\": []}".to_owned(),
            "unknown key",
        ),
        (200, huge, "33554432 bytes at most"),
    ] {
        server.answer(status, body, "\"bad\"");
        let error = feed.refresh().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(names(&feed), ["d1"]);
        assert!(!feed.health().up);
        assert_eq!(feed.health().last_error.as_deref(), Some(&*error));
    }
    // The tag of a bad answer is not remembered: the next good one is taken.
    server.answer(200, json(3), "\"bad\"");
    assert!(feed.refresh().await.unwrap());
    assert_eq!(names(&feed), ["d3"]);
    assert_eq!(feed.health().failures, 7);
    server.stop();
    let error = feed.refresh().await.unwrap_err().to_string();
    assert!(error.contains("cannot fetch"), "{error}");
    assert_eq!(names(&feed), ["d3"]);
}

#[tokio::test]
async fn a_reader_starts_from_its_cache_while_the_service_is_down() {
    let dir = TempDir::new().unwrap();
    let options = UrlOptions {
        cache_file: Some(dir.join("cache.json")),
        ..UrlOptions::default()
    };
    let server = Server::start().await;
    server.answer(200, json(1), "\"one\"");
    let source = server.source(options.clone());
    assert_eq!(names(&Feed::open(source.clone()).await.unwrap()), ["d1"]);
    server.stop();

    let feed = Feed::open(source).await.unwrap();
    assert_eq!(names(&feed), ["d1"]);
    let health = feed.health();
    assert!(
        health.loaded && !health.up && health.last_error.is_some(),
        "{health:?}"
    );
    // Nothing but the cache itself is left behind.
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["cache.json"]);

    // A cache that is damaged is as good as none.
    dir.write("cache.json", "{\"devices\": [").unwrap();
    let feed = Feed::open(server.source(options)).await.unwrap();
    assert!(!feed.health().loaded);
    assert!(feed.current().devices().is_empty());
}

#[tokio::test]
async fn a_reader_that_never_read_waits_and_then_reads() {
    let server = Server::start().await;
    server.answer(503, String::new(), "\"\"");
    let feed = Feed::open(server.source(UrlOptions::default()))
        .await
        .unwrap();
    assert!(!feed.health().loaded);
    let mut waiting = feed.clone();
    let task = follow(&feed);
    server.answer(200, json(1), "\"one\"");
    let first = tokio::time::timeout(Duration::from_secs(4), waiting.changed())
        .await
        .unwrap();
    assert!(first.device("d1").is_some());
    assert!(feed.health().loaded);
    task.abort();
}

#[tokio::test]
async fn an_inventory_without_devices_is_loaded_too() {
    let server = Server::start().await;
    server.answer(200, "{}".to_owned(), "\"none\"");
    let feed = Feed::open(server.source(UrlOptions::default()))
        .await
        .unwrap();
    let health = feed.health();
    assert!(
        health.loaded && health.up && !health.version.is_empty(),
        "{health:?}"
    );
}

#[tokio::test]
async fn passwords_are_sent_and_read_again_when_they_change() {
    let dir = TempDir::new().unwrap();
    let server = Server::start().await;
    server.answer(200, json(1), "\"one\"");
    let password_file = Some(dir.write("password", "first\n").unwrap());
    let username = Some("reader".to_owned());
    let feed = Feed::open(server.source(UrlOptions {
        username,
        password_file,
        ..UrlOptions::default()
    }))
    .await
    .unwrap();
    dir.write("password", "second\n").unwrap();
    feed.refresh().await.unwrap();
    let heads = server.heads();
    // base64 of reader:first and reader:second (RFC 7617).
    assert!(
        heads[0].contains("authorization: Basic cmVhZGVyOmZpcnN0\r\n"),
        "{}",
        heads[0]
    );
    assert!(
        heads[1].contains("authorization: Basic cmVhZGVyOnNlY29uZA==\r\n"),
        "{}",
        heads[1]
    );

    let bearer_token_file = Some(dir.write("token", "t0ken\n").unwrap());
    let feed = Feed::open(server.source(UrlOptions {
        bearer_token_file,
        ..UrlOptions::default()
    }))
    .await
    .unwrap();
    assert!(server.heads()[2].contains("authorization: Bearer t0ken\r\n"));
    std::fs::remove_file(dir.join("token")).unwrap();
    assert!(matches!(feed.refresh().await, Err(Error::Read { .. })));
}

#[tokio::test]
async fn sources_that_can_never_work_are_refused_without_their_secrets() {
    let refused = async |url: &str, options: UrlOptions| {
        let source: Source = url.parse().unwrap();
        Feed::open(source.with_options(options))
            .await
            .err()
            .unwrap()
            .to_string()
    };
    let error = refused("http://user:hunter2@127.0.0.1:1", UrlOptions::default()).await;
    assert!(
        error.contains("holds a user or a password") && !error.contains("hunter2"),
        "{error}"
    );
    let half = UrlOptions {
        username: Some("u".into()),
        ..UrlOptions::default()
    };
    assert!(
        refused("http://127.0.0.1:1", half)
            .await
            .contains("expected a username with a password file")
    );
    assert!(
        refused("http://", UrlOptions::default())
            .await
            .contains("not a URL")
    );
    let shown = "https://a.example/x?token=hunter2"
        .parse::<Source>()
        .unwrap()
        .to_string();
    assert_eq!(shown, "https://a.example/x");
}

/// A certificate authority, and a server certificate for 127.0.0.1 that it signed.
fn authority() -> (String, rustls::ServerConfig) {
    let (pem, config, _) = mutual(false);
    (pem, config)
}

/// The same, and certificate and key of a client in one; with `known` the server takes no other client.
fn mutual(known: bool) -> (String, rustls::ServerConfig, String) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&server_key, &issuer)
        .unwrap();
    let secret = rustls::pki_types::PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
        std::sync::Arc::new(roots),
        std::sync::Arc::clone(&provider),
    );
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = if known {
        config.with_client_cert_verifier(clients.build().unwrap())
    } else {
        config.with_no_client_auth()
    };
    let config = config
        .with_single_cert(vec![server.der().clone()], secret)
        .unwrap();
    let key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["ping".to_owned()]).unwrap();
    let client = client.signed_by(&key, &issuer).unwrap().pem() + &key.serialize_pem();
    (certificate.pem(), config, client)
}

#[tokio::test]
async fn a_service_behind_tls_is_trusted_by_its_authority_only() {
    let dir = TempDir::new().unwrap();
    let (pem, config) = authority();
    let server = Server::start_tls(config).await;
    server.answer(200, json(1), "\"one\"");
    let (other, _) = authority();
    let ca_file = dir.write("ca.pem", other).unwrap();
    let url: Source = format!("https://{}", server.address()).parse().unwrap();
    let options = UrlOptions {
        ca_file: Some(ca_file),
        ..UrlOptions::default()
    };
    let feed = Feed::open(url.with_options(options)).await.unwrap();
    assert!(!feed.health().loaded);
    let error = feed.health().last_error.unwrap();
    assert!(error.contains("certificate"), "{error}");

    // The file of authorities is read again when it changes.
    dir.write("ca.pem", "not a certificate").unwrap();
    assert!(
        feed.refresh()
            .await
            .unwrap_err()
            .to_string()
            .contains("holds no PEM certificate")
    );
    dir.write("ca.pem", pem).unwrap();
    assert!(feed.refresh().await.unwrap());
    assert_eq!(names(&feed), ["d1"]);
}

#[tokio::test]
async fn a_service_that_takes_known_clients_only_is_shown_a_certificate() {
    let dir = TempDir::new().unwrap();
    let (pem, config, own) = mutual(true);
    let server = Server::start_tls(config).await;
    server.answer(200, json(1), "\"one\"");
    let (key, certificate) = (dir.join("own.key"), dir.join("own.pem"));
    let options = UrlOptions {
        ca_file: Some(dir.write("ca.pem", pem).unwrap()),
        ..UrlOptions::default()
    };
    let url: Source = format!("https://{}", server.address()).parse().unwrap();
    let none = Feed::open(url.clone().with_options(options.clone())).await;
    assert!(!none.unwrap().health().loaded, "without a certificate");
    let half = UrlOptions {
        cert_file: Some(certificate.clone()),
        ..options.clone()
    };
    let Err(error) = Feed::open(url.clone().with_options(half)).await else {
        panic!("a certificate without its key");
    };
    assert!(error.to_string().contains("with its key"), "{error}");
    let whole = UrlOptions {
        cert_file: Some(certificate.clone()),
        key_file: Some(key.clone()),
        ..options
    };
    // One of another authority, then the right one in its place.
    let (_, _, other) = mutual(true);
    let write = |text: &str| {
        let at = text.find("-----BEGIN PRIVATE").unwrap();
        std::fs::write(&certificate, &text[..at]).unwrap();
        std::fs::write(&key, &text[at..]).unwrap();
    };
    write(&other);
    let feed = Feed::open(url.with_options(whole)).await.unwrap();
    assert!(!feed.health().loaded);
    write(&own);
    assert!(feed.refresh().await.unwrap());
    assert_eq!(names(&feed), ["d1"]);
}
