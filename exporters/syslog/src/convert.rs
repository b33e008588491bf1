//! From a Promtail or Alloy configuration to ours, saying what could not be carried over.

mod alloy;
mod promtail;

use std::fmt::Write as _;

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
    /// What could not be carried over, one sentence each.
    pub notes: Vec<String>,
}

/// Reads a Promtail (YAML) or Alloy configuration.
///
/// # Errors
/// What is wrong with it.
pub fn convert(text: &str) -> Result<Converted, String> {
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
    if converted.endpoints.is_empty() {
        converted
            .notes
            .push("no Loki was found: add one under `loki`".to_owned());
    }
    Ok(converted)
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

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Converted {
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
