//! The dependency audit by `deny.toml`, the file of cargo-deny: the same rules without that program.
//!
//! Read here: `[graph] targets`, `[licenses] allow`, `[[licenses.exceptions]]`, `[bans] multiple-versions`, `deny` and `skip`,
//! `[advisories] ignore`. Other keys are cargo-deny's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::crates::{Crates, Package};

/// What is allowed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Which builds count.
    pub graph: Graph,
    /// Which licences may be linked.
    pub licenses: Licences,
    /// Which packages, and how many of each.
    pub bans: Bans,
    /// Which known advisories are accepted.
    pub advisories: Advisories,
}

/// Which builds count.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Graph {
    /// Platforms as target triples.
    pub targets: Vec<String>,
}

/// Which licences may be linked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Licences {
    /// SPDX identifiers, an exception included (`Apache-2.0 WITH LLVM-exception`).
    pub allow: Vec<String>,
    /// Further identifiers for single packages.
    pub exceptions: Vec<Exception>,
}

/// Further licences for one package.
#[derive(Debug, Deserialize)]
pub struct Exception {
    /// The package.
    #[serde(rename = "crate", alias = "name")]
    pub krate: String,
    /// SPDX identifiers.
    pub allow: Vec<String>,
}

/// Which packages, and how many of each.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Bans {
    /// Packages that may not take part at all.
    pub deny: Vec<Named>,
    /// Versions that may stand beside another one, each with its reason.
    pub skip: Vec<Named>,
}

/// A package, with a version (`name@1.2.3`) or without.
#[derive(Debug, Deserialize)]
pub struct Named {
    /// The package.
    #[serde(rename = "crate")]
    pub krate: String,
    /// Why the entry is there.
    pub reason: Option<String>,
}

/// Which known advisories are accepted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Advisories {
    /// The entries of the list.
    pub ignore: Vec<Ignored>,
}

/// One accepted advisory.
#[derive(Debug, Deserialize)]
pub struct Ignored {
    /// Its identifier, as in `RUSTSEC-2024-0001`.
    pub id: String,
    /// Why it does not touch us.
    pub reason: Option<String>,
}

impl Rules {
    /// Reads `deny.toml`.
    ///
    /// # Errors
    /// When the file cannot be read or is not of that form.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not a deny.toml", path.display()))
    }
}

/// Packages whose licence is missing, unknown, or not allowed.
#[must_use]
pub fn licences(rules: &Rules, packages: &[Package]) -> Vec<String> {
    packages.iter().filter_map(|package| licence(rules, package)).collect()
}

fn licence(rules: &Rules, package: &Package) -> Option<String> {
    let who = format!("{} {}", package.name, package.version);
    let Some(text) = &package.license else {
        return Some(format!("{who}: states no licence"));
    };
    // Old manifests write a slash for OR.
    let expression = match spdx::Expression::parse_mode(text, spdx::ParseMode::LAX) {
        Ok(expression) => expression,
        Err(error) => return Some(format!("{who}: `{text}` is no SPDX expression: {}", error.reason)),
    };
    let mut allowed: BTreeSet<&str> = rules.licenses.allow.iter().map(String::as_str).collect();
    for exception in &rules.licenses.exceptions {
        if exception.krate == package.name {
            allowed.extend(exception.allow.iter().map(String::as_str));
        }
    }
    let good = expression.evaluate(|requirement| allowed.contains(requirement.to_string().as_str()));
    (!good).then(|| format!("{who}: licence `{text}` is not on the list of deny.toml"))
}

/// Packages that are denied, that come in several versions without a reason, and reasons that nothing needs any more.
#[must_use]
pub fn bans(rules: &Rules, packages: &[Package]) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    let mut problems = Vec::new();
    for denied in &rules.bans.deny {
        if versions.contains_key(denied.krate.as_str()) {
            let reason = denied.reason.as_deref().unwrap_or("no reason given");
            problems.push(format!("{}: denied ({reason})", denied.krate));
        }
    }
    let mut skipped: BTreeSet<(&str, &str)> = BTreeSet::new();
    for skip in &rules.bans.skip {
        let (name, version) = skip.krate.split_once('@').unwrap_or((&skip.krate, ""));
        if skip.reason.as_deref().unwrap_or_default().is_empty() {
            problems.push(format!("{}: skipped without a reason", skip.krate));
        }
        let present = versions.get(name).is_some_and(|found| found.len() > 1 && found.contains(version));
        if present {
            skipped.insert((name, version));
        } else {
            problems.push(format!("{}: skipped, but not there twice; take the line out", skip.krate));
        }
    }
    for (name, found) in &versions {
        let left: Vec<&&str> = found.iter().filter(|version| !skipped.contains(&(name, version))).collect();
        if left.len() > 1 {
            problems.push(format!("{name}: several versions ({left:?}); choose one, or skip one with a reason"));
        }
    }
    problems
}

/// The packages that count: those of the platforms named in the rules.
///
/// # Errors
/// As [`Crates::read`].
pub fn packages(rules: &Rules, root: &Path) -> anyhow::Result<Vec<Package>> {
    Ok(Crates::read(root, &rules.graph.targets)?.packages)
}
