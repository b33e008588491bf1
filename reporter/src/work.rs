//! From a month to its report, and to a mail that is out: the same steps for the command line, the schedule and a job.

use std::io;
use std::time::{Duration, Instant};

use jiff::{Timestamp, Zoned};

use crate::bundle::{self, Bundle};
use crate::closed::{Archive, Closed};
use crate::config::{Config, Mail};
use crate::copies;
use crate::figures::{self, NoFigures, Report, Totals};
use crate::history::Reader;
use crate::mail;
use crate::material::PastMonth;
use crate::metrics::{Metrics, Stage};
use crate::month::{Millis, Month};
use crate::outbox::{Entry, Outbox, State};
use crate::sources;
use crate::store::{self, Store};
use crate::tables::File;

/// The month before is compared with when nothing is known for at most this part of it.
const GAPS: f64 = 0.05;

/// Is told how far it is: of what, and the part from 0 to 1.
pub type Progress<'a> = &'a (dyn Fn(&str, f64) + Send + Sync);

/// Why there is no report, or it is not out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The month is not over.
    #[error("{0} is not over: its report is made afterwards")]
    NotOver(Month),
    /// The month has no edges.
    #[error("the edges of {0}")]
    Edges(Month, #[source] jiff::Error),
    /// Nothing is known.
    #[error(transparent)]
    NoFigures(#[from] NoFigures),
    /// Prometheus did not answer at all.
    #[error("Prometheus does not answer: {0}")]
    NoAnswer(String),
    /// A source did not answer for a part, and nobody said that it is to be sent so.
    #[error(
        "{0} parts were not answered, the first {1}; it is sent so only when that is asked for"
    )]
    Incomplete(usize, String),
    /// The month was closed with other edges.
    #[error("{0} was closed in the time zone {1}: expected it as time_zone")]
    Closed(Month, String),
    /// The files.
    #[error(transparent)]
    Files(#[from] bundle::Error),
    /// The folder of the service.
    #[error("the folder of the reports")]
    Store(#[from] io::Error),
    /// Somebody else works on it.
    #[error("another process works in the folder of the reports")]
    Busy,
    /// No mail server is named.
    #[error("the configuration has no section mail or copies")]
    NoMail,
    /// A copy.
    #[error(transparent)]
    Copy(#[from] copies::Error),
    /// The mail.
    #[error(transparent)]
    Mail(#[from] mail::Error),
}

impl Error {
    /// Where it failed.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::NotOver(_)
            | Self::Edges(..)
            | Self::NoFigures(_)
            | Self::NoAnswer(_)
            | Self::Closed(..)
            | Self::Incomplete(..) => Stage::Figures,
            Self::Files(_) | Self::Store(_) | Self::Busy => Stage::Files,
            Self::NoMail | Self::Mail(_) | Self::Copy(_) => Stage::Mail,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The report is kept.
    Kept,
    /// The server took the mail.
    Sent(Entry),
    /// It was sent before.
    AlreadySent(Entry),
}

/// What is known of a month: as it was closed, else what its sources tell now.
///
/// # Errors
/// There is nothing. A part that a source did not answer is told in it.
pub async fn gather(
    config: &Config,
    month: Month,
    now: &Zoned,
    progress: Progress<'_>,
) -> Result<Closed, Error> {
    let edges = |error| Error::Edges(month, error);
    let period = month.period(&config.zone).map_err(edges)?;
    if now.timestamp().as_millisecond() < period.end {
        return Err(Error::NotOver(month));
    }
    if let Some(closed) = Archive::new(&config.data).read(month)? {
        if closed.material.history.period != period {
            return Err(Error::Closed(month, closed.time_zone));
        }
        return Ok(closed);
    }
    let mut material = sources::read(config, period, progress).await;
    let history = &material.history;
    let known = history.devices.iter().any(|device| device.samples > 0);
    if let Some(part) = history.missing.first().filter(|_| !known) {
        return Err(Error::NoAnswer(part.why.clone()));
    }
    material.previous = match kept(config, month.before()) {
        Some(known) => Some(known),
        None if known => compared(config, month.before(), progress).await?,
        None => None,
    };
    material.months = trend(config, month);
    let stale_after = Millis::try_from(config.stale_after.as_millis()).unwrap_or(Millis::MAX);
    let zone = bundle::zone_name(&config.zone);
    Ok(Closed::new(month, zone, stale_after, material))
}

/// What is kept of the months before the last one, back to eleven months ago, the oldest first.
fn trend(config: &Config, month: Month) -> Vec<PastMonth> {
    let before = std::iter::successors(Some(month.before()), |month| Some(month.before()));
    let mut months: Vec<PastMonth> = before
        .take(figures::MONTHS - 1)
        .skip(1)
        .filter_map(|month| {
            let totals = kept(config, month)?;
            Some(PastMonth { month, totals })
        })
        .collect();
    months.reverse();
    months
}

/// What is kept of a month: Prometheus may have forgotten a part of it since.
fn kept(config: &Config, month: Month) -> Option<Totals> {
    if let Ok(Some(closed)) = Archive::new(&config.data).read(month) {
        return Some(figures::network(&closed.material.history));
    }
    let manifest = store::manifest(&config.data, month).ok()??;
    let known = manifest.availability_ratio.is_some() && manifest.missing.is_empty();
    known.then_some(manifest.milliseconds)
}

async fn compared(
    config: &Config,
    month: Month,
    progress: Progress<'_>,
) -> Result<Option<Totals>, Error> {
    let period = month
        .period(&config.zone)
        .map_err(|error| Error::Edges(month, error))?;
    let reader = Reader {
        prometheus: &config.prometheus,
        stale_after: config.stale_after,
        progress,
    };
    let history = reader.read(period).await;
    let gaps: Millis = figures::gaps(&history).iter().map(|gap| gap.length()).sum();
    let whole = history.missing.is_empty() && gaps as f64 <= GAPS * period.length() as f64;
    Ok(whole.then(|| figures::network(&history)))
}

/// The files of a month.
///
/// # Errors
/// There are none.
pub async fn build(config: &Config, closed: &Closed) -> Result<Bundle, Error> {
    let report = Report::new(
        closed.month,
        &config.zone,
        &config.targets,
        closed.stale_after,
        &closed.material,
    )?;
    let look = config.look.clone();
    let hash = bundle::sha256(&closed.bytes().map_err(bundle::Error::from)?);
    let made = tokio::task::spawn_blocking(move || Bundle::new(&report, &look, &hash)).await;
    Ok(made.map_err(io::Error::other)??)
}

/// What the service works with.
pub struct Work<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The reports.
    pub store: &'a Store,
    /// The series.
    pub metrics: &'a Metrics,
    /// Whether a report is kept and sent although a part of it is missing.
    pub incomplete: bool,
    /// Is told how far it is.
    pub progress: Progress<'a>,
}

impl Work<'_> {
    /// Makes the report of a month and keeps it. One that was sent stays as it was sent.
    ///
    /// # Errors
    /// It is not made.
    pub async fn keep(&self, month: Month) -> Result<Done, Error> {
        let counted = async {
            let _lock = self.store.lock()?.ok_or(Error::Busy)?;
            if let Some(entry) = Outbox::new(self.store.outbox()).get(month)? {
                return Ok(Done::AlreadySent(entry));
            }
            self.made(month).await?;
            Ok(Done::Kept)
        };
        counted
            .await
            .inspect_err(|error: &Error| self.metrics.failed(error.stage()))
    }

    /// Makes the report of a month unless it is there, sends it unless it was sent, and puts its copies unless they are there.
    ///
    /// # Errors
    /// It is not out.
    pub async fn deliver(&self, month: Month) -> Result<Done, Error> {
        let counted = async {
            let _lock = self.store.lock()?.ok_or(Error::Busy)?;
            let outbox = Outbox::new(self.store.outbox());
            let done = match &self.config.mail {
                Some(mail) => self.mail(mail, &outbox, month).await?,
                None if self.config.copies.is_empty() => return Err(Error::NoMail),
                None => {
                    self.report(month).await?;
                    Done::Kept
                }
            };
            if !self.config.copies.is_empty() && !outbox.is_copied(month) {
                let bundle = self.report(month).await?;
                self.config.copies.put(&bundle).await?;
                outbox.set_copied(month)?;
            }
            Ok(done)
        };
        counted
            .await
            .inspect_err(|error: &Error| self.metrics.failed(error.stage()))
    }

    async fn mail(&self, mail: &Mail, outbox: &Outbox, month: Month) -> Result<Done, Error> {
        let entry = match outbox.get(month)? {
            Some(entry) if entry.state == State::Sent => return Ok(Done::AlreadySent(entry)),
            Some(entry) => entry,
            None => {
                let bundle = self.report(month).await?;
                let (entry, bytes) = mail::compose(self.config, mail, &bundle, Timestamp::now())?;
                outbox.queue(&entry, &bytes)?;
                entry
            }
        };
        self.send(mail, outbox, entry).await.map(Done::Sent)
    }

    /// The report that is kept, or a new one.
    async fn report(&self, month: Month) -> Result<Bundle, Error> {
        let Some(manifest) = self.store.manifest(month)? else {
            return self.made(month).await;
        };
        let sent = Outbox::new(self.store.outbox()).get(month)?.is_some();
        if !manifest.missing.is_empty() && !sent {
            // Its sources may answer for all of it now.
            return self.made(month).await;
        }
        let names = manifest.files.iter().map(|file| file.name.clone());
        let mut files = Vec::new();
        for name in names.chain([bundle::MANIFEST.to_owned()]) {
            let content = self.store.file(month, &name)?.unwrap_or_default();
            files.push(File { name, content });
        }
        Ok(Bundle { manifest, files })
    }

    async fn made(&self, month: Month) -> Result<Bundle, Error> {
        let begun = Instant::now();
        let now = Zoned::now().with_time_zone(self.config.zone.clone());
        let closed = gather(self.config, month, &now, self.progress).await?;
        let bundle = build(self.config, &closed).await?;
        self.metrics
            .build_seconds
            .set(begun.elapsed().as_secs_f64());
        let missing = &bundle.manifest.missing;
        if let Some(first) = missing.first().filter(|_| !self.incomplete) {
            let first = format!(
                "{} from {} to {}: {}",
                first.what, first.from, first.to, first.why
            );
            return Err(Error::Incomplete(missing.len(), first));
        }
        if missing.is_empty() {
            self.store.archive().close(&closed)?;
        } else {
            self.metrics.incomplete.inc();
        }
        self.store.put(&bundle)?;
        Ok(bundle)
    }

    async fn send(&self, mail: &Mail, outbox: &Outbox, mut entry: Entry) -> Result<Entry, Error> {
        if entry.state == State::Sending {
            entry.in_doubt = entry.in_doubt.saturating_add(1);
            self.metrics.in_doubt.inc();
            tracing::warn!(month = %entry.month, message_id = entry.message_id,
                "a mail was on its way when a process ended: it is sent again with the same Message-ID");
        }
        let bytes = outbox.bytes(entry.month)?;
        entry.state = State::Sending;
        entry.attempts = entry.attempts.saturating_add(1);
        outbox.save(&entry)?;
        match mail::send(mail, &entry, &bytes).await {
            Ok(()) => {
                entry.state = State::Sent;
                entry.sent = Some(Timestamp::now());
                entry.error = None;
                outbox.save(&entry)?;
                self.metrics.sent.inc();
                Ok(entry)
            }
            Err(error) => {
                entry.state = if error.is_final() {
                    State::Refused
                } else {
                    State::Queued
                };
                entry.error = Some(error.to_string());
                outbox.save(&entry)?;
                Err(error.into())
            }
        }
    }
}

/// How long is waited before the next attempt, after `failed` of them in a row.
#[must_use]
pub fn pause(failed: u32) -> Duration {
    Duration::from_secs(15 << failed.min(6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Targets;
    use crate::history::{Device, History};
    use crate::material::Material;
    use crate::tables::{self, Profile};
    use crate::timeline::{Planned, State, Timeline};

    /// A month in which one device was up all the time that is known.
    fn past(month: Month, state: State) -> Material {
        let period = month.period(&jiff::tz::TimeZone::UTC).unwrap();
        let device = Device {
            name: "r1".to_owned(),
            site: "waw".to_owned(),
            role: "router".to_owned(),
            state: Timeline::constant(period, state),
            planned: Timeline::constant(period, Planned::No),
            samples: 1,
            seen: None,
        };
        Material::of(History {
            period,
            devices: vec![device],
            missing: Vec::new(),
            warnings: Vec::new(),
            nameless: 0,
        })
    }

    #[test]
    fn trend_has_twelve_months_of_what_is_closed_and_gaps_where_nothing_is() {
        testkit::crypto();
        let dir = testkit::TempDir::new().unwrap();
        let config = Config::parse("", &dir.join("reporter.yaml")).unwrap();
        let archive = Archive::new(&config.data);
        let month = |text: &str| text.parse::<Month>().unwrap();
        // The last one is a month too old; of the one before it everything is down.
        for (name, state) in [
            ("2025-09", State::Up),
            ("2025-06", State::Up),
            ("2024-11", State::Down),
            ("2024-10", State::Up),
        ] {
            let material = past(month(name), state);
            let closed = Closed::new(month(name), "UTC".to_owned(), 120_000, material);
            archive.close(&closed).unwrap();
        }
        let this = month("2025-10");
        let mut material = past(this, State::Up);
        material.months = trend(&config, this);
        let told: Vec<String> = material
            .months
            .iter()
            .map(|past| past.month.to_string())
            .collect();
        assert_eq!(
            told,
            ["2024-11", "2025-06"],
            "the month before is `previous`"
        );
        material.previous = kept(&config, this.before());
        // A month that was closed by an earlier version has none of them, and the same bytes as then.
        let text = serde_json::to_string(&past(this, State::Up)).unwrap();
        assert!(!text.contains("\"months\""), "{text}");

        let targets = Targets {
            general: 0.999,
            sites: std::collections::BTreeMap::new(),
            services: Vec::new(),
        };
        let zone = jiff::tz::TimeZone::UTC;
        let report = Report::new(this, &zone, &targets, 120_000, &material).unwrap();
        let files = tables::all(&report, Profile::Rfc4180).unwrap();
        let months = files.iter().find(|file| file.name == "months.csv").unwrap();
        let text = String::from_utf8(months.content.clone()).unwrap();
        let rows: Vec<&str> = text.lines().skip(1).collect();
        let day = 86_400;
        for (row, expected) in rows.iter().zip([
            format!("2024-11,0,0,0,{},0,0,0", 30 * day),
            "2024-12,,,,,,,".to_owned(),
            "2025-01,,,,,,,".to_owned(),
            "2025-02,,,,,,,".to_owned(),
            "2025-03,,,,,,,".to_owned(),
            "2025-04,,,,,,,".to_owned(),
            "2025-05,,,,,,,".to_owned(),
            format!("2025-06,1,1,{},0,0,0,0", 30 * day),
            "2025-07,,,,,,,".to_owned(),
            "2025-08,,,,,,,".to_owned(),
            format!("2025-09,1,1,{},0,0,0,0", 30 * day),
            format!("2025-10,1,1,{},0,0,0,0", 31 * day),
        ]) {
            assert_eq!(*row, expected);
        }
        assert_eq!(rows.len(), figures::MONTHS);
    }
}
