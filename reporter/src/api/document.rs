//! The interface as an OpenAPI 3.1 document, made of the table that the router is made of and of the types that are read and written.

use access::edit::ChangeOutcome;
use access::openapi::{Document, Operation};
use serde_json::json;

use super::{CALLS, Call, JobList, Preview, ReportShown, Reports, Started, Wanted};
use crate::jobs::Job;

const JSON: &str = "application/json";
const TAG: &str = "ETag of the last look.";
const SAME: &str = "It is the same as then.";
const READING: &[u16] = &[401, 403, 404, 503, 507];
const ACCEPTED: &str = "Accepted as a job, or, where the time of the request was over before, as a change: Location tells how it stands.";

/// The document, as indented JSON with a final line feed.
pub(crate) fn document() -> String {
    let about =
        "Reports of past months as files; new ones for callers whom the configuration knows.";
    let mut document = Document::new("SOTP reporter", about);
    for call in CALLS {
        document.call(call, |operation| describe(operation, call.action));
    }
    access::trail::describe(&mut document);
    document.finish()
}

fn describe(call: &mut Operation<'_>, action: Call) {
    let bytes = json!({"type": "string", "format": "binary"});
    match action {
        Call::Reports => {
            call.answer::<Reports>(200, "Reports, the newest month first.")
                .problems(&[401, 403, 503]);
        }
        Call::Report => {
            call.header("If-None-Match", json!({"type": "string"}), TAG)
                .answer::<ReportShown>(200, "The report.")
                .empty(304, SAME)
                .problems(READING);
        }
        Call::File => {
            call.header("If-None-Match", json!({"type": "string"}), TAG)
                .answer_in("application/pdf", 200, bytes.clone(), "The file.")
                .answer_in("text/csv", 200, bytes.clone(), "The file.")
                .answer_in(JSON, 200, bytes, "The file.")
                .empty(304, SAME)
                .problems(READING);
        }
        Call::Ask => {
            call.write()
                .takes::<Wanted>(JSON)
                .answer::<Preview>(200, "What would be done, with validate.")
                .answer::<Started>(202, ACCEPTED);
        }
        Call::Jobs => {
            call.answer::<JobList>(200, "Jobs, the newest first.")
                .problems(&[401, 403, 503]);
        }
        Call::Job => {
            call.answer::<Job>(200, "The job.")
                .problems(&[401, 403, 404, 503]);
        }
        Call::Change => {
            call.answer::<ChangeOutcome>(200, "How it stands.")
                .problems(&[401, 403, 404, 503]);
        }
        Call::OpenApi => {
            call.answer_in(JSON, 200, json!({"type": "object"}), "The document.");
        }
    }
}
