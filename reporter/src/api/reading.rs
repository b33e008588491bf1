//! Who may read a report, and the record that they did.

use access::audit::{AuditError, Outcome, Pending, Record, request_hash};
use access::caller::{Caller, Verb};
use access::edit::Action;
use access::{Problem, Refusal};
use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use toolkit::web::response;
use toolkit::{Request, Response};

use super::{Api, Call};
use crate::bundle::sha256;
use crate::verbs;

/// What a call reads, and whether it is put on record.
fn wanted(call: Call, request: &Request) -> Option<(Action, bool)> {
    let of = |verb: &'static Verb, kind, name: &str| Action::new(verb, kind, name);
    // What is no month is no name that a record could have.
    let month = super::month(request).map_or(String::new(), |month| month.to_string());
    Some(match call {
        Call::Reports => (of(&verbs::LIST, "reports", "all"), false),
        Call::Jobs | Call::Job => (of(&verbs::LIST, "jobs", "all"), false),
        Call::Report | Call::File => (of(&verbs::READ, "report", &month), true),
        Call::Ask | Call::Change | Call::OpenApi => return None,
    })
}

/// What a reading is put on record with.
pub(super) struct Reading(Option<Pending>);

impl Api {
    /// Lets a reader through, who is recorded before anything is read; anybody where the configuration has no section `access`.
    ///
    /// # Errors
    /// Not known, not allowed, or it cannot be recorded.
    pub(super) async fn reader(&self, call: Call, request: &Request) -> Result<Reading, Refusal> {
        let Some((action, recorded)) = wanted(call, request) else {
            return Ok(Reading(None));
        };
        let config = self.reporter.config.current();
        let access = match (&config.editing, &self.edits) {
            (None, None) => return Ok(Reading(None)),
            (Some(editing), Some(_)) => std::sync::Arc::clone(&editing.access),
            // It was put into the configuration since the start, or out of it: nobody reads what nobody records.
            _ => return Err(restart().into()),
        };
        let edits = self.edits()?;
        let record = |caller: Option<Caller>| Record {
            caller,
            verb: action.verb().name().to_owned(),
            object: action.object(),
            trace_id: toolkit::trace::current_id(),
            request_hash: request_hash(request),
        };
        let caller = match access.identify(request).await {
            Ok(caller) => caller,
            Err(denied) => {
                edits.audit().refuse(record(None), denied.reason());
                return Err(denied.into());
            }
        };
        for need in action.needs() {
            let decision = access.permits(&caller, need.verb, &need.object());
            if let Err(denied) = access.decided(request, &caller, decision) {
                edits.audit().refuse(record(Some(caller)), denied.reason());
                return Err(denied.into());
            }
        }
        if !recorded {
            return Ok(Reading(None));
        }
        let pending = edits.audit().begin(record(Some(caller))).await;
        pending
            .map(|pending| Reading(Some(pending)))
            .map_err(|error| not_recorded(&error).into())
    }
}

impl Reading {
    /// Says what came of it.
    pub(super) async fn end(self, request: &str, answer: &Result<Response, Refusal>) {
        let Some(pending) = self.0 else {
            return;
        };
        let outcome = match answer {
            Ok(_) => Outcome::Done(request.to_owned()),
            Err(refusal) if refusal.status().is_server_error() => Outcome::Failed(refusal.line()),
            Err(refusal) => Outcome::Refused(refusal.line()),
        };
        pending.finish(outcome).await;
    }
}

fn restart() -> Problem {
    let detail = "the section access came or went since the start: restart the service";
    Problem::of(403, "read-only", "Nobody may read here now", detail)
}

fn not_recorded(error: &AuditError) -> Problem {
    let error = toolkit::chain(error);
    tracing::error!(error, "reading refused: it cannot be recorded");
    Problem::of(
        507,
        "not-recorded",
        "The reading cannot be recorded",
        "nothing was read; the audit log cannot be written",
    )
}

/// `body` with its hash as its entity tag, or 304 where the caller has it (RFC 9110, section 13.1.2).
pub(super) fn tagged(request: &Request, kind: &'static str, body: Vec<u8>) -> Response {
    let tag = format!("\"{}\"", sha256(&body));
    let mut answer = if matches(request.headers(), &tag) {
        let mut answer = Response::default();
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        response::new(StatusCode::OK, kind, body)
    };
    let headers = answer.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    // Whoever keeps a copy asks each time whether they may have it.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    answer
}

fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(IF_NONE_MATCH).iter();
    given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}
