//! What people may ask each service that records: who they are here, what was done, and whether the log is whole.
//!
//! | call | answer |
//! |---|---|
//! | `GET /api/v1/whoami` | the service, its version, and the caller as it saw them: any caller that is known |
//! | `GET /api/v1/audit?limit=&before=&find=` | records, the newest first; `before` of an answer asks for the next page |
//! | `GET /api/v1/audit/verify` | whether every record is what was written, up to the newest |
//!
//! The last two take the verb [`READ`], and leave a record themselves.

use std::path::Path;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use toolkit::web::response;
use toolkit::{App, Identity, Request, Response};

use crate::audit::pages::{Page, Wanted, page};
use crate::audit::{Anchor, Audit, Finding, verify};
use crate::caller::{Role, Verb};
use crate::edit::{Action, EditService};
use crate::{Problem, Refusal};

/// Reading the audit log.
pub static READ: Verb = Verb::new("audit.read", Role::Operator);

/// Records of a page without `limit`, and at most.
const FEW: usize = 100;
const MOST: usize = 500;

/// Answers the calls, as long as `edits` gives where the service records; without it they are refused.
pub fn register(
    app: &mut App,
    identity: Identity,
    edits: impl Fn() -> Option<EditService> + Send + Sync + 'static,
) {
    let edits = Arc::new(edits);
    // One reading of the log at a time: it may be large.
    let reader = Arc::new(Semaphore::new(1));
    let own = Arc::clone(&edits);
    app.route(Method::GET, "/api/v1/whoami", move |request| {
        let edits = own();
        async move {
            let told = match edits {
                Some(edits) => whoami(&edits, &request, identity).await,
                None => Err(nothing()),
            };
            answer(told)
        }
    });
    let calls: [(&'static str, Call); 2] =
        [("/api/v1/audit", shown), ("/api/v1/audit/verify", verified)];
    for (path, call) in calls {
        let (edits, reader) = (Arc::clone(&edits), Arc::clone(&reader));
        app.route(Method::GET, path, move |request| {
            let (edits, reader) = (edits(), Arc::clone(&reader));
            async move {
                let told = match edits {
                    Some(edits) => read(&edits, request, &reader, call).await,
                    None => Err(nothing()),
                };
                answer(told)
            }
        });
    }
}

/// What one call makes of the log.
type Call = fn(&Audit, &Path, &Request) -> Result<Value, Refusal>;

fn answer(told: Result<Value, Refusal>) -> Response {
    match told {
        Ok(value) => response::json(StatusCode::OK, &value),
        Err(refusal) => refusal.response(),
    }
}

fn nothing() -> Refusal {
    let detail = "nothing is recorded here: the configuration has no access section, or another instance works";
    Problem::of(403, "read-only", "Nothing is recorded here", detail).into()
}

async fn whoami(
    edits: &EditService,
    request: &Request,
    identity: Identity,
) -> Result<Value, Refusal> {
    let caller = edits.identify(request).await?;
    Ok(json!({
        "service": identity.name,
        "version": identity.version,
        "subject": caller.subject,
        "display": caller.display,
        "role": caller.role,
        "via": caller.via,
        "records": edits.audit().head().sequence,
        "refusing": edits.audit().refusing(),
    }))
}

async fn read(
    edits: &EditService,
    request: Request,
    reader: &Arc<Semaphore>,
    call: Call,
) -> Result<Value, Refusal> {
    let action = Action::new(&READ, "audit", "");
    let caller = edits.authorised(&request, &action).await?;
    edits.read(&request, Some(caller), &action);
    let audit = edits.audit().clone();
    let place = Arc::clone(reader).acquire_owned().await;
    let read = tokio::task::spawn_blocking(move || {
        let _place = place;
        let folder = audit.folder().ok_or_else(nothing)?;
        call(&audit, folder, &request)
    });
    read.await
        .unwrap_or_else(|_| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR).into()))
}

fn shown(audit: &Audit, folder: &Path, request: &Request) -> Result<Value, Refusal> {
    let number = |name: &str, usual: u64, most: u64| match request.query(name) {
        None => Ok(usual),
        Some(text) => match text.parse() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(Problem::of(
                400,
                "invalid",
                "Not valid",
                format!("{name}: expected 1 to {most}"),
            )),
        },
    };
    let most = number("limit", FEW as u64, MOST as u64)?;
    let find = request.query("find").unwrap_or_default().to_lowercase();
    let wanted = Wanted {
        before: number("before", u64::MAX, u64::MAX)?,
        most: usize::try_from(most).unwrap_or(MOST),
        find: &find,
    };
    let Page { records, before } = page(folder, wanted).map_err(|error| unreadable(&error))?;
    Ok(json!({
        "records": records,
        "before": before,
        "head": head(&audit.head()),
        "refusing": audit.refusing(),
    }))
}

fn head(anchor: &Anchor) -> Value {
    let hash: String = anchor
        .hash
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({"sequence": anchor.sequence, "hash": hash})
}

/// Up to the newest record of the moment in which it was asked; what is written meanwhile is whole or not there yet.
fn verified(audit: &Audit, folder: &Path, _: &Request) -> Result<Value, Refusal> {
    let head_now = audit.head();
    let anchors: Vec<Anchor> = (head_now.sequence > 0)
        .then_some(head_now)
        .into_iter()
        .collect();
    let report = verify::verify(folder, &anchors).map_err(|error| unreadable(&error))?;
    let mut findings: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| !matches!(finding, Finding::Torn { .. }))
        .map(ToString::to_string)
        .collect();
    findings.extend(audit.refusing());
    Ok(json!({
        "whole": findings.is_empty(),
        "records": report.records,
        "files": report.files,
        "head": head(&head_now),
        "findings": findings,
        "more": report.more,
        "lost": report.lost.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

fn unreadable(error: &std::io::Error) -> Refusal {
    tracing::error!(%error, "the audit log cannot be read");
    Problem::of(
        500,
        "unreadable",
        "The audit log cannot be read",
        "the log of the service says why",
    )
    .into()
}

#[cfg(test)]
mod tests;
