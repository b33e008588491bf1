//! Reading: lists with filters and pages, and single entries.

use std::sync::Arc;

use http::StatusCode;
use inventory::document::{Defaults, SnmpEntry, SshEntry};
use inventory::edit::{Entry, Kind};
use inventory::{Device, Document, Inventory};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use toolkit::{Request, Response};

use super::edits::{Api, tag};
use crate::reply;
use crate::store::hex;

/// Most entries of one page.
const MOST: usize = 1_000;

/// Which entries, and which part of them.
struct Asked {
    filters: Vec<(&'static str, String)>,
    after: Option<String>,
    limit: Option<usize>,
}

/// Parameters of a list of this kind.
pub(crate) fn parameters(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Device => &[
            "name", "site", "role", "platform", "group", "tag", "address",
        ],
        Kind::Site => &["name", "region"],
        Kind::Group | Kind::Credential => &["name"],
    }
}

fn asked(request: &Request, kind: Kind) -> Result<Asked, String> {
    let known = parameters(kind);
    let mut asked = Asked {
        filters: Vec::new(),
        after: None,
        limit: None,
    };
    for (key, value) in request.query_pairs() {
        match key.as_str() {
            "after" => asked.after = Some(value),
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MOST).contains(limit));
                asked.limit =
                    Some(limit.ok_or_else(|| format!("limit is {value:?}; expected 1 to {MOST}"))?);
            }
            key => match known.iter().find(|name| **name == key) {
                Some(name) => asked.filters.push((name, value)),
                None => {
                    return Err(format!(
                        "unknown parameter {key:?}; expected {}, after or limit",
                        known.join(", ")
                    ));
                }
            },
        }
    }
    Ok(asked)
}

/// The entries that are asked for, how many there are in all, and where the next page begins.
fn page<'a, T>(
    all: impl Iterator<Item = &'a T>,
    name: impl Fn(&T) -> &str,
    asked: &Asked,
) -> Result<(Vec<&'a T>, usize, Option<String>), String> {
    let all: Vec<&T> = all.collect();
    let total = all.len();
    let start = match &asked.after {
        None => 0,
        Some(after) => all
            .iter()
            .position(|entry| name(entry) == after)
            .map(|at| at + 1)
            .ok_or_else(|| {
                format!(
                    "after is {after:?}; expected a name of this list (it may be gone: begin again)"
                )
            })?,
    };
    let limit = asked.limit.unwrap_or(usize::MAX);
    let part: Vec<&T> = all[start..].iter().copied().take(limit).collect();
    let next = (start + part.len() < total)
        .then(|| part.last().map(|entry| name(entry).to_owned()))
        .flatten();
    Ok((part, total, next))
}

fn contains(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase()
        .contains(&part.to_ascii_lowercase())
}

fn device_fits(device: &Device, filters: &[(&str, String)]) -> bool {
    filters.iter().all(|(key, value)| match *key {
        "name" => contains(&device.name, value),
        "site" => *device.site == **value,
        "role" => *device.role == **value,
        "platform" => *device.platform == **value,
        "group" => device.groups.iter().any(|group| **group == **value),
        "tag" => device.tags.iter().any(|tag| **tag == **value),
        _ => {
            let ips = [
                device.ipv4.map(|ip| ip.to_string()),
                device.ipv6.map(|ip| ip.to_string()),
            ];
            device.address.to_string() == *value || ips.iter().flatten().any(|ip| ip == value)
        }
    })
}

