//! The interface: what is sent to the service, what can be asked of it, and what people decide.

mod alerts;
mod commands;
mod document;
mod jobs;
mod silences;
mod switch;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use access::edit::EditService;
use access::{Problem, Refusal, openapi};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use toolkit::web::response;
use toolkit::{App, Live, Request, Response};

use crate::config::Config;
use crate::engine::Engine;
use crate::journal::JournalError;
use crate::metrics::Metrics;
use crate::platform::{ConsoleCommand, Step};
use crate::runbook::{self, Runbook};
use crate::setup::LevelRule;

/// What handlers share. The engine is there once this instance has the journal's lock.
pub struct Api {
    /// The configuration that runs.
    pub config: Live<Config>,
    /// The devices.
    pub feed: inventory::Feed,
    /// The engine.
    pub engine: OnceLock<Arc<Engine>>,
    /// The series.
    pub metrics: Arc<Metrics>,
    /// Where writes go; there with the engine, and only where the configuration says who may write.
    pub edits: OnceLock<EditService>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Alerts,
    Syslog,
    Jobs,
    Job,
    Run,
    Approve,
    Reject,
    Runbooks,
    Schema,
    Platforms,
    Command,
    Commands,
    OneCommand,
    Switch,
    SetSwitch,
    Silences,
    Silence,
    EndSilence,
    Change,
    OpenApi,
}

/// What came of a webhook.
#[derive(Serialize, JsonSchema)]
struct Taken {
    /// Alerts that are on disk now.
    alerts: usize,
}

/// What came of an event.
#[derive(Serialize, JsonSchema)]
struct Kept {
    /// Whether it tells of a change by a person, and is kept.
    kept: bool,
}

/// The runbooks in force.
#[derive(Serialize, JsonSchema)]
struct Runbooks<'a> {
    runbooks: Vec<&'a Runbook>,
    /// The last that names a job holds; without any it observes.
    levels: &'a [LevelRule],
    /// Times that it has to help with an approval before it acts by itself.
    successes_before_auto: u32,
}

/// What the console may run and the runbooks may do.
#[derive(Serialize, JsonSchema)]
struct Platforms<'a> {
    platforms: Vec<PlatformShown<'a>>,
}

/// One platform.
#[derive(Serialize, JsonSchema)]
struct PlatformShown<'a> {
    /// Its name, as the inventory has it.
    platform: &'a str,
    /// For people.
    title: &'a str,
    /// Further names.
    aliases: &'a [String],
    /// What a value of each parameter looks like: a regular expression for the whole of it.
    parameters: &'a BTreeMap<String, String>,
    /// What the console may run.
    console: &'a [ConsoleCommand],
    /// What the runbooks may do.
    steps: &'a BTreeMap<String, Step>,
}

/// Every call there is: the router and the OpenAPI document are both made of it.
#[rustfmt::skip]
const CALLS: &[openapi::Call<Call>] = &[
    openapi::Call::post("/api/v1/webhook/alertmanager", Call::Alerts, "Takes a webhook of Alertmanager, version 4"),
    openapi::Call::post("/api/v1/events/syslog", Call::Syslog, "Takes an event of sotp-syslog: a change by a person"),
    openapi::Call::get("/api/v1/jobs", Call::Jobs, "Jobs, the newest first"),
    openapi::Call::post("/api/v1/jobs", Call::Run, "Starts a runbook by hand; another person has to approve its plan"),
    openapi::Call::get("/api/v1/jobs/{id}", Call::Job, "One job with every step that it took"),
    openapi::Call::post("/api/v1/jobs/{id}/approve", Call::Approve, "Approves the plan with this hash"),
    openapi::Call::post("/api/v1/jobs/{id}/reject", Call::Reject, "Rejects a plan"),
    openapi::Call::get("/api/v1/runbooks", Call::Runbooks, "The runbooks in force"),
    openapi::Call::get("/api/v1/runbooks/schema", Call::Schema, "JSON Schema of a runbook"),
    openapi::Call::get("/api/v1/platforms", Call::Platforms, "What the console may run, by platform"),
    openapi::Call::post("/v1/commands", Call::Command, "Runs an allowed command on devices"),
    openapi::Call::post("/api/v1/commands", Call::Command, "Runs an allowed command on devices"),
    openapi::Call::get("/api/v1/commands", Call::Commands, "Commands that were run, the newest first"),
    openapi::Call::get("/v1/commands/{id}", Call::OneCommand, "One command with its answers"),
    openapi::Call::get("/api/v1/commands/{id}", Call::OneCommand, "One command with its answers"),
    openapi::Call::get("/api/v1/switch", Call::Switch, "Whether everything is stopped"),
    openapi::Call::put("/api/v1/switch", Call::SetSwitch, "Stops everything, or lets it go on"),
    openapi::Call::get("/api/v1/silences", Call::Silences, "Silences of Alertmanager that hold or will"),
    openapi::Call::post("/api/v1/silences", Call::Silence, "Makes a silence"),
    openapi::Call::delete("/api/v1/silences/{id}", Call::EndSilence, "Ends a silence"),
    openapi::Call::get("/api/v1/changes/{id}", Call::Change, "How a write stands that took longer than its request"),
    openapi::Call::get("/api/v1/openapi.json", Call::OpenApi, "This interface as an OpenAPI document"),
];

/// Registers every operation.
pub fn register(app: &mut App, api: &Arc<Api>) {
    let own = Arc::clone(api);
    openapi::register(app, CALLS, move |call, request| {
        Arc::clone(&own).answer(call, request)
    });
    app.link(
        "/api/v1/jobs",
        "Jobs",
        "what is being repaired, what was, and what waits for an approval",
    );
    app.link(
        "/api/v1/runbooks",
        "Runbooks",
        "what is done about which alert",
    );
    app.link(
        "/api/v1/commands",
        "Commands",
        "what was asked on the console",
    );
    app.link(
        "/api/v1/openapi.json",
        "OpenAPI",
        "every call as a document",
    );
}

