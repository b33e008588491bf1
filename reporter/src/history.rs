//! What Prometheus remembers of a period, read once and in pieces.

use std::collections::BTreeMap;
use std::time::Duration;

use promapi::{Error, Labels, Matrix, Prometheus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::month::{Millis, Period, utc};
use crate::timeline::{Planned, Recorder, State, Timeline};

/// The series of sotp-ping: whether a device answers.
const UP: &str = "ping_up";
/// The series of sotp-inventory: whether planned work is under way.
const PLANNED: &str = "sotp_device_maintenance";
/// The series of sotp-inventory: the devices.
const INFO: &str = "sotp_device_info";

/// The length of the first piece; the next ones are as long as their answers allow.
const PIECE: Millis = 3_600_000;
/// Shortest and longest piece.
const PIECES: (Millis, Millis) = (60_000, 24 * 3_600_000);
/// A piece with more samples is halved next time, one with less than a quarter of it doubled.
const SAMPLES: usize = 1_000_000;
/// How often a question is asked that may be answered later.
const TRIES: u32 = 4;
/// Before the second of these times; each pause is four times as long as the one before.
const PAUSE: Duration = Duration::from_millis(200);
/// After so many pieces in a row without an answer, the others are not asked for.
const GIVE_UP: u32 = 3;
/// Most warnings that are kept.
const WARNINGS: usize = 20;

/// A part that could not be asked for; it is unknown in every figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missing {
    /// The series.
    pub what: String,
    /// From when.
    pub from: String,
    /// Until when.
    pub to: String,
    /// What Prometheus said, or that it said nothing.
    pub why: String,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its name in the inventory.
    pub name: String,
    /// Its site, as its newest series says.
    pub site: String,
    /// Its role, as its newest series says.
    pub role: String,
    /// Whether it answered.
    pub state: Timeline<State>,
    /// Whether planned work was under way.
    pub planned: Timeline<Planned>,
    /// Samples of `ping_up` in the period.
    pub samples: u64,
    /// Times of the first and last of them.
    pub seen: Option<(Millis, Millis)>,
}

/// A period as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The period.
    pub period: Period,
    /// The devices, by name.
    pub devices: Vec<Device>,
    /// What could not be asked for.
    pub missing: Vec<Missing>,
    /// What Prometheus warned of.
    pub warnings: Vec<String>,
    /// Series of `ping_up` without the label `device`, which belong to nobody.
    pub nameless: usize,
}

/// Reads a period.
pub struct Reader<'a> {
    /// Where to ask.
    pub prometheus: &'a Prometheus,
    /// How long a sample holds without another one.
    pub stale_after: Duration,
    /// Is told how far it is: the series, and the part from 0 to 1.
    pub progress: &'a (dyn Fn(&str, f64) + Send + Sync),
}

type Series<S> = BTreeMap<Labels, Recorder<S>>;

impl Reader<'_> {
    /// What is known of the period. What Prometheus does not answer is in [`History::missing`].
    pub async fn read(&self, period: Period) -> History {
        let mut missing = Vec::new();
        let mut warnings = Vec::new();
        let mut notes = (&mut missing, &mut warnings, true);
        let up = self
            .series(UP, period, State::Unknown, State::of, &mut notes)
            .await;
        let planned = self
            .series(PLANNED, period, Planned::Unknown, Planned::of, &mut notes)
            .await;
        let known = self.devices(period, &mut missing).await;
        warnings.truncate(WARNINGS);
        let nameless = up.keys().filter(|labels| !labels.contains_key("device"));
        let nameless = nameless.count();
        History {
            period,
            devices: joined(period, up, planned, &known),
            missing,
            warnings,
            nameless,
        }
    }

    /// The devices of the inventory that were there at some time, so that one that was never measured is not left out.
    async fn devices(&self, period: Period, missing: &mut Vec<Missing>) -> Vec<Labels> {
        let (start, end) = (seconds(period.start), seconds(period.end - 1));
        match self.prometheus.series(&[INFO], start, end).await {
            Ok(known) => known,
            Err(error) => {
                missing.push(gap(INFO, period.start, period.end, &error));
                Vec::new()
            }
        }
    }

    pub(crate) async fn series<S: Copy + Ord>(
        &self,
        name: &str,
        period: Period,
        unknown: S,
        of: fn(f64) -> S,
        (missing, warnings, patient): &mut (&mut Vec<Missing>, &mut Vec<String>, bool),
    ) -> Series<S> {
        let mut found: Series<S> = BTreeMap::new();
        let stale_after = Millis::try_from(self.stale_after.as_millis()).unwrap_or(Millis::MAX);
        // The last sample before the period says what holds at its beginning.
        let mut from = period.start.saturating_sub(stale_after);
        let last = period.end - 1;
        let (mut piece, mut failed) = (PIECE, 0);
        while from < last {
            let to = (from + piece).min(last);
            // After one that was waited for in vain the next ones are asked for once.
            match self.samples(name, from, to, *patient).await {
                Ok(answer) => {
                    (failed, *patient) = (0, true);
                    let mut count = 0;
                    for series in answer.series {
                        count += series.points.len();
                        let recorder = found
                            .entry(series.labels)
                            .or_insert_with(|| Recorder::new(period, stale_after, unknown));
                        for (at, value) in series.points {
                            recorder.take(millis(at), of(value));
                        }
                    }
                    for warning in answer.warnings {
                        if !warnings.contains(&warning) && warnings.len() < WARNINGS {
                            warnings.push(warning);
                        }
                    }
                    from = to;
                    if count > SAMPLES {
                        piece /= 2;
                    } else if count < SAMPLES / 4 {
                        piece *= 2;
                    }
                    piece = piece.clamp(PIECES.0, PIECES.1);
                    let done = (from - period.start).max(0) as f64 / period.length().max(1) as f64;
                    (self.progress)(name, done);
                }
                Err(error) if is_too_much(&error) && piece > PIECES.0 => {
                    piece = (piece / 2).max(PIECES.0);
                }
                Err(error) => {
                    failed += 1;
                    *patient = false;
                    let to = if failed < GIVE_UP { to } else { last };
                    note(missing, gap(name, from, to, &error));
                    from = to;
                }
            }
        }
        found
    }

    /// One piece, asked for again while that may help.
    async fn samples(
        &self,
        name: &str,
        from: Millis,
        to: Millis,
        patient: bool,
    ) -> Result<Matrix, Error> {
        let mut pause = PAUSE;
        for _ in 1..if patient { TRIES } else { 1 } {
            match self.prometheus.samples(name, from, to).await {
                Err(error) if error.is_transient() => tokio::time::sleep(pause).await,
                answer => return answer,
            }
            pause *= 4;
        }
        self.prometheus.samples(name, from, to).await
    }
}

