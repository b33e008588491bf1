//! What other programs send: alerts, and changes by people.

use std::time::Instant;

use http::StatusCode;
use serde_json::Value;
use toolkit::trace::Origin;
use toolkit::web::response;
use toolkit::{Request, Response};

use crate::journal::{Hint, JournalError};
use crate::webhook::{Refused, parse};

use super::{Api, Kept, Taken};

/// Most bytes of the text of a change that are kept.
const TEXT: usize = 4_096;
/// Who tells of changes, as a label.
const SOURCE: &str = "syslog";
/// Kinds of syslog events that say that a person changed something; `command` is what AAA accounting tells.
const CHANGES: [&str; 3] = ["configuration_change", "privilege", "command"];
/// First words of commands that change nothing.
const LOOKS: [&str; 12] = [
    "show",
    "sh",
    "sho",
    "display",
    "ping",
    "traceroute",
    "terminal",
    "dir",
    "more",
    "exit",
    "end",
    "enable",
];

impl Api {
    /// Alerts are on disk when 200 is answered; nothing else is done in the request.
    pub(super) async fn alerts(&self, request: &Request) -> Response {
        match self.take(request).await {
            Ok(count) => response::json(StatusCode::OK, &Taken { alerts: count }),
            Err(refused) => self.refuse(refused, request),
        }
    }

    fn refuse(&self, refused: Refused, request: &Request) -> Response {
        self.metrics.refused(refused);
        tracing::warn!(
            reason = refused.as_str(),
            peer = request.peer(),
            path = request.path(),
            "webhook refused"
        );
        let status =
            StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let detail = match refused {
            Refused::Unknown => {
                "expected a bearer token, a client certificate or a user that the configuration names"
            }
            Refused::TooLarge => "expected at most 4 MiB and 10000 alerts",
            Refused::Malformed => "expected the JSON of an Alertmanager webhook",
            Refused::Version => "expected version \"4\" and no payload template",
            Refused::Overload => "too much waits to be written; send it again",
            Refused::Standby => "this instance waits for the lock of the journal; send it again",
            Refused::Journal => "the journal cannot be written; send it again",
        };
        access::Problem::new(status).detail(detail).response()
    }

    async fn take(&self, request: &Request) -> Result<usize, Refused> {
        let senders = &self.config.current().senders;
        let now = jiff::Timestamp::now().as_second();
        if !senders.know(request) && !senders.know_grafana(request, now) {
            return Err(Refused::Unknown);
        }
        let engine = self.engine.get().ok_or(Refused::Standby)?;
        let began = Instant::now();
        let origin = Origin::here();
        let webhook = parse(request.body(), engine.parts.clock.now(), origin.as_ref())?;
        let count = webhook.alerts.len();
        let firing = webhook.alerts.iter().filter(|alert| alert.firing).count() as u64;
        if count > 0 {
            engine
                .parts
                .journal
                .receive(webhook.alerts)
                .await
                .map_err(|error| match error {
                    JournalError::Full => Refused::Overload,
                    error => {
                        if error.may_pass() {
                            engine.fails(&error);
                        }
                        Refused::Journal
                    }
                })?;
        }
        self.metrics
            .durable_seconds
            .observe(began.elapsed().as_secs_f64());
        self.metrics
            .alerts
            .with_label_values(&["firing"])
            .inc_by(firing);
        self.metrics
            .alerts
            .with_label_values(&["resolved"])
            .inc_by(count as u64 - firing);
        if webhook.left_out > 0 {
            let unmatched = self.metrics.unmatched.with_label_values(&["bad_labels"]);
            unmatched.inc_by(webhook.left_out);
            tracing::warn!(
                left_out = webhook.left_out,
                peer = request.peer(),
                "alerts with more than 64 labels, or with one of more than 2048 bytes, are not taken"
            );
        }
        if webhook.truncated > 0 {
            self.metrics.truncated.inc_by(webhook.truncated);
            tracing::warn!(
                left_out = webhook.truncated,
                "Alertmanager left alerts out: set max_alerts of its webhook to 0"
            );
        }
        engine.wake();
        Ok(count)
    }

