//! `compose.yaml` and `Dockerfile`: their form, since no container engine runs them here.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn compose() -> Value {
    serde_saphyr::from_str(&text("compose.yaml")).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| item.as_str().expect("a string").to_owned())
        .collect()
}

/// Every fault of a compose file against the rules of the project, each with the service it is in.
fn faults(compose: &Value, root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        let mut fault = |text: String| faults.push(format!("{name}: {text}"));
        let image = service["image"].as_str().unwrap_or_default();
        match image.rsplit_once(':') {
            Some((_, tag)) if tag.chars().any(|c| c.is_ascii_digit()) && !tag.contains('/') => {}
            _ => fault(format!("image {image:?} has no fixed tag")),
        }
        if service["read_only"] != true {
            fault("is not read_only".into());
        }
        // Who gives certificates gives each key to the group of its part.
        let more = match name.as_str() {
            "certs" | "certs-renewal" => &["CHOWN"][..],
            _ => &[],
        };
        if strings(&service["cap_drop"]) != ["ALL"] || strings(&service["cap_add"]) != *more {
            fault("keeps capabilities".into());
        }
        if strings(&service["security_opt"]) != ["no-new-privileges:true"]
            || service["privileged"] == true
        {
            fault("may gain privileges".into());
        }
        if service["mem_limit"].is_null() || service["pids_limit"].is_null() {
            fault("has no limit of memory and of processes".into());
        }
        let networks = strings(&service["networks"]);
        if networks.is_empty() {
            fault("is in the network of everybody".into());
        }
        for network in &networks {
            if compose["networks"].get(network).is_none() {
                fault(format!("network {network} is not declared"));
            }
        }
        for port in strings(&service["ports"]) {
            // What a user opens, a user names.
            let unless_named = port.starts_with("${") && port.contains(":-127.0.0.1}:");
            if !port.starts_with("127.0.0.1:") && !unless_named {
                fault(format!("port {port} is open beyond this machine"));
            }
        }
        let (plain, long): (Vec<&Value>, Vec<&Value>) = service["volumes"]
            .as_array()
            .into_iter()
            .flatten()
            .partition(|mount| mount.is_string());
        for mount in long {
            // A part that saw the folder of all would have everybody's key.
            let below = &mount["volume"]["subpath"];
            if mount["source"] != "tls" || mount["read_only"] != true || *below != **name {
                fault(format!("{mount} is more than its own certificate"));
            }
        }
        for mount in plain.iter().filter_map(|mount| mount.as_str()) {
            if mount.starts_with("${") {
                if !mount.ends_with(":ro") {
                    fault(format!("{mount} is writable"));
                }
                continue;
            }
            let (source, rest) = mount.split_once(':').unwrap();
            if source.starts_with('.') {
                if !root.join(source).exists() {
                    fault(format!("{source} does not exist"));
                }
                if !rest.ends_with(":ro") {
                    fault(format!("{mount} is writable"));
                }
            } else if compose["volumes"].get(source).is_none() {
                fault(format!("volume {source} is not declared"));
            } else if source == "tls" && more.is_empty() {
                fault(format!("{mount} has everybody's key"));
            }
        }
        let waits = service["depends_on"].as_object();
        for other in waits.into_iter().flat_map(|waits| waits.keys()) {
            if !services.contains_key(other) {
                fault(format!("depends on {other}, which is not there"));
            }
        }
        let first = &service["depends_on"]["certs"]["condition"];
        if name != "certs" && first != "service_completed_successfully" {
            fault("starts before it has a certificate".into());
        }
    }
    faults
}

#[test]
fn every_service_is_pinned_locked_and_local() {
    assert_eq!(faults(&compose(), &root()), Vec::<String>::new());
}

#[test]
fn each_rule_can_fail() {
    let bad: Value = serde_saphyr::from_str(
        "services:\n  a:\n    image: x/y:latest\n    read_only: false\n    cap_drop: []\n    \
         ports: ['9090:9090']\n    volumes: ['./nowhere:/a', 'data:/b', 'tls:/c', {source: tls, read_only: true, volume: {subpath: b}}]\n    depends_on: {b: {}}\nvolumes: {tls: }\n",
    )
    .unwrap();
    assert_eq!(
        faults(&bad, &root()),
        [
            "a: image \"x/y:latest\" has no fixed tag",
            "a: is not read_only",
            "a: keeps capabilities",
            "a: may gain privileges",
            "a: has no limit of memory and of processes",
            "a: is in the network of everybody",
            "a: port 9090:9090 is open beyond this machine",
            "a: {\"read_only\":true,\"source\":\"tls\",\"volume\":{\"subpath\":\"b\"}} is more than its own certificate",
            "a: ./nowhere does not exist",
            "a: ./nowhere:/a is writable",
            "a: volume data is not declared",
            "a: tls:/c has everybody's key",
            "a: depends on b, which is not there",
            "a: starts before it has a certificate",
        ]
    );
}

