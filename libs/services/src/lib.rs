//! The table of our services, `lab/services.toml`, and the scrape configuration that follows from it.
//!
//! The launcher starts what the table names; the checks hold documents, manifests and the Makefile against it.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test may end where it stands")
)]

pub mod prometheus;

use std::collections::BTreeSet;

use serde::Deserialize;

/// The services, in the order in which people meet them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Each service once.
    pub service: Vec<Service>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Package and program, as in `sotp-ping`.
    pub name: String,
    /// The folder of the package, as in `exporters/ping`.
    pub folder: String,
    /// What it is, in the README: the end of a sentence that begins with its name.
    pub about: String,
    /// What its pages show, in a few words.
    pub shows: String,
    /// Its pages of documentation, the first one first.
    pub pages: Vec<String>,
    /// Its dashboards, by their paths below `dashboards/`.
    #[serde(default)]
    pub dashboards: Vec<String>,
    /// Further programs that its package builds.
    #[serde(default)]
    pub programs: Vec<String>,
    /// The port of its own pages, `/metrics` among them.
    pub port: u16,
    /// The Prometheus job of its own `/metrics`.
    pub job: String,
    /// Where it takes the devices from.
    pub devices: Devices,
    /// Who calls it, and with what they show who they are.
    #[serde(default)]
    pub callers: Callers,
    /// A second job, of a page that Prometheus asks for each device.
    pub probe: Option<Probe>,
    /// Whether the launcher starts it.
    #[serde(default = "yes")]
    pub launched: bool,
    /// Processes of the stack that must be ready before it, beyond the inventory that it reads.
    #[serde(default)]
    pub after: Vec<String>,
    /// Further arguments, each a template of the launcher; one that comes out empty is left out.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The configuration file that the launcher writes for it.
    pub config: Option<Config>,
    /// Its name in `compose.yaml` and below `kustomize/apps`, and that of its image after `sotp/`; none when it runs in no container.
    pub app: Option<String>,
    /// Whether it can have several pods that are scraped one by one, found by the DNS of the cluster.
    #[serde(default)]
    pub pods: bool,
}

/// Where a service takes the devices from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Devices {
    /// The inventory file.
    File,
    /// The inventory service, so that a change of the file reaches it the way it does in production.
    Inventory,
    /// Prometheus, which learns them from the inventory service and names one with each request.
    Prometheus,
    /// Nowhere: it needs none.
    None,
}

/// Who calls a service, and with what they show who they are, where the parts know each other by certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Callers {
    /// Parts of ours only: nobody is let in without a certificate.
    #[default]
    Parts,
    /// People too, through apps of Grafana, which show no certificate: one is verified where it is shown, and what is changed asks for it,
    /// for a password or for the token of a person.
    People,
    /// Browsers of anybody: no certificate is asked for.
    Browsers,
}

impl Callers {
    /// The file of `kustomize/components/tls/web` that asks them for it.
    #[must_use]
    pub fn web_config(self) -> &'static str {
        match self {
            Self::Parts => "web.yaml",
            Self::People => "web-given.yaml",
            Self::Browsers => "web-browsers.yaml",
        }
    }
}

/// A job that asks one page of a service for each device that the inventory service lists.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Its name.
    pub job: String,
    /// The page, as in `/snmp`.
    pub path: String,
    /// The list of the inventory service, as in `/sd/snmp`.
    pub list: String,
}

/// A configuration file that the launcher writes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name in the state folder.
    pub file: String,
    /// Its text, a template of the launcher; when it comes out empty the service runs without it.
    pub text: String,
}

fn yes() -> bool {
    true
}

/// What the table cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no TOML, or lacks or has a key that it must not.
    #[error("lab/services.toml")]
    Form(#[from] toml::de::Error),
    /// Two services claim the same.
    #[error("lab/services.toml: {0} stands there twice")]
    Twice(String),
}

impl Table {
    /// The table of this project.
    ///
    /// # Errors
    /// Of [`Table::parse`].
    pub fn ours() -> Result<Self, Error> {
        Self::parse(include_str!("../../../lab/services.toml"))
    }

    /// Reads a table.
    ///
    /// # Errors
    /// It has not the form of one, or a name, port, job or app twice.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let table: Self = toml::from_str(text)?;
        let mut seen = BTreeSet::new();
        for service in &table.service {
            let jobs =
                std::iter::once(&service.job).chain(service.probe.as_ref().map(|one| &one.job));
            let programs = std::iter::once(&service.name).chain(&service.programs);
            let claims = programs
                .map(|name| format!("program {name}"))
                .chain(jobs.map(|job| format!("job {job}")))
                .chain(service.app.iter().map(|app| format!("app {app}")))
                .chain([format!("port {}", service.port)]);
            for claim in claims {
                if !seen.insert(claim.clone()) {
                    return Err(Error::Twice(claim));
                }
            }
        }
        Ok(table)
    }

    /// The service of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Service> {
        self.service.iter().find(|service| service.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "[[service]]\nname = 'sotp-a'\nfolder = 'a'\nabout = 'x'\nshows = 'x'\npages = []\nport = 1\njob = 'a'\ndevices = 'none'\n";

    #[test]
    fn the_table_of_this_project_is_one() {
        let table = Table::ours().unwrap();
        assert_eq!(table.get("sotp-ping").unwrap().port, 19427);
        assert_eq!(table.get("sotp-pong"), None);
    }

    #[test]
    fn an_entry_needs_no_more_than_it_says() {
        let table = Table::parse(ENTRY).unwrap();
        let [service] = &table.service[..] else {
            panic!("{table:?}")
        };
        assert!(service.launched && service.app.is_none() && service.probe.is_none());
    }

    #[test]
    fn what_two_services_claim_is_refused() {
        for (change, twice) in [
            (("", ""), "program sotp-a"),
            (("sotp-a", "sotp-b"), "job a"),
            (("'a'", "'b'"), "program sotp-a"),
        ] {
            let second = ENTRY.replace(change.0, change.1);
            let error = Table::parse(&format!("{ENTRY}{second}")).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("lab/services.toml: {twice} stands there twice")
            );
        }
        let ports = ENTRY
            .replace("sotp-a", "sotp-b")
            .replace("job = 'a'", "job = 'b'");
        let error = Table::parse(&format!("{ENTRY}{ports}")).unwrap_err();
        assert!(error.to_string().contains("port 1"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(Table::parse(&format!("{ENTRY}prot = 2\n")).is_err());
    }
}
