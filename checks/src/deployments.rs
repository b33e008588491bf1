//! What somebody may apply: each overlay, and each component on the overlay that it is for.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::hashed;
use crate::{files, manifests};

/// One of them, as kustomize builds it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Deployment {
    /// The path of the overlay or of the component.
    pub name: String,
    /// Everything that is applied.
    pub objects: Vec<Value>,
}

/// The overlay that a component stands on in these checks: the whole, unless it is for people who run a stack of their own.
#[must_use]
pub fn below(component: &str) -> &'static str {
    match component {
        "prometheus-operator" => "kustomize/overlays/exporters-only",
        _ => "kustomize/overlays/all-in-one",
    }
}

/// The folders in `folder` of the repository, sorted.
///
/// # Errors
/// Those of reading it.
pub fn folders(root: &Path, folder: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root.join(folder)).with_context(|| folder.to_owned())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// All of them, built side by side. Tests are processes: `scratch` keeps what the first has built for the others, until a manifest changes.
///
/// # Errors
/// kustomize refuses one.
pub fn all(root: &Path, kubectl: &Path, scratch: &Path) -> anyhow::Result<Vec<Deployment>> {
    std::fs::create_dir_all(scratch)?;
    let lock = std::fs::File::create(scratch.join("lock"))?;
    lock.lock().context("lock")?;
    let mut sources = vec![kubectl.to_owned()];
    for folder in ["kustomize", "dashboards", "alerts"] {
        sources.extend(files(&root.join(folder), "")?);
    }
    let folders = overlays(root, scratch)?;
    sources.extend(
        folders
            .iter()
            .map(|(_, folder)| folder.join("kustomization.yaml")),
    );
    let (content, kept) = (hashed(&sources)?, scratch.join("kept.json"));
    if let Ok(text) = std::fs::read(&kept)
        && let Ok((of, all)) = serde_json::from_slice::<(u64, Vec<Deployment>)>(&text)
        && of == content
    {
        return Ok(all);
    }
    let all = built(kubectl, &folders)?;
    std::fs::write(&kept, serde_json::to_vec(&(content, &all))?)?;
    Ok(all)
}

/// The folder of each.
fn overlays(root: &Path, scratch: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for overlay in folders(root, "kustomize/overlays")? {
        let name = format!("kustomize/overlays/{overlay}");
        found.push((name.clone(), root.join(name)));
    }
    for component in folders(root, "kustomize/components")? {
        let folder = overlay(root, scratch, below(&component), &[&component])?;
        found.push((format!("kustomize/components/{component}"), folder));
    }
    Ok(found)
}

fn built(kubectl: &Path, folders: &[(String, PathBuf)]) -> anyhow::Result<Vec<Deployment>> {
    std::thread::scope(|scope| {
        let builds: Vec<_> = folders
            .iter()
            .map(|(name, folder)| scope.spawn(move || (name, manifests::build(kubectl, folder))))
            .collect();
        builds
            .into_iter()
            .map(|build| {
                let (name, built) = build
                    .join()
                    .map_err(|_| anyhow::anyhow!("a build ended by itself"))?;
                let objects = built.with_context(|| name.clone())?.1;
                Ok(Deployment {
                    name: name.clone(),
                    objects,
                })
            })
            .collect()
    })
}

/// Writes an overlay in `scratch` that is another one with components, and gives its folder.
///
/// # Errors
/// It cannot be written.
pub fn overlay(
    root: &Path,
    scratch: &Path,
    below: &str,
    components: &[&str],
) -> anyhow::Result<PathBuf> {
    let folder = scratch.join(components.join("+"));
    std::fs::create_dir_all(&folder)?;
    // kustomize takes relative paths only: up to the root of the file system, and down again.
    let folder = folder.canonicalize()?;
    let up = "../".repeat(folder.components().count() - 1);
    let root = format!("{up}{}", root.display().to_string().trim_start_matches('/'));
    let listed: String = components
        .iter()
        .map(|name| format!("  - {root}/kustomize/components/{name}\n"))
        .collect();
    std::fs::write(
        folder.join("kustomization.yaml"),
        format!("resources:\n  - {root}/{below}\ncomponents:\n{listed}"),
    )?;
    Ok(folder)
}
