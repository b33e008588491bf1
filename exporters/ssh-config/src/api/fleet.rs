//! Calls about all devices at once: what changed when, where a line stands, what one lacks that its peers have.

use std::collections::{BTreeMap, HashMap};

use access::Refusal;
use http::StatusCode;
use regex::RegexBuilder;
use schemars::JsonSchema;
use serde::Serialize;
use toolkit::web::response;
use toolkit::{Request, Response};

use super::{VersionShown, bad, shown, structure, unreadable};
use crate::collector::Shared;
use crate::tree::Tree;

/// Most changes, and most lines found, of one answer.
pub(super) const MOST: usize = 1000;
/// Longest pattern of a search.
const LONGEST: usize = 500;
/// Longest time to both sides of which changes are listed, minutes.
pub(super) const MINUTES: i64 = 24 * 60;
/// Peers that there have to be before one of them is held against the others.
const PEERS: usize = 5;

/// Changes of the whole fleet around a time, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Around {
    changes: Vec<ChangeOf>,
}

/// A change of one device.
#[derive(Debug, Serialize, JsonSchema)]
struct ChangeOf {
    device: String,
    #[serde(flatten)]
    version: VersionShown,
}

/// What changed in the fleet around a time.
pub(super) fn around(shared: &Shared, request: &Request) -> Result<Response, Refusal> {
    let at = match request.query("at") {
        None => jiff::Timestamp::now().as_second(),
        Some(text) => match (text.parse::<i64>(), text.parse::<jiff::Timestamp>()) {
            (Ok(seconds), _) => seconds,
            (_, Ok(at)) => at.as_second(),
            _ => return Err(bad("at: expected a time (RFC 3339 or Unix seconds)")),
        },
    };
    let minutes = match request.query("minutes") {
        None => 5,
        Some(text) => match text.parse::<i64>() {
            Ok(minutes) if (1..=MINUTES).contains(&minutes) => minutes,
            _ => return Err(bad(format!("minutes: expected 1 to {MINUTES}"))),
        },
    };
    let span = minutes * 60;
    let found = shared
        .archive
        .between(at.saturating_sub(span), at.saturating_add(span), MOST)
        .map_err(|error| unreadable(&error))?;
    let changes = found
        .into_iter()
        .map(|(device, version)| ChangeOf {
            device,
            version: shown(&version),
        })
        .collect();
    Ok(response::json(StatusCode::OK, &Around { changes }))
}

/// Lines of the newest configurations that match.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Found {
    matches: Vec<Match>,
    /// Whether there are more than are listed.
    more: bool,
}

/// A line that matches.
#[derive(Debug, Serialize, JsonSchema)]
struct Match {
    device: String,
    /// Number of the line, counted from 1.
    line: usize,
    /// What the line belongs to, outermost first.
    section: Vec<String>,
    text: String,
}

/// Searches the newest configuration of every device.
pub(super) fn search(shared: &Shared, request: &Request) -> Result<Response, Refusal> {
    let pattern = request.query("pattern").unwrap_or_default();
    if pattern.is_empty() || pattern.len() > LONGEST {
        return Err(bad(format!("pattern: expected 1 to {LONGEST} bytes")));
    }
    let regex = RegexBuilder::new(&pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| bad("pattern: expected a regular expression"))?;
    let mut matches = Vec::new();
    let mut more = false;
    for (device, structure, text) in newest(shared, request)? {
        if !regex.is_match(&text) && !text.lines().any(|line| regex.is_match(line)) {
            continue;
        }
        let tree = Tree::parse(structure, &text);
        for (number, line) in tree.lines.iter().enumerate() {
            if !regex.is_match(line.text) {
                continue;
            }
            more = matches.len() >= MOST;
            if more {
                break;
            }
            matches.push(Match {
                device: device.clone(),
                line: number + 1,
                section: tree.path(number).into_iter().map(str::to_owned).collect(),
                text: line.text.to_owned(),
            });
        }
    }
    Ok(response::json(StatusCode::OK, &Found { matches, more }))
}

