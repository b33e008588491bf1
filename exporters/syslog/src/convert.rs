//! From a Promtail or Alloy configuration to ours, saying what could not be carried over.

mod alloy;
mod promtail;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::config::Config;

/// A listener as both programs know it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) address: String,
    pub(crate) udp: bool,
    pub(crate) tls: Option<(String, String, Option<String>)>,
}

/// A Loki as both programs know it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) fields: Vec<(String, String)>,
}

/// What was found, and what was not carried over.
#[derive(Debug, Default)]
pub struct Converted {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) message_bytes: Option<String>,
    pub(crate) idle: Option<String>,
    /// The labels that were made, each with where it is now.
    labels: BTreeMap<String, Now>,
    /// What could not be carried over, one sentence each.
    pub notes: Vec<String>,
}

/// Reads a Promtail (YAML) or Alloy configuration.
///
/// # Errors
/// What is wrong with it.
pub fn convert(text: &str) -> Result<Converted, String> {
    let relay = |line: &str| {
        ["module(load=", "$ModLoad", "@version:", "*.* "]
            .iter()
            .any(|begins| line.starts_with(begins))
    };
    if text.lines().any(relay) {
        return Err("rsyslog and syslog-ng are not converted: they stay in front and send here (docs/syslog.md, Relays in front)".to_owned());
    }
    let alloy = text.lines().any(|line| {
        let line = line.trim_start();
        line.starts_with("loki.source.syslog") || line.starts_with("loki.write")
    });
    let mut converted = if alloy {
        alloy::read(text)?
    } else {
        promtail::read(text)?
    };
    if converted.listeners.is_empty() {
        return Err("expected a syslog listener (Promtail: scrape_configs[].syslog, Alloy: loki.source.syslog)".to_owned());
    }
    converted.mend();
    Ok(converted)
}

/// Where a label is now, and what stands for `{label="…"}` in a query.
type Now = (&'static str, &'static str);

const DEVICE: Now = (
    "label device, by the inventory; the name in the header is metadata hostname",
    "{device=\"…\"}",
);

/// Where a label is now: by what it was made of, else by its own name.
fn now(source: &str, label: &str) -> Now {
    let source = source
        .trim_start_matches("__syslog_message_")
        .trim_start_matches("__syslog_");
    match (source, label) {
        ("hostname" | "connection_hostname", _)
        | ("", "host" | "hostname" | "instance" | "device" | "node" | "nodename" | "router") => {
            DEVICE
        }
        ("severity", _) | ("", "severity" | "level") => (
            "label severity, with the words of syslog",
            "{severity=\"…\"}",
        ),
        ("facility", _) | ("", "facility") => {
            ("metadata facility", "{job=\"syslog\"} | facility=\"…\"")
        }
        ("app_name", _) | ("", "app" | "application" | "app_name" | "appname" | "process") => {
            ("metadata process", "{job=\"syslog\"} | process=\"…\"")
        }
        ("proc_id", _) | ("", "pid" | "proc_id") => {
            ("metadata pid", "{job=\"syslog\"} | pid=\"…\"")
        }
        ("msg_id", _) | ("", "msgid" | "msg_id") => {
            ("metadata mnemonic", "{job=\"syslog\"} | mnemonic=\"…\"")
        }
        ("connection_ip_address", _) | ("", "ip" | "source_ip" | "remote_addr") => {
            ("metadata source_ip", "{job=\"syslog\"} | source_ip=\"…\"")
        }
        ("", "job") => ("label job, always syslog", "{job=\"syslog\"}"),
        _ if source.starts_with("sd_") => (
            "metadata field_NAME, for each parameter of structured data",
            "{job=\"syslog\"} | field_NAME=\"…\"",
        ),
        _ => (
            "no label; what the line says is metadata by the translation, whose device it is says the inventory",
            "{job=\"syslog\"} |= \"…\"",
        ),
    }
}