    /// A change by a person, as sotp-syslog tells it.
    pub(super) async fn hint(&self, request: &Request) -> Response {
        if !self.config.current().senders.know_event(request) {
            return self.refuse(Refused::Unknown, request);
        }
        let Some(engine) = self.engine.get() else {
            return self.refuse(Refused::Standby, request);
        };
        let Ok(event) = serde_json::from_slice::<Value>(request.body()) else {
            return self.refuse(Refused::Malformed, request);
        };
        let now = engine.parts.clock.now();
        let Some(hint) = read(&event, now) else {
            // Not about a person's change: taken, and of no use here.
            return response::json(StatusCode::OK, &Kept { kept: false });
        };
        match engine.parts.journal.hint(hint).await {
            Ok(()) => {
                self.metrics.hints.with_label_values(&[SOURCE]).inc();
                response::json(StatusCode::OK, &Kept { kept: true })
            }
            Err(JournalError::Full) => self.refuse(Refused::Overload, request),
            Err(_) => self.refuse(Refused::Journal, request),
        }
    }
}

/// The change in an event; `None` when it is none.
fn read(event: &Value, now: i64) -> Option<Hint> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let device = text(&event["device"]);
    if device.is_empty() || device.len() > 128 {
        return None;
    }
    let at = ["received", "at", "time"]
        .iter()
        .find_map(|key| event[key].as_str()?.parse::<jiff::Timestamp>().ok());
    let kind = event["event"].as_str().unwrap_or_default();
    if !CHANGES.contains(&kind) {
        return None;
    }
    let field = |name: &str| event["fields"][name].as_str().unwrap_or_default().trim();
    let (command, object) = (field("command"), field("object"));
    let first = command.split_whitespace().next().unwrap_or_default();
    if kind == "command" && (first.is_empty() || LOOKS.contains(&first)) {
        return None;
    }
    // A line that was typed says what it is about, a commit or the end of a session of configuring does not.
    let commits = first.is_empty() || first == "commit";
    let numbered = object.contains(|c: char| c.is_ascii_digit());
    let anything = kind == "configuration_change" && commits && !numbered;
    let user = text(&event["fields"]["user"]);
    let mut said = format!("{} {}", text(&event["sentence"]), text(&event["message"]));
    let mut end = TEXT.min(said.len());
    while !said.is_char_boundary(end) {
        end -= 1;
    }
    said.truncate(end);
    let at = at.map_or(now, jiff::Timestamp::as_millisecond);
    Some(Hint {
        at,
        device,
        user,
        source: SOURCE.to_owned(),
        text: said,
        anything,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_told_from_other_events() {
        let syslog = json!({"version": 1, "event": "configuration_change", "device": "r1", "fields": {"user": "alice"},
            "sentence": "alice changed the configuration.", "message": "interface r2 shutdown", "received": "2026-01-01T00:00:00Z"});
        let hint = read(&syslog, 7).unwrap();
        assert_eq!(
            (&*hint.user, &*hint.device, hint.at),
            ("alice", "r1", 1_767_225_600_000)
        );
        assert!(hint.text.contains("interface r2"));
        let mut other = syslog.clone();
        other["event"] = json!("interface_state");
        assert_eq!(read(&other, 7), None);
        let mut undated = syslog.clone();
        undated["received"] = json!(null);
        assert_eq!(read(&undated, 7).unwrap().at, 7);
        assert_eq!(read(&json!({"event": "configuration_change"}), 7), None);
        assert_eq!(read(&json!([]), 7), None);
    }

    #[test]
    fn commit_may_mean_any_port_and_a_typed_line_only_the_one_that_it_names() {
        let event = |kind: &str, fields: Value, message: &str| {
            read(
                &json!({"event": kind, "device": "r1", "fields": fields, "message": message}),
                7,
            )
        };
        for (kind, fields, message, anything) in [
            (
                "configuration_change",
                json!({"user": "alice", "line": "vty0"}),
                "Configured from console by alice on vty0",
                Some(true),
            ),
            (
                "configuration_change",
                json!({"user": "alice", "command": "commit"}),
                "User 'alice' requested 'commit' operation",
                Some(true),
            ),
            (
                "configuration_change",
                json!({"user": "alice", "object": "device"}),
                "device changed by alice",
                Some(true),
            ),
            (
                "configuration_change",
                json!({"user": "alice", "object": "interfaces ge-0/0/1 unit 0"}),
                "delete",
                Some(false),
            ),
            (
                "configuration_change",
                json!({"command": "interface eth1"}),
                "vty[1]@(config)# interface eth1",
                Some(false),
            ),
            (
                "command",
                json!({"user": "alice", "command": "interface Ethernet1"}),
                "cmd=interface Ethernet1",
                Some(false),
            ),
            (
                "command",
                json!({"user": "alice", "command": "show version"}),
                "cmd=show version",
                None,
            ),
            ("command", json!({"user": "alice"}), "", None),
            ("login", json!({"user": "alice"}), "", None),
        ] {
            let hint = event(kind, fields, message);
            assert_eq!(hint.map(|hint| hint.anything), anything, "{kind} {message}");
        }
    }
}
