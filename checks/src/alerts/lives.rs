//! The life of every alert, in one case of its tests: one bad sample, the fault, the fault two days later, its end.

use std::collections::BTreeSet;

use super::{Case, Moment, Rule, Series};

/// How long a fault stands in the tests: two days, in seconds.
const LONG: u64 = 48 * 3600;

/// Alerts that no case leads through a whole life. Of those in `single` one event is the fault, as a message lost for good is: they
/// must fire at it; all others must be silent.
#[must_use]
pub fn life_problems(rules: &[Rule], cases: &[Case], single: &BTreeSet<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    for rule in rules {
        let Some(alert) = &rule.alert else { continue };
        let queries = queries(rule, rules);
        let lacks: Vec<Option<&str>> = cases
            .iter()
            .filter(|case| case.alert_rule_test.iter().any(|m| m.alertname == *alert))
            .map(|case| lacks(&queries, alert, case, single.contains(alert.as_str())))
            .collect();
        if lacks.contains(&None) {
            continue;
        }
        // The case that comes nearest says what is missing.
        let order = [NO_SAMPLE, NO_FAULT, NOT_LASTING, NO_END];
        let nearest = lacks
            .iter()
            .flatten()
            .max_by_key(|lack| order.iter().position(|o| o == *lack));
        problems.push(format!("{alert}: {}", nearest.unwrap_or(&"no test has it")));
    }
    problems
}

const NO_SAMPLE: &str = "no case shows what one bad sample leads to, which is nothing, or the alert where one event is the fault";
const NO_FAULT: &str = "after the bad sample the fault does not lead to the alert with its labels";
const NOT_LASTING: &str = "the alert is not shown two days later, with the fault still there";
const NO_END: &str = "the end of the fault does not end the alert";

/// The first of the four that a case lacks.
fn lacks(queries: &str, alert: &str, case: &Case, single: bool) -> Option<&'static str> {
    let mut moments: Vec<(u64, &Moment)> = case
        .alert_rule_test
        .iter()
        .filter(|moment| moment.alertname == alert)
        .filter_map(|moment| Some((seconds(&moment.eval_time)?, moment)))
        .collect();
    moments.sort_by_key(|(at, _)| *at);
    let interval = seconds(&case.interval).unwrap_or(60);
    let bad: BTreeSet<u64> = case
        .input_series
        .iter()
        .filter(|series| concerns(queries, series))
        .filter_map(|series| single_deviation(&samples(&series.values)))
        .map(|index| index as u64 * interval)
        .collect();
    let seen =
        |at: &u64, moment: &Moment| bad.contains(at) && moment.exp_alerts.is_empty() != single;
    let Some(sample) = moments.iter().position(|(at, moment)| seen(at, moment)) else {
        return Some(NO_SAMPLE);
    };
    let fault = moments.iter().enumerate().skip(sample + 1);
    let fault = fault
        .map(|(at, (_, moment))| (at, moment))
        .find(|(_, moment)| {
            !moment.exp_alerts.is_empty()
                && moment
                    .exp_alerts
                    .iter()
                    .all(|fired| fired.exp_labels.contains_key("severity"))
        });
    let Some((fault, _)) = fault else {
        return Some(NO_FAULT);
    };
    let began = moments[fault].0;
    let end = moments
        .iter()
        .skip(fault)
        .find(|(_, moment)| moment.exp_alerts.is_empty());
    let lasting = moments
        .iter()
        .skip(fault)
        .take_while(|(_, moment)| !moment.exp_alerts.is_empty())
        .any(|(at, _)| *at >= began + LONG);
    match (lasting, end) {
        (false, _) => Some(NOT_LASTING),
        (true, None) => Some(NO_END),
        (true, Some(_)) => None,
    }
}

