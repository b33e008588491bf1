//! What the Faro web SDK posts: one JSON object (<https://github.com/grafana/faro>, `spec/`). Read is what is used; the rest is passed over.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::spans::{Traces, is_id};

/// Most items of each kind in one payload; the SDK sends 50 at most.
const MOST_ITEMS: usize = 1_000;

/// One payload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Payload {
    /// Where it comes from.
    pub meta: Meta,
    /// Numbers.
    pub measurements: Vec<Measurement>,
    /// Faults.
    pub exceptions: Vec<Exception>,
    /// Their names are counted.
    pub events: Vec<Event>,
    /// Only counted.
    pub logs: Vec<IgnoredAny>,
    /// Spans.
    pub traces: Option<Traces>,
}

/// Something that happened.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Event {
    /// What it is called: `session_start`.
    pub name: String,
}

/// The trace that something belongs to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TraceOf {
    /// 32 hexadecimal digits, as the page says.
    pub trace_id: String,
}

impl TraceOf {
    /// The identifier, when it is one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        Some(&*self.trace_id).filter(|id| is_id(id, 32))
    }
}

/// Who uses the page, as the page says.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct User {
    /// Identifier; it is shown as a pseudonym at most.
    pub id: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("User")
    }
}

/// Application and page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// The application.
    pub app: App,
    /// The page.
    pub page: Page,
    /// The browser.
    pub browser: Browser,
    /// The user.
    pub user: Option<User>,
}

/// An application.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Page {
    /// Its address, with query.
    pub url: String,
}

/// A browser.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Browser {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Numbers that were measured together.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Measurement {
    /// `web-vitals`, or something of the application's own.
    #[serde(rename = "type")]
    pub kind: String,
    /// The numbers by name.
    pub values: BTreeMap<String, f64>,
    /// The trace that they were measured in.
    pub trace: Option<TraceOf>,
}

/// A fault.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Exception {
    /// Its type, `TypeError`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub value: String,
    /// Where it happened.
    pub stacktrace: Option<Stack>,
    /// The trace that it happened in.
    pub trace: Option<TraceOf>,
}

/// Where a fault happened, innermost first.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Stack {
    /// The frames.
    pub frames: Vec<Frame>,
}

/// One frame.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// The function.
    pub function: String,
    /// The address of the script.
    pub filename: String,
    /// The line.
    pub lineno: Option<u64>,
    /// The column.
    pub colno: Option<u64>,
}

/// Why a payload is none.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// It is no JSON, or a part has another type.
    #[error("expected a payload of Faro")]
    Form(#[source] serde_json::Error),
    /// It has more items than one payload may.
    #[error("expected at most {MOST_ITEMS} items of a kind")]
    TooMany,
}

impl Payload {
    /// Reads a payload.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Wrong> {
        let payload: Self = serde_json::from_slice(bytes).map_err(Wrong::Form)?;
        let counts = [
            payload.measurements.len(),
            payload.exceptions.len(),
            payload.events.len(),
            payload.logs.len(),
            payload.traces.as_ref().map_or(0, Traces::len),
        ];
        if counts.into_iter().any(|count| count > MOST_ITEMS) {
            return Err(Wrong::TooMany);
        }
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_used_is_passed_over_and_what_is_missing_is_empty() {
        let text = r#"{"meta":{"app":{"name":"a"},"user":{"id":"alice@x"},"view":null},"measurements":[{"type":"web-vitals","values":{"lcp":12.5},"trace":{}}],"traces":{"resourceSpans":[]},"events":[{"name":"x"}]}"#;
        let payload = Payload::parse(text.as_bytes()).unwrap();
        assert_eq!(payload.meta.app.name, "a");
        assert_eq!(payload.measurements[0].values["lcp"], 12.5);
        assert!(payload.exceptions.is_empty() && payload.events.len() == 1);
        assert!(!format!("{payload:?}").contains("alice"));
    }

    #[test]
    fn what_is_no_payload_is_refused() {
        for text in [
            "",
            "[]5",
            "5",
            r#"{"measurements":5}"#,
            r#"{"measurements":[{"values":{"lcp":"fast"}}]}"#,
        ] {
            assert!(
                matches!(Payload::parse(text.as_bytes()), Err(Wrong::Form(_))),
                "{text}"
            );
        }
        let many = format!(r#"{{"events":[{}]}}"#, vec!["{}"; 1_001].join(","));
        assert!(matches!(
            Payload::parse(many.as_bytes()),
            Err(Wrong::TooMany)
        ));
        let deep = "[".repeat(100_000);
        assert!(Payload::parse(format!(r#"{{"events":{deep}"#).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            let _ = Payload::parse(&bytes);
        }
    }
}