/// Whether a shorter piece may be answered.
fn is_too_much(error: &Error) -> bool {
    match error {
        Error::TooLarge(_) => true,
        Error::Refused { kind, detail } => {
            kind == "timeout" || (kind == "execution" && detail.contains("too many samples"))
        }
        _ => false,
    }
}

fn gap(what: &str, from: Millis, to: Millis, error: &Error) -> Missing {
    Missing {
        what: what.to_owned(),
        from: utc(from),
        to: utc(to),
        why: error.to_string(),
    }
}

/// Adds a part; one that goes on from the last for the same reason lengthens it.
fn note(missing: &mut Vec<Missing>, part: Missing) {
    match missing.last_mut() {
        Some(last) if last.what == part.what && last.to == part.from && last.why == part.why => {
            last.to = part.to;
        }
        _ => missing.push(part),
    }
}

fn seconds(at: Millis) -> f64 {
    at as f64 / 1_000.0
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a time of Prometheus fits by far"
)]
fn millis(at: f64) -> Millis {
    (at * 1_000.0).round() as Millis
}

/// The series of each device together.
fn joined(
    period: Period,
    up: Series<State>,
    planned: Series<Planned>,
    known: &[Labels],
) -> Vec<Device> {
    let mut devices: BTreeMap<String, (Device, Millis)> = BTreeMap::new();
    let label = |labels: &Labels, name: &str| labels.get(name).cloned().unwrap_or_default();
    let new = |labels: &Labels| Device {
        name: label(labels, "device"),
        site: label(labels, "site"),
        role: label(labels, "role"),
        state: Timeline::constant(period, State::Unknown),
        planned: Timeline::constant(period, Planned::Unknown),
        samples: 0,
        seen: None,
    };
    for labels in known.iter().filter(|labels| labels.contains_key("device")) {
        devices
            .entry(label(labels, "device"))
            .or_insert_with(|| (new(labels), Millis::MIN));
    }
    // A series that ended before the period makes no device of it; of a device that is one it says what holds at the beginning.
    for (labels, recorder) in &up {
        if recorder.seen.is_some() && labels.contains_key("device") {
            devices
                .entry(label(labels, "device"))
                .or_insert_with(|| (new(labels), Millis::MIN));
        }
    }
    for (labels, recorder) in up {
        let Some((device, newest)) = devices.get_mut(&label(&labels, "device")) else {
            continue;
        };
        device.samples += recorder.samples;
        if let Some((first, last)) = recorder.seen {
            device.seen = Some(match device.seen {
                None => (first, last),
                Some((one, two)) => (one.min(first), two.max(last)),
            });
            if last > *newest {
                *newest = last;
                device.site = label(&labels, "site");
                device.role = label(&labels, "role");
            }
        }
        device.state = device.state.greater(&recorder.finish());
    }
    for (labels, recorder) in planned {
        if let Some((device, _)) = devices.get_mut(&label(&labels, "device")) {
            device.planned = device.planned.greater(&recorder.finish());
        }
    }
    devices.into_values().map(|(device, _)| device).collect()
}
