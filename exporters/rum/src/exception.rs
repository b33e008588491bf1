//! Faults of pages as lines for Loki: what happened where, and nothing about whom.

use loki::{Line, Render};
use serde::{Deserialize, Serialize};
use spool::Record;

use crate::payload::{Exception, Meta, TraceOf};
use crate::pseudonym::pseudonym;
use crate::route::scrubbed;

/// Longest text, bytes.
const LONGEST: usize = 2_000;
/// Most frames.
const FRAMES: usize = 20;

/// A fault, as it is queued and as Loki gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    app: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    version: String,
    route: String,
    #[serde(rename = "type")]
    kind: String,
    message: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    browser: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stack: Vec<String>,
    /// A keyed hash of the user's identifier.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    trace_id: String,
}

impl Fault {
    /// Of an exception on a page; `app` and `route` are those by which it is counted. Without a key nothing is said of the user.
    pub(crate) fn new(
        exception: &Exception,
        meta: &Meta,
        (app, route): (&str, &str),
        key: Option<&[u8]>,
    ) -> Self {
        let user = key.zip(meta.user.as_ref());
        let trace = exception.trace.as_ref().and_then(TraceOf::id);
        let frames = exception.stacktrace.iter().flat_map(|stack| &stack.frames);
        let number = |number: Option<u64>| number.map_or_else(String::new, |n| format!(":{n}"));
        let frames = frames.take(FRAMES).map(|frame| {
            cut(&format!(
                "{} {}{}{}",
                frame.function,
                scrubbed(&frame.filename),
                number(frame.lineno),
                number(frame.colno)
            ))
        });
        // The version down to the last digit tells people apart.
        let major = meta.browser.version.split('.').next().unwrap_or_default();
        Self {
            app: app.to_owned(),
            version: cut(&meta.app.version),
            route: route.to_owned(),
            kind: cut(&exception.kind),
            message: cut(&scrubbed(&exception.value)),
            browser: cut(format!("{} {major}", meta.browser.name).trim()),
            stack: frames.collect(),
            user: user.map_or_else(String::new, |(key, user)| pseudonym(key, &user.id)),
            trace_id: trace.unwrap_or_default().to_owned(),
        }
    }

    /// As one line of JSON.
    pub(crate) fn line(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST)].to_owned()
}

/// Lines as Loki gets them: labels `job`, `app` and `level`, the fault as the text.
pub(crate) struct Shown;

impl Render for Shown {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        line.label("job", "rum", true);
        if let Ok(fault) = serde_json::from_slice::<Fault>(record.payload) {
            line.label("app", &fault.app, true);
        }
        line.label("level", "error", true);
        line.text.push_str(&String::from_utf8_lossy(record.payload));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Payload;

    #[test]
    fn a_fault_says_what_and_where_and_not_who() {
        let text = r#"{"meta":{"app":{"name":"shop","version":"1.2"},"user":{"id":"alice"},"session":{"id":"s1"},"browser":{"name":"Chrome","version":"156.0.1.2","userAgent":"secret-agent"}},
          "exceptions":[{"type":"TypeError","value":"cannot load https://x/y?token=hunter2","context":{"user":"alice"},"stacktrace":{"frames":[{"function":"f","filename":"https://x/a.js?v=alice","lineno":3,"colno":7},{"filename":"b.js"}]}}]}"#;
        let payload = Payload::parse(text.as_bytes()).unwrap();
        let fault = Fault::new(
            &payload.exceptions[0],
            &payload.meta,
            ("shop", "/cart"),
            None,
        );
        let line = String::from_utf8(fault.line()).unwrap();
        assert_eq!(
            line,
            r#"{"app":"shop","version":"1.2","route":"/cart","type":"TypeError","message":"cannot load https://x/y?…","browser":"Chrome 156","stack":["f https://x/a.js?…:3:7"," b.js"]}"#
        );
        for secret in ["alice", "hunter2", "s1", "secret-agent"] {
            assert!(!line.contains(secret), "{secret}");
        }
        let long = Exception {
            value: "ż".repeat(5_000),
            ..Exception::default()
        };
        let fault = Fault::new(&long, &payload.meta, ("a", "/"), None);
        assert_eq!(fault.message.len(), 2_000);
        // With a key there is a pseudonym, and the trace where it is one.
        let mut traced = payload.exceptions[0].clone();
        traced.trace = Some(TraceOf {
            trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        });
        let key = Some(b"key".as_slice());
        let fault = Fault::new(&traced, &payload.meta, ("shop", "/cart"), key);
        let line = String::from_utf8(fault.line()).unwrap();
        assert!(
            line.contains(r#""trace_id":"0af7651916cd43dd8448eb211c80319c""#),
            "{line}"
        );
        assert_eq!(fault.user.len(), 16);
        assert!(
            line.contains(&fault.user) && !line.contains("alice"),
            "{line}"
        );
        let other = Fault::new(&traced, &payload.meta, ("shop", "/cart"), Some(b"other"));
        assert_ne!(fault.user, other.user);
    }
}