/// Why a setting of a listener has no counterpart, for both programs.
fn reason(key: &str) -> &'static str {
    match key {
        "labels" => "our labels are job, site, role, device, severity and event",
        "label_structured_data" => "structured data is metadata (field_*) without a setting",
        "use_incoming_timestamp" => {
            "the stamp is the time of receipt, the device's is metadata (device_time)"
        }
        "use_rfc5424_message" => "the text is always the message as it was received",
        "syslog_format" | "raw_format_options" => "every format is told apart without a setting",
        "rfc3164_default_to_current_year" => "a missing year is always the nearest one",
        "rfc3164_cisco_components" => "Cisco's parts are read without a setting",
        "relabel_configs" | "pipeline_stages" => {
            "labels come from the inventory, fields from the translation"
        }
        "insecure_skip_verify" => {
            "the certificate is always verified: name its authority in ca_file"
        }
        "headers" => "the tenant is `tenant`, no other header is sent",
        "external_labels" => "sites and roles of the inventory tell the senders apart",
        "backoff_config" | "max_backoff_period" | "min_backoff_period" | "max_backoff_retries" => {
            "it is tried until it is delivered"
        }
        "wal" | "positions" => "what waits is always kept on disk (spool)",
        "server" => "see --web.listen-address",
        "encoding" => "UTF-8 and UTF-16 are told apart without a setting",
        _ => "it has no counterpart",
    }
}