/// Devices without a line that nearly all of their peers have.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Outliers {
    outliers: Vec<Outlier>,
}

/// A line that a device lacks.
#[derive(Debug, Serialize, JsonSchema)]
struct Outlier {
    device: String,
    role: String,
    platform: String,
    /// What the line belongs to, outermost first.
    section: Vec<String>,
    text: String,
    /// Peers of its role and platform that have it.
    peers_with: usize,
    /// Peers there are, the device among them.
    peers: usize,
}

/// Lines that a share of the devices of one role and platform has and the rest lacks.
pub(super) fn outliers(shared: &Shared, request: &Request) -> Result<Response, Refusal> {
    let share = match request.query("share") {
        None => 95,
        Some(text) => match text.parse::<usize>() {
            Ok(share) if (51..=99).contains(&share) => share,
            _ => return Err(bad("share: expected 51 to 99, in per cent")),
        },
    };
    let inventory = shared.feed.current();
    let mut groups: BTreeMap<(String, String), Vec<Peer>> = BTreeMap::new();
    for (name, structure, text) in newest(shared, request)? {
        let Some(device) = inventory.device(&name) else {
            continue;
        };
        let tree = Tree::parse(structure, &text);
        let mut keys: Vec<String> = (0..tree.lines.len())
            .filter(|&number| {
                let line = tree.lines[number].text.trim();
                line.len() > 1 && !line.contains("<masked:")
            })
            .map(|number| {
                let mut path = tree.path(number);
                path.push(tree.lines[number].text.trim());
                path.join("\n")
            })
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let group = (device.role.to_string(), device.platform.to_string());
        groups.entry(group).or_default().push((name, keys));
    }
    let mut outliers = Vec::new();
    for ((role, platform), members) in groups {
        if members.len() < PEERS {
            continue;
        }
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for key in members.iter().flat_map(|(_, keys)| keys) {
            *counts.entry(key).or_default() += 1;
        }
        let peers = members.len();
        let mut common: Vec<(&str, usize)> = counts
            .into_iter()
            .filter(|(_, count)| *count < peers && count * 100 >= share * (peers - 1))
            .collect();
        common.sort_unstable();
        for (device, keys) in &members {
            for (key, count) in &common {
                if outliers.len() >= MOST {
                    break;
                }
                if keys.binary_search_by(|own| own.as_str().cmp(key)).is_err() {
                    let mut section: Vec<String> = key.lines().map(str::to_owned).collect();
                    let text = section.pop().unwrap_or_default();
                    outliers.push(Outlier {
                        device: device.clone(),
                        role: role.clone(),
                        platform: platform.clone(),
                        section,
                        text,
                        peers_with: *count,
                        peers,
                    });
                }
            }
        }
    }
    Ok(response::json(StatusCode::OK, &Outliers { outliers }))
}

/// A device, and its lines with their sections, sorted.
type Peer = (String, Vec<String>);

type Newest = (String, ssh::Structure, String);

/// The newest configuration of each device, narrowed by `role`, `site` and `platform`; one after the other.
fn newest<'a>(
    shared: &'a Shared,
    request: &Request,
) -> Result<impl Iterator<Item = Newest> + 'a, Refusal> {
    let wanted = ["role", "site", "platform"].map(|name| request.query(name));
    let inventory = shared.feed.current();
    let mut names = Vec::new();
    for device in inventory.devices() {
        let own: [&str; 3] = [&device.role, &device.site, &device.platform];
        let fits =
            |(wanted, own): (&Option<String>, &str)| wanted.as_deref().is_none_or(|it| it == own);
        if wanted.iter().zip(own).all(fits) {
            names.push(device.name.to_string());
        }
    }
    // One that cannot be read is one too many: the answer would be wrong without a word.
    if let Some(name) = names.first() {
        shared
            .archive
            .latest(name)
            .map_err(|error| unreadable(&error))?;
    }
    Ok(names.into_iter().filter_map(|name| {
        let text = shared.archive.latest(&name).ok().flatten()?;
        let structure = structure(shared, &name);
        Some((name, structure, text))
    }))
}
