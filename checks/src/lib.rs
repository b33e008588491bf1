//! Checks of the house itself: what must hold for crates, licences, dashboards, alerts, manifests and documents.
//!
//! Each module reads one kind of file and answers with a list of problems, each a sentence that names the file and what
//! was expected; an empty list is a pass. The tests of this package ask for an empty list on the repository, and for the
//! right sentence on a bad example, so that no check can pass by looking at nothing.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test may end where it stands")
)]

pub mod advisories;
pub mod alerts;
pub mod app;
pub mod circles;
pub mod cluster;
pub mod conventions;
pub mod crates;
pub mod dashboards;
pub mod deny;
pub mod deployments;
pub mod grafana;
pub mod links;
pub mod manifests;
pub mod operator;
pub mod packages;
pub mod panels;
pub mod pods;
pub mod programs;
pub mod prometheus;
pub mod promql;
pub mod reach;
pub mod runner;
pub mod schemas;
pub mod series;
pub mod shards;
pub mod sizing;
pub mod table;
pub mod tools;
pub mod variables;

use std::path::{Path, PathBuf};

/// The folder of the repository that this package lies in.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the package lies in the repository")
}

/// A path as the reader of a message knows it: from the repository's folder on.
#[must_use]
pub fn short(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Every file under `folder` whose name ends with `ending`, sorted, build results and hidden folders left out.
///
/// # Errors
/// Those of reading a folder.
pub fn files(folder: &Path, ending: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type()?;
            if kind.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(entry.path());
            } else if kind.is_file() && name.ends_with(ending) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
