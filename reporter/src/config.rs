//! The configuration file.

mod address;
mod copies;
mod mail;
mod raw;
mod source;

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use access::caller::Access;
use croner::Cron;
use jiff::tz::TimeZone;
use promapi::Prometheus;
use toolkit::config::Keys;
use toolkit::{ConfigError, Configuration, yaml};

use crate::copies::Copies;
use crate::figures::Targets;
use crate::paper::Look;
use crate::verbs;

pub use mail::{Mail, Security};
use raw::Raw;

/// Who may ask for reports, and where it is recorded.
#[derive(Debug)]
pub struct Editing {
    /// The policy.
    pub access: Arc<Access>,
    /// Folder of the audit log.
    pub audit: PathBuf,
}

/// The checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Where to ask.
    pub prometheus: Prometheus,
    /// Folder of the reports and the outbox.
    pub data: PathBuf,
    /// The zone that months are of.
    pub zone: TimeZone,
    /// The Loki that has lines of devices.
    pub loki: Option<loki::Source>,
    /// The remediator.
    pub remediator: Option<loki::Source>,
    /// What stands at the top, and how it looks.
    pub look: Look,
    /// Matchers of the interfaces that are links.
    pub links: String,
    /// What is expected.
    pub targets: Targets,
    /// How long a sample holds without another one.
    pub stale_after: Duration,
    /// When the month before is due.
    pub schedule: Option<Cron>,
    /// How reports are sent; they are only kept without it.
    pub mail: Option<Mail>,
    /// Where else reports are put.
    pub copies: Copies,
    /// Where people reach this service, without a slash at the end.
    pub external_url: Option<String>,
    /// Who may ask for reports; nobody while it is `None`.
    pub editing: Option<Editing>,
    files: Vec<PathBuf>,
    raw: Raw,
}

impl Config {
    /// Whether reports go anywhere.
    #[must_use]
    pub fn sends(&self) -> bool {
        self.mail.is_some() || !self.copies.is_empty()
    }

    /// The keys of the file.
    #[must_use]
    pub fn keys() -> Keys {
        Keys::of(&Raw::default())
    }

    /// Reads and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin)?;
        let wrong =
            |(path, message): (String, String)| ConfigError::at(text, origin, path, message);
        Self::check(raw, origin).map_err(wrong)
    }

    fn check(raw: Raw, origin: &Path) -> Result<Self, (String, String)> {
        let base = origin.parent().unwrap_or(Path::new(""));
        let prometheus = raw
            .prometheus
            .client(base)
            .map_err(|wrong| (format!("prometheus.{}", wrong.key), wrong.message))?;
        let zone = raw::zone(&raw.time_zone)?;
        let schedule = raw.schedule.as_deref().map(|text| {
            Cron::from_str(text).map_err(|error| {
                let expected = "expected a cron expression such as '0 6 1 * *'";
                ("schedule".to_owned(), format!("{expected}: {error}"))
            })
        });
        let mut files = raw.prometheus.files(base);
        let source = |key: &str, raw: &Option<source::RawSource>| {
            let checked = raw.as_ref().map(|raw| raw.check(base)).transpose();
            checked.map_err(|(path, message)| (format!("{key}.{path}"), message))
        };
        let loki = source("loki", &raw.loki)?;
        let remediator = source("remediator", &raw.remediator)?;
        for raw in [&raw.loki, &raw.remediator].into_iter().flatten() {
            files.extend(raw.files(base));
        }
        let logo = raw.logo_file.as_ref().map(|file| base.join(file));
        files.extend(logo.clone());
        let mut targets = raw.target.check()?;
        targets.services = raw::services(&raw.services, targets.general)?;
        let mail = raw.mail.as_ref().map(|mail| mail.check(base)).transpose();
        let mail = mail.map_err(|(key, message)| (format!("mail.{key}"), message))?;
        files.extend(mail.iter().filter_map(|mail| mail.ca_file.clone()));
        let copies = raw.copies.as_ref().map(|copies| copies.check(base));
        let copies = copies.transpose();
        let copies = copies.map_err(|(key, message)| (format!("copies.{key}"), message))?;
        let editing = match (raw.access.clone(), &raw.audit) {
            (None, None) => None,
            (None, Some(_)) => {
                let message = "expected access beside it: without it nobody asks for anything";
                return Err(("audit".to_owned(), message.to_owned()));
            }
            (Some(_), None) => {
                let message = "expected audit.folder beside it: what is asked for is recorded before it is done";
                return Err(("access".to_owned(), message.to_owned()));
            }
            (Some(access), Some(audit)) => Some(Editing {
                access: Arc::new(
                    access
                        .relative_to(origin)
                        .check(verbs::ALL)
                        .map_err(|error| (format!("access.{}", error.path), error.message))?,
                ),
                audit: base.join(&audit.folder),
            }),
        };
        for (key, text) in [("title", &raw.title), ("organisation", &raw.organisation)] {
            if text.chars().count() > 80 || text.chars().any(char::is_control) {
                let message = "expected at most 80 characters on one line";
                return Err((key.to_owned(), message.to_owned()));
            }
        }
        Ok(Self {
            prometheus,
            data: base.join(&raw.data),
            zone,
            loki,
            remediator,
            look: Look {
                title: match &*raw.title {
                    "" => raw.language.of("Network availability", "Dostępność sieci"),
                    title => title,
                }
                .to_owned(),
                organisation: raw.organisation.clone(),
                language: raw.language,
                csv: raw.csv,
                theme: pdf::Theme {
                    accent: raw::color(&raw.color)?,
                    logo: logo.as_deref().map(raw::logo).transpose()?,
                    logo_text: String::new(),
                },
            },
            links: raw.links.trim().to_owned(),
            targets,
            stale_after: *raw.stale_after,
            schedule: schedule.transpose()?,
            mail,
            copies: copies.unwrap_or_default(),
            external_url: raw
                .external_url
                .as_deref()
                .map(address::address)
                .transpose()?,
            editing,
            files,
            raw,
        })
    }
}

