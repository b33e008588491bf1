//! Each driver against what was recorded of its platform: `testdata/PLATFORM/NAME.raw` is what the device writes to the
//! command that begins with `NAME`, `stored.txt` what becomes of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ssh::{Driver, Drivers, HostKeys, Login, Masker, OnUnknown, Session, Target, Transport};
use testkit::ssh::Device;
use toolkit::Secret;

fn folder(platform: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(platform)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Commands of a driver file, with the file of what each answers.
fn recorded(platform: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder(platform)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "raw") {
            let text = read(&path);
            let (command, answer) = text.split_once('\n').unwrap();
            match command.strip_prefix("$ ") {
                Some(command) => found.push((command.to_owned(), answer.to_owned())),
                None => found.push(("show running-config".to_owned(), text)),
            }
        }
    }
    found
}

#[tokio::test]
async fn every_driver_stores_what_was_recorded_of_its_platform() {
    for platform in Drivers::built_in().platforms() {
        let driver = Driver::load(platform).unwrap();
        let mut device = Device::new("r1", "bob", "right");
        if platform == "junos" {
            device = Device::new("bob@r1", "bob", "right").end("> ");
        }
        for (command, answer) in recorded(platform) {
            device = device.answer(&command, &answer);
        }
        let device = device.start().await.unwrap();
        let dir = testkit::TempDir::new().unwrap();
        let keys = dir.write("known_hosts", &device.known_host).unwrap();
        let keys = Arc::new(HostKeys::new(keys, OnUnknown::Refuse));
        let target = Target::new("127.0.0.1", device.address.port());
        let login = Login::new("bob").password(Secret::new("right"));
        let mut session = Session::open(&target, &login, &driver, &keys)
            .await
            .unwrap_or_else(|error| panic!("{platform}: {error}"));
        let collected = session
            .collect()
            .await
            .unwrap_or_else(|error| panic!("{platform}: {error}"));
        assert_eq!(collected.complete, Ok(()), "{platform}");
        let masked =
            Masker::new(&Secret::new("key of the tests")).mask(Some(&driver), &collected.text);
        let stored = folder(platform).join("stored.txt");
        if std::env::var_os("SOTP_WRITE_GOLDEN").is_some() {
            std::fs::write(&stored, &masked.text).unwrap();
        }
        assert_eq!(masked.text, read(&stored), "{platform}");
        for secret in ["s3cret", "$1$", "$6$", "$9$", "0822455D0A16"] {
            assert!(!masked.text.contains(secret), "{platform}: {secret}");
        }
        if driver.transport() == Transport::Shell {
            assert!(driver.can_configure(), "{platform}");
        }
    }
}
