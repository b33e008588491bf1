//! Whose work a program of ours is made of: the notices that its licences want beside it, and the parts list (CycloneDX 1.5).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

/// What files that hold a licence or a notice begin with, in capital letters.
const NAMES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

/// Everything that `cargo metadata` knows, for one platform.
#[derive(Debug, Deserialize)]
pub struct Graph {
    packages: Vec<Part>,
    resolve: Resolve,
}

/// One package.
#[derive(Debug, Clone, Deserialize)]
pub struct Part {
    id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, an SPDX expression.
    pub license: Option<String>,
    /// Who wrote it, where it says so.
    #[serde(default)]
    pub authors: Vec<String>,
    source: Option<String>,
    repository: Option<String>,
    manifest_path: std::path::PathBuf,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Graph {
    /// Asks cargo, which must have fetched everything before.
    ///
    /// # Errors
    /// cargo fails, or answers something else.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version=1", "--offline", "--locked"])
            .arg(format!("--filter-platform={}", platform()))
            .current_dir(root)
            .output()
            .context("cargo cannot be run")?;
        ensure!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// What a package of ours is linked from, by name and version; ours and what only builds or tests it left out.
    ///
    /// # Errors
    /// There is no package of that name.
    pub fn parts(&self, name: &str) -> anyhow::Result<Vec<&Part>> {
        let packages: BTreeMap<&str, &Part> =
            self.packages.iter().map(|part| (&*part.id, part)).collect();
        let nodes: BTreeMap<&str, &Node> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (&*node.id, node))
            .collect();
        let ours = self
            .packages
            .iter()
            .find(|part| part.name == name && part.source.is_none());
        let mut left = vec![&*ours.with_context(|| format!("no package {name}"))?.id];
        let mut seen = BTreeSet::new();
        while let Some(id) = left.pop() {
            if !seen.insert(id) {
                continue;
            }
            let linked = nodes.get(id).into_iter().flat_map(|node| &node.deps);
            let linked =
                linked.filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            left.extend(linked.map(|edge| &*edge.pkg));
        }
        let mut parts: Vec<&Part> = seen
            .into_iter()
            .filter_map(|id| packages.get(id).copied())
            .filter(|part| part.source.is_some())
            .collect();
        parts.sort_by_key(|part| (&part.name, &part.version));
        Ok(parts)
    }
}

/// The platform that this was built for.
#[must_use]
pub fn platform() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// The texts of a part's licences: those that come with it, else those that its expression names.
///
/// # Errors
/// There is none, or a file cannot be read.
fn texts(root: &Path, part: &Part) -> anyhow::Result<Vec<String>> {
    let folder = part.manifest_path.parent().unwrap_or(Path::new("."));
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().to_uppercase();
            NAMES.iter().any(|begin| name.starts_with(begin)) && entry.path().is_file()
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let mut texts = Vec::new();
    for file in files {
        let text = std::fs::read(&file).with_context(|| file.display().to_string())?;
        texts.push(String::from_utf8_lossy(&text).trim().to_owned());
    }
    if !texts.is_empty() {
        return Ok(texts);
    }
    let license = part.license.as_deref().unwrap_or_default();
    let authors = part.authors.join(", ");
    let whom = if authors.is_empty() {
        format!("the authors of {}", part.name)
    } else {
        authors
    };
    for (name, file) in [
        ("Apache-2.0", "LICENSE"),
        ("MIT", "packaging/licences/MIT.txt"),
    ] {
        if license.contains(name) {
            let text = std::fs::read_to_string(root.join(file))?;
            return Ok(vec![format!("Copyright: {whom}\n\n{}", text.trim())]);
        }
    }
    anyhow::bail!(
        "{} {} comes without the text of its licence ({license})",
        part.name,
        part.version
    )
}

/// The notices of a program of the package `name`: each part with its licence, and each text once.
///
/// # Errors
/// A part comes without a licence, or without a text of one.
pub fn notices(root: &Path, graph: &Graph, name: &str) -> anyhow::Result<String> {
    let mut out = format!(
        "# Third-party notices of {name}\n\n{name} itself is under the Apache License 2.0. It is linked from these parts:\n\n"
    );
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for part in graph.parts(name)? {
        let known = format!("{} {}", part.name, part.version);
        let license = part.license.as_deref();
        let license = license.with_context(|| format!("{known} names no licence"))?;
        let _ = writeln!(out, "- {known}: {license}");
        for text in texts(root, part)? {
            by_text.entry(text).or_default().push(known.clone());
        }
    }
    for (text, parts) in by_text {
        let _ = write!(out, "\n---\n\n{}:\n\n{text}\n", parts.join(", "));
    }
    Ok(out)
}

/// The parts list of a package as CycloneDX 1.5 (<https://cyclonedx.org/docs/1.5/json/>).
///
/// # Errors
/// There is no such package.
pub fn parts_list(graph: &Graph, name: &str, version: &str) -> anyhow::Result<Value> {
    let purl = |name: &str, version: &str| format!("pkg:cargo/{name}@{version}");
    let components: Vec<Value> = graph
        .parts(name)?
        .into_iter()
        .map(|part| {
            let mut component = json!({
                "type": "library", "name": part.name, "version": part.version,
                "bom-ref": purl(&part.name, &part.version), "purl": purl(&part.name, &part.version),
            });
            if let Some(license) = &part.license {
                // The old form of cargo for a choice.
                component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
            }
            if let Some(url) = &part.repository {
                component["externalReferences"] = json!([{"type": "vcs", "url": url}]);
            }
            component
        })
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": {"type": "application", "name": name, "version": version, "bom-ref": purl(name, version)}},
        "components": components,
    }))
}