impl Configuration for Config {
    const DEFAULT: &'static str = include_str!("../default.yaml");

    fn masked(&self) -> String {
        // JSON is YAML; secrets stand in files of which it has the names only.
        serde_json::to_string_pretty(&self.raw).unwrap_or_default() + "\n"
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        testkit::crypto();
        Config::parse(text, Path::new("reporter.yaml")).map_err(|error| error.to_string())
    }

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_printed_default_is_written_from_the_code() {
        let head = "Configuration of sotp-reporter. Every value below is the default; what is left out keeps it.\n\
                    Relative paths begin at this file's folder. Durations: 250ms, 1.5s, 1m30s, 1h, 2d. Sizes: 65536, 64KiB, 1GiB.";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("default.yaml");
        testkit::golden::hold(&path, &Config::keys().text(head));
    }

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_reference_page_is_written_from_the_code() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let series = std::fs::read_to_string(package.join("tests/golden/metrics.txt")).unwrap();
        let page = toolkit::reference::page::<crate::Service>(
            Some(&Config::keys()),
            &[("Series", &series)],
        );
        testkit::golden::hold(&package.join("../docs/reference/reporter.md"), &page);
    }

    #[test]
    fn the_printed_default_is_the_default() {
        let (printed, empty) = (parse(Config::DEFAULT).unwrap(), parse("").unwrap());
        assert_eq!(printed.masked(), empty.masked());
        assert!(empty.mail.is_none() && empty.editing.is_none() && empty.schedule.is_none());
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        for (text, expected) in [
            ("tme_zone: UTC", "tme_zone"),
            (
                "time_zone: Warsaw",
                "reporter.yaml:1:12: time_zone: expected a name of the time zone database",
            ),
            (
                "schedule: every day",
                "schedule: expected a cron expression",
            ),
            (
                "target: {percent: 101}",
                "target.percent: expected more than 0 and at most 100, found 101",
            ),
            (
                "target: {sites: {waw: 0}}",
                "target.sites.waw: expected more than 0 and at most 100, found 0",
            ),
            ("stale_after: 2h", "stale_after: 2h is out of bounds"),
            (
                "prometheus: {url: here}",
                "prometheus.url: expected an http or https address",
            ),
            (
                "external_url: reports",
                "external_url: expected an http or https address",
            ),
            ("access: {}", "access: expected audit.folder beside it"),
            ("audit: {folder: a}", "audit: expected access beside it"),
            (
                "mail: {server: s, from: nobody, to: [a@b.example]}",
                "mail.from: expected an address such as",
            ),
            (
                "mail: {server: s, from: a@b.example, to: []}",
                "mail.to: expected 1 to 100 addresses",
            ),
            (
                "mail: {server: s, from: a@b.example, to: [a@b.example], user: u}",
                "mail.user: expected password_file beside it",
            ),
            (
                "mail: {server: s, from: a@b.example, to: [a@b.example], user: u, password_file: no/file, security: none}",
                "mail.security: expected starttls or tls beside a password",
            ),
            (
                "mail: {server: s, from: a@b.example, to: [a@b.example], user: u, password_file: no/file}",
                "mail.password_file: expected a readable file",
            ),
            (
                "services: [{name: a, devices: []}]",
                "services[0].devices: expected 1 to 100 devices, each once",
            ),
            (
                "services: [{name: a, devices: [x]}, {name: a, devices: [x]}]",
                "services[1].name: \"a\" is there twice",
            ),
            (
                "services: [{name: a, devices: [x], percent: 0}]",
                "services[0].percent: expected more than 0",
            ),
            (
                "copies: {s3: {url: 'http://s', bucket: 'a b', access_key_id: a, secret_key_file: no/file}}",
                "copies.s3.bucket: expected letters, digits and",
            ),
            (
                "copies: {s3: {url: 'http://s', bucket: a, access_key_id: a, secret_key_file: no/file}}",
                "copies.s3.secret_key_file: expected a readable file",
            ),
            ("color: blue", "color: expected a color such as #1d4e89"),
            (
                "logo_file: no/file",
                "logo_file: expected a PNG of at most 1 MiB",
            ),
            (
                "loki: {url: here}",
                "loki.url: expected an http or https address",
            ),
            (
                "remediator: {url: 'http://r', bearer_token_file: no/file}",
                "remediator.bearer_token_file: expected a readable file",
            ),
            (
                "title: \"a\\nb\"",
                "title: expected at most 80 characters on one line",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
