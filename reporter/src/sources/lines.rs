//! What Loki has: changes of configurations, as sotp-ssh-config writes them, and events of devices, as sotp-syslog understands them.

use loki::{QueryError, Source, Stored};

use crate::figures::KINDS;
use crate::history::Missing;
use crate::material::{Change, Event};
use crate::month::{Millis, Period};

use super::{lacks, patiently};

/// Most lines of a month.
const MOST: usize = 100_000;
/// Longest part of a line that is kept.
const TEXT: usize = 300;
const NANOS: i64 = 1_000_000;

async fn lines(
    loki: &Source,
    query: &str,
    what: &str,
    period: Period,
    missing: &mut Vec<Missing>,
) -> Vec<Stored> {
    let asked = patiently(QueryError::is_transient, || async {
        loki.lines(query, period.start * NANOS, period.end * NANOS, MOST)
            .await
    });
    match asked.await {
        Ok(answer) => {
            if answer.cut {
                let from = answer
                    .lines
                    .last()
                    .map_or(period.start, |last| last.at / NANOS);
                let why = format!("there are more than {MOST} lines");
                missing.push(lacks(what, from, period.end, why));
            }
            answer.lines
        }
        Err(error) => {
            missing.push(lacks(what, period.start, period.end, error));
            Vec::new()
        }
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(TEXT).collect()
}

fn label(line: &Stored, name: &str) -> String {
    line.labels.get(name).cloned().unwrap_or_default()
}

fn at(line: &Stored) -> Millis {
    line.at.div_euclid(NANOS)
}

pub(super) async fn changes(
    loki: &Source,
    period: Period,
    missing: &mut Vec<Missing>,
) -> Vec<Change> {
    let query = r#"{job="ssh-config", event="configuration_change"}"#;
    let found = lines(loki, query, "Loki: configuration changes", period, missing).await;
    let change = |line: &Stored| Change {
        at: at(line),
        device: label(line, "device"),
        user: label(line, "user"),
        trigger: label(line, "trigger"),
        commit: label(line, "commit"),
        text: first_line(&line.text),
    };
    found.iter().map(change).collect()
}

pub(super) async fn events(
    loki: &Source,
    period: Period,
    missing: &mut Vec<Missing>,
) -> Vec<Event> {
    let query = format!(
        r#"{{job="syslog", device!="", event=~"{}"}}"#,
        KINDS.join("|")
    );
    let found = lines(loki, &query, "Loki: events of devices", period, missing).await;
    let event = |line: &Stored| Event {
        at: at(line),
        device: label(line, "device"),
        kind: label(line, "event"),
        text: match label(line, "sentence") {
            sentence if sentence.is_empty() => first_line(&line.text),
            sentence => first_line(&sentence),
        },
    };
    found.iter().map(event).collect()
}
