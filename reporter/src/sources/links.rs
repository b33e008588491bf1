//! Interfaces: whether they are up, from their samples, and what they carry, as means of five minutes.

use std::collections::{BTreeMap, BTreeSet};

use promapi::{Error, Labels, Range};

use crate::history::{Missing, Reader};
use crate::material::{Link, Rate};
use crate::month::{Millis, Period};
use crate::timeline::{Planned, State, Timeline};

use super::{lacks, patiently, quoted};

/// Most interfaces of a report.
const MOST: usize = 5_000;
/// Most means in one answer.
const POINTS: u64 = 500_000;
/// Over what a mean is.
const STEP: Millis = 300_000;

type Key = (String, String);

fn key(labels: &Labels) -> Option<Key> {
    let name = labels.get("ifName").filter(|name| !name.is_empty())?;
    Some((labels.get("device")?.clone(), name.clone()))
}

/// RFC 2863: 1 is up; 2 down, 6 notPresent and 7 lowerLayerDown are down; testing, unknown and dormant say neither.
fn oper(value: f64) -> State {
    match value {
        1.0 => State::Up,
        2.0 | 6.0 | 7.0 => State::Down,
        _ => State::Unknown,
    }
}

/// `ifAdminStatus`: 1 is to be up, 2 not.
fn admin(value: f64) -> Planned {
    match value {
        1.0 => Planned::No,
        2.0 => Planned::Yes,
        _ => Planned::Unknown,
    }
}

/// The interfaces that `matchers` names, between braces or for all of them nothing.
pub(super) async fn read(
    reader: &Reader<'_>,
    matchers: &str,
    period: Period,
    missing: &mut Vec<Missing>,
) -> Vec<Link> {
    let selector = format!("ifOperStatus{{{matchers}}}");
    let (start, end) = (
        period.start as f64 / 1_000.0,
        (period.end - 1) as f64 / 1_000.0,
    );
    let asked = patiently(Error::is_transient, || async {
        reader.prometheus.series(&[&selector], start, end).await
    });
    let series = match asked.await {
        Ok(series) => series,
        Err(error) => {
            missing.push(lacks("ifOperStatus", period.start, period.end, error));
            return Vec::new();
        }
    };
    let mut links: BTreeMap<Key, Link> = BTreeMap::new();
    for labels in &series {
        let Some(key) = key(labels) else { continue };
        let alias = labels.get("ifAlias").cloned().unwrap_or_default();
        let link = links.entry(key.clone()).or_insert_with(|| Link {
            device: key.0,
            name: key.1,
            alias: String::new(),
            speed: None,
            state: Timeline::constant(period, State::Unknown),
            off: Timeline::constant(period, Planned::Unknown),
            incoming: Rate::default(),
            outgoing: Rate::default(),
        });
        link.alias = alias.max(std::mem::take(&mut link.alias));
    }
    if links.len() > MOST {
        let why = format!(
            "{} interfaces, more than {MOST}: name those that count with links",
            links.len()
        );
        missing.push(lacks("ifOperStatus", period.start, period.end, why));
        return Vec::new();
    }
    if links.is_empty() {
        return Vec::new();
    }
    states(reader, matchers, period, missing, &mut links).await;
    speeds(reader, matchers, period, missing, &mut links).await;
    let keys: Vec<Key> = links.keys().cloned().collect();
    for (series, incoming) in [("ifHCInOctets", true), ("ifHCOutOctets", false)] {
        for chunk in chunks(&keys) {
            let means = means(reader, series, matchers, period, chunk, missing).await;
            for (key, means) in means {
                let Some(link) = links.get_mut(&key) else {
                    continue;
                };
                let expected = u64::try_from(period.length() / STEP).unwrap_or(0);
                let rate = Rate::of(&means, expected);
                if incoming {
                    link.incoming = rate;
                } else {
                    link.outgoing = rate;
                }
            }
        }
    }
    links.into_values().collect()
}

async fn states(
    reader: &Reader<'_>,
    matchers: &str,
    period: Period,
    missing: &mut Vec<Missing>,
    links: &mut BTreeMap<Key, Link>,
) {
    let mut warnings = Vec::new();
    let mut notes = (missing, &mut warnings, true);
    let of = |name: &str| format!("{name}{{{matchers}}}");
    let up = reader
        .series(
            &of("ifOperStatus"),
            period,
            State::Unknown,
            oper,
            &mut notes,
        )
        .await;
    for (labels, recorder) in up {
        if let Some(link) = key(&labels).and_then(|key| links.get_mut(&key)) {
            link.state = link.state.greater(&recorder.finish());
        }
    }
    let off = reader
        .series(
            &of("ifAdminStatus"),
            period,
            Planned::Unknown,
            admin,
            &mut notes,
        )
        .await;
    for (labels, recorder) in off {
        if let Some(link) = key(&labels).and_then(|key| links.get_mut(&key)) {
            link.off = link.off.greater(&recorder.finish());
        }
    }
}

