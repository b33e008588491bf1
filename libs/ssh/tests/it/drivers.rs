//! Each driver against what its platform writes: `testdata/PLATFORM/NAME.raw` is the answer to the command on its first line (`$ …`),
//! `stored.txt` what becomes of the configuration, `facts.txt` what is read of the device itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ssh::{Driver, Drivers, HostKeys, Login, Masker, OnUnknown, Session, Target, Transport};
use testkit::ssh::Device;
use toolkit::Secret;

/// Beginning and end of the prompt of a platform whose prompt is not `r1# `; at the end what pages and what erases that.
const PROMPTS: [(&str, &str, &str); 7] = [
    ("comware", "<r1", ">"),
    ("fortios", "r1", " # "),
    ("iosxr", "RP/0/RP0/CPU0:r1", "#"),
    ("junos", "bob@r1", "> "),
    ("routeros", "[bob@r1", "] > "),
    ("vrp", "<r1", ">"),
    ("vyos", "bob@r1", ":~$ "),
];

fn folder(platform: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(platform)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Commands of a platform, with what each answers.
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

/// Beginning and end of the prompt.
fn prompt(platform: &str) -> (&'static str, &'static str) {
    let own = PROMPTS.iter().find(|(name, ..)| *name == platform);
    own.map_or(("r1", "# "), |(_, name, end)| (name, end))
}

fn masker() -> Masker {
    Masker::new(&Secret::new("key of the tests"))
}

fn hold(path: &Path, text: &str, platform: &str) {
    if std::env::var_os("SOTP_WRITE_GOLDEN").is_some() {
        std::fs::write(path, text).unwrap();
    }
    assert_eq!(text, read(path), "{platform}");
}

#[tokio::test]
async fn every_driver_stores_what_was_recorded_of_its_platform() {
    for platform in Drivers::built_in().platforms() {
        let driver = Driver::load(platform).unwrap();
        let (name, end) = prompt(platform);
        // RouterOS takes settings of the terminal behind the account.
        let user = match platform {
            "routeros" => "bob+ct511w4098h",
            _ => "bob",
        };
        let mut device = Device::new(name, user, "right").end(end);
        for (command, answer) in recorded(platform) {
            device = device.answer(&command, &answer);
        }
        if platform == "fortios" {
            device = device
                .page(5, "no such command")
                .pager("--More-- ", "\r         \r");
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
        let masked = masker().mask(Some(&driver), collected.text());
        hold(&folder(platform).join("stored.txt"), &masked.text, platform);
        for secret in ["s3cret", "$1$", "$6$", "$9$", "0822455D0A16"] {
            assert!(!masked.text.contains(secret), "{platform}: {secret}");
        }
        let facts = session.facts().await.unwrap();
        let told = format!("{:?}\n{facts:#?}\n", collected.author());
        hold(&folder(platform).join("facts.txt"), &told, platform);
        let outputs: Vec<_> = driver.outputs().iter().collect();
        let about = session.about(&outputs).await.unwrap();
        assert_eq!(about.facts, facts, "{platform}");
        let masked = |text: &str| masker().mask(Some(&driver), text).text;
        let kept = about.outputs.iter();
        let kept = kept.map(|(name, text)| format!("# {name}\n{}", masked(text)));
        let kept: String = kept.collect();
        hold(&folder(platform).join("outputs.txt"), &kept, platform);
        let startup = session.startup(None).await.unwrap();
        assert_eq!(startup.is_some(), driver.has_startup(), "{platform}");
        if driver.transport() == Transport::Shell {
            assert!(driver.can_configure(), "{platform}");
        }
    }
}

/// What a device writes of its configuration, cut at every byte and followed by its prompt as if it were whole, or by nothing.
#[test]
fn no_cut_of_a_configuration_is_whole_on_any_platform() {
    for platform in Drivers::built_in().platforms() {
        let driver = Driver::load(platform).unwrap();
        if driver.transport() == Transport::Exec {
            continue;
        }
        let (name, end) = prompt(platform);
        let prompt = format!("{name}{end}");
        let recorded = recorded(platform);
        let (command, text) = recorded
            .iter()
            .find(|(command, _)| driver.commands().contains(command))
            .unwrap_or_else(|| panic!("{platform}"));
        let text = text.replace('\n', "\r\n");
        let replay = ssh::Replay::new(&driver, prompt.as_bytes()).unwrap();
        let answer = |text: &str, tail: &str| {
            let said = format!("{command}\r\n{text}{tail}");
            replay.answer(command, &[said.as_bytes()])
        };
        let (whole, complete) = answer(&text, &prompt).unwrap();
        assert!(complete, "{platform}");
        let whole = driver.normalise(&whole);
        for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            if cut % 16 == 0 {
                assert_eq!(answer(&text[..cut], ""), None, "{platform}: cut at {cut}");
            }
            let Some((lines, true)) = answer(&text[..cut], &prompt) else {
                continue;
            };
            // Where nothing stands at the end, a second reading that is the same is wanted as well.
            let same = driver.normalise(&lines) == whole;
            assert!(same || driver.is_read_twice(), "{platform}: cut at {cut}");
        }
    }
}
