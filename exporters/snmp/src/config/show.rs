//! The effective configuration as YAML with every secret masked: the body of `/config`.

use std::fmt::Write as _;

use super::{Auth, Config, Credential, EnumValues, GoDuration, IndexType, Metric, Module};

impl Config {
    /// The configuration with defaults filled in and secrets as `<secret>`.
    #[must_use]
    pub fn masked(&self) -> String {
        let mut out = String::from("auths:\n");
        for (name, auth) in &self.auths {
            let _ = writeln!(out, "  {}:", quoted(name));
            show_auth(auth, &mut out);
        }
        out.push_str("modules:\n");
        for (name, module) in &self.modules {
            let _ = writeln!(out, "  {}:", quoted(name));
            show_module(module, &mut out);
        }
        if self.strict {
            out.push_str("strict: true\n");
        }
        out
    }
}

fn show_auth(auth: &Auth, out: &mut String) {
    let mut secret = |key: &str, value: &Credential| {
        if !value.is_empty() {
            let _ = writeln!(out, "    {key}: <secret>");
        }
    };
    secret("community", &auth.credentials.community);
    secret("password", &auth.credentials.password);
    secret("priv_password", &auth.credentials.priv_password);
    if !auth.credentials.username.is_empty() {
        let _ = writeln!(
            out,
            "    username: {}",
            quoted(&String::from_utf8_lossy(auth.credentials.username.reveal()))
        );
    }
    let _ = writeln!(out, "    security_level: {}", auth.security_level.name());
    let _ = writeln!(out, "    auth_protocol: {}", auth.auth_protocol.name());
    let _ = writeln!(out, "    priv_protocol: {}", auth.priv_protocol.name());
    if !auth.context_name.is_empty() {
        let _ = writeln!(out, "    context_name: {}", quoted(&auth.context_name));
    }
    let _ = writeln!(out, "    version: {}", auth.version);
    if !auth.targets.is_empty() {
        out.push_str("    targets:\n");
        for target in auth.targets.keys() {
            let _ = writeln!(out, "      {}: <secret>", quoted(target));
        }
    }
    if let Some(only) = &auth.only_for {
        out.push_str("    only_for:\n");
        let networks = only.networks.iter().map(ToString::to_string).collect();
        for (key, list) in [
            ("targets", &only.targets),
            ("sites", &only.sites),
            ("networks", &networks),
        ] {
            let list: Vec<String> = list.iter().map(|one| quoted(one)).collect();
            let _ = writeln!(out, "      {key}: [{}]", list.join(", "));
        }
    }
}

pub(crate) fn show_module(module: &Module, out: &mut String) {
    for (key, list) in [("walk", &module.walk), ("get", &module.get)] {
        if !list.is_empty() {
            let _ = writeln!(out, "    {key}:");
            for oid in list {
                let _ = writeln!(out, "    - {oid}");
            }
        }
    }
    out.push_str(if module.metrics.is_empty() {
        "    metrics: []\n"
    } else {
        "    metrics:\n"
    });
    for metric in &module.metrics {
        show_metric(metric, out);
    }
    let _ = writeln!(out, "    max_repetitions: {}", module.max_repetitions);
    let _ = writeln!(out, "    retries: {}", module.retries);
    let _ = writeln!(out, "    timeout: {}", GoDuration(module.timeout));
    if module.use_unconnected_udp_socket {
        out.push_str("    use_unconnected_udp_socket: true\n");
    }
    if module.allow_nonincreasing_oids {
        out.push_str("    allow_nonincreasing_oids: true\n");
    }
    if !module.filters.is_empty() {
        out.push_str("    filters:\n");
    }
    for filter in &module.filters {
        let _ = writeln!(out, "    - oid: {}", filter.oid);
        out.push_str("      targets:\n");
        for target in &filter.targets {
            let _ = writeln!(out, "      - {target}");
        }
        out.push_str("      values:\n");
        for value in &filter.values {
            let _ = writeln!(out, "      - {}", quoted(value.as_str()));
        }
    }
}

fn show_metric(metric: &Metric, out: &mut String) {
    let _ = writeln!(out, "    - name: {}", metric.name);
    let _ = writeln!(out, "      oid: {}", metric.oid);
    let _ = writeln!(out, "      type: {}", quoted(&metric.kind));
    let _ = writeln!(out, "      help: {}", quoted(&metric.help));
    if !metric.indexes.is_empty() {
        out.push_str("      indexes:\n");
    }
    for index in &metric.indexes {
        let _ = writeln!(out, "      - labelname: {}", index.labelname);
        let _ = writeln!(out, "        type: {}", index_name(index.kind));
        if index.fixed_size > 0 {
            let _ = writeln!(out, "        fixed_size: {}", index.fixed_size);
        }
        if index.implied {
            out.push_str("        implied: true\n");
        }
        show_enum(&index.enum_values, "        ", out);
    }
    if !metric.lookups.is_empty() {
        out.push_str("      lookups:\n");
    }
    for lookup in &metric.lookups {
        let labels: Vec<String> = lookup.labels.iter().map(|label| quoted(label)).collect();
        let _ = writeln!(out, "      - labels: [{}]", labels.join(", "));
        let _ = writeln!(out, "        labelname: {}", lookup.labelname);
        if !lookup.labels.is_empty() {
            let _ = writeln!(out, "        oid: {}", lookup.oid);
        }
        for (key, value) in [
            ("type", &lookup.kind),
            ("display_hint", &lookup.display_hint),
        ] {
            if !value.is_empty() {
                let _ = writeln!(out, "        {key}: {}", quoted(value));
            }
        }
        show_enum(&lookup.enum_values, "        ", out);
    }
    if !metric.regex_extracts.is_empty() {
        out.push_str("      regex_extracts:\n");
    }
    for (suffix, list) in &metric.regex_extracts {
        let _ = writeln!(out, "        {}:", quoted(suffix));
        for one in list {
            let _ = writeln!(out, "        - value: {}", quoted(&one.value));
            let _ = writeln!(out, "          regex: {}", quoted(one.regex.text()));
        }
    }
    for (key, value) in [
        ("datetime_pattern", &metric.datetime_pattern),
        ("display_hint", &metric.display_hint),
    ] {
        if !value.is_empty() {
            let _ = writeln!(out, "      {key}: {}", quoted(value));
        }
    }
    show_enum(&metric.enum_values, "      ", out);
    for (key, value) in [("offset", metric.offset), ("scale", metric.scale)] {
        if value != 0.0 {
            let _ = writeln!(out, "      {key}: {value}");
        }
    }
}

fn show_enum(values: &EnumValues, indent: &str, out: &mut String) {
    if !values.is_empty() {
        let _ = writeln!(out, "{indent}enum_values:");
    }
    for (value, name) in values {
        let _ = writeln!(out, "{indent}  {value}: {}", quoted(name));
    }
}

fn index_name(kind: IndexType) -> &'static str {
    match kind {
        IndexType::Number => "gauge",
        IndexType::Enumeration => "EnumAsInfo",
        IndexType::PhysAddress48 => "PhysAddress48",
        IndexType::OctetString => "OctetString",
        IndexType::DisplayString => "DisplayString",
        IndexType::InetAddressIpv4 => "InetAddressIPv4",
        IndexType::InetAddressIpv6 => "InetAddressIPv6",
        IndexType::InetAddress => "InetAddress",
        IndexType::InetAddressMissingSize => "InetAddressMissingSize",
        IndexType::LldpPortId => "LldpPortId",
    }
}

/// A YAML scalar that reads back as the same string: plain where nothing can be misread, else double quoted.
pub(crate) fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
