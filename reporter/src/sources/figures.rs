//! What Prometheus computes: loss and round trips, how configurations stood to their rules, and what will fill up.

use std::collections::BTreeMap;

use promapi::{Error, Labels, Prometheus, Range};

use crate::history::Missing;
use crate::material::{Capacity, Compliance, Material, Path};
use crate::month::{Millis, Period};

use super::{lacks, patiently};

const HOUR: Millis = 3_600_000;
/// Pings are counted day by day: a month of counters is more than Prometheus loads for one question.
const DAY: Millis = 24 * HOUR;

/// Whom to ask for which period.
pub(super) struct Asked<'a> {
    pub(super) prometheus: &'a Prometheus,
    pub(super) period: Period,
    pub(super) missing: &'a mut Vec<Missing>,
}

pub(super) async fn read(mut asked: Asked<'_>, material: &mut Material) {
    material.paths = asked.paths().await;
    material.compliance = asked.compliance().await;
    material.capacity = asked.capacity().await;
}

fn label(labels: &Labels, name: &str) -> String {
    labels.get(name).cloned().unwrap_or_default()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, finite and not negative"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

impl Asked<'_> {
    /// The value for each set of labels at a time; empty where there is no answer, which is told.
    async fn at(&mut self, what: &str, query: &str, time: Millis) -> Option<Vec<(Labels, f64)>> {
        let asked = patiently(Error::is_transient, || async {
            let time = time as f64 / 1_000.0;
            self.prometheus.instant(query, Some(time)).await
        });
        match asked.await {
            Ok(answer) => Some(
                answer
                    .samples
                    .into_iter()
                    .map(|one| (one.labels, one.value))
                    .collect(),
            ),
            Err(error) => {
                let part = lacks(what, self.period.start, self.period.end, error);
                self.missing.push(part);
                None
            }
        }
    }

    /// How much counters went up in the period, by device.
    async fn increase(&mut self, what: &str, sum: &[&str]) -> Option<BTreeMap<String, f64>> {
        let mut all: BTreeMap<String, f64> = BTreeMap::new();
        let mut from = self.period.start;
        while from < self.period.end {
            let to = self.period.end.min(from + DAY);
            for name in sum {
                let query = format!("sum by (device) (increase({name}[{}ms]))", to - from);
                for (labels, value) in self.at(what, &query, to).await? {
                    if value.is_finite() {
                        *all.entry(label(&labels, "device")).or_default() += value;
                    }
                }
            }
            from = to;
        }
        Some(all)
    }

    async fn paths(&mut self) -> Vec<Path> {
        let Some(requests) = self
            .increase("ping_requests_total", &["ping_requests_total"])
            .await
        else {
            return Vec::new();
        };
        let lost = ["ping_lost_total", "ping_failed_total"];
        let (Some(lost), Some(sum), Some(count)) = (
            self.increase("ping_lost_total", &lost).await,
            self.increase("ping_rtt_seconds", &["ping_rtt_seconds_sum"])
                .await,
            self.increase("ping_rtt_seconds", &["ping_rtt_seconds_count"])
                .await,
        ) else {
            return Vec::new();
        };
        let of = |all: &BTreeMap<String, f64>, device: &str| all.get(device).copied();
        requests
            .iter()
            .filter(|(device, requests)| !device.is_empty() && **requests > 0.0)
            .map(|(device, requests)| Path {
                device: device.clone(),
                requests: whole(*requests),
                lost: whole(of(&lost, device).unwrap_or(0.0)),
                answers: whole(of(&count, device).unwrap_or(0.0)),
                round_trip_nanoseconds: whole(of(&sum, device).unwrap_or(0.0) * 1e9),
            })
            .collect()
    }

    /// Looked at when each hour ends.
    async fn compliance(&mut self) -> Vec<Compliance> {
        const SERIES: &str = "sshconfig_rule_violations";
        let query = format!("max by (device) ({SERIES}) > bool 0");
        let range = Range {
            start: (self.period.start + HOUR) as f64 / 1_000.0,
            end: self.period.end as f64 / 1_000.0,
            step: HOUR as f64 / 1_000.0,
        };
        let asked = patiently(Error::is_transient, || async {
            self.prometheus.range(&query, range).await
        });
        let answer = match asked.await {
            Ok(answer) => answer,
            Err(error) => {
                let part = lacks(SERIES, self.period.start, self.period.end, error);
                self.missing.push(part);
                return Vec::new();
            }
        };
        if answer.series.is_empty() {
            return Vec::new();
        }
        let last = self.period.end - 1;
        let query = format!("max by (device, rule) ({SERIES}) > 0");
        let Some(broken) = self.at(SERIES, &query, last).await else {
            return Vec::new();
        };
        let mut rules: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (labels, _) in broken {
            let of = rules.entry(label(&labels, "device")).or_default();
            of.push(label(&labels, "rule"));
        }
        let of = |series: promapi::Series| {
            let device = label(&series.labels, "device");
            let mut rules = rules.remove(&device).unwrap_or_default();
            rules.sort_unstable();
            Compliance {
                hours: series.points.len() as u64,
                broken: series
                    .points
                    .iter()
                    .filter(|(_, value)| *value > 0.0)
                    .count() as u64,
                rules,
                device,
            }
        };
        answer.series.into_iter().map(of).collect()
    }

    /// As the forecast said when the month ended.
    async fn capacity(&mut self) -> Vec<Capacity> {
        const SERIES: &str = "forecast_saturation_days";
        let query = format!(
            "min by (device, ifName, direction, confidence) ({SERIES}{{ifName!=\"\"}}) < Inf"
        );
        let last = self.period.end - 1;
        let Some(found) = self.at(SERIES, &query, last).await else {
            return Vec::new();
        };
        let mut all: BTreeMap<[String; 3], Capacity> = BTreeMap::new();
        for (labels, days) in found {
            let [device, name, direction] =
                ["device", "ifName", "direction"].map(|name| label(&labels, name));
            let key = [device.clone(), name.clone(), direction.clone()];
            let one = all.entry(key).or_insert_with(|| Capacity {
                device,
                name,
                direction,
                half: None,
                sure: None,
            });
            let days = Some(whole(days.ceil()));
            match &*label(&labels, "confidence") {
                "0.5" => one.half = days,
                "0.9" => one.sure = days,
                _ => {}
            }
        }
        let mut all: Vec<Capacity> = all.into_values().collect();
        let first = |one: &Capacity| one.half.or(one.sure).unwrap_or(u64::MAX);
        all.sort_by_key(first);
        all
    }
}
