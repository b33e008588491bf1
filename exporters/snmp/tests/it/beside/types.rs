//! Every type of value, and the default modules.

use std::path::Path;

use crate::agent::Agent;
use testkit::{Process, Spawn, TempDir};

use super::peer::{Peer, body, difference, series, serving};

/// The form that snmp_exporter had before 0.23: modules at the top, credentials (here the default ones) inside them.
fn before_the_split(text: &str) -> String {
    let modules = text.split_once("\nmodules:\n").unwrap().1;
    modules
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .fold(String::new(), |out, line| out + line + "\n")
}

async fn compare(name: &str, yml: &str, agent: Agent) {
    let Some(theirs) = Peer::start(&before_the_split(yml)).await else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let new = dir.join("new.yml");
    std::fs::write(&new, yml).unwrap();
    let target = serving(agent);
    let ours: Process = Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args([format!("--config.file={}", new.display())])
        .start()
        .await
        .unwrap();
    let config = sotp_snmp::config::parse(
        yml,
        Path::new("new.yml"),
        sotp_snmp::config::Options::default(),
    )
    .unwrap();
    let mut compared = 0;
    for module in config.modules.keys() {
        let (their_status, their_text) = body(&theirs.address, &target, module).await;
        let (status, text) = body(ours.address(), &target, module).await;
        assert_eq!(
            (their_status, status),
            (200, 200),
            "{name} {module}: {their_text}\n{text}"
        );
        if let Some(difference) = difference(&their_text, &text) {
            panic!("{name} {module}\n{difference}");
        }
        compared += series(&text).len();
    }
    assert!(
        compared > 100,
        "{name}: only {compared} lines were compared"
    );
}

const TYPES: &str = include_str!("../../../testdata/types.yml");
const RECORDED: &str = include_str!("../../../testdata/types.snmprec");

/// Version 0.21 refuses text that is no UTF-8, and does not read the type of an address that is looked up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_has_the_same_text() {
    let newer = ["99999.1.1.3.2|", "99999.3.1.1.3.65.255"];
    let recorded: String = RECORDED
        .lines()
        .filter(|line| !newer.iter().any(|part| line.contains(part)))
        .map(|line| format!("{line}\n"))
        .collect();
    let yml: String = TYPES
        .lines()
        .filter(|line| !line.contains("labelname: address, oid"))
        .map(|line| format!("{line}\n"))
        .collect();
    compare("types", &yml, Agent::from_snmprec(&recorded).unwrap()).await;
}

/// `types.golden.txt` is what version 0.30.1 answered for the same files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_has_the_text_of_a_current_version() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.join("snmp.yml"), TYPES).unwrap();
    // An index that is no UTF-8 is refused by 0.30.1; its successor replaces it, as we do.
    let recorded: String = RECORDED
        .lines()
        .filter(|line| !line.contains("99999.3.1.1.3.65.255"))
        .map(|line| format!("{line}\n"))
        .collect();
    let target = serving(Agent::from_snmprec(&recorded).unwrap());
    for flags in [&[][..], &["--snmp.strict"]] {
        let file = format!("--config.file={}", dir.join("snmp.yml").display());
        let ours = Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
            .args([file])
            .args(flags.iter().copied())
            .start()
            .await
            .unwrap();
        let (status, text) = body(ours.address(), &target, "types").await;
        assert_eq!(status, 200, "{text}");
        let golden = include_str!("../../../testdata/types.golden.txt");
        assert_eq!(difference(golden, &text), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_modules_have_the_same_text() {
    compare(
        "default",
        include_str!("../../../default.yml"),
        Agent::with_interfaces(60),
    )
    .await;
}
