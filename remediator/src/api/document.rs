//! The interface as an OpenAPI 3.1 document, made of the table that the router is made of and of the types that are read and written.

use access::edit::ChangeOutcome;
use access::openapi::{Document, Operation};
use serde_json::{Map, Value, json};

use super::commands::{Accepted, CommandRequest, CommandShown, Commands, Sends};
use super::jobs::{Decided, DecisionRequest, JobShown, Jobs, RunPreview, RunRequest, Started};
use super::silences::{Ended, Made, SilencePreview, SilenceRequest, SilencesShown};
use super::switch::{SwitchPreview, SwitchRequest};
use super::{CALLS, Call, Kept, Platforms, Runbooks, Taken};
use crate::journal::Switch;

const JSON: &str = "application/json";
const ACCEPTED: &str = "Accepted as a job, or, where the time of the request was over before, as a change: Location tells how it stands.";

/// The document, as indented JSON with a final line feed.
pub(crate) fn document() -> String {
    let about = "Alerts in; jobs, approvals, console commands and the stop switch for callers whom the configuration knows.";
    let mut document = Document::new("SOTP remediator", about);
    for call in CALLS {
        document.call(call, |operation| describe(operation, call.action));
    }
    access::trail::describe(&mut document);
    document.finish()
}

fn describe(call: &mut Operation<'_>, action: Call) {
    let about = "At most this many; without it, 100.";
    let anything = json!({"type": "object"});
    match action {
        Call::Alerts => {
            call.takes::<Map<String, Value>>(JSON)
                .answer::<Taken>(200, "They are on disk.")
                .problems(&[400, 401, 413, 503]);
        }
        Call::Syslog => {
            call.takes::<Map<String, Value>>(JSON)
                .answer::<Kept>(200, "It is kept, when it tells of a change by a person.")
                .problems(&[400, 401, 413, 503]);
        }
        Call::Jobs => {
            call.text(
                "state",
                "Only jobs in this state; open for those that are not over.",
            )
            .text("device", "Only jobs of this device.")
            .text("before", "Only jobs older than the one with this id.")
            .count("limit", 1_000, about)
            .answer::<Jobs>(200, "Jobs, the newest first.")
            .problems(&[400, 503]);
        }
        Call::Job => {
            call.answer::<JobShown>(200, "The job with every step that it took.")
                .problems(&[404, 503]);
        }
        Call::Run => {
            call.write()
                .takes::<RunRequest>(JSON)
                .answer::<RunPreview>(200, "What would be done, with validate.")
                .answer::<Started>(202, ACCEPTED)
                .problems(&[409, 415]);
        }
        Call::Approve | Call::Reject => {
            call.write()
                .takes::<DecisionRequest>(JSON)
                .answer::<Decided>(200, "What would be decided, with validate.")
                .answer::<Started>(202, ACCEPTED)
                .problems(&[404, 409, 415]);
        }
        Call::Runbooks => {
            call.answer::<Runbooks<'_>>(200, "Runbooks and levels.");
        }
        Call::Schema => {
            call.answer_in("application/schema+json", 200, anything, "The JSON Schema.");
        }
        Call::Platforms => {
            call.answer::<Platforms<'_>>(200, "By platform.");
        }
        Call::Command => {
            call.write()
                .takes::<CommandRequest>(JSON)
                .answer::<Sends>(200, "What would be sent, with validate.")
                .answer::<Accepted>(202, ACCEPTED)
                .problems(&[409, 415]);
        }
        Call::Commands => {
            call.count("limit", 1_000, about)
                .answer::<Commands>(200, "Commands, the newest first.")
                .problems(&[400, 503]);
        }
        Call::OneCommand => {
            call.answer::<CommandShown>(200, "The command with its answers.")
                .problems(&[404, 503]);
        }
        Call::Switch => {
            call.answer::<Switch>(200, "Whether everything is stopped, by whom and why.")
                .problems(&[503]);
        }
        Call::SetSwitch => {
            call.write()
                .takes::<SwitchRequest>(JSON)
                .answer::<Switch>(200, "How it stands now.")
                .answer::<SwitchPreview>(200, "")
                .problems(&[415]);
        }
        Call::Silences => {
            call.answer::<SilencesShown>(200, "Silences, as Alertmanager has them.")
                .problems(&[409, 503]);
        }
        Call::Silence => {
            call.write()
                .takes::<SilenceRequest>(JSON)
                .answer::<SilencePreview>(200, "What would be made, with validate.")
                .answer::<Made>(201, "It holds.")
                .problems(&[409, 415]);
        }
        Call::EndSilence => {
            call.write()
                .answer::<Ended>(200, "It is over, or would be, with validate.")
                .problems(&[404, 409]);
        }
        Call::Change => {
            call.answer::<ChangeOutcome>(200, "How it stands.")
                .problems(&[401, 403, 404, 503]);
        }
        Call::OpenApi => {
            call.answer_in(JSON, 200, anything, "This document.");
        }
    }
}
