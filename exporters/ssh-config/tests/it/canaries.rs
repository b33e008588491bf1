//! Secrets of every family, as each platform writes them, through everything that the program says: none is to be seen anywhere.

use std::path::Path;

use serde_json::json;
use testkit::ssh::{Device, Running};

use crate::world::{World, ask, event, series};

/// What stands between « and » is a secret.
const CANARIES: &str = include_str!("../../../../libs/ssh/testdata/canaries.txt");
/// Beginning and end of the prompt, and the command, where they are not `r1# ` and `show running-config`.
const PLATFORMS: [(&str, &str, &str, &str); 8] = [
    ("comware", "<r1", ">", "display current-configuration"),
    ("fortios", "r1", " # ", "show"),
    ("iosxr", "RP/0/RP0/CPU0:r1", "#", "show running-config"),
    ("junos", "bob@r1", "> ", "show configuration"),
    ("routeros", "[bob@r1", "] > ", "/export show-sensitive"),
    ("vrp", "<r1", ">", "display current-configuration"),
    (
        "vyos",
        "bob@r1",
        ":~$ ",
        "show configuration commands | no-more",
    ),
    ("linux", "r1", "# ", "ip -oneline link show"),
];

struct Canary {
    platform: &'static str,
    command: &'static str,
    device: Running,
    secrets: Vec<String>,
    /// The configuration, and the same one with every secret changed.
    texts: [String; 2],
}

/// Another secret of the same form: two characters of its end change places.
fn rotated(secret: &str) -> String {
    let mut chars: Vec<char> = secret.chars().collect();
    let plain: Vec<usize> = (0..chars.len())
        .filter(|at| chars[*at].is_ascii_alphanumeric())
        .collect();
    let last = plain[plain.len() - 1];
    if let Some(other) = plain.iter().rev().find(|at| chars[**at] != chars[last]) {
        chars.swap(*other, last);
    }
    chars.into_iter().collect()
}

async fn canaries() -> Vec<Canary> {
    let mut all = Vec::new();
    for (number, section) in CANARIES.split("\n=== ").skip(1).enumerate() {
        let (platform, text) = section.split_once('\n').unwrap();
        let own = PLATFORMS.iter().find(|own| own.0 == platform);
        let (name, end, command) = own.map_or(("r1", "# ", "show running-config"), |own| {
            (own.1, own.2, own.3)
        });
        let (mut secrets, mut other) = (Vec::new(), String::new());
        for piece in text.split_inclusive(['«', '»']) {
            match piece.strip_suffix('»') {
                Some(secret) => {
                    let next = rotated(secret);
                    other.push_str(&next);
                    secrets.extend([secret.to_owned(), next]);
                }
                None => other.push_str(piece.trim_end_matches('«')),
            }
        }
        let text = text.replace(['«', '»'], "");
        let user = match platform {
            "routeros" => "sotp+ct511w4098h",
            _ => "sotp",
        };
        let number = u8::try_from(number + 1).unwrap();
        let mut device = Device::new(name, user, "s3cretLogin")
            .end(end)
            .at([127, 0, 1, number].into())
            .answer(command, &text);
        // A host is asked by several commands; the others say nothing of interest.
        let driver = ssh::Driver::load(platform).unwrap();
        for other in driver.commands().iter().filter(|own| *own != command) {
            device = device.answer(other, "nothing\n");
        }
        let device = device.start().await.unwrap();
        all.push(Canary {
            platform,
            command,
            device,
            secrets,
            texts: [text, other],
        });
    }
    all
}

/// Every byte below a folder, of git what git shows.
fn on_disk(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "git") {
            let output = std::process::Command::new("git")
                .current_dir(&path)
                .args(["log", "--all", "-p", "--format=fuller"])
                .output()
                .unwrap();
            assert!(output.status.success());
            text.push_str(&String::from_utf8_lossy(&output.stdout));
        } else if path.is_dir() {
            on_disk(&path, text);
        } else {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
}

