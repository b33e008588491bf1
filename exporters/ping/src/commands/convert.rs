//! `sotp-ping convert`: a peer's configuration file as ours, and what of it has no place there.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use inventory::Inventory;
use netio::option::Family;
use toolkit::ConfigError;

use crate::compat::{self, Families, Kind, Options, Peer, Target};
use crate::config::{Config, Module};

/// Which of the two files to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Both, as two YAML documents.
    All,
    /// The inventory.
    Inventory,
    /// The configuration of sotp-ping.
    Config,
}

/// Prints the configuration file of another prober as an inventory and a configuration of sotp-ping. What cannot be carried over is
/// said on standard error and in comments.
#[derive(Debug, Parser)]
#[command(name = "sotp-ping convert", bin_name = "sotp-ping convert")]
struct Arguments {
    /// Whose file it is.
    #[arg(long, value_enum, value_name = "PROGRAM")]
    from: Kind,
    /// What to print.
    #[arg(long, value_enum, value_name = "PART", default_value = "all")]
    part: Part,
    /// The file; `-` for standard input.
    file: PathBuf,
}

/// A configuration in our form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The inventory, as YAML.
    pub inventory: String,
    /// The configuration, as YAML.
    pub config: String,
    /// What was not carried over, a sentence each.
    pub left: Vec<String>,
}

/// Runs the command: exit code 0, 1 when the file cannot be read, 64 when it is wrong.
pub fn run(args: impl IntoIterator<Item = String>) -> ExitCode {
    let name = ["sotp-ping convert".to_owned()];
    let arguments = match Arguments::try_parse_from(name.into_iter().chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let mut text = String::new();
    let read = match arguments.file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(|_| ()),
        _ => std::fs::read_to_string(&arguments.file).map(|read| text = read),
    };
    let mut errors = std::io::stderr();
    if let Err(error) = read {
        let _ = writeln!(errors, "error: {}: {error}", arguments.file.display());
        return ExitCode::FAILURE;
    }
    let converted = match convert(arguments.from, &text, &arguments.file) {
        Ok(converted) => converted,
        Err(error) => {
            let _ = writeln!(errors, "error: {error}");
            return ExitCode::from(64);
        }
    };
    let mut out = String::new();
    for line in &converted.left {
        // A name of the file may hold a line break, which would end the comment.
        let line = line.replace(char::is_control, " ");
        let _ = writeln!(errors, "not carried over: {line}");
        let _ = writeln!(out, "# Not carried over: {line}");
    }
    if arguments.part != Part::Config {
        out.push_str(&converted.inventory);
    }
    if arguments.part == Part::All {
        out.push_str("---\n");
    }
    if arguments.part != Part::Inventory {
        out.push_str(&converted.config);
    }
    match std::io::stdout().write_all(out.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Reads a file of `kind` and writes it in our form.
///
/// # Errors
/// What is wrong with the file, with its line.
pub fn convert(kind: Kind, text: &str, origin: &Path) -> Result<Converted, ConfigError> {
    let config = compat::parse(kind, &Options::default(), text, origin)?;
    let Some(peer) = &config.peer else {
        return Err(ConfigError::new(
            origin,
            "no configuration of another prober",
        ));
    };
    let mut left = Vec::new();
    let usual = peer.targets.first();
    if kind != Kind::Blackbox {
        left.extend(peer.warnings.iter().cloned());
    }
    let inventory = inventory(peer, usual, &mut left);
    let mut written = String::from("# The configuration of sotp-ping (--config.file).\n");
    if let Some(usual) = usual {
        let _ = write!(
            written,
            "probe:\n  interval: {}\n  timeout: {}\n  size_bytes: {}\n",
            units::spelled(usual.interval),
            units::spelled(usual.timeout),
            usual.size
        );
        if usual.tos >> 2 > 0 {
            let _ = writeln!(written, "  dscp: {}", usual.tos >> 2);
        }
        if let Some(mark) = usual.mark {
            let _ = writeln!(written, "  mark: {mark}");
        }
    }
    match kind {
        Kind::SmokepingProber => {
            left.push(
                "networks of the kind ip: a name is probed at both of its families, not at one"
                    .into(),
            );
        }
        Kind::PingExporter => {
            dns(&config, &mut written);
            let history = peer.style.history;
            left.push(format!(
                "history-size {history}: loss and round trips over any window come from counters and histograms"
            ));
        }
        Kind::Blackbox => modules(&config, peer, &mut written, &mut left),
    }
    Ok(Converted {
        inventory,
        config: written,
        left,
    })
}

fn inventory(peer: &Peer, usual: Option<&Target>, left: &mut Vec<String>) -> String {
    let mut out = String::from("# The inventory (--inventory.source).\ndevices:");
    let (mut names, mut hosts) = (HashSet::new(), HashSet::new());
    let mut labels = BTreeSet::new();
    let mut entries = String::new();
    for target in &peer.targets {
        let host = target
            .name()
            .map_or_else(|| target.host.clone(), |name| name.to_string());
        let host = target
            .address()
            .map_or(host, |address| match target.zone() {
                Some(zone) => format!("{address}%{zone}"),
                None => address.to_string(),
            });
        let excluded = match (target.address(), target.families) {
            (Some(address), Families::V4) => address.is_ipv6(),
            (Some(address), Families::V6) => address.is_ipv4(),
            _ => false,
        };
        if excluded {
            left.push(format!(
                "{}: its family is switched off, so that it is not probed",
                target.host
            ));
            continue;
        }
        if !is_address(&host) {
            left.push(format!(
                "{}: neither the address of a device nor a DNS name",
                target.host
            ));
            continue;
        }
        // As the inventory has it: what differs in one of these is a device of its own.
        let way = (
            host.clone(),
            target.size,
            target.tos >> 2,
            target.source,
            target.mark,
        );
        if !hosts.insert(way) {
            left.push(format!(
                "{} a second time, pinged in the same way: a device is probed once",
                target.host
            ));
            continue;
        }
        labels.extend(target.labels.keys());
        if target.tos & 3 != 0 {
            left.push(format!(
                "{}: the lower two bits of tos {}",
                target.host, target.tos
            ));
        }
        let name = unique(&target.host, &mut names);
        let _ = write!(
            entries,
            "\n  - name: {}\n    address: {}",
            quoted(&name),
            quoted(&host)
        );
        let mut settings = settings(target, usual);
        if target.address().is_none() {
            match target.families {
                Families::V4 => settings.push("families: [ipv4]".into()),
                Families::V6 => settings.push("families: [ipv6]".into()),
                Families::Any | Families::Both => {}
            }
            if target.all_records {
                settings.push("records: all".into());
            }
        }
        if !settings.is_empty() {
            let _ = write!(entries, "\n    ping: {{{}}}", settings.join(", "));
        }
    }
    for name in labels {
        left.push(format!(
            "label {name}: a device has site, role, groups and tags; other labels are added by relabelling"
        ));
    }
    out.push_str(if entries.is_empty() { " []" } else { &entries });
    out.push('\n');
    out
}

/// A device of the inventory can have this address, or this name.
fn is_address(host: &str) -> bool {
    let device = format!("devices: [{{name: it, address: {}}}]", quoted(host));
    Inventory::parse(&device, Path::new("inventory")).is_ok()
}

/// What of a target differs from the usual one.
fn settings(target: &Target, usual: Option<&Target>) -> Vec<String> {
    let mut settings = Vec::new();
    let same = |of: fn(&Target) -> u128| usual.is_some_and(|usual| of(usual) == of(target));
    if !same(|t| t.interval.as_nanos()) {
        settings.push(format!("interval: {}", units::spelled(target.interval)));
    }
    if !same(|t| t.size as u128) {
        settings.push(format!("size_bytes: {}", target.size));
    }
    if !same(|t| u128::from(t.tos >> 2)) {
        settings.push(format!("dscp: {}", target.tos >> 2));
    }
    if let Some(source) = target.source {
        let key = if source.is_ipv4() {
            "source_ipv4"
        } else {
            "source_ipv6"
        };
        settings.push(format!("{key}: {}", quoted(&source.to_string())));
    }
    settings
}

/// A device name made of a host: what no name may have becomes a hyphen, and a number is added to one that is taken.
fn unique(host: &str, taken: &mut HashSet<String>) -> String {
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let mut name: String = host.chars().take(120).map(allowed).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        name.insert_str(0, "host");
    }
    let mut number = 1;
    let mut tried = name.clone();
    while !taken.insert(tried.to_ascii_lowercase()) {
        number += 1;
        tried = format!("{name}-{number}");
    }
    tried
}

fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        // A string of JSON is one of YAML.
        serde_json::Value::from(text).to_string()
    }
}