/// What each can carry, as was said last; looked at each hour.
async fn speeds(
    reader: &Reader<'_>,
    matchers: &str,
    period: Period,
    missing: &mut Vec<Missing>,
    links: &mut BTreeMap<Key, Link>,
) {
    let query = format!("max by (device, ifName) (ifHighSpeed{{{matchers}}})");
    let asked = patiently(Error::is_transient, || async {
        // Days are enough for what hardly changes; the end of the month is one of the points.
        let day = 86_400_000;
        let first = period.end - period.length() / day * day;
        reader
            .prometheus
            .range(&query, range(first, period.end - 1, day))
            .await
    });
    match asked.await {
        Err(error) => missing.push(lacks("ifHighSpeed", period.start, period.end, error)),
        Ok(answer) => {
            for series in answer.series {
                let last = series.points.iter().rev().find(|(_, value)| *value > 0.0);
                let link = key(&series.labels).and_then(|key| links.get_mut(&key));
                if let (Some(link), Some((_, megabits))) = (link, last) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a Gauge32 of SNMP"
                    )]
                    let speed = (megabits * 1e6).round() as u64;
                    link.speed = Some(speed);
                }
            }
        }
    }
}

fn range(start: Millis, end: Millis, step: Millis) -> Range {
    Range {
        start: start as f64 / 1_000.0,
        end: end as f64 / 1_000.0,
        step: step as f64 / 1_000.0,
    }
}

/// As many interfaces at a time as one answer may have, those of a device together where they fit.
fn chunks(keys: &[Key]) -> Vec<&[Key]> {
    const LINKS: usize = 100;
    let mut chunks = Vec::new();
    let mut from = 0;
    for (index, pair) in keys.windows(2).enumerate() {
        if pair[0].0 != pair[1].0 && index + 1 - from >= LINKS {
            chunks.push(&keys[from..=index]);
            from = index + 1;
        }
    }
    chunks.push(&keys[from..]);
    chunks
}

/// The means of five minutes of these interfaces, in bits per second: the first is that of the first five minutes of the period.
async fn means(
    reader: &Reader<'_>,
    series: &str,
    matchers: &str,
    period: Period,
    keys: &[Key],
    missing: &mut Vec<Missing>,
) -> BTreeMap<Key, Vec<f64>> {
    let devices: BTreeSet<&str> = keys.iter().map(|(device, _)| &**device).collect();
    let names: Vec<String> = devices.into_iter().map(quoted).collect();
    let query = format!(
        "8 * max by (device, ifName) (rate({series}{{device=~\"{}\"{}{matchers}}}[5m]))",
        names.join("|"),
        if matchers.is_empty() { "" } else { "," },
    );
    let each = (POINTS / keys.len().max(1) as u64).max(1);
    let each = Millis::try_from(each).unwrap_or(Millis::MAX);
    let last = period.length() / STEP;
    let mut found: BTreeMap<Key, Vec<f64>> = BTreeMap::new();
    let mut from = 1;
    while from <= last {
        let to = last.min(from + each - 1);
        let (start, end) = (period.start + from * STEP, period.start + to * STEP);
        let asked = patiently(Error::is_transient, || async {
            reader
                .prometheus
                .range(&query, range(start, end, STEP))
                .await
        });
        match asked.await {
            Ok(answer) => {
                for one in answer.series {
                    if let Some(key) = key(&one.labels) {
                        let points = one.points.into_iter().map(|(_, value)| value);
                        found.entry(key).or_default().extend(points);
                    }
                }
            }
            Err(error) => {
                missing.push(lacks(series, start - STEP, end, error));
                // The percentile of a part is none of the month.
                return BTreeMap::new();
            }
        }
        (reader.progress)(series, to as f64 / last as f64);
        from = to + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_interfaces_are_in_one_chunk_each_and_devices_are_not_torn() {
        let keys: Vec<Key> = (0..7)
            .flat_map(|device| {
                (0..60).map(move |port| (format!("r{device}"), format!("{port:02}")))
            })
            .collect();
        let chunks = chunks(&keys);
        let sizes: Vec<usize> = chunks.iter().map(|chunk| chunk.len()).collect();
        assert_eq!(sizes, [120, 120, 120, 60]);
        assert_eq!(chunks.concat(), keys);
    }

    #[test]
    fn states_are_those_of_rfc_2863() {
        let states = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, f64::NAN].map(oper);
        use State::{Down, Unknown, Up};
        assert_eq!(
            states,
            [Up, Down, Unknown, Unknown, Unknown, Down, Down, Unknown]
        );
        assert_eq!(
            [1.0, 2.0, 3.0].map(admin),
            [Planned::No, Planned::Yes, Planned::Unknown]
        );
    }
}
