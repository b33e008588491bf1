//! Promtail's YAML.

use std::path::Path;

use serde_json::Value;

use super::{Converted, Endpoint, Listener, reason, stage_reason};

/// What is carried over of a listener.
const LISTENER: [&str; 6] = [
    "labels",
    "listen_address",
    "listen_protocol",
    "max_message_length",
    "idle_timeout",
    "tls_config",
];
/// The same of a client; a secret has a note of its own.
const CLIENT: [&str; 8] = [
    "url",
    "tenant_id",
    "basic_auth",
    "bearer_token",
    "bearer_token_file",
    "tls_config",
    "timeout",
    "batchwait",
];

/// The keys of a mapping that are not among the known ones.
fn others<'a>(mapping: &'a Value, known: &'a [&str]) -> impl Iterator<Item = &'a str> {
    mapping
        .as_object()
        .into_iter()
        .flat_map(|m| m.keys())
        .map(String::as_str)
        .filter(|key| !known.contains(key))
}

pub(super) fn read(text: &str) -> Result<Converted, String> {
    let document: Value =
        toolkit::yaml::parse(text, Path::new("promtail")).map_err(|e| e.to_string())?;
    let mut found = Converted::default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text_of = |value: &Value| {
        value
            .as_str()
            .map(str::to_owned)
            .or_else(|| value.as_u64().map(|n| n.to_string()))
    };
    for (at, job) in list(&document["scrape_configs"]).iter().enumerate() {
        let syslog = &job["syslog"];
        if syslog.is_null() {
            found.notes.push(format!(
                "scrape_configs[{at}] is no syslog listener: left out"
            ));
            continue;
        }
        let tls = &syslog["tls_config"];
        let file = |key: &str| text_of(&tls[key]);
        found.listeners.push(Listener {
            address: text_of(&syslog["listen_address"]).unwrap_or_else(|| ":1514".to_owned()),
            udp: syslog["listen_protocol"].as_str() == Some("udp"),
            tls: file("cert_file")
                .zip(file("key_file"))
                .map(|(cert, key)| (cert, key, file("ca_file"))),
        });
        found.limit(
            text_of(&syslog["max_message_length"]),
            text_of(&syslog["idle_timeout"]),
        );
        for label in others(&syslog["labels"], &[]) {
            found.label("", label);
        }
        for key in others(syslog, &LISTENER) {
            found.notes.push(format!(
                "scrape_configs[{at}].syslog.{key} is not carried over: {}",
                reason(key)
            ));
        }
        for key in others(tls, &["cert_file", "key_file", "ca_file"]) {
            found.notes.push(format!(
                "scrape_configs[{at}].syslog.tls_config.{key} is not carried over: {}",
                reason(key)
            ));
        }
        for (number, stage) in list(&job["pipeline_stages"]).iter().enumerate() {
            for name in others(stage, &[]) {
                if matches!(name, "labels" | "static_labels") {
                    for label in others(&stage[name], &[]) {
                        found.label("", label);
                    }
                    continue;
                }
                found.notes.push(format!(
                    "scrape_configs[{at}].pipeline_stages[{number}].{name} is not carried over: {}",
                    stage_reason(name)
                ));
            }
        }
        for (number, rule) in list(&job["relabel_configs"]).iter().enumerate() {
            let text = |key: &str| rule[key].as_str().unwrap_or_default();
            let sources = list(&rule["source_labels"]);
            let sources: Vec<&str> = sources.iter().filter_map(Value::as_str).collect();
            found.rule(
                &format!("scrape_configs[{at}].relabel_configs[{number}]"),
                rule["action"].as_str().unwrap_or("replace"),
                &sources.join(", "),
                text("target_label"),
            );
        }
        for key in others(
            job,
            &["job_name", "syslog", "pipeline_stages", "relabel_configs"],
        ) {
            found.notes.push(format!(
                "scrape_configs[{at}].{key} is not carried over: {}",
                reason(key)
            ));
        }
    }
    let mut clients = list(&document["clients"]);
    // The form of its first versions.
    clients.extend(Some(document["client"].clone()).filter(|c| !c.is_null()));
    for (at, client) in clients.iter().enumerate() {
        let Some(url) = text_of(&client["url"]) else {
            continue;
        };
        let mut fields = Vec::new();
        let mut take = |key: &str, value: &Value| {
            if let Some(value) = text_of(value) {
                fields.push((key.to_owned(), value));
            }
        };
        take("tenant", &client["tenant_id"]);
        take("basic_auth.username", &client["basic_auth"]["username"]);
        take(
            "basic_auth.password_file",
            &client["basic_auth"]["password_file"],
        );
        take("bearer_token_file", &client["bearer_token_file"]);
        take("ca_file", &client["tls_config"]["ca_file"]);
        take("cert_file", &client["tls_config"]["cert_file"]);
        take("key_file", &client["tls_config"]["key_file"]);
        take("timeout", &client["timeout"]);
        take("batch_age", &client["batchwait"]);
        if !client["basic_auth"]["password"].is_null() || !client["bearer_token"].is_null() {
            found.notes.push(format!(
                "clients[{at}] has a secret in the text: write it into a file and name that"
            ));
        }
        for key in others(client, &CLIENT) {
            found.notes.push(format!(
                "clients[{at}].{key} is not carried over: {}",
                reason(key)
            ));
        }
        for (part, known) in [
            ("tls_config", &["ca_file", "cert_file", "key_file"][..]),
            ("basic_auth", &["username", "password", "password_file"][..]),
        ] {
            for key in others(&client[part], known) {
                found.notes.push(format!(
                    "clients[{at}].{part}.{key} is not carried over: {}",
                    reason(key)
                ));
            }
        }
        found.endpoints.push(Endpoint { url, fields });
    }
    for key in others(&document, &["clients", "client", "scrape_configs"]) {
        found
            .notes
            .push(format!("{key} is not carried over: {}", reason(key)));
    }
    Ok(found)
}
