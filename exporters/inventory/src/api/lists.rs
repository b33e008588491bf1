//! Reading: lists with filters and pages, and single entries.

use std::sync::Arc;

use http::StatusCode;
use inventory::document::{Defaults, GroupEntry, SnmpEntry, SshEntry};
use inventory::edit::{Entry, Kind};
use inventory::{Device, Document, Inventory, Site};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use toolkit::{Request, Response};

use super::edits::{Api, tag};
use crate::reply;
use crate::store::hex;

/// Most entries of one page.
pub(crate) const MOST: usize = 1_000;

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

/// A page of a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Page<E> {
    /// The version of the inventory.
    version: String,
    /// Entries on all pages.
    total: usize,
    /// The name that the next page begins after; none on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(flatten)]
    entries: E,
}

/// Devices with what they inherit.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Devices<'a> {
    devices: Vec<&'a Device>,
}

/// Sites.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Sites<'a> {
    sites: Vec<&'a Site>,
}

/// Groups as they are written.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Groups<'a> {
    groups: Vec<&'a GroupEntry>,
}

/// Credentials that are listed or named.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Credentials<'a> {
    credentials: Vec<&'a CredentialUse<'a>>,
}

/// The name of a credential.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CredentialUse<'a> {
    name: &'a str,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<&'a str>,
    /// Devices and groups that name it.
    used_by: usize,
    /// Whether it stands in the list of credentials; else it is only named.
    listed: bool,
}

/// The page of a list under the version of the inventory.
fn view<'a, T: 'a, E: Serialize>(
    request: &Request,
    inventory: &Inventory,
    kind: Kind,
    all: impl Iterator<Item = &'a T>,
    name: impl Fn(&T) -> &str,
    fits: impl Fn(&T, &[(&str, String)]) -> bool,
    entries: impl FnOnce(Vec<&'a T>) -> E,
) -> Response {
    let asked = match asked(request, kind) {
        Ok(asked) => asked,
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    let fitting = all.filter(|entry| fits(entry, &asked.filters));
    let (part, total, next) = match page(fitting, name, &asked) {
        Ok(page) => page,
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    let version = inventory.version().to_owned();
    let tag = format!("{version}-{}", env!("CARGO_PKG_VERSION"));
    let page = Page {
        version,
        total,
        next,
        entries: entries(part),
    };
    reply::tagged(request, &tag, || {
        serde_json::to_vec(&page).unwrap_or_default()
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
            |devices| Devices { devices },
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
            |sites| Sites { sites },
        ),
        Kind::Group => {
            api.document(move |document, inventory| {
                view(
                    &request,
                    inventory,
                    kind,
                    document.groups.iter(),
                    |group| &group.name,
                    |group, filters| filters.iter().all(|(_, part)| contains(&group.name, part)),
                    |groups| Groups { groups },
                )
            })
            .await
        }
        Kind::Credential => {
            api.document(move |document, inventory| {
                let all = credentials(document);
                view(
                    &request,
                    inventory,
                    kind,
                    all.iter(),
                    |credential| credential.name,
                    |credential, filters| {
                        filters
                            .iter()
                            .all(|(_, part)| contains(credential.name, part))
                    },
                    |credentials| Credentials { credentials },
                )
            })
            .await
        }
    }
}

/// Those that are listed, then those that are only named, by name.
fn credentials(document: &Document) -> Vec<CredentialUse<'_>> {
    let mut named = counted(document);
    let listed = document.credentials.iter().map(|entry| CredentialUse {
        name: &entry.name,
        remark: entry.remark.as_deref(),
        used_by: named.remove(entry.name.as_str()).unwrap_or(0),
        listed: true,
    });
    let mut all: Vec<CredentialUse<'_>> = listed.collect();
    all.extend(named.into_iter().map(|(name, used_by)| CredentialUse {
        name,
        remark: None,
        used_by,
        listed: false,
    }));
    all
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

/// A site with what stands there.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SiteView<'a> {
    #[serde(flatten)]
    site: &'a Site,
    /// Names of its devices.
    devices: Vec<&'a str>,
}

fn effective(inventory: &Inventory, entry: &Entry) -> Vec<u8> {
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
