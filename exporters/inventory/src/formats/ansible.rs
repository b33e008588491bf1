//! Ansible: an inventory in YAML, groups of hosts within groups.

use std::collections::{BTreeMap, HashMap};

use inventory::Inventory;
use inventory::document::{DeviceEntry, SshEntry};
use serde_json::{Value, json};

use super::{Read, name, some};

/// How deep groups may stand in each other.
const DEEPEST: usize = 16;
/// Most values of one file, those that aliases repeat included.
const MOST: usize = 1_000_000;

pub(super) fn read(text: &str, read: &mut Read) {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! { max_nodes: MOST, max_events: 2 * MOST, max_depth: 64, max_documents: 1, },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST / 10, },
    };
    let body: Value = match serde_saphyr::from_str_with_options(text, options) {
        Ok(body) => body,
        Err(error) => {
            let line = error.location().map_or(1, |place| place.line());
            let said = error.to_string();
            return read.wrong(line, "", said.lines().next().unwrap_or_default());
        }
    };
    let Value::Object(groups) = body else {
        return read.wrong(1, "", "expected a mapping of groups, as in all: {hosts: …}");
    };
    let mut hosts = BTreeMap::new();
    let lines = Lines::of(text);
    for (own, group) in &groups {
        walk(own, group, &mut Vec::new(), &mut hosts, read, &lines);
    }
    for (own, (line, host)) in hosts {
        read.devices.push((line, DeviceEntry { name: own, ..host }));
    }
}

/// The line that each key stands on for the first time, from 1.
struct Lines<'a>(HashMap<&'a str, u64>);

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let mut lines = HashMap::new();
        for (line, at) in text.lines().zip(1..) {
            if let Some(key) = key(line.trim_start()) {
                lines.entry(key).or_insert(at);
            }
        }
        Self(lines)
    }

    fn find(&self, key: &str) -> u64 {
        self.0.get(key).copied().unwrap_or(1)
    }
}

/// The key that a line begins with: in quotes, or up to a colon before a space or the end.
fn key(line: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(quoted) = line.strip_prefix(quote) {
            let (key, rest) = quoted.split_once(quote)?;
            return rest.trim_start().starts_with(':').then_some(key);
        }
    }
    let ends = |at: usize| {
        let after = line[at + 1..].chars().next();
        after.is_none_or(char::is_whitespace)
    };
    let at = line
        .match_indices(':')
        .map(|(at, _)| at)
        .find(|at| ends(*at))?;
    Some(line[..at].trim_end())
}

fn walk(
    own: &str,
    group: &Value,
    above: &mut Vec<String>,
    hosts: &mut BTreeMap<String, (u64, DeviceEntry)>,
    read: &mut Read,
    lines: &Lines<'_>,
) {
    let at = lines.find(own);
    let group = match group {
        Value::Null => return,
        Value::Object(group) => group,
        _ => return read.wrong(at, own, "expected a mapping with hosts, children or vars"),
    };
    if above.len() >= DEEPEST {
        return read.wrong(
            at,
            own,
            format!("groups stand deeper than {DEEPEST} in each other"),
        );
    }
    // These two are everything, and say nothing.
    let counts = !matches!(own, "all" | "ungrouped");
    if counts {
        above.push(name(own));
    }
    for (key, value) in group {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            ("hosts", Value::Object(list)) => {
                for (host, vars) in list {
                    one(host, vars, above, hosts, read, lines);
                }
            }
            ("children", Value::Object(list)) => {
                for (child, group) in list {
                    walk(child, group, above, hosts, read, lines);
                }
            }
            ("vars", Value::Object(_)) => read.note(
                at,
                &format!("{own}.vars"),
                "variables of groups are not taken over",
            ),
            (key, _) => read.wrong(
                at,
                &format!("{own}.{key}"),
                "expected hosts, children and vars, each a mapping",
            ),
        }
    }
    if counts {
        above.pop();
    }
}

fn one(
    host: &str,
    vars: &Value,
    groups: &[String],
    hosts: &mut BTreeMap<String, (u64, DeviceEntry)>,
    read: &mut Read,
    lines: &Lines<'_>,
) {
    let at = lines.find(host);
    if host.contains('[') {
        return read.wrong(at, host, "a range of hosts; expected each by its name");
    }
    let var = |keys: &[&str]| {
        let value = keys
            .iter()
            .map(|key| &vars[*key])
            .find(|value| !value.is_null())?;
        value
            .as_str()
            .map(str::to_owned)
            .or_else(|| value.as_u64().map(|n| n.to_string()))
    };
    let (_, device) = hosts
        .entry(host.to_owned())
        .or_insert_with(|| (at, DeviceEntry::default()));
    for group in groups {
        if !device.groups.contains(group) {
            device.groups.push(group.clone());
        }
    }
    if !(vars.is_null() || vars.is_object()) {
        return read.wrong(at, host, "expected a mapping of variables");
    }
    let port = var(&["ansible_port", "ansible_ssh_port"]);
    match port.map(|port| {
        port.parse::<u16>()
            .ok()
            .filter(|port| *port > 0)
            .ok_or(port)
    }) {
        Some(Ok(port)) => {
            device.ssh = Some(SshEntry {
                port: Some(port),
                ..SshEntry::default()
            });
        }
        Some(Err(port)) => read.wrong(
            at,
            &format!("{host}.ansible_port"),
            format!("{port:?}; expected 1 to 65535"),
        ),
        None => {}
    }
    let address = var(&["ansible_host", "ansible_ssh_host"]);
    if address.is_some() || device.address.is_none() {
        device.address = address.or_else(|| Some(host.to_owned()));
    }
    let platform =
        var(&["ansible_network_os"]).map(|os| name(os.rsplit('.').next().unwrap_or_default()));
    for (known, new) in [
        (&mut device.platform, platform),
        (&mut device.site, var(&["site"]).map(|site| name(&site))),
        (&mut device.role, var(&["role"]).map(|role| name(&role))),
    ] {
        if let Some(new) = new.as_deref().and_then(some) {
            *known = Some(new);
        }
    }
}

pub(super) fn write(inventory: &Inventory) -> String {
    let mut groups: BTreeMap<&str, serde_json::Map<String, Value>> = BTreeMap::new();
    let mut hosts = serde_json::Map::new();
    for device in inventory.devices() {
        let mut vars = json!({"ansible_host": device.address.to_string()});
        for (key, value) in [
            ("ansible_network_os", &device.platform),
            ("site", &device.site),
            ("role", &device.role),
        ] {
            if !value.is_empty() {
                vars[key] = (**value).into();
            }
        }
        if let Some(ssh) = &device.ssh {
            vars["ansible_port"] = ssh.port.into();
        }
        hosts.insert(device.name.to_string(), vars);
        for group in &device.groups {
            groups
                .entry(group)
                .or_default()
                .insert(device.name.to_string(), json!({}));
        }
    }
    let children: serde_json::Map<String, Value> = groups
        .into_iter()
        .map(|(name, hosts)| (name.to_owned(), json!({"hosts": hosts})))
        .collect();
    let body = json!({"all": {"hosts": hosts, "children": children}});
    // JSON is YAML.
    serde_json::to_string_pretty(&body).unwrap_or_default() + "\n"
}
