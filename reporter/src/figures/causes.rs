//! What is known of an incident: what the device said around its beginning, and what was done about it.

use std::fmt;

use crate::material::{Change, Event, Repair};
use crate::month::{Millis, utc};

use super::Incident;

/// Before and after the beginning of an incident that a line may tell of its cause: the log is earlier than the ping that finds it.
const BEFORE: Millis = 5 * 60_000;
const AFTER: Millis = 2 * 60_000;
/// After the end of an incident a repair of it may still begin: the alert was sent before.
const LATE: Millis = 15 * 60_000;
/// Longest part of a line that is kept.
const TEXT: usize = 160;

/// Kinds of events that may be a cause, the likeliest first: what somebody did, what broke, what follows from it.
pub const KINDS: [&str; 9] = [
    "configuration_change",
    "upgrade",
    "reboot",
    "hardware",
    "environment",
    "process_crash",
    "stack",
    "optics",
    "interface_state",
];

/// What is known of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What the device or the archive said around its beginning.
    pub cause: Option<Cause>,
    /// What was done about it, and what came of that.
    pub repair: Option<Done>,
    /// Who approved it.
    pub approver: String,
    /// The jobs, by id.
    pub jobs: Vec<String>,
    /// The trace of the last of them.
    pub trace: String,
}

/// What may have been the cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// When it was said.
    pub at: Millis,
    /// The kind of the event, one of [`KINDS`]; none for a change that the archive found.
    pub kind: Option<&'static str>,
    /// The first line of it, as it was said.
    pub text: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = self.kind {
            write!(out, "{kind}: ")?;
        }
        write!(out, "{} ({})", self.text, utc(self.at))
    }
}

/// The last job for an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its runbook.
    pub runbook: String,
    /// Its state, by the remediator's name.
    pub state: String,
}

impl fmt::Display for Done {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.runbook, self.state)
    }
}

fn near(at: Millis, incident: &Incident) -> bool {
    (incident.start - BEFORE..=incident.start + AFTER).contains(&at)
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars()
        .filter(|c| !c.is_control())
        .take(TEXT)
        .collect()
}

/// Of one incident. All three are in the order of time.
pub(super) fn of(
    incident: &Incident,
    changes: &[Change],
    events: &[Event],
    repairs: &[Repair],
) -> Known {
    let mut known = Known::default();
    // The cause of one that the month began with lies before it.
    if !incident.began_before {
        let change = around(changes, |change| change.at, incident)
            .filter(|change| change.device == incident.device)
            .map(|change| (0, change.at, None, first_line(&change.text)));
        let event = around(events, |event| event.at, incident)
            .filter(|event| event.device == incident.device)
            .filter_map(|event| {
                let rank = KINDS.iter().position(|kind| *kind == event.kind)?;
                Some((rank, event.at, Some(KINDS[rank]), first_line(&event.text)))
            });
        let likeliest = change.chain(event).min();
        known.cause = likeliest.map(|(_, at, kind, text)| Cause { at, kind, text });
    }
    for repair in repairs.iter().filter(|repair| {
        repair.device == incident.device
            && repair.created >= incident.start
            && repair.alert <= incident.end
            && repair.created <= incident.end + LATE
    }) {
        known.repair = Some(Done {
            runbook: repair.runbook.clone(),
            state: repair.state.clone(),
        });
        known.approver.clone_from(&repair.approver);
        known.trace.clone_from(&repair.trace);
        known.jobs.push(repair.id.clone());
    }
    known
}

fn around<'a, T>(
    all: &'a [T],
    at: impl Fn(&T) -> Millis,
    incident: &'a Incident,
) -> impl Iterator<Item = &'a T> {
    let first = all.partition_point(|one| at(one) < incident.start - BEFORE);
    all[first..]
        .iter()
        .take_while(move |one| near(at(one), incident))
}

#[cfg(test)]
mod tests {
    use super::super::Ended;
    use super::*;

    const MINUTE: Millis = 60_000;

    fn incident() -> Incident {
        Incident {
            device: "r1".to_owned(),
            site: String::new(),
            role: String::new(),
            start: 100 * MINUTE,
            end: 110 * MINUTE,
            began_before: false,
            ended: Ended::Up,
        }
    }

    fn event(minute: Millis, device: &str, kind: &str) -> Event {
        Event {
            at: minute * MINUTE,
            device: device.to_owned(),
            kind: kind.to_owned(),
            text: format!("{kind} at {minute}\nmore"),
        }
    }

    #[test]
    fn likeliest_kind_near_the_beginning_is_the_cause_and_others_are_not() {
        let events = [
            event(90, "r1", "reboot"),
            event(96, "r1", "interface_state"),
            event(97, "r2", "configuration_change"),
            event(98, "r1", "hardware"),
            event(99, "r1", "login"),
            event(103, "r1", "upgrade"),
        ];
        let known = of(&incident(), &[], &events, &[]);
        assert_eq!(
            known.cause.unwrap().to_string(),
            "hardware: hardware at 98 (1970-01-01T01:38:00Z)"
        );
        let early = Incident {
            began_before: true,
            ..incident()
        };
        assert_eq!(of(&early, &[], &events, &[]).cause, None);
    }

    #[test]
    fn repair_is_of_the_device_and_of_this_incident() {
        let repair = |id: &str, device: &str, alert: Millis, created: Millis| Repair {
            id: id.to_owned(),
            alert: alert * MINUTE,
            created: created * MINUTE,
            updated: 0,
            device: device.to_owned(),
            port: String::new(),
            runbook: "port-up".to_owned(),
            state: "succeeded".to_owned(),
            reason: String::new(),
            requester: String::new(),
            approver: "Alice".to_owned(),
            trace: "t".to_owned(),
        };
        let all = [
            repair("before", "r1", 80, 81),
            repair("other", "r2", 101, 102),
            repair("this", "r1", 101, 102),
            repair("next", "r1", 119, 120),
        ];
        let known = of(&incident(), &[], &[], &all);
        assert_eq!(known.jobs, ["this"]);
        assert_eq!(known.repair.unwrap().to_string(), "port-up (succeeded)");
        assert_eq!(known.approver, "Alice");
    }
}
