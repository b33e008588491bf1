//! Calls about all devices at once: what changed when, where a line stands, what one lacks that its peers have.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

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
/// Longest time of a search; what is left then is not searched.
const LONGEST_SEARCH: Duration = Duration::from_secs(20);
/// Most devices of one role and platform that are held against each other.
const MOST_PEERS: usize = 2000;
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
    let until = Instant::now() + LONGEST_SEARCH;
    for (device, structure, text) in configurations(shared, names(shared, request)?) {
        if more || Instant::now() > until {
            more = true;
            break;
        }
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
    let mut groups: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for name in names(shared, request)? {
        if let Some(device) = inventory.device(&name) {
            let group = (device.role.to_string(), device.platform.to_string());
            let members = groups.entry(group).or_default();
            if members.len() < MOST_PEERS {
                members.push(name);
            }
        }
    }
    let mut outliers = Vec::new();
    for ((role, platform), names) in groups.into_iter().filter(|(_, names)| names.len() >= PEERS) {
        let members: Vec<(String, Vec<u64>)> = configurations(shared, names)
            .map(|(name, structure, text)| (name, hashes(&Tree::parse(structure, &text))))
            .collect();
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for hash in members.iter().flat_map(|(_, hashes)| hashes) {
            *counts.entry(*hash).or_default() += 1;
        }
        let peers = members.len();
        counts.retain(|_, count| *count < peers && *count * 100 >= share * (peers - 1));
        for (device, own) in &members {
            let lacks: Vec<u64> = counts
                .keys()
                .copied()
                .filter(|hash| own.binary_search(hash).is_err())
                .collect();
            let mut found = lines_of(shared, &lacks, &members);
            found.sort();
            outliers.extend(found.into_iter().map(|(mut section, hash)| Outlier {
                device: device.clone(),
                role: role.clone(),
                platform: platform.clone(),
                text: section.pop().unwrap_or_default(),
                section,
                peers_with: counts[&hash],
                peers,
            }));
        }
        if outliers.len() >= MOST {
            outliers.truncate(MOST);
            break;
        }
    }
    Ok(response::json(StatusCode::OK, &Outliers { outliers }))
}

/// Each line of a configuration that peers may have in common, with the lines that it belongs to.
fn keys<'t>(tree: &'t Tree<'t>) -> impl Iterator<Item = Vec<&'t str>> {
    let line = |number: &usize| {
        let line = tree.lines[*number].text.trim();
        line.len() > 1 && !line.contains("<masked:")
    };
    (0..tree.lines.len()).filter(line).map(|number| {
        let mut path = tree.path(number);
        path.push(tree.lines[number].text.trim());
        path
    })
}

fn hashed(key: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// The keys as numbers, sorted: two thousand devices have some millions of them.
fn hashes(tree: &Tree<'_>) -> Vec<u64> {
    let mut hashes: Vec<u64> = keys(tree).map(|key| hashed(&key)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The lines that some numbers stand for, from a device that has them.
fn lines_of(
    shared: &Shared,
    wanted: &[u64],
    members: &[(String, Vec<u64>)],
) -> Vec<(Vec<String>, u64)> {
    let mut wanted: Vec<u64> = wanted.to_vec();
    let mut found = Vec::new();
    for (name, own) in members {
        if !wanted.iter().any(|hash| own.binary_search(hash).is_ok()) {
            continue;
        }
        for (_, structure, text) in configurations(shared, vec![name.clone()]) {
            for key in keys(&Tree::parse(structure, &text)) {
                let hash = hashed(&key);
                if let Some(place) = wanted.iter().position(|own| *own == hash) {
                    wanted.swap_remove(place);
                    found.push((key.into_iter().map(str::to_owned).collect(), hash));
                }
            }
        }
    }
    found
}

type Newest = (String, ssh::Structure, String);

/// The devices that a request is about, narrowed by `role`, `site` and `platform`.
fn names(shared: &Shared, request: &Request) -> Result<Vec<String>, Refusal> {
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
    // An archive that cannot be read has no answer, rather than an empty one.
    if let Some(name) = names.first() {
        let latest = shared.archive.latest(name);
        latest.map_err(|error| unreadable(&error))?;
    }
    Ok(names)
}

/// The newest configuration of each of them, one after the other.
fn configurations(shared: &Shared, names: Vec<String>) -> impl Iterator<Item = Newest> {
    names.into_iter().filter_map(|name| {
        let text = shared.archive.latest(&name).ok().flatten()?;
        let structure = structure(shared, &name);
        Some((name, structure, text))
    })
}
