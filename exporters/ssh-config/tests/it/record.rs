use std::process::{Command, Output};

use crate::world::{EXPORTER, SECRETS, World};

fn record(world: &World, device: &str, folder: &str) -> Output {
    let at = |name: &str| world.dir.join(name).display().to_string();
    Command::new(EXPORTER)
        .arg("record")
        .arg(format!("--config.file={}", at("ssh-config.yaml")))
        .arg(format!("--inventory.source={}", at("inventory.yaml")))
        .args([device.to_owned(), at(folder)])
        .output()
        .unwrap()
}

async fn recorded(
    world: &World,
    device: &'static str,
    folder: &'static str,
) -> (Option<i32>, String) {
    // The devices are in this process: their runtime has to go on.
    let output = tokio::task::block_in_place(|| record(world, device, folder));
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn session_is_recorded_without_secrets_and_addresses_and_nothing_is_overwritten() {
    let world = World::new().await;
    let (code, said) = recorded(&world, "r1", "out").await;
    assert_eq!(code, Some(0), "{said}");
    let folder = world.dir.join("out");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let config = read("show-running-config.raw");
    assert!(
        config.starts_with("$ show running-config\nBuilding configuration...\n"),
        "{config}"
    );
    assert!(
        config.ends_with("\nend\n") && config.contains("\nhostname r1\n"),
        "{config}"
    );
    let version = read("show-version.raw");
    assert!(version.contains("FRRouting 8.4.4 (r1)"), "{version}");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    let driver = ssh::Driver::load("frr").unwrap();
    let recording = ssh::Recording::parse(&read("session.txt")).unwrap();
    let answers = recording.replay(&driver).unwrap();
    let lines = answers
        .iter()
        .find(|(command, _)| command == "show running-config");
    let text = lines.unwrap().1.join("\n");
    assert_eq!(config, format!("$ show running-config\n{text}\n"));

    let typed = world.r1.typed().len();
    let (code, said) = recorded(&world, "r1", "out").await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(read("show-running-config.raw"), config);
    assert_eq!(world.r1.typed().len(), typed, "it was not even asked");
    for (device, why) in [
        ("r9", "no device of the inventory"),
        ("r4", "no_credential"),
        ("r5", "no_driver"),
    ] {
        let (code, said) = recorded(&world, device, "other").await;
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!world.dir.join("other").exists());
    }
}