impl Api {
    async fn answer(self: Arc<Self>, call: Call, request: Request) -> Response {
        let answered = match call {
            Call::Alerts => return self.alerts(&request).await,
            Call::Syslog => return self.hint(&request).await,
            Call::Jobs => self.jobs(&request).await,
            Call::Job => self.job(&request).await,
            Call::Run => return self.run(request).await,
            Call::Approve => return self.settle(request, true).await,
            Call::Reject => return self.settle(request, false).await,
            Call::Runbooks => Ok(self.runbooks()),
            Call::Schema => Ok(response::new(
                StatusCode::OK,
                "application/schema+json",
                runbook::json_schema(),
            )),
            Call::Platforms => Ok(self.platforms()),
            Call::Command => return self.command(request).await,
            Call::Commands => self.commands(&request).await,
            Call::OneCommand => self.one_command(&request).await,
            Call::Switch => self.switch().await,
            Call::SetSwitch => return self.set_switch(request).await,
            Call::Silences => self.silences().await,
            Call::Silence => return self.silence(request).await,
            Call::EndSilence => return self.end_silence(request).await,
            Call::Change => self.change(&request).await,
            Call::OpenApi => Ok(response::new(
                StatusCode::OK,
                "application/json",
                document::document(),
            )),
        };
        answered.unwrap_or_else(|refusal: Refusal| refusal.response())
    }

    fn engine(&self) -> Result<&Arc<Engine>, Refusal> {
        self.engine.get().ok_or_else(|| {
            Problem::of(
                503,
                "standby",
                "Another instance works",
                "this instance waits for the lock of the journal",
            )
            .into()
        })
    }

    fn edits(&self) -> Result<EditService, Refusal> {
        // The audit log belongs to the instance that works.
        self.engine()?;
        self.edits.get().cloned().ok_or_else(|| {
            let detail = "the configuration had no access section at the start; expected one in --config.file";
            Problem::of(403, "read-only", "Nobody may change anything here", detail).into()
        })
    }

    /// How a write stands that took longer than its request.
    async fn change(&self, request: &Request) -> Result<Response, Refusal> {
        let id = request.param("id").unwrap_or_default();
        let outcome = self.edits()?.outcome(id, request).await?;
        Ok(response::json(StatusCode::OK, &outcome))
    }

    fn runbooks(&self) -> Response {
        let setup = &self.config.current().setup;
        let runbooks = setup.runbooks.iter().map(|runbook| &**runbook).collect();
        let answer = Runbooks {
            runbooks,
            levels: &setup.levels,
            successes_before_auto: setup.successes,
        };
        response::json(StatusCode::OK, &answer)
    }

    fn platforms(&self) -> Response {
        let setup = &self.config.current().setup;
        let platforms = setup.platforms.iter().map(|platform| PlatformShown {
            platform: &platform.platform,
            title: &platform.title,
            aliases: &platform.aliases,
            parameters: &platform.parameters,
            console: &platform.console,
            steps: &platform.steps,
        });
        let platforms = platforms.collect();
        response::json(StatusCode::OK, &Platforms { platforms })
    }
}

/// The series of the audit log, once it is open.
pub(crate) struct Recorded(pub(crate) Arc<Api>);

impl toolkit::Collect for Recorded {
    fn collect(&self, out: &mut toolkit::Encoder) {
        if let Some(edits) = self.0.edits.get() {
            edits.audit().collect(out);
        }
    }
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        let problem = match &error {
            JournalError::Full => Problem::of(
                503,
                "overload",
                "Too much waits",
                "nothing was done; try again",
            ),
            JournalError::Moved(_) | JournalError::Claimed(_) => {
                Problem::of(409, "moved", "Somebody was faster", error.to_string())
            }
            JournalError::Missing => {
                Problem::of(404, "no-job", "No such job", "there is no job of this id")
            }
            other => {
                tracing::error!(error = %other, "the journal cannot be used");
                Problem::of(
                    503,
                    "journal",
                    "The journal cannot be used",
                    "nothing was done; the log says why",
                )
            }
        };
        Self(problem.into())
    }
}

/// A refusal that any error of ours becomes.
pub(crate) struct ApiError(Refusal);

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        error.0
    }
}

/// A refusal because of the journal.
pub(crate) fn journal(error: JournalError) -> Refusal {
    ApiError::from(error).into()
}

/// The body as a value; what is wrong with it is said.
pub(crate) fn body<T: serde::de::DeserializeOwned>(request: &Request) -> Result<T, Refusal> {
    let json = request
        .header("content-type")
        .is_some_and(|kind| kind.split(';').next() == Some("application/json"));
    if !json {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .detail("expected Content-Type: application/json")
            .into());
    }
    serde_json::from_slice(request.body()).map_err(|error| {
        Problem::of(400, "invalid", "Not the expected JSON", error.to_string()).into()
    })
}

/// How many are wanted, 1 to 1000.
pub(crate) fn limit(request: &Request) -> Result<u32, Refusal> {
    let Some(text) = request.query("limit") else {
        return Ok(100);
    };
    text.parse()
        .ok()
        .filter(|limit| (1..=1_000).contains(limit))
        .ok_or_else(|| {
            Problem::of(
                400,
                "invalid",
                "Not valid",
                "limit: expected a whole number from 1 to 1000",
            )
            .into()
        })
}
