//! The interface as an OpenAPI 3.1 document, made of the table that the router is made of and of the types that are read and written.

use access::edit::ChangeOutcome;
use access::openapi::{Document, Operation};
use serde_json::json;

use super::{
    Answer, CALLS, Collection, Compared, Configuration, Devices, Restored, Rules, Sections,
    Unsaved, Versions, Violations, fleet,
};
use crate::archive::MOST_VERSIONS;
use crate::events::Event;

/// How a version is named.
const WHICH: &str = "A time (RFC 3339 or Unix seconds), the 40 digits of a version, or -1 for the one before the newest; without it, the newest.";

/// What a history is of.
const OUTPUT: &str = "startup, or another answer by the name that its driver or the configuration has for it (version, inventory); without it, the configuration.";

/// The document, as indented JSON with a final line feed.
pub(super) fn document() -> String {
    let about = "Configurations of devices, their versions and how they stand to the rules; for callers whom the configuration knows.";
    let mut document = Document::new("SOTP configuration archive", about);
    for call in CALLS {
        document.call(call, |operation| describe(operation, call.action));
    }
    access::trail::describe(&mut document);
    document.finish()
}

fn describe(call: &mut Operation<'_>, answer: Answer) {
    let text = json!({"type": "string"});
    match answer {
        Answer::Devices => reads(call.answer::<Devices>(200, "The devices.")),
        Answer::Violations => reads(call.answer::<Violations>(200, "What is broken.")),
        Answer::Versions => of_device(
            call.count("limit", MOST_VERSIONS, "Most versions; without it, 50.")
                .text("of", OUTPUT)
                .answer::<Versions>(200, "Its versions, the newest first."),
        ),
        Answer::Configuration => of_device(
            call.text("at", WHICH)
                .text("of", OUTPUT)
                .text(
                    "version",
                    "As at, under another name; without both, the newest.",
                )
                .word("format", false, &["text", "json"], "Without it, text.")
                .answer::<Configuration>(200, "")
                .answer_in("text/plain", 200, text, "The configuration."),
        ),
        Answer::Difference => of_device(
            call.text("from", "As to; without it, the one before that.")
                .text("to", WHICH)
                .text("of", OUTPUT)
                .word(
                    "format",
                    false,
                    &["json", "unified", "sections"],
                    "Without it, json.",
                )
                .answer::<Compared>(200, "")
                .answer::<Sections>(200, "")
                .answer_in("text/plain", 200, text, "What changed."),
        ),
        Answer::Rules => of_device(call.answer::<Rules>(200, "Rule by rule.")),
        Answer::Restore => {
            of_device(
                call.text(
                    "to",
                    "As at of its configuration; without it, the one before the newest.",
                )
                .answer::<Restored>(200, "What is typed."),
            );
            call.problems(&[409]);
        }
        Answer::Unsaved => of_device(
            call.word("format", false, &["json", "unified"], "Without it, json.")
                .answer::<Unsaved>(200, "")
                .answer_in("text/plain", 200, text, "What is not saved."),
        ),
        Answer::Around => of_fleet(
            call.text("at", "A time (RFC 3339 or Unix seconds); without it, now.")
                .count(
                    "minutes",
                    fleet::MINUTES as usize,
                    "Minutes to both sides; without it, 5.",
                )
                .answer::<fleet::Around>(200, "Changes, the newest first."),
        ),
        Answer::Search => of_fleet(
            narrowed(call.text("pattern", "A regular expression for a line."))
                .answer::<fleet::Found>(200, "Lines, at most 1,000."),
        ),
        Answer::Outliers => of_fleet(
            narrowed(call.count(
                "share",
                99,
                "Per cent of the peers that have the line, from 51 on; without it, 95.",
            ))
            .answer::<fleet::Outliers>(200, "Lines, at most 1,000."),
        ),
        Answer::Collect => {
            call.write()
                .answer::<Collection>(
                    202,
                    "It is collected when its turn comes; or the time of the request was over before.",
                )
                .answer_in("application/json", 200, json!({"type": "object"}), "It would be collected, with validate.")
                .problems(&[404, 409]);
        }
        Answer::Change => {
            call.answer::<ChangeOutcome>(200, "How it stands.")
                .problems(&[401, 403, 404]);
        }
        Answer::Event => {
            call.takes::<Event>("application/json")
                .header(
                    "X-SOTP-Signature",
                    json!({"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"}),
                    "HMAC-SHA256 of the body under the secret that both services know.",
                )
                .answer_in("text/plain", 200, text, "What came of it.")
                .problems(&[400, 403, 413]);
        }
        Answer::OpenApi => {
            let object = json!({"type": "object"});
            call.answer_in("application/json", 200, object, "This document.");
        }
    }
}

/// Who reads is known and may.
fn reads(call: &mut Operation<'_>) {
    call.problems(&[401, 403]);
}

fn of_fleet(call: &mut Operation<'_>) {
    call.problems(&[400, 401, 403, 500]);
}

/// Devices of a role, a site or a platform alone.
fn narrowed<'a, 'b>(call: &'a mut Operation<'b>) -> &'a mut Operation<'b> {
    call.text("role", "Devices of this role alone.")
        .text("site", "Devices of this site alone.")
        .text("platform", "Devices of this platform alone.")
}

fn of_device(call: &mut Operation<'_>) {
    call.problems(&[400, 401, 403, 404, 500]);
}
