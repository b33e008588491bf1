//! Secrets in every place of a configuration that takes one, and no word of them in anything that a service answers or logs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use sotp_checks::root;
use testkit::{Spawn, TempDir, services};

/// What must be nowhere.
const CANARY: &str = "CANARY-7f3a91";
/// Pages of every service; one that a service has not is as good.
const PAGES: [&str; 7] = [
    "/",
    "/config",
    "/metrics",
    "/-/ready",
    "/api/v1/status",
    "/api/v1/openapi.json",
    "/no-such-page",
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Place {
    config: String,
    /// Paths that are asked for besides.
    asks: Vec<String>,
    /// Flags besides.
    flags: Vec<String>,
}

fn places() -> BTreeMap<String, Place> {
    let text = std::fs::read_to_string(root().join("checks/testdata/canaries.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

#[test]
fn every_service_is_in_the_table() {
    let table = ::services::Table::ours().unwrap();
    let known: Vec<String> = places().into_keys().collect();
    let mut all: Vec<String> = table.service.into_iter().map(|one| one.name).collect();
    all.sort();
    assert_eq!(known, all, "checks/testdata/canaries.toml");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_service_shows_a_secret_of_its_configuration() {
    let all: Vec<_> = places()
        .into_iter()
        .map(|(name, place)| {
            tokio::spawn(async move {
                let found = shown(&name, &place).await;
                (name, found)
            })
        })
        .collect();
    for one in all {
        let (name, found) = one.await.unwrap();
        assert_eq!(found, Vec::<String>::new(), "{name}");
    }
}

/// Where the canary was seen: pages and lines of the log.
async fn shown(name: &str, place: &Place) -> Vec<String> {
    let dir = TempDir::new().unwrap();
    dir.write("canary", format!("{CANARY}\n")).unwrap();
    dir.write("known_hosts", "").unwrap();
    let devices = dir
        .write(
            "inventory.yaml",
            "devices: [{name: r1, address: 127.0.0.1}]\n",
        )
        .unwrap();
    let mut args = vec!["--log.level=debug".to_owned()];
    args.extend(place.flags.iter().cloned());
    if !place.config.is_empty() {
        let config = dir.write("config.yaml", &place.config).unwrap();
        args.push(format!("--config.file={}", config.display()));
    }
    let help = std::process::Command::new(services::program(name))
        .arg("--help")
        .output()
        .unwrap();
    if String::from_utf8_lossy(&help.stdout).contains("--inventory.source") {
        args.push(format!("--inventory.source={}", devices.display()));
    }
    let process = Spawn::new(services::program(name))
        .args(args)
        .start()
        .await
        .unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let mut found = Vec::new();
    for page in PAGES
        .iter()
        .copied()
        .chain(place.asks.iter().map(String::as_str))
    {
        if let Ok((_, text)) = process.get(page).await
            && text.contains(CANARY)
        {
            found.push(page.to_owned());
        }
    }
    let reload = testkit::client()
        .post(process.url("/-/reload"))
        .send()
        .await;
    if let Ok(answer) = reload
        && answer.text().await.unwrap_or_default().contains(CANARY)
    {
        found.push("/-/reload".to_owned());
    }
    // What calls others has failed to by now, and said so.
    let _ = process.logged("refused", Duration::from_secs(2)).await;
    let log = process.log();
    found.extend(
        log.lines()
            .filter(|line| line.contains(CANARY))
            .map(str::to_owned),
    );
    found
}

#[tokio::test]
async fn a_secret_that_is_shown_is_found() {
    // A name is shown wherever it is used.
    let place = Place {
        config: format!("brokers: [{{name: {CANARY}, url: 'mqtt://127.0.0.1:9'}}]\n"),
        ..Place::default()
    };
    let found = shown("sotp-mqtt", &place).await;
    assert!(found.iter().any(|one| one == "/config"), "{found:?}");
    assert!(found.iter().any(|one| one == "/metrics"), "{found:?}");
}