/// A list of the checked inventory under its version.
fn view<'a, T: Serialize + 'a>(
    request: &Request,
    inventory: &'a Inventory,
    kind: Kind,
    all: impl Iterator<Item = &'a T>,
    name: impl Fn(&T) -> &str,
    fits: impl Fn(&T, &[(&str, String)]) -> bool,
) -> Response {
    #[derive(Serialize)]
    struct List<'a, T> {
        version: &'a str,
        total: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        devices: Option<Vec<&'a T>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sites: Option<Vec<&'a T>>,
    }
    let asked = match asked(request, kind) {
        Ok(asked) => asked,
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    let fitting = all.filter(|entry| fits(entry, &asked.filters));
    let (part, total, next) = match page(fitting, name, &asked) {
        Ok(page) => page,
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    let mut list = List {
        version: inventory.version(),
        total,
        next,
        devices: None,
        sites: None,
    };
    match kind {
        Kind::Device => list.devices = Some(part),
        _ => list.sites = Some(part),
    }
    let tag = format!("{}-{}", inventory.version(), env!("CARGO_PKG_VERSION"));
    reply::tagged(request, &tag, || {
        serde_json::to_vec(&list).unwrap_or_default()
    })
}

/// `GET /api/v1/devices` and the other lists.
pub(crate) async fn list(api: Arc<Api>, request: Request, kind: Kind) -> Response {
    let inventory = api.feed.current();
    match kind {
        Kind::Device => view(
            &request,
            &inventory,
            kind,
            inventory.devices().iter(),
            |device| &device.name,
            device_fits,
        ),
        Kind::Site => view(
            &request,
            &inventory,
            kind,
            inventory.sites().iter(),
            |site| &site.name,
            |site, filters| {
                filters.iter().all(|(key, value)| match *key {
                    "name" => contains(&site.name, value),
                    _ => *site.region == **value,
                })
            },
        ),
        Kind::Group | Kind::Credential => {
            let asked = match asked(&request, kind) {
                Ok(asked) => asked,
                Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
            };
            api.document(move |document, inventory| {
                written(&request, kind, document, inventory, &asked)
            })
            .await
        }
    }
}

/// Groups as they are written; credentials that are listed or named.
fn written(
    request: &Request,
    kind: Kind,
    document: &Document,
    inventory: &Inventory,
    asked: &Asked,
) -> Response {
    let entries = (0..document.count(kind)).filter_map(|index| document.entry_at(kind, index));
    let mut values: Vec<Value> = entries
        .filter_map(|entry| serde_json::from_str(&entry.to_json()).ok())
        .collect();
    if kind == Kind::Credential {
        let named = counted(document);
        for value in &mut values {
            let name = value["name"].as_str().unwrap_or_default();
            value["used_by"] = named.get(name).copied().unwrap_or(0).into();
            value["listed"] = true.into();
        }
        let missing = named
            .iter()
            .filter(|(name, _)| document.position(kind, name).is_none());
        let mut missing: Vec<Value> = missing
            .map(|(name, count)| json!({"name": name, "used_by": count, "listed": false}))
            .collect();
        missing.sort_by_key(|value| value["name"].to_string());
        values.append(&mut missing);
    }
    fn name(value: &Value) -> &str {
        value["name"].as_str().unwrap_or_default()
    }
    let fits = |value: &&Value| {
        asked
            .filters
            .iter()
            .all(|(_, part)| contains(name(value), part))
    };
    match page(values.iter().filter(fits), name, asked) {
        Ok((part, total, next)) => {
            let mut body =
                json!({"version": inventory.version(), "total": total, kind.list(): part});
            if let Some(next) = next {
                body["next"] = next.into();
            }
            let tag = format!("{}-{}", inventory.version(), env!("CARGO_PKG_VERSION"));
            reply::tagged(request, &tag, || body.to_string().into_bytes())
        }
        Err(detail) => reply::problem(StatusCode::BAD_REQUEST, &detail),
    }
}

/// `ssh` and `snmp` sections of every device and group, with what they belong to.
fn sections(
    document: &Document,
) -> impl Iterator<Item = (String, Option<&SshEntry>, Option<&SnmpEntry>)> {
    let devices = document.devices.iter().map(|device| {
        (
            format!("devices/{}", device.name),
            device.ssh.as_ref(),
            device.snmp.as_ref(),
        )
    });
    let groups = document.groups.iter().map(|group| {
        let Defaults { ssh, snmp, .. } = &group.defaults;
        (
            format!("groups/{}", group.name),
            ssh.as_ref(),
            snmp.as_ref(),
        )
    });
    devices.chain(groups)
}

/// Devices and groups that name the credential.
pub(crate) fn users(document: &Document, name: &str) -> Vec<String> {
    let names = |ssh: Option<&SshEntry>, snmp: Option<&SnmpEntry>| {
        ssh.and_then(|ssh| ssh.credentials.as_deref()) == Some(name)
            || snmp.and_then(|snmp| snmp.auth.as_deref()) == Some(name)
    };
    sections(document)
        .filter(|(_, ssh, snmp)| names(*ssh, *snmp))
        .map(|(path, _, _)| path)
        .collect()
}

fn counted(document: &Document) -> std::collections::BTreeMap<&str, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for (_, ssh, snmp) in sections(document) {
        let ssh = ssh.and_then(|ssh| ssh.credentials.as_deref());
        let snmp = snmp.and_then(|snmp| snmp.auth.as_deref());
        for name in [ssh, snmp.filter(|snmp| Some(*snmp) != ssh)]
            .into_iter()
            .flatten()
        {
            *counts.entry(name).or_insert(0) += 1;
        }
    }
    counts
}

/// `GET /api/v1/devices/{name}` and the others: one entry, with what it inherits, or as it is written (`?form=written`).
pub(crate) async fn one(api: Arc<Api>, request: Request, kind: Kind) -> Response {
    let as_written = match request.query("form").as_deref() {
        None => matches!(kind, Kind::Group | Kind::Credential),
        Some("written") => true,
        Some("effective") => matches!(kind, Kind::Group | Kind::Credential),
        Some(other) => {
            let detail = format!("form is {other:?}; expected effective or written");
            return reply::problem(StatusCode::BAD_REQUEST, &detail);
        }
    };
    let name = request.param("name").unwrap_or_default().to_owned();
    api.document(move |document, inventory| {
        let Some(entry) = document.entry(kind, &name) else {
            let detail = format!(
                "no {} has this name; /api/v1/{} lists them",
                kind.one(),
                kind.list()
            );
            return reply::problem(StatusCode::NOT_FOUND, &detail);
        };
        let own = tag(&entry);
        if as_written {
            return reply::tagged(&request, &own, || entry.to_json().into_bytes());
        }
        let body = effective(inventory, &entry);
        let whole = hex(&Sha256::digest(&body)[..8]);
        reply::tagged(&request, &format!("{own}-{whole}"), || body)
    })
    .await
}

fn effective(inventory: &Inventory, entry: &Entry) -> Vec<u8> {
    #[derive(Serialize)]
    struct SiteView<'a> {
        #[serde(flatten)]
        site: &'a inventory::Site,
        devices: Vec<&'a str>,
    }
    let body = match entry.kind() {
        Kind::Site => inventory.site(entry.name()).map(|site| {
            let members = inventory
                .devices()
                .iter()
                .filter(|device| device.site == site.name);
            serde_json::to_vec(&SiteView {
                site,
                devices: members.map(|device| &*device.name).collect(),
            })
        }),
        _ => inventory.device(entry.name()).map(serde_json::to_vec),
    };
    // Plain values with text keys: there is nothing in them that JSON cannot hold.
    body.and_then(Result::ok).unwrap_or_default()
}
