//! The interface: what is sent to the service, what can be asked of it, and what people decide.

mod alerts;
mod commands;
mod jobs;
mod openapi;
mod switch;

use std::sync::{Arc, OnceLock};

use access::edit::EditService;
use access::{Problem, Refusal};
use http::{Method, StatusCode};
use serde_json::json;
use toolkit::web::response;
use toolkit::{App, Live, Request, Response};

use crate::config::Config;
use crate::engine::Engine;
use crate::journal::JournalError;
use crate::metrics::Metrics;
use crate::runbook;

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

/// A way into the interface: its method, its path, and what it is for.
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    call: Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Alerts,
    Syslog,
    Configuration,
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
    Change,
    OpenApi,
}

/// The table that the router and the OpenAPI document are made of.
const OPERATIONS: &[Operation] = &[
    of(
        Method::POST,
        "/api/v1/webhook/alertmanager",
        "Takes a webhook of Alertmanager, version 4",
        Call::Alerts,
    ),
    of(
        Method::POST,
        "/api/v1/events/syslog",
        "Takes an event of sotp-syslog: a change by a person",
        Call::Syslog,
    ),
    of(
        Method::POST,
        "/api/v1/events/configuration",
        "Takes a change of sotp-ssh-config: a change by a person",
        Call::Configuration,
    ),
    of(
        Method::GET,
        "/api/v1/jobs",
        "Jobs, the newest first",
        Call::Jobs,
    ),
    of(
        Method::POST,
        "/api/v1/jobs",
        "Starts a runbook by hand; another person has to approve its plan",
        Call::Run,
    ),
    of(
        Method::GET,
        "/api/v1/jobs/{id}",
        "One job with every step that it took",
        Call::Job,
    ),
    of(
        Method::POST,
        "/api/v1/jobs/{id}/approve",
        "Approves the plan with this hash",
        Call::Approve,
    ),
    of(
        Method::POST,
        "/api/v1/jobs/{id}/reject",
        "Rejects a plan",
        Call::Reject,
    ),
    of(
        Method::GET,
        "/api/v1/runbooks",
        "The runbooks in force",
        Call::Runbooks,
    ),
    of(
        Method::GET,
        "/api/v1/runbooks/schema",
        "JSON Schema of a runbook",
        Call::Schema,
    ),
    of(
        Method::GET,
        "/api/v1/platforms",
        "What the console may run, by platform",
        Call::Platforms,
    ),
    of(
        Method::POST,
        "/v1/commands",
        "Runs an allowed command on devices",
        Call::Command,
    ),
    of(
        Method::POST,
        "/api/v1/commands",
        "Runs an allowed command on devices",
        Call::Command,
    ),
    of(
        Method::GET,
        "/api/v1/commands",
        "Commands that were run, the newest first",
        Call::Commands,
    ),
    of(
        Method::GET,
        "/v1/commands/{id}",
        "One command with its answers",
        Call::OneCommand,
    ),
    of(
        Method::GET,
        "/api/v1/commands/{id}",
        "One command with its answers",
        Call::OneCommand,
    ),
    of(
        Method::GET,
        "/api/v1/switch",
        "Whether everything is stopped",
        Call::Switch,
    ),
    of(
        Method::PUT,
        "/api/v1/switch",
        "Stops everything, or lets it go on",
        Call::SetSwitch,
    ),
    of(
        Method::GET,
        "/api/v1/changes/{id}",
        "How a write stands that took longer than its request",
        Call::Change,
    ),
    of(
        Method::GET,
        "/api/v1/openapi.json",
        "This interface as an OpenAPI document",
        Call::OpenApi,
    ),
];

const fn of(method: Method, path: &'static str, summary: &'static str, call: Call) -> Operation {
    Operation {
        method,
        path,
        summary,
        call,
    }
}

/// Registers every operation.
pub fn register(app: &mut App, api: &Arc<Api>) {
    for operation in OPERATIONS {
        let api = Arc::clone(api);
        let call = operation.call;
        app.route(operation.method.clone(), operation.path, move |request| {
            let api = Arc::clone(&api);
            async move { api.answer(call, request).await }
        });
    }
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
            Call::Syslog => return self.hint(&request, "syslog").await,
            Call::Configuration => return self.hint(&request, "config").await,
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
            Call::Change => self.change(&request).await,
            Call::OpenApi => Ok(response::new(
                StatusCode::OK,
                "application/json",
                openapi::document(),
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
        let told = self.edits()?.outcome(id, request).await?;
        Ok(response::json(StatusCode::OK, &told))
    }

    fn runbooks(&self) -> Response {
        let setup = &self.config.current().setup;
        let of = |rule: &crate::setup::LevelRule| json!({"runbook": rule.runbook, "group": rule.group, "level": rule.level});
        let all: Vec<_> = setup
            .runbooks
            .iter()
            .map(|runbook| serde_json::to_value(&**runbook).unwrap_or_default())
            .collect();
        let levels: Vec<_> = setup.levels.iter().map(of).collect();
        response::json(
            StatusCode::OK,
            &json!({"runbooks": all, "levels": levels, "successes_before_auto": setup.successes}),
        )
    }

    fn platforms(&self) -> Response {
        let setup = &self.config.current().setup;
        let of = |platform: &Arc<crate::platform::Platform>| {
            json!({
                "platform": platform.platform, "title": platform.title, "aliases": platform.aliases,
                "parameters": platform.parameters, "console": platform.console, "steps": platform.steps,
            })
        };
        let all: Vec<_> = setup.platforms.iter().map(of).collect();
        response::json(StatusCode::OK, &json!({"platforms": all}))
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
