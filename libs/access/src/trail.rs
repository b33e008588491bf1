//! What people may ask each service that records: who they are here, what was done, and whether the log is whole.
//!
//! | call | answer |
//! |---|---|
//! | `GET /api/v1/whoami` | the service, its version, and the caller as it saw them: any caller that is known |
//! | `GET /api/v1/audit?limit=&before=&find=` | records, the newest first; `before` of an answer asks for the next page |
//! | `GET /api/v1/audit/verify` | whether every record is what was written, up to the newest |
//!
//! The last two take the verb [`AUDIT_READ`], and leave a record themselves.

use std::path::Path;
use std::sync::Arc;

use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use toolkit::web::response;
use toolkit::{App, Identity, Request, Response};

use crate::audit::pages::{Page, Wanted, page};
use crate::audit::{Anchor, Audit, Finding, verify};
use crate::caller::{AUDIT_READ, Role};
use crate::edit::{Action, EditService};
use crate::openapi::{self, Document};
use crate::{Problem, Refusal};

/// Records of a page without `limit`, and at most.
const FEW: usize = 100;
const MOST: usize = 500;
/// Largest number of a record.
const BEFORE: usize = 1 << 53;

/// Who one is here.
#[derive(Debug, Serialize, JsonSchema)]
struct WhoAmI {
    /// The program.
    service: &'static str,
    version: &'static str,
    /// Who asks, for programs.
    subject: String,
    /// The same for people.
    display: String,
    role: Role,
    /// How the caller is known.
    via: &'static str,
    /// Number of the newest audit record.
    records: u64,
    /// Why nothing can be recorded, where nothing can.
    refusing: Option<String>,
}

/// The newest record.
#[derive(Debug, Serialize, JsonSchema)]
struct Head {
    /// Its number; 0 before the first.
    sequence: u64,
    /// Its hash in hexadecimal digits.
    hash: String,
}

/// Audit records.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditRecords")]
struct Records {
    /// Each as its line in the log has it, the newest first.
    records: Vec<Value>,
    /// What asks for older ones; none where there are none.
    before: Option<u64>,
    head: Head,
    /// Why nothing can be recorded, where nothing can.
    refusing: Option<String>,
}

/// Whether the audit log is what was written.
#[derive(Debug, Serialize, JsonSchema)]
struct Verified {
    whole: bool,
    /// Whole records that were read.
    records: u64,
    files: usize,
    head: Head,
    /// What is wrong.
    findings: Vec<String>,
    /// There is more that is wrong than is listed.
    more: bool,
    /// Records that somebody declared as lost.
    lost: Vec<String>,
}

const WHO: &str = "/api/v1/whoami";
const AUDIT: &str = "/api/v1/audit";
const VERIFY: &str = "/api/v1/audit/verify";

/// Adds the calls to the document of a service.
pub fn describe(document: &mut Document) {
    let who = openapi::Call::get(WHO, (), "Who the caller is to this service");
    document.call(&who, |call| {
        call.answer::<WhoAmI>(200, "The caller.")
            .problems(&[401, 403, 503]);
    });
    let shown = openapi::Call::get(AUDIT, (), "Audit records, the newest first");
    document.call(&shown, |call| {
        call.count("limit", MOST, "Most records; without it, 100.")
            .count("before", BEFORE, "Only records before this number.")
            .text("find", "A part of the person, the verb or the object.")
            .answer::<Records>(200, "Records.")
            .problems(&[400, 401, 403, 500, 503]);
    });
    let verify = openapi::Call::get(VERIFY, (), "Whether no audit record was altered");
    document.call(&verify, |call| {
        call.answer::<Verified>(200, "What was found.")
            .problems(&[401, 403, 500, 503]);
    });
}

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
    app.route(Method::GET, WHO, move |request| {
        let edits = own();
        async move {
            let told = match edits {
                Some(edits) => whoami(&edits, &request, identity).await,
                None => Err(nothing()),
            };
            answer(told)
        }
    });
    logged(app, AUDIT, &edits, &reader, shown);
    logged(app, VERIFY, &edits, &reader, verified);
}

/// What one call makes of the log.
type Call<T> = fn(&Audit, &Path, &Request) -> Result<T, Refusal>;

/// Answers a call about the log.
fn logged<T: Serialize + Send + 'static>(
    app: &mut App,
    path: &'static str,
    edits: &Arc<impl Fn() -> Option<EditService> + Send + Sync + 'static>,
    reader: &Arc<Semaphore>,
    call: Call<T>,
) {
    let (edits, reader) = (Arc::clone(edits), Arc::clone(reader));
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

fn answer<T: Serialize>(told: Result<T, Refusal>) -> Response {
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
) -> Result<WhoAmI, Refusal> {
    let caller = edits.identify(request).await?;
    Ok(WhoAmI {
        service: identity.name,
        version: identity.version,
        subject: caller.subject,
        display: caller.display,
        role: caller.role,
        via: caller.via.as_str(),
        records: edits.audit().head().sequence,
        refusing: edits.audit().refusing(),
    })
}

async fn read<T: Send + 'static>(
    edits: &EditService,
    request: Request,
    reader: &Arc<Semaphore>,
    call: Call<T>,
) -> Result<T, Refusal> {
    let action = Action::new(&AUDIT_READ, "audit", "");
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

fn shown(audit: &Audit, folder: &Path, request: &Request) -> Result<Records, Refusal> {
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
        before: number("before", BEFORE as u64, BEFORE as u64)?,
        most: usize::try_from(most).unwrap_or(MOST),
        find: &find,
    };
    let Page { records, before } = page(folder, wanted).map_err(|error| unreadable(&error))?;
    Ok(Records {
        records,
        before,
        head: head(&audit.head()),
        refusing: audit.refusing(),
    })
}

fn head(anchor: &Anchor) -> Head {
    let hash: String = anchor
        .hash
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Head {
        sequence: anchor.sequence,
        hash,
    }
}

/// Up to the newest record of the moment in which it was asked; what is written meanwhile is whole or not there yet.
fn verified(audit: &Audit, folder: &Path, _: &Request) -> Result<Verified, Refusal> {
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
    Ok(Verified {
        whole: findings.is_empty(),
        records: report.records,
        files: report.files,
        head: head(&head_now),
        findings,
        more: report.more,
        lost: report.lost.iter().map(ToString::to_string).collect(),
    })
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
