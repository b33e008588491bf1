//! What `cargo metadata` says of the workspace and of everything it is built from.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// The packages of the workspace and their dependencies.
#[derive(Debug, Deserialize)]
pub struct Crates {
    /// Every package that takes part in a build.
    pub packages: Vec<Package>,
    /// Ids of the packages that are ours.
    pub workspace_members: Vec<String>,
}

/// One package.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    /// Its opaque id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression.
    pub license: Option<String>,
    /// Its `Cargo.toml`.
    pub manifest_path: PathBuf,
    /// What it depends on, as its manifest says.
    pub dependencies: Vec<Dependency>,
    /// What it builds.
    pub targets: Vec<Target>,
}

/// A dependency as a manifest states it.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    /// Name of the package.
    pub name: String,
    /// `dev`, `build`, or nothing for an ordinary one.
    pub kind: Option<String>,
}

/// Something that a package builds.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// `lib`, `bin`, `test` and so on.
    pub kind: Vec<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its root file.
    pub src_path: PathBuf,
}

impl Package {
    /// Whether the package builds a program.
    #[must_use]
    pub fn is_program(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.kind.iter().any(|kind| kind == "bin"))
    }

    /// The programs that the package builds.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        let built = |target: &&Target| target.kind.iter().any(|kind| kind == "bin");
        let programs = self.targets.iter().filter(built);
        programs.map(|target| target.name.as_str())
    }

    /// The folder of the package.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("."))
    }
}

impl Crates {
    /// Asks cargo for what is built on `platforms`; on all of them when the list is empty.
    ///
    /// # Errors
    /// When cargo cannot be run or answers something else than metadata.
    pub fn read(root: &Path, platforms: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root);
        for platform in platforms {
            command.args(["--filter-platform", platform]);
        }
        let output = command.output().context("cannot run cargo metadata")?;
        ensure!(
            output.status.success(),
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout).context("cargo metadata answered in an unknown form")
    }

    /// The packages that are ours.
    pub fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }
}