#[test]
fn images_of_others_have_the_versions_of_stack_toml() {
    let pins: toml::Value = toml::from_str(&text("lab/stack.toml")).unwrap();
    let compose = compose();
    for pin in pins["program"].as_array().unwrap() {
        let (name, version) = (
            pin["name"].as_str().unwrap(),
            pin["version"].as_str().unwrap(),
        );
        let service = &compose["services"][name];
        // Grafana is an image of our own, made of theirs with the app put into it.
        let image = match service["build"]["dockerfile"].as_str() {
            Some(file) => {
                let made = text(file);
                let base = made
                    .lines()
                    .rev()
                    .find_map(|line| line.strip_prefix("FROM "));
                base.unwrap().to_owned()
            }
            None => service["image"].as_str().unwrap().to_owned(),
        };
        let tag = image.rsplit(':').next().unwrap();
        assert_eq!(tag.trim_start_matches('v'), version, "{image}");
    }
}

/// One Dockerfile makes every image: which ones, the checks hold against lab/services.toml.
#[test]
fn the_image_holds_one_static_binary_of_nobody() {
    let dockerfile = text("Dockerfile");
    let bases: Vec<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "))
        .collect();
    assert_eq!(
        bases,
        [
            "debian:bookworm-slim AS with-git",
            "rust:1.95.0-bookworm AS chef",
            "chef AS plan",
            "chef AS build",
            "${BASE}"
        ]
    );
    assert!(dockerfile.contains("\nARG BASE=scratch\n"));
    let last = dockerfile.rsplit("FROM ${BASE}").next().unwrap();
    assert!(last.contains("\nUSER 65532:65532\n"));
    assert!(dockerfile.contains("ARG BIN") && dockerfile.contains("--locked"));
    assert!(
        last.contains("/THIRD-PARTY.md"),
        "notices beside the binary"
    );
}

/// Each part has its certificate, whose key the group of its container can read and nobody else's can, and speaks in clear to nobody.
#[test]
fn each_part_has_a_certificate_and_none_is_called_in_clear() {
    let compose = compose();
    let parts = text("lab/compose/parts/all");
    let listed: Vec<(&str, &str)> = parts
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(':'))
        .collect();
    // As their images run: docs of each publisher; ours as the Dockerfile says.
    let group = |name: &str| match name {
        "prometheus" | "alertmanager" => "65534",
        "loki" | "tempo" => "10001",
        "gate" => "101",
        "grafana" => "0",
        _ => "65532",
    };
    let services = compose["services"].as_object().unwrap();
    let mut count = 0;
    for (name, service) in services
        .iter()
        .filter(|(name, _)| !name.starts_with("certs"))
    {
        assert!(listed.contains(&(name, group(name))), "{name}: {listed:?}");
        count += 1;
        let called = service.to_string();
        let plain = called.match_indices("http://").map(|(at, _)| &called[at..]);
        let plain: Vec<&str> = plain.filter_map(|url| url.split('"').next()).collect();
        assert!(plain.is_empty(), "{name}: {plain:?}");
    }
    assert_eq!(listed.len(), count);
    for entry in root().join("lab/compose").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        for host in [
            "prometheus:",
            "loki:",
            "remediator:",
            "inventory:",
            "tempo:",
        ] {
            let plain = format!("http://{host}");
            assert!(!text.contains(&plain), "{}: {plain}", path.display());
        }
    }
}

/// Loki takes TLS by flags, Tempo in its file only: Tempo 3 does not start with a flag that it does not know.
#[test]
fn loki_and_tempo_let_nobody_in_without_a_certificate() {
    let compose = compose();
    let own = |file: &str| format!("/etc/sotp-tls/{file}");
    let loki = strings(&compose["services"]["loki"]["command"]);
    for (flag, value) in [
        ("cert-path", own("tls.crt")),
        ("key-path", own("tls.key")),
        ("ca-path", own("ca.crt")),
        ("client-auth", "RequireAndVerifyClientCert".to_owned()),
    ] {
        let flag = format!("-server.http-tls-{flag}={value}");
        assert!(loki.contains(&flag), "{flag} in {loki:?}");
    }
    let tempo = strings(&compose["services"]["tempo"]["command"]);
    assert_eq!(tempo, ["-config.file=/etc/tempo/sotp.yaml"]);
    let config: Value = serde_saphyr::from_str(&text("lab/compose/tempo.yaml")).unwrap();
    let asked = &config["server"]["http_tls_config"];
    assert_eq!(asked["client_auth_type"], "RequireAndVerifyClientCert");
    let told = &config["distributor"]["receivers"]["otlp"]["protocols"]["http"]["tls"];
    for tls in [asked, told] {
        for (key, file) in [
            ("cert_file", "tls.crt"),
            ("key_file", "tls.key"),
            ("client_ca_file", "ca.crt"),
        ] {
            assert_eq!(tls[key], own(file), "{key} in {tls}");
        }
    }
}

/// Nobody shall take these files for proven.
#[test]
fn what_has_not_been_run_says_so() {
    for file in ["compose.yaml", "Dockerfile"] {
        assert!(text(file).contains("THIS FILE HAS NOT BEEN RUN"), "{file}");
    }
}

#[test]
fn promtool_accepts_prometheus_of_the_containers() {
    let file = root().join("lab/compose/prometheus.yml");
    let check = Command::new("promtool")
        .args(["check", "config", "--syntax-only"])
        .arg(file)
        .output()
        .unwrap();
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stderr)
    );
    for file in ["lab/compose/loki.yaml", "lab/compose/tempo.yaml"] {
        let _: Value = serde_saphyr::from_str(&text(file)).unwrap();
    }
}
