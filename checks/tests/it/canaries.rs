//! Secrets in every place of a configuration that takes one, and no word of them in anything that a service answers or logs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
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
    /// The inventory is asked for over HTTP, once with a password and once with a token, in place of a file.
    inventory: bool,
    /// With a web configuration, whose user's password is the canary.
    web: bool,
    /// Configurations that are not taken.
    refused: Vec<String>,
}

fn places() -> BTreeMap<String, Vec<Place>> {
    let text = std::fs::read_to_string(root().join("checks/testdata/canaries.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

/// What a flag or key of a reference page is named by when it takes a secret, or an address that a secret may stand in.
fn takes_a_secret(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let file = [
        "password",
        "token",
        "secret",
        "privilege",
        "passphrase",
        "key",
        "community",
    ];
    let file = file.iter().any(|kind| {
        last.ends_with(&format!("{kind}_file")) || last.ends_with(&format!("{kind}-file"))
    });
    file || last.ends_with("url") || name == "--inventory.source"
}

/// Every flag and key of the reference page that takes a secret.
fn wanted(reference: &str) -> Vec<String> {
    let names = reference.lines().filter_map(|line| {
        let name = line.strip_prefix("| `")?.split(['`', '=']).next()?;
        Some(name.to_owned())
    });
    names.filter(|name| takes_a_secret(name)).collect()
}

/// Addresses that no login can stand in; the scheme alone says what is at the other end.
const NO_LOGIN: [(&str, &str); 1] = [("sotp-inventory", "--inventory.source")];

/// Whether a value of this path is a canary; `[]` and `NAME` stand for any.
fn holds(value: &serde_json::Value, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        let text = value.as_str().unwrap_or_default();
        return text.contains(CANARY) || text.starts_with("canary");
    };
    let (name, each) = match first.strip_suffix("[]") {
        Some(name) => (name, true),
        None => (*first, false),
    };
    let next: Vec<_> = match (name, value.as_object()) {
        (_, None) => return false,
        ("NAME", Some(all)) => all.values().collect(),
        (name, Some(all)) => all.get(name).into_iter().collect(),
    };
    next.into_iter().any(|next| match next.as_array() {
        Some(items) if each => items.iter().any(|item| holds(item, rest)),
        _ => holds(next, rest),
    })
}

impl Place {
    fn covers(&self, name: &str) -> bool {
        if name.starts_with("--inventory.") && self.inventory {
            return true;
        }
        if name.starts_with("--") {
            let flag = format!("{name}=");
            let mut given = self.flags.iter().filter_map(|it| it.strip_prefix(&*flag));
            return given.any(|value| value.contains(CANARY) || value == "canary");
        }
        let path: Vec<_> = name.split('.').collect();
        std::iter::once(&self.config)
            .chain(&self.refused)
            .any(|text| holds(&serde_saphyr::from_str(text).unwrap_or_default(), &path))
    }
}

#[test]
fn every_service_is_in_the_table() {
    let table = ::services::Table::ours().unwrap();
    let known: Vec<String> = places().into_keys().collect();
    let mut all: Vec<String> = table.service.into_iter().map(|one| one.name).collect();
    all.sort();
    assert_eq!(known, all, "checks/testdata/canaries.toml");
}

/// Every flag and key of the reference pages that takes a secret has one in `checks/testdata/canaries.toml`.
#[test]
fn every_place_for_a_secret_has_a_canary() {
    let (mut missing, mut count) = (Vec::new(), 0);
    for (service, places) in places() {
        let page = service.trim_start_matches("sotp-");
        let page = root().join(format!("docs/reference/{page}.md"));
        for name in wanted(&std::fs::read_to_string(page).unwrap()) {
            count += 1;
            let none = NO_LOGIN.contains(&(&service, &name));
            if !none && !places.iter().any(|place| place.covers(&name)) {
                missing.push(format!("{service} {name}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(
        count > 80,
        "{count}: the reference pages are not understood"
    );
}

#[test]
fn a_place_without_a_canary_is_found() {
    let place = Place {
        config: "loki: [{url: 'http://x', token_file: canary}]\nc: {a: {key_file: canary.key}}\n"
            .to_owned(),
        flags: vec!["--x.token-file=canary".to_owned()],
        ..Place::default()
    };
    for (name, covered) in [
        ("loki[].token_file", true),
        ("loki[].url", false),
        ("loki[].password_file", false),
        ("c.NAME.key_file", true),
        ("c.NAME.b.key_file", false),
        ("--x.token-file", true),
        ("--x.password-file", false),
        ("--inventory.password-file", false),
    ] {
        assert_eq!(place.covers(name), covered, "{name}");
    }
    let page = "| `--a.password-file=PATH` | x |\n| `a.url` | x |\n| `a_url_total` | x |\n| `a` | `b_file` |\n";
    assert_eq!(wanted(page), ["--a.password-file", "a.url"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_service_shows_a_secret_of_its_configuration() {
    let all = places().into_iter().flat_map(|(name, places)| {
        let numbered = places.into_iter().enumerate();
        numbered.map(move |(number, place)| (name.clone(), number, place))
    });
    let all: Vec<_> = all
        .map(|(name, number, place)| {
            tokio::spawn(async move {
                let mut found = shown(&name, &place, "token").await;
                if place.inventory {
                    found.extend(shown(&name, &place, "password").await);
                    let flag = format!("--inventory.source=http://user:{CANARY}@127.0.0.1:9");
                    found.extend(said_of(&name, "", vec![flag]).await);
                }
                for config in &place.refused {
                    found.extend(said_of(&name, config, Vec::new()).await);
                }
                (format!("{name} {number}"), found)
            })
        })
        .collect();
    let mut shown = BTreeMap::new();
    for one in all {
        let (name, found) = one.await.unwrap();
        if !found.is_empty() {
            shown.insert(name, found);
        }
    }
    assert!(shown.is_empty(), "{shown:#?}");
}

/// The files of secrets, with the secret in each.
fn secrets(dir: &TempDir) {
    dir.write("canary", format!("{CANARY}\n")).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    for (name, pem) in [
        ("canary.key", key.serialize_pem()),
        ("canary.pem", certificate.pem()),
    ] {
        dir.write(name, format!("{CANARY}\n{pem}")).unwrap();
    }
    for (name, passphrase) in [("canary-ssh.key", CANARY), ("canary-open.key", "")] {
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", passphrase, "-C", CANARY, "-f"])
            .arg(dir.join(name))
            .status();
        assert!(made.unwrap().success());
    }
    dir.write("known_hosts", "").unwrap();
    dir.write(
        "inventory.yaml",
        "devices: [{name: r1, address: 127.0.0.1}]\n",
    )
    .unwrap();
}

/// The program, held against its sources once.
fn program(name: &str) -> PathBuf {
    static KNOWN: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    if let Some(path) = KNOWN.lock().unwrap().get(name) {
        return path.clone();
    }
    let path = services::program(name);
    KNOWN.lock().unwrap().insert(name.to_owned(), path.clone());
    path
}

/// A file of devices, for a service that needs one.
fn devices(name: &str, dir: &TempDir) -> Option<String> {
    let help = std::process::Command::new(program(name))
        .arg("--help")
        .output()
        .unwrap();
    let wanted = String::from_utf8_lossy(&help.stdout).contains("--inventory.source");
    let file = dir.join("inventory.yaml");
    wanted.then(|| format!("--inventory.source={}", file.display()))
}

/// What is said of the secret by a service that does not start with this; that it starts is as bad.
async fn said_of(name: &str, config: &str, mut args: Vec<String>) -> Vec<String> {
    let dir = TempDir::new().unwrap();
    secrets(&dir);
    let config = dir.write("config.yaml", config).unwrap();
    args.push(format!("--config.file={}", config.display()));
    if !args[0].starts_with("--inventory.source") {
        args.extend(devices(name, &dir));
    }
    match Spawn::new(program(name)).args(args).start().await {
        Ok(_) => vec!["a secret in an address is taken".to_owned()],
        Err(error) => format!("{error:#}")
            .lines()
            .filter(|line| line.contains(CANARY))
            .map(str::to_owned)
            .collect(),
    }
}

/// Where the canary was seen: pages and lines of the log. The inventory is asked for with a `password` or a `token`.
async fn shown(name: &str, place: &Place, login: &str) -> Vec<String> {
    let dir = TempDir::new().unwrap();
    secrets(&dir);
    let at = |file: &str| dir.join(file).display().to_string();
    let mut args = vec!["--log.level=debug".to_owned()];
    args.extend(place.flags.iter().map(|flag| {
        // Files of a flag lie where the service runs.
        match flag.split_once('=') {
            Some((flag, file @ ("canary" | "traps"))) => format!("{flag}={}", at(file)),
            _ => flag.clone(),
        }
    }));
    if !place.config.is_empty() {
        let config = dir.write("config.yaml", &place.config).unwrap();
        args.push(format!("--config.file={}", config.display()));
    }
    if place.web {
        let hash = bcrypt::hash(CANARY, 4).unwrap();
        let web = format!("basic_auth_users: {{alice: {hash}}}\n");
        let web = dir.write("web.yaml", web).unwrap();
        args.push(format!("--web.config.file={}", web.display()));
    }
    if place.inventory {
        args.push("--inventory.source=http://127.0.0.1:9".to_owned());
        args.extend(match login {
            "token" => vec![format!("--inventory.bearer-token-file={}", at("canary"))],
            _ => vec![
                "--inventory.username=u".to_owned(),
                format!("--inventory.password-file={}", at("canary")),
            ],
        });
        let cache = dir.write("cache.yaml", "devices: []\n").unwrap();
        args.push(format!("--inventory.cache-file={}", cache.display()));
    } else {
        args.extend(devices(name, &dir));
    }
    let started = Spawn::new(program(name)).args(args);
    let process = match started.start().await {
        Ok(process) => process,
        Err(error) => return vec![format!("does not start: {error:#}")],
    };
    let ask = async |method: http::Method, path: &str| {
        let mut asked = testkit::client().request(method, process.url(path));
        if place.web {
            asked = asked.basic_auth("alice", Some(CANARY));
        }
        let answer = asked.send().await.map_err(|_| ())?;
        let known = answer.status() != http::StatusCode::UNAUTHORIZED;
        assert!(known, "{name} {path} does not know the user");
        answer.text().await.map_err(|_| ())
    };
    let mut found = Vec::new();
    let asks = place.asks.iter().map(String::as_str);
    for page in PAGES.iter().copied().chain(asks) {
        let answered = ask(http::Method::GET, page).await;
        if answered.is_ok_and(|text| text.contains(CANARY) || text.contains("$2b$")) {
            found.push(page.to_owned());
        }
    }
    let reloaded = ask(http::Method::POST, "/-/reload").await;
    if reloaded.is_ok_and(|text| text.contains(CANARY)) {
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
    let found = shown("sotp-mqtt", &place, "token").await;
    assert!(found.iter().any(|one| one == "/config"), "{found:?}");
    assert!(found.iter().any(|one| one == "/metrics"), "{found:?}");
}
