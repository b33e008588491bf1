//! Known vulnerabilities, from a local copy of the RustSec advisory database.
//!
//! An advisory is a Markdown file that begins with a TOML block: `[advisory] id, package` and
//! `[versions] patched, unaffected` as lists of version requirements.

use std::path::{Path, PathBuf};

use anyhow::Context;
use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::crates::Package;
use crate::deny::Rules;

#[derive(Debug, Deserialize)]
struct Document {
    advisory: Head,
    #[serde(default)]
    versions: Versions,
}

#[derive(Debug, Deserialize)]
struct Head {
    id: String,
    package: String,
    informational: Option<String>,
    withdrawn: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Versions {
    patched: Vec<VersionReq>,
    unaffected: Vec<VersionReq>,
}

/// Where a copy of the database lies: `SOTP_ADVISORY_DB`, else `advisory-db` in cargo's home; none when neither is there.
#[must_use]
pub fn database() -> Option<PathBuf> {
    let named = std::env::var_os("SOTP_ADVISORY_DB").map(PathBuf::from);
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    named.or_else(|| home.map(|home| home.join("advisory-db"))).filter(|path| path.join("crates").is_dir())
}

/// Packages that an advisory of `database` touches and that the rules do not accept.
///
/// # Errors
/// When an advisory cannot be read.
pub fn check(rules: &Rules, packages: &[Package], database: &Path) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in packages {
        let folder = database.join("crates").join(&package.name);
        if !folder.is_dir() {
            continue;
        }
        for path in crate::files(&folder, ".md")? {
            let text = std::fs::read_to_string(&path)?;
            if let Some(id) = touches(&text, package).with_context(|| path.display().to_string())?
                && !rules.advisories.ignore.iter().any(|ignored| ignored.id == id)
            {
                problems.push(format!("{} {}: {id} ({})", package.name, package.version, path.display()));
            }
        }
    }
    Ok(problems)
}

fn touches(text: &str, package: &Package) -> anyhow::Result<Option<String>> {
    let block = text.split_once("```toml").and_then(|(_, rest)| rest.split_once("```")).context("no TOML block")?.0;
    let document: Document = toml::from_str(block)?;
    let version: Version = package.version.parse()?;
    let safe = document.versions.patched.iter().chain(&document.versions.unaffected).any(|good| good.matches(&version));
    let counts = document.advisory.informational.is_none() && document.advisory.withdrawn.is_none();
    Ok((counts && !safe && document.advisory.package == package.name).then_some(document.advisory.id))
}
