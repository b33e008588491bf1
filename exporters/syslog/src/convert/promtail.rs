//! Promtail's YAML.

use std::path::Path;

use serde_json::Value;

use super::{Converted, Endpoint, Listener};

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
        found.message_bytes = found
            .message_bytes
            .or_else(|| text_of(&syslog["max_message_length"]));
        found.idle = found.idle.or_else(|| text_of(&syslog["idle_timeout"]));
        for (key, why) in [
            (
                "labels",
                "our labels are job, site, role, device, severity and event",
            ),
            (
                "label_structured_data",
                "structured data is metadata (field_*) without a setting",
            ),
            (
                "use_incoming_timestamp",
                "the stamp is the time of receipt, the device's is metadata (device_time)",
            ),
            (
                "use_rfc5424_message",
                "the text is always the message as it was received",
            ),
            (
                "syslog_format",
                "every format is told apart without a setting",
            ),
        ] {
            if !syslog[key].is_null() {
                found.notes.push(format!(
                    "scrape_configs[{at}].syslog.{key} is not carried over: {why}"
                ));
            }
        }
        for key in ["relabel_configs", "pipeline_stages"] {
            if !job[key].is_null() {
                found.notes.push(format!("scrape_configs[{at}].{key} is not carried over: labels come from the inventory, fields from the translation"));
            }
        }
    }
    for (at, client) in list(&document["clients"]).iter().enumerate() {
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
        for key in ["external_labels", "backoff_config", "proxy_url"] {
            if !client[key].is_null() {
                found
                    .notes
                    .push(format!("clients[{at}].{key} is not carried over"));
            }
        }
        found.endpoints.push(Endpoint { url, fields });
    }
    Ok(found)
}
