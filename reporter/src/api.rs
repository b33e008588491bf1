//! The interface: the reports that there are, their files, and reports that people ask for.

mod document;
mod reading;

use std::io;
use std::sync::Arc;

use access::edit::{Action, Asked, Done as Answered, EditService, Plan};
use access::{Problem, Refusal, openapi};
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, HeaderValue};
use jiff::{Timestamp, Zoned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use toolkit::web::response;
use toolkit::{App, Request, Response};

use crate::bundle::Manifest;
use crate::jobs::{Job, Jobs, State};
use crate::mail;
use crate::month::Month;
use crate::outbox::{Entry, Outbox};
use crate::reporter::Reporter;
use crate::verbs;
use crate::work::Done;

/// What handlers share.
#[derive(Debug)]
pub struct Api {
    /// Makes and sends reports.
    pub reporter: Arc<Reporter>,
    /// What people asked for.
    pub jobs: Jobs,
    /// Where it is asked for; nobody may where there is none.
    pub edits: Option<EditService>,
    /// Places of those who read the folder of the reports.
    pub readers: Arc<Semaphore>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Reports,
    Report,
    File,
    Ask,
    Jobs,
    Job,
    Change,
    OpenApi,
}

/// Every call there is: the router and the OpenAPI document are both made of it.
#[rustfmt::skip]
const CALLS: &[openapi::Call<Call>] = &[
    openapi::Call::get("/api/v1/reports", Call::Reports, "The reports that there are, the newest month first"),
    openapi::Call::post("/api/v1/reports", Call::Ask, "Has the report of a month made, or made and sent"),
    openapi::Call::get("/api/v1/reports/{month}", Call::Report, "The report of a month, with the state of its mail"),
    openapi::Call::get("/api/v1/reports/{month}/files/{name}", Call::File, "A file of a report, as an attachment"),
    openapi::Call::get("/api/v1/jobs", Call::Jobs, "What was asked for since the start, the newest first"),
    openapi::Call::get("/api/v1/jobs/{id}", Call::Job, "One job with what came of it"),
    openapi::Call::get("/api/v1/changes/{id}", Call::Change, "How a write stands that took longer than its request"),
    openapi::Call::get("/api/v1/openapi.json", Call::OpenApi, "This interface as an OpenAPI document"),
];

/// A report with its mail.
#[derive(Debug, Serialize, JsonSchema)]
struct ReportShown {
    #[serde(flatten)]
    manifest: Manifest,
    /// Its mail; none where it was never to be sent.
    mail: Option<Entry>,
}

/// Reports.
#[derive(Debug, Serialize, JsonSchema)]
struct Reports {
    reports: Vec<ReportShown>,
}

/// Jobs.
#[derive(Debug, Serialize, JsonSchema)]
struct JobList {
    jobs: Vec<Job>,
}

/// What would be done.
#[derive(Debug, Serialize, JsonSchema)]
struct Preview {
    month: Month,
    send: bool,
    incomplete: bool,
}

/// A job that was accepted.
#[derive(Debug, Serialize, JsonSchema)]
struct Started {
    /// Its id.
    job: String,
    /// Where its outcome is.
    location: String,
}

/// Registers every call.
pub fn register(app: &mut App, api: &Arc<Api>) {
    let own = Arc::clone(api);
    openapi::register(app, CALLS, move |call, request| {
        Arc::clone(&own).answer(call, request)
    });
    app.link(
        "/api/v1/reports",
        "Reports",
        "the reports that there are, and how far their mails are",
    );
    app.link("/api/v1/jobs", "Jobs", "what people asked for");
    app.link(
        "/api/v1/openapi.json",
        "OpenAPI",
        "every call as a document",
    );
}

fn missing(what: &str, detail: &str) -> Refusal {
    Problem::of(404, &format!("no-{what}"), "Not found", detail).into()
}

fn unreadable(error: &io::Error) -> Refusal {
    tracing::error!(%error, "the folder of the reports cannot be read");
    Problem::of(
        500,
        "store",
        "The reports cannot be read",
        "the log says why",
    )
    .into()
}

fn month(request: &Request) -> Result<Month, Refusal> {
    let text = request.param("month").unwrap_or_default();
    text.parse()
        .map_err(|_| missing("report", "expected a month such as 2026-10"))
}

impl Api {
    async fn answer(self: Arc<Self>, call: Call, request: Request) -> Response {
        match call {
            Call::Ask => return self.ask(request).await,
            Call::Change => {
                let id = request.param("id").unwrap_or_default();
                let told = match self.edits() {
                    Ok(edits) => edits.outcome(id, &request).await,
                    Err(refusal) => Err(refusal),
                };
                return match told {
                    Ok(outcome) => response::json(StatusCode::OK, &outcome),
                    Err(refusal) => refusal.response(),
                };
            }
            _ => {}
        }
        let reading = match self.reader(call, &request).await {
            Ok(reading) => reading,
            Err(refusal) => return refusal.response(),
        };
        let path = request.path().to_owned();
        // Reading a folder may wait for the disk. A reading holds its place to its end, also when its client has gone.
        let place = Arc::clone(&self.readers).acquire_owned().await;
        let read = tokio::task::spawn_blocking(move || {
            let _place = place;
            self.read(call, &request)
        });
        let answer = match read.await {
            Ok(answer) => answer,
            Err(_) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR).into()),
        };
        reading.end(&path, &answer).await;
        answer.unwrap_or_else(|refusal| refusal.response())
    }

    fn read(&self, call: Call, request: &Request) -> Result<Response, Refusal> {
        match call {
            Call::Reports => self.reports(),
            Call::Report => self.report(request),
            Call::File => self.file(request),
            Call::Job => self.job(request),
            Call::Jobs => Ok(response::json(
                StatusCode::OK,
                &JobList {
                    jobs: self.jobs.list(),
                },
            )),
            Call::OpenApi | Call::Ask | Call::Change => Ok(response::new(
                StatusCode::OK,
                "application/json",
                document::document(),
            )),
        }
    }

    fn edits(&self) -> Result<EditService, Refusal> {
        self.edits.clone().ok_or_else(|| {
            let detail = "the configuration had no access section at the start; expected one in --config.file";
            Problem::of(403, "read-only", "Nobody may ask for anything here", detail).into()
        })
    }

    fn job(&self, request: &Request) -> Result<Response, Refusal> {
        let found = self.jobs.get(request.param("id").unwrap_or_default());
        let found = found
            .ok_or_else(|| missing("job", "there is no job of this id, or it was long ago"))?;
        Ok(response::json(StatusCode::OK, &found))
    }

    fn reports(&self) -> Result<Response, Refusal> {
        let store = &self.reporter.store;
        let mut reports = Vec::new();
        for month in store.months().map_err(|error| unreadable(&error))? {
            reports.extend(self.told(month)?);
        }
        Ok(response::json(StatusCode::OK, &Reports { reports }))
    }

    fn report(&self, request: &Request) -> Result<Response, Refusal> {
        let told = self.told(month(request)?)?;
        let told = told.ok_or_else(|| missing("report", "there is no report of this month"))?;
        let body = serde_json::to_vec(&told).map_err(|error| unreadable(&error.into()))?;
        Ok(reading::tagged(request, "application/json", body))
    }

    fn told(&self, month: Month) -> Result<Option<ReportShown>, Refusal> {
        let store = &self.reporter.store;
        let Some(manifest) = store.manifest(month).map_err(|error| unreadable(&error))? else {
            return Ok(None);
        };
        let mail = Outbox::new(store.outbox())
            .get(month)
            .map_err(|error| unreadable(&error))?;
        Ok(Some(ReportShown { manifest, mail }))
    }

    fn file(&self, request: &Request) -> Result<Response, Refusal> {
        let name = request.param("name").unwrap_or_default();
        let content = self.reporter.store.file(month(request)?, name);
        let content = content
            .map_err(|error| unreadable(&error))?
            .ok_or_else(|| missing("file", "the report has no file of this name"))?;
        let mut answer = reading::tagged(request, mail::kind(name), content);
        // The name is one of the list of the report: plain letters.
        if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
            answer.headers_mut().insert(CONTENT_DISPOSITION, value);
        }
        Ok(answer)
    }

    async fn ask(self: Arc<Self>, request: Request) -> Response {
        let edits = match self.edits() {
            Ok(edits) => edits,
            Err(refusal) => return refusal.response(),
        };
        let own = Arc::clone(&self);
        let prepare = async move |asked: Asked| own.plan(&asked);
        edits
            .change(request, &[&verbs::BUILD, &verbs::SEND], prepare)
            .await
    }

    fn plan(self: Arc<Self>, asked: &Asked) -> Result<Plan, Refusal> {
        let wanted: Wanted = serde_json::from_slice(asked.request().body()).map_err(|error| {
            Problem::of(400, "invalid", "Not the expected JSON", error.to_string())
        })?;
        let config = self.reporter.config.current();
        let now = Zoned::now().with_time_zone(config.zone.clone());
        let last = Month::of(&now).before();
        let month = match wanted.month.as_deref() {
            None => last,
            Some(text) => text
                .parse()
                .map_err(|error: crate::month::NoMonth| invalid(format!("month: {error}")))?,
        };
        let verb = if wanted.send {
            &verbs::SEND
        } else {
            &verbs::BUILD
        };
        let action = Action::new(verb, "report", month.to_string());
        asked.intend(action.clone())?;
        if month > last {
            return Err(invalid(format!("month: {month} is not over")));
        }
        if wanted.send && !config.sends() {
            return Err(invalid(
                "send: the configuration has no section mail or copies".to_owned(),
            ));
        }
        let preview = Preview {
            month,
            send: wanted.send,
            incomplete: wanted.incomplete,
        };
        let preview = serde_json::to_value(preview).unwrap_or_default();
        let incomplete = wanted.incomplete;
        let send = wanted.send;
        let work = move |granted: access::edit::Granted| async move {
            let job = Job {
                id: granted.change.clone(),
                month,
                send,
                requested_by: granted.caller.display.clone(),
                state: State::Running,
                outcome: String::new(),
                created: Timestamp::now(),
                ended: None,
            };
            let id = job.id.clone();
            if !self.jobs.add(job) {
                let detail = "as many reports wait as may; try again later";
                return Err(Problem::of(503, "overload", "Too much waits", detail).into());
            }
            self.count();
            tokio::spawn(toolkit::trace::carried(Arc::clone(&self).run(
                id.clone(),
                month,
                send,
                incomplete,
            )));
            let answer = Started {
                location: format!("/api/v1/jobs/{id}"),
                job: id.clone(),
            };
            Ok(Answered::json(StatusCode::ACCEPTED, &answer, id))
        };
        Ok(Plan::new(action, work).preview(preview))
    }

    async fn run(self: Arc<Self>, id: String, month: Month, send: bool, incomplete: bool) {
        let (state, outcome) = match self.reporter.report(month, send, incomplete).await {
            Ok(Done::Kept) => (State::Done, "made".to_owned()),
            Ok(Done::Sent(entry)) => (State::Done, format!("sent as {}", entry.message_id)),
            Ok(Done::AlreadySent(entry)) => (
                State::Done,
                match entry.sent {
                    Some(sent) => format!("already sent at {sent} as {}", entry.message_id),
                    None => "its mail waits in the outbox".to_owned(),
                },
            ),
            Err(error) => (State::Failed, toolkit::chain(&error)),
        };
        self.jobs.end(&id, state, outcome);
        self.count();
    }

    fn count(&self) {
        let open = i64::try_from(self.jobs.open()).unwrap_or(i64::MAX);
        self.reporter.metrics.jobs.set(open);
    }
}

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The month, as in 2026-10; the last one that is over unless given.
    #[serde(default)]
    month: Option<String>,
    /// Whether it is sent, too.
    #[serde(default)]
    send: bool,
    /// Whether it is kept and sent although Prometheus does not answer for a part.
    #[serde(default)]
    incomplete: bool,
}

fn invalid(detail: String) -> Refusal {
    Problem::of(422, "invalid", "Not valid", detail).into()
}