#[tokio::test]
async fn no_secret_of_any_family_and_platform_is_in_anything_that_the_program_says() {
    let world = World::new().await;
    let canaries = canaries().await;
    let names: Vec<&str> = canaries.iter().map(|own| own.platform).collect();
    let (mut inventory, mut known) = (String::from("devices:\n"), String::new());
    for Canary {
        platform, device, ..
    } in &canaries
    {
        let (address, port) = (device.address.ip(), device.address.port());
        inventory += &format!(
            "- {{name: {platform}, address: {address}, role: r, platform: {platform}, ssh: {{port: {port}, credentials: lab}}}}\n"
        );
        known += &device.known_host;
    }
    world.dir.write("inventory.yaml", inventory).unwrap();
    world.dir.write("known_hosts", known).unwrap();
    let config = std::fs::read_to_string(world.dir.join("ssh-config.yaml")).unwrap();
    let bound = format!("devices: [{}]", names.join(", "));
    let config = config.replace("devices: [r1, r2, r3, r5, r6]", &bound);
    world.dir.write("ssh-config.yaml", config).unwrap();
    let copy = world.dir.join("copy.git");
    git::Repository::open(&copy, "x <x@localhost>").unwrap();
    world.configure(&format!("push: {{url: '{}'}}\n", copy.display()));

    let process = world.start().await;
    for name in &names {
        series(&process, "sshconfig_up", &[("device", name)], 1.0).await;
    }
    for own in &canaries {
        own.device.answer(own.command, &own.texts[1]);
        let taken = event(
            &process,
            "configuration_change",
            own.platform,
            json!({"user": "alice"}),
            "s3cretEvents",
        );
        assert_eq!(taken.await, 200);
    }
    let mut said = Vec::new();
    for name in &names {
        let changes = "sshconfig_changes_total";
        series(&process, changes, &[("device", name)], 1.0).await;
        for path in [
            "configuration",
            "configuration?version=-1&format=json",
            "diff",
            "diff?format=unified",
            "diff?format=sections",
            "versions",
            "rules",
            "restore",
        ] {
            let (status, text) =
                ask(&process, "alice", &format!("/api/v1/devices/{name}/{path}")).await;
            assert!(matches!(status, 200 | 409), "{name}/{path}: {text}");
            said.push((format!("{name}/{path}"), text));
        }
    }
    for path in [
        "/api/v1/devices",
        "/api/v1/violations",
        "/api/v1/history?minutes=60",
        "/api/v1/search?pattern=.",
        "/api/v1/outliers",
        "/metrics",
        "/config",
    ] {
        let (status, text) = ask(&process, "alice", path).await;
        assert_eq!(status, 200, "{path}: {text}");
        said.push((path.to_owned(), text));
    }
    // The last version is sent on soon, and its line as well.
    testkit::eventually(std::time::Duration::from_secs(30), || async {
        let sent = git::Repository::open(&copy, "x <x@localhost>").and_then(|copy| {
            let all = names
                .iter()
                .map(|name| copy.versions(&format!("refs/heads/device/{name}"), |_| true));
            all.map(|versions| versions.map(|versions| versions.len()))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let lines = world.loki.entries().len();
        match sent.iter().all(|count| *count == 2) && lines >= names.len() {
            true => Ok(()),
            false => Err(std::io::Error::other(format!("{sent:?}, {lines} lines")).into()),
        }
    })
    .await
    .unwrap();
    said.push(("log".to_owned(), process.log()));
    said.push(("loki".to_owned(), format!("{:?}", world.loki.entries())));
    let mut disk = String::new();
    on_disk(&world.dir.join("ssh-config"), &mut disk);
    on_disk(&world.dir.join("audit"), &mut disk);
    on_disk(world.dir.path(), &mut disk);
    said.push(("disk".to_owned(), disk));

    let mut found = Vec::new();
    for (what, text) in &said {
        for Canary {
            platform, secrets, ..
        } in &canaries
        {
            for secret in secrets {
                let bare = secret.trim_matches('"');
                for part in bare.split(' ').filter(|part| part.len() > 3) {
                    if text.contains(part) {
                        found.push(format!("{what}: {platform}: {part}"));
                    }
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "{} are seen:\n{}",
        found.len(),
        found.join("\n")
    );
    // The same test would see them.
    let shown = &said.iter().find(|(what, _)| what == "disk").unwrap().1;
    for name in names {
        assert!(
            shown.contains(&format!("{name}: changed by alice")),
            "{name}"
        );
    }
    assert!(shown.matches("<masked:").count() > 500);
}