fn dns(config: &Config, out: &mut String) {
    let dns = &config.dns;
    out.push_str("dns:\n");
    if !dns.servers.is_empty() {
        let servers: Vec<String> = dns
            .servers
            .iter()
            .map(|server| format!("\"{server}\""))
            .collect();
        let _ = writeln!(out, "  servers: [{}]", servers.join(", "));
    }
    let _ = write!(
        out,
        "  timeout: {}\n  min_ttl: {}\n  max_ttl: {}\n",
        units::spelled(dns.timeout),
        units::spelled(dns.min_ttl),
        units::spelled(dns.max_ttl)
    );
}

fn modules(config: &Config, peer: &Peer, out: &mut String, left: &mut Vec<String>) {
    for (name, prober) in &peer.foreign {
        left.push(format!(
            "module {name}: its prober {prober} stays with blackbox_exporter"
        ));
    }
    out.push_str(if config.modules.is_empty() {
        "modules: {}\n"
    } else {
        "modules:\n"
    });
    for (name, module) in &config.modules {
        let longest = std::time::Duration::from_secs(60);
        let timeout = module.timeout.min(longest);
        if timeout < module.timeout {
            left.push(format!(
                "module {name}: a time of {}, 1m is the longest",
                units::spelled(module.timeout)
            ));
        }
        let _ = write!(
            out,
            "  {}:\n    prober: icmp\n    timeout: {}\n    icmp: {{{}}}\n",
            quoted(name),
            units::spelled(timeout),
            icmp(module).join(", ")
        );
    }
}

fn icmp(module: &Module) -> Vec<String> {
    let preferred = match module.preferred {
        Family::V4 => "ip4",
        Family::V6 => "ip6",
    };
    let mut keys = vec![
        format!("preferred_ip_protocol: {preferred}"),
        format!("ip_protocol_fallback: {}", module.fallback),
    ];
    if let Some(source) = module.source {
        keys.push(format!(
            "source_ip_address: {}",
            quoted(&source.to_string())
        ));
    }
    if let Some(size) = module.size {
        keys.push(format!("payload_size: {size}"));
    }
    if module.dont_fragment {
        keys.push("dont_fragment: true".into());
    }
    if let Some(ttl) = module.ttl {
        keys.push(format!("ttl: {ttl}"));
    }
    keys
}
