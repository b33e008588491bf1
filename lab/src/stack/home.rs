//! Alert rules, Alertmanager's routes and dashboards, in the folders of a checkout.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folder that holds `alerts/` and `dashboards/`.
#[derive(Debug, Clone)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The folder named, or the first above the working folder or above this program that has `alerts/rules`.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn find(named: Option<&Path>) -> anyhow::Result<Self> {
        let is_home = |folder: &Path| folder.join("alerts/rules").is_dir();
        if let Some(named) = named {
            let named = std::path::absolute(named)?;
            anyhow::ensure!(
                is_home(&named),
                "{}: expected a folder with alerts/rules in it",
                named.display()
            );
            return Ok(Self(named));
        }
        let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
        starts
            .iter()
            .flatten()
            .flat_map(|start| start.ancestors())
            .find(|folder| is_home(folder))
            .map(|folder| Self(folder.to_path_buf()))
            .context("no alerts/rules in or above this folder: run it in a checkout, or name one with --home")
    }

    /// The rule files, in the order of their names.
    ///
    /// # Errors
    /// The folder cannot be read, or has no rule file.
    pub(crate) fn rules(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.0.join("alerts/rules");
        let entries = folder
            .read_dir()
            .with_context(|| folder.display().to_string())?;
        let mut rules: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|end| end == "yaml" || end == "yml")
            })
            .collect();
        anyhow::ensure!(
            !rules.is_empty(),
            "{}: expected at least one *.yaml",
            folder.display()
        );
        rules.sort();
        Ok(rules)
    }

    /// Alertmanager's configuration.
    pub(crate) fn alertmanager(&self) -> Option<PathBuf> {
        self.there("alerts/alertmanager/alertmanager.yaml")
    }

    /// Grafana's provisioning folder.
    pub(crate) fn provisioning(&self) -> Option<PathBuf> {
        self.there("dashboards/provisioning")
    }

    /// The folders of dashboards, each with its files. What else lies under `dashboards/` is not one: the app, and provisioning.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub(crate) fn dashboards(&self) -> anyhow::Result<Vec<(OsString, Vec<PathBuf>)>> {
        let Some(folder) = self.there("dashboards") else {
            return Ok(Vec::new());
        };
        let mut folders = Vec::new();
        for path in entries(&folder)? {
            let name = path.file_name().unwrap_or_default().to_owned();
            if !path.is_dir()
                || ["app", "gate", "provisioning"]
                    .iter()
                    .any(|other| name == *other)
            {
                continue;
            }
            let mut files = entries(&path)?;
            files.retain(|file| file.extension().is_some_and(|end| end == "json"));
            folders.push((name, files));
        }
        Ok(folders)
    }

    /// The SOTP app for Grafana, where `make app` has built it.
    pub(crate) fn app(&self) -> Option<PathBuf> {
        self.there("target/app/dist/plugin.json")
            .and_then(|file| file.parent().map(Path::to_path_buf))
    }

    /// What the app says of itself, built or not: the folder of its `plugin.json`.
    pub(crate) fn app_sources(&self) -> Option<PathBuf> {
        self.there("dashboards/app/public")
    }

    /// The scripts of a page around the app, where its tests were built.
    pub(crate) fn app_host(&self) -> Option<PathBuf> {
        self.there("target/app/host-dist/host.js")
            .and_then(|file| file.parent().map(Path::to_path_buf))
    }

    /// The web SDK of Grafana Faro as npm brought it with the app.
    pub(crate) fn faro(&self) -> Option<PathBuf> {
        self.there("target/app/node_modules/@grafana/faro-web-sdk/dist/bundle/faro-web-sdk.iife.js")
    }

    /// What the gate between Grafana and its data sources lets pass.
    pub(crate) fn gate(&self) -> Option<PathBuf> {
        self.there("dashboards/gate")
    }

    /// The dashboard that a visitor lands on.
    pub(crate) fn first_dashboard(&self) -> Option<PathBuf> {
        self.there("dashboards/network/now.json")
    }

    fn there(&self, path: &str) -> Option<PathBuf> {
        let path = self.0.join(path);
        path.exists().then_some(path)
    }
}

/// What lies in a folder, sorted.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = folder
        .read_dir()
        .with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}
