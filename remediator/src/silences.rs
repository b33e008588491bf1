//! Silences of Alertmanager: what somebody has silenced is not worked on, and who is allowed to can silence it here.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use promapi::{Alertmanager, Matcher, Silence};
use regex::Regex;

/// Why and until when something is silenced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silenced {
    /// Milliseconds since the epoch.
    pub until: i64,
    /// Who silenced it and why, for people.
    pub why: String,
}

/// Tells what is silenced.
pub trait Silences: Send + Sync {
    /// The silence that holds now for an alert with these labels.
    fn over<'a>(
        &'a self,
        labels: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Option<Silenced>, String>>;
}

impl Silences for Alertmanager {
    fn over<'a>(
        &'a self,
        labels: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Option<Silenced>, String>> {
        Box::pin(async move {
            let all = self.silences().await.map_err(|error| error.to_string())?;
            covering(&all, labels)
        })
    }
}

/// No Alertmanager is asked: nothing is silenced.
#[derive(Debug)]
pub struct Unasked;

impl Silences for Unasked {
    fn over<'a>(
        &'a self,
        _: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Option<Silenced>, String>> {
        Box::pin(async { Ok(None) })
    }
}

/// Of the silences that hold now the one over these labels that ends last.
fn covering(
    all: &[Silence],
    labels: &BTreeMap<String, String>,
) -> Result<Option<Silenced>, String> {
    let mut found: Option<Silenced> = None;
    for silence in all.iter().filter(|silence| silence.is_active()) {
        let mut covers = !silence.matchers.is_empty();
        for matcher in &silence.matchers {
            covers = covers && holds(matcher, labels)?;
        }
        if !covers {
            continue;
        }
        let until = silence
            .ends_at
            .parse::<Timestamp>()
            .map_err(|error| format!("a silence ends at {:?}: {error}", silence.ends_at))?
            .as_millisecond();
        if found.as_ref().is_none_or(|found| found.until < until) {
            let why = format!("{} silenced it: {}", silence.created_by, silence.comment);
            found = Some(Silenced { until, why });
        }
    }
    Ok(found)
}

/// As Alertmanager has it: a label that is not there is empty, and an expression is for the whole value.
fn holds(matcher: &Matcher, labels: &BTreeMap<String, String>) -> Result<bool, String> {
    let value = labels.get(&matcher.name).map_or("", String::as_str);
    let matches = if matcher.is_regex {
        Regex::new(&format!("^(?:{})$", matcher.value))
            .map_err(|error| format!("a silence has no sound expression: {error}"))?
            .is_match(value)
    } else {
        matcher.value == value
    };
    Ok(matches == matcher.is_equal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn covered(matchers: &serde_json::Value, state: &str) -> Option<i64> {
        let silence = json!({"id": "1", "matchers": matchers, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2026-01-01T01:00:00.5Z",
            "createdBy": "alice", "comment": "optic", "status": {"state": state}});
        let silence = serde_json::from_value(silence).unwrap();
        let labels = [("alertname", "InterfaceShut"), ("device", "r1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found = covering(&[silence], &labels.into()).unwrap();
        found.map(|silenced| silenced.until)
    }

    #[test]
    fn silence_covers_what_all_of_its_matchers_hold_for_and_nothing_else() {
        let until = Some(1_767_229_200_500);
        let device = |value: &str, is_regex: bool, is_equal: bool| json!([{"name": "device", "value": value, "isRegex": is_regex, "isEqual": is_equal}]);
        assert_eq!(covered(&device("r1", false, true), "active"), until);
        assert_eq!(covered(&device("r1|r2", true, true), "active"), until);
        assert_eq!(covered(&device("r2", false, false), "active"), until);
        // One of before 0.22 does not say whether it is equal.
        assert_eq!(
            covered(
                &json!([{"name": "device", "value": "r1", "isRegex": false}]),
                "active"
            ),
            until
        );
        // A label that is not there is empty.
        assert_eq!(
            covered(
                &json!([{"name": "site", "value": "", "isRegex": false, "isEqual": true}]),
                "active"
            ),
            until
        );
        for (matchers, state) in [
            (device("r1", false, true), "expired"),
            (device("r1", false, true), "pending"),
            (device("r", true, true), "active"),
            (device("r1", false, false), "active"),
            (device("r.", false, true), "active"),
            (json!([]), "active"),
            (
                json!([{"name": "device", "value": "r1", "isRegex": false, "isEqual": true}, {"name": "ifName", "value": "r2", "isRegex": false, "isEqual": true}]),
                "active",
            ),
        ] {
            assert_eq!(covered(&matchers, state), None, "{matchers} {state}");
        }
    }

    #[test]
    fn silence_that_cannot_be_read_is_none_that_can_be_ignored() {
        let silence = json!([{"id": "1", "matchers": [{"name": "device", "value": "(", "isRegex": true}], "startsAt": "", "endsAt": "",
            "createdBy": "", "comment": "", "status": {"state": "active"}}]);
        let all: Vec<Silence> = serde_json::from_value(silence).unwrap();
        assert!(covering(&all, &BTreeMap::new()).is_err());
    }
}