/// Why a stage of a pipeline has no counterpart.
fn stage_reason(name: &str) -> &'static str {
    match name {
        "drop" | "match" | "sampling" | "limit" => {
            "nothing is dropped here: filter in the query, or bound a sender by limits.device_messages_per_second"
        }
        "labels" | "static_labels" | "labeldrop" | "labelallow" | "tenant" => {
            "our labels are job, site, role, device, severity and event"
        }
        "regex" | "json" | "logfmt" | "cri" | "docker" | "structured_metadata" => {
            "fields come from the translation, as metadata"
        }
        "timestamp" => "the stamp is the time of receipt, the device's is metadata (device_time)",
        "metrics" => "events are counted in network_event_total; other counts are queries",
        _ => "the text is always the message as it was received",
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Converted {
    /// Makes whole what was left out, or means nothing here, with a note.
    fn mend(&mut self) {
        for listener in &mut self.listeners {
            if listener.udp && listener.tls.take().is_some() {
                self.notes.push(format!(
                    "tls_config of {} is left out: TLS is spoken over TCP only",
                    listener.address
                ));
            }
        }
        for endpoint in &mut self.endpoints {
            if !endpoint.url.is_empty() && !endpoint.url.contains("://") {
                self.notes
                    .push(format!("{} has no scheme: http was taken", endpoint.url));
                endpoint.url.insert_str(0, "http://");
            }
        }
        if self.endpoints.is_empty() {
            self.notes.push(
                "no Loki was found: the address under `loki` stands for yours, write it there"
                    .to_owned(),
            );
            self.endpoints.push(Endpoint {
                url: "http://127.0.0.1:3100/loki/api/v1/push".to_owned(),
                fields: Vec::new(),
            });
        }
    }

    /// Notes a rule that makes a label of others, or drops lines.
    fn rule(&mut self, place: &str, action: &str, source: &str, label: &str) {
        match action {
            "drop" | "keep" => self.notes.push(format!(
                "{place} ({action} by {source}) is not carried over: nothing is dropped here, filter in the query"
            )),
            _ if label.is_empty() || label.starts_with("__") => self.notes.push(format!(
                "{place} ({action}) is not carried over: labels come from the inventory, fields from the translation"
            )),
            _ => self.label(source, label),
        }
    }

    fn label(&mut self, source: &str, label: &str) {
        self.labels.insert(label.to_owned(), now(source, label));
    }

    /// Where each label of old is now, and how a query reads: a table, empty when there were none.
    #[must_use]
    pub fn table(&self) -> String {
        let mut rows = vec![("label of old", "now", "in a query")];
        rows.extend(
            self.labels
                .iter()
                .map(|(label, now)| (&**label, now.0, now.1)),
        );
        let width = |get: fn(&(&str, &str, &str)) -> usize| rows.iter().map(get).max().unwrap_or(0);
        let (first, second) = (
            width(|r| r.0.chars().count()),
            width(|r| r.1.chars().count()),
        );
        let mut out = String::new();
        for (label, now, query) in rows.iter().filter(|_| !self.labels.is_empty()) {
            // Writing into a string cannot fail.
            let _ = writeln!(out, "{label:first$}  {now:second$}  {query}");
        }
        out
    }

    /// Takes limits of a listener, of which we have one for all: the first, with a note about others.
    fn limit(&mut self, bytes: Option<String>, idle: Option<String>) {
        for (name, kept, new) in [
            ("message_bytes", &mut self.message_bytes, bytes),
            ("idle_timeout", &mut self.idle, idle),
        ] {
            match (&kept, new) {
                (Some(kept), Some(new)) if *kept != new => self.notes.push(format!(
                    "limits.{name} is one for all listeners: {kept} was kept, {new} was not"
                )),
                (None, Some(new)) => *kept = Some(new),
                _ => {}
            }
        }
    }

    /// Our configuration, which our own check takes; values that it refuses and that have a default are left out with a
    /// note.
    ///
    /// # Errors
    /// What has no default and is missing or refused.
    pub fn checked(&mut self) -> Result<String, String> {
        loop {
            let yaml = self.yaml();
            let error = match Config::parse(&yaml, Path::new("converted")) {
                Ok(_) => return Ok(yaml),
                Err(error) => error.to_string(),
            };
            let left_out = if error.contains("limits.message_bytes") {
                self.message_bytes.take().is_some()
            } else if error.contains("limits.idle_timeout") {
                self.idle.take().is_some()
            } else {
                let before: usize = self.endpoints.iter().map(|e| e.fields.len()).sum();
                for endpoint in &mut self.endpoints {
                    let refused =
                        |key: &str| matches!(key, "timeout" | "batch_age") && error.contains(key);
                    endpoint.fields.retain(|field| !refused(&field.0));
                }
                before > self.endpoints.iter().map(|e| e.fields.len()).sum()
            };
            if !left_out {
                return Err(format!(
                    "what was found is no configuration of ours: {error}"
                ));
            }
            self.notes
                .push(format!("left out, the default holds: {error}"));
        }
    }

    /// Our configuration.
    #[must_use]
    pub fn yaml(&self) -> String {
        let mut out = String::from("listen:\n");
        for (name, udp) in [("udp", true), ("tcp", false)] {
            let mut all = self.listeners.iter().filter(|l| l.udp == udp).peekable();
            // Writing into a string cannot fail.
            let _ = writeln!(
                out,
                "  {name}:{}",
                if all.peek().is_none() { " []" } else { "" }
            );
            for listener in all {
                let _ = writeln!(out, "    - address: {}", quoted(&listener.address));
                if let Some((cert, key, ca)) = &listener.tls {
                    let _ = writeln!(
                        out,
                        "      tls:\n        cert_file: {}\n        key_file: {}",
                        quoted(cert),
                        quoted(key)
                    );
                    if let Some(ca) = ca {
                        let _ = writeln!(out, "        client_ca_file: {}", quoted(ca));
                    }
                }
            }
        }
        if self.message_bytes.is_some() || self.idle.is_some() {
            out.push_str("limits:\n");
            if let Some(bytes) = &self.message_bytes {
                let _ = writeln!(out, "  message_bytes: {bytes}");
            }
            if let Some(idle) = &self.idle {
                let _ = writeln!(out, "  idle_timeout: {idle}");
            }
        }
        if !self.endpoints.is_empty() {
            out.push_str("loki:\n");
        }
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let name = if at == 0 {
                "main".to_owned()
            } else {
                format!("loki{}", at + 1)
            };
            let _ = writeln!(out, "  - name: {name}\n    url: {}", quoted(&endpoint.url));
            for (key, value) in &endpoint.fields {
                match key.split_once('.') {
                    Some((_, "username")) => {
                        let _ = writeln!(out, "    basic_auth:\n      username: {}", quoted(value));
                    }
                    Some((_, inner)) => {
                        let _ = writeln!(out, "      {inner}: {}", quoted(value));
                    }
                    None => {
                        let _ = writeln!(out, "    {key}: {}", quoted(value));
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests;