/// The query of a rule, with those of the recorded series that it names, and of those that they name.
fn queries(rule: &Rule, rules: &[Rule]) -> String {
    let mut queries = rule.expr.clone();
    for _ in 0..2 {
        let named = rules.iter().filter(|rule| {
            rule.record
                .as_deref()
                .is_some_and(|name| words(&queries).any(|word| word == name))
        });
        let more: Vec<&str> = named.map(|rule| rule.expr.as_str()).collect();
        queries = format!("{queries} {}", more.join(" "));
    }
    queries
}

fn words(query: &str) -> impl Iterator<Item = &str> {
    query.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
}

/// Whether the metric of a series is a word of the queries.
fn concerns(queries: &str, series: &Series) -> bool {
    let name = series.series.split('{').next().unwrap_or_default().trim();
    words(queries).any(|word| word == name)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sample {
    Value(f64),
    Stale,
    Missing,
}

/// The samples that promtool makes of its short form: `1x3`, `0+2x5`, `_x4`, `stale`, or a value.
fn samples(values: &str) -> Vec<Sample> {
    let mut all = Vec::new();
    for token in values.split_whitespace() {
        let (what, times) = match token.rsplit_once('x') {
            Some((what, times)) => (what, times.parse::<usize>().unwrap_or(0)),
            None => (token, 0),
        };
        match what {
            "stale" => all.push(Sample::Stale),
            "_" => all.extend(std::iter::repeat_n(Sample::Missing, times.max(1))),
            _ => {
                let sign = what
                    .char_indices()
                    .skip(1)
                    .find(|(at, c)| "+-".contains(*c) && !what[..*at].ends_with('e'));
                let (first, step) = sign.map_or((what, "0"), |(at, _)| what.split_at(at));
                let (Ok(first), Ok(step)) = (first.parse::<f64>(), step.parse::<f64>()) else {
                    continue;
                };
                all.extend((0..=times).map(|n| Sample::Value(first + step * n as f64)));
            }
        }
    }
    all
}

/// Where one sample leaves the line that those around it make, or one event adds to a counter, when the series leaves it later in the
/// same direction, as the fault does.
fn single_deviation(samples: &[Sample]) -> Option<usize> {
    let gone = |at: usize| samples.get(at) == Some(&Sample::Stale);
    let leaves = |at: usize| -> Option<f64> {
        let value = |at: usize| match samples.get(at) {
            Some(Sample::Value(value)) => Some(*value),
            _ => None,
        };
        let (two, one, this) = (
            value(at.checked_sub(2)?)?,
            value(at.checked_sub(1)?)?,
            value(at)?,
        );
        let (before, now) = (one - two, this - one);
        (!near(before, now)).then_some(now - before)
    };
    let value = |at: usize| match samples.get(at) {
        Some(Sample::Value(value)) => *value,
        _ => f64::NAN,
    };
    (2..samples.len()).find(|at| {
        let at = *at;
        if gone(at) {
            return matches!(samples.get(at + 1), Some(Sample::Value(_)))
                && (at + 2..samples.len()).any(gone);
        }
        let Some(first) = leaves(at) else {
            return false;
        };
        let before = value(at - 1) - value(at - 2);
        // Behind the sample itself, which leads back to the line, or behind the step of the counter.
        let behind = if near(value(at + 1) - value(at - 1), 2.0 * before) {
            at + 3
        } else if near(value(at + 1) - value(at), before) {
            at + 2
        } else {
            return false;
        };
        (behind..samples.len())
            .find_map(leaves)
            .is_some_and(|later| later.signum() == first.signum())
    })
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-3 * a.abs().max(b.abs()).max(1e-6)
}

/// A duration as Prometheus writes it: `2d3h`, `90s`, `1m30s`.
fn seconds(text: &str) -> Option<u64> {
    let (mut sum, mut number) = (0, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            _ => return None,
        };
        sum += unit * number.parse::<u64>().ok()?;
        number.clear();
    }
    number.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(values: &str, moments: &[(&str, bool)], single: bool) -> Vec<String> {
        let rule: Rule =
            serde_json::from_value(json!({"alert": "A", "expr": "max(thing_up) == 0"})).unwrap();
        let fired = json!([{"exp_labels": {"severity": "warning"}}]);
        let moments: Vec<_> = moments
            .iter()
            .map(|(at, fires)| json!({"alertname": "A", "eval_time": at, "exp_alerts": if *fires { fired.clone() } else { json!([]) }}))
            .collect();
        let case: Case = serde_json::from_value(json!({
            "interval": "4m",
            "input_series": [{"series": "thing_up{device=\"r1\"}", "values": values}],
            "alert_rule_test": moments
        }))
        .unwrap();
        let single = if single {
            ["A"].into()
        } else {
            BTreeSet::new()
        };
        life_problems(&[rule], &[case], &single)
    }

    const GAUGE: &str = "1x14 0 1x43 0x764 1x59";
    const LIFE: [(&str, bool); 4] = [("1h", false), ("6h", true), ("54h", true), ("58h", false)];

    #[test]
    fn a_whole_life_is_seen_in_gauges_counters_and_series_that_end() {
        for values in [
            GAUGE,
            "0x14 3x44 6+3x764 2298x59",
            "0+5x14 71+5x44 292+6x764 4877+5x50",
            "1x14 stale 1x43 stale _x764 1x50",
        ] {
            assert_eq!(
                problems(values, &LIFE, false),
                Vec::<String>::new(),
                "{values}"
            );
        }
        let at_once = [
            ("1h", true),
            ("3h", false),
            ("6h", true),
            ("54h", true),
            ("58h", false),
        ];
        assert_eq!(
            problems("0x14 3x44 6+3x764 2298x59", &at_once, true),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_of_the_four_is_missed() {
        let lacking = |without: usize| {
            let mut moments = LIFE.to_vec();
            moments.remove(without);
            problems(GAUGE, &moments, false)
        };
        assert_eq!(lacking(0), [format!("A: {NO_SAMPLE}")]);
        assert_eq!(lacking(1), [format!("A: {NOT_LASTING}")]);
        assert_eq!(lacking(2), [format!("A: {NOT_LASTING}")]);
        assert_eq!(lacking(3), [format!("A: {NO_END}")]);
        assert_eq!(
            problems(GAUGE, &LIFE[..1], false),
            [format!("A: {NO_FAULT}")]
        );
        // A pause between is not the same fault.
        let paused = [LIFE[0], LIFE[1], ("30h", false), LIFE[2], LIFE[3]];
        assert_eq!(
            problems(GAUGE, &paused, false),
            [format!("A: {NOT_LASTING}")]
        );
    }

    #[test]
    fn a_bad_sample_must_be_one_must_be_bad_and_must_be_looked_at() {
        let none = [format!("A: {NO_SAMPLE}")];
        // None; two; one that is better than usual; one that nobody looks at; one that fires; and one event that must fire and does not.
        assert_eq!(problems("1x58 0x764 1x59", &LIFE, false), none);
        assert_eq!(problems("1x14 0x1 1x42 0x764 1x59", &LIFE, false), none);
        assert_eq!(problems("1x14 2 1x43 0x764 1x59", &LIFE, false), none);
        assert_eq!(problems("1x20 0 1x37 0x764 1x59", &LIFE, false), none);
        let fires = [("1h", true), LIFE[1], LIFE[2], LIFE[3]];
        assert_eq!(problems(GAUGE, &fires, false), none);
        assert_eq!(problems(GAUGE, &LIFE, true), none);
        let series = Series {
            series: "other_up{device=\"r1\"}".to_owned(),
            values: GAUGE.to_owned(),
        };
        assert!(concerns("max(other_up) == 0", &series));
        assert!(!concerns("max(another_up) == 0 or up == 0", &series));
    }

    #[test]
    fn durations_are_read_as_prometheus_writes_them() {
        assert_eq!(
            [
                seconds("2d3h"),
                seconds("1m30s"),
                seconds("90"),
                seconds("1y")
            ],
            [Some(183_600), Some(90), None, None]
        );
    }
}
