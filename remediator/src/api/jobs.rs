//! Jobs: to read, to start by hand, to approve and to reject.

use std::sync::Arc;

use access::caller::Caller;
use access::edit::{Action, Done, Granted, Plan};
use access::{Problem, Refusal};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use toolkit::trace::Origin;
use toolkit::web::response;
use toolkit::{Request, Response};

use crate::engine::Engine;
use crate::job::{Job, Row, State, Who};
use crate::journal::Filter;

use super::{Api, body, journal, limit};
use crate::verbs;

/// A runbook that is started by hand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunRequest {
    runbook: String,
    device: String,
    /// Where the runbook acts on a port.
    #[serde(default)]
    port: Option<String>,
}

/// What somebody decides.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DecisionRequest {
    /// Hash of the plan that was looked at; an approval needs it.
    plan_hash: String,
    /// Why, for the journal.
    reason: String,
}

/// A job as it is answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JobShown {
    #[serde(flatten)]
    job: Job,
    /// What its plan types, line by line.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<String>>,
    /// Every step that it took; only where one job is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<Row>>,
}

/// Jobs, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Jobs {
    jobs: Vec<JobShown>,
}

/// What would be started.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RunPreview {
    runbook: String,
    device: String,
    port: Option<String>,
    /// Steps of the platform, in order.
    steps: Vec<String>,
}

/// What would be decided.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Decided {
    job: String,
    /// What the plan types, line by line.
    lines: Option<Vec<String>>,
    plan_hash: String,
}

/// A job that was started, approved or rejected.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Started {
    /// Its id.
    job: String,
    state: State,
}

/// A caller as the journal keeps them.
pub(super) fn who(caller: &Caller) -> Who {
    Who {
        subject: caller.subject.clone(),
        display: caller.display.clone(),
        via: caller.via.as_str().to_owned(),
    }
}

fn not_found() -> Refusal {
    Problem::of(404, "no-job", "No such job", "there is no job of this id").into()
}

fn shown(job: Job) -> JobShown {
    JobShown {
        lines: job.plan.as_ref().map(crate::decide::Plan::lines),
        job,
        rows: None,
    }
}

/// Accepted; the answer says how the job stands.
fn accepted(job: &Job) -> Done {
    let started = json!(Started {
        job: job.id.clone(),
        state: job.state,
    });
    Done::json(StatusCode::ACCEPTED, &started, job.id.clone())
}

impl Api {
    pub(super) async fn jobs(&self, request: &Request) -> Result<Response, Refusal> {
        let state = match request.query("state").as_deref() {
            None | Some("open") => None,
            Some(name) => Some(State::named(name).ok_or_else(|| {
                let known = State::ALL.map(State::as_str).join(", ");
                Refusal::from(Problem::of(
                    400,
                    "invalid",
                    "Not valid",
                    format!("state: expected open or one of {known}"),
                ))
            })?),
        };
        let filter = Filter {
            state,
            device: request.query("device"),
            open: request.query("state").as_deref() == Some("open"),
            before: request.query("before"),
            most: limit(request)?,
            ..Filter::default()
        };
        let jobs = self
            .engine()?
            .parts
            .journal
            .jobs(filter)
            .await
            .map_err(journal)?;
        let jobs = jobs.into_iter().map(shown).collect();
        Ok(response::json(StatusCode::OK, &Jobs { jobs }))
    }

    pub(super) async fn job(&self, request: &Request) -> Result<Response, Refusal> {
        let kept = &self.engine()?.parts.journal;
        let id = request.param("id").unwrap_or_default();
        let job = kept.job(id).await.map_err(journal)?.ok_or_else(not_found)?;
        let mut shown = shown(job);
        shown.rows = Some(kept.rows(id).await.map_err(journal)?);
        Ok(response::json(StatusCode::OK, &shown))
    }

    /// Starts a runbook by hand: its plan waits for somebody else.
    pub(super) async fn run(self: Arc<Self>, request: Request) -> Response {
        let edits = match self.edits() {
            Ok(edits) => edits,
            Err(refusal) => return refusal.response(),
        };
        let own = Arc::clone(&self);
        let prepare = async move |asked: access::edit::Asked| {
            let wanted: RunRequest = body(asked.request())?;
            let engine = Arc::clone(own.engine()?);
            let setup = (engine.parts.setup)();
            let invalid = |field: &str, message: String| {
                Refusal::from(Problem::of(
                    422,
                    "invalid",
                    "Not valid",
                    format!("{field}: {message}"),
                ))
            };
            let runbook = setup.runbooks.get(&wanted.runbook).cloned();
            let runbook = runbook.ok_or_else(|| {
                invalid(
                    "runbook",
                    format!("there is no runbook {:?}", wanted.runbook),
                )
            })?;
            let job = engine
                .job_for(&runbook, &wanted.device, wanted.port.as_deref())
                .map_err(|reason| {
                    invalid(
                        if reason.ends_with("port") {
                            "port"
                        } else {
                            "device"
                        },
                        reason.replace('_', " "),
                    )
                })?;
            let action =
                Action::new(&verbs::RUN, "device", &job.device).of_groups(&own.groups(&job.device));
            asked.intend(action.clone())?;
            let preview = json!(RunPreview {
                runbook: job.runbook.clone(),
                device: job.device.clone(),
                port: job.port.clone(),
                steps: runbook.steps.clone(),
            });
            Ok(Plan::new(action, move |granted| start(engine, job, granted)).preview(preview))
        };
        edits.change(request, &[&verbs::RUN], prepare).await
    }

    pub(super) fn groups(&self, device: &str) -> Vec<String> {
        let inventory = self.feed.current();
        let groups = inventory
            .device(device)
            .map(|device| device.groups.iter().map(ToString::to_string).collect());
        groups.unwrap_or_default()
    }

    /// Approves or rejects a plan: once, by somebody else than who asked for it, and only the plan that was looked at.
    pub(super) async fn settle(self: Arc<Self>, request: Request, approve: bool) -> Response {
        let edits = match self.edits() {
            Ok(edits) => edits,
            Err(refusal) => return refusal.response(),
        };
        let own = Arc::clone(&self);
        let prepare = async move |asked: access::edit::Asked| {
            let settled: DecisionRequest = body(asked.request())?;
            let engine = Arc::clone(own.engine()?);
            let id = asked.request().param("id").unwrap_or_default().to_owned();
            let job = engine
                .parts
                .journal
                .job(&id)
                .await
                .map_err(journal)?
                .ok_or_else(not_found)?;
            let verb = if approve {
                &verbs::APPROVE
            } else {
                &verbs::REJECT
            };
            let action = Action::new(verb, "job", &id).of_groups(&own.groups(&job.device));
            asked.intend(action.clone())?;
            if job.state != State::AwaitingApproval {
                let detail = format!("the job is {} and waits for nobody", job.state.as_str());
                return Err(Problem::of(
                    409,
                    "not-waiting",
                    "It does not wait for an approval",
                    detail,
                )
                .into());
            }
            if job.expires <= engine.parts.clock.now() {
                return Err(Problem::of(
                    409,
                    "expired",
                    "Too late",
                    "the time for an approval is over",
                )
                .into());
            }
            if approve && settled.plan_hash != job.plan_hash {
                let detail = "plan_hash: expected that of the plan that was looked at; the plan may be another one by now";
                return Err(Problem::of(409, "other-plan", "Another plan", detail)
                    .with("plan_hash", job.plan_hash.clone())
                    .into());
            }
            let lines = job.plan.as_ref().map(crate::decide::Plan::lines);
            let preview = json!(Decided {
                job: id,
                lines,
                plan_hash: job.plan_hash.clone(),
            });
            Ok(Plan::new(action, move |granted| {
                decided(engine, job, granted, approve, settled.reason)
            })
            .preview(preview))
        };
        let verb: &'static [&'static access::caller::Verb] = if approve {
            &[&verbs::APPROVE]
        } else {
            &[&verbs::REJECT]
        };
        edits.change(request, verb, prepare).await
    }
}

async fn start(engine: Arc<Engine>, mut job: Job, granted: Granted) -> Result<Done, Refusal> {
    job.requester = Some(who(&granted.caller));
    job.follow(Origin::here());
    engine
        .parts
        .journal
        .insert(job.clone())
        .await
        .map_err(journal)?;
    engine.parts.witness.moved(&job, None);
    engine.wake();
    Ok(accepted(&job))
}

async fn decided(
    engine: Arc<Engine>,
    mut job: Job,
    granted: Granted,
    approve: bool,
    reason: String,
) -> Result<Done, Refusal> {
    let person = who(&granted.caller);
    let same = job
        .requester
        .as_ref()
        .is_some_and(|asked| asked.via == person.via && asked.subject == person.subject);
    if approve && same {
        let detail = "who asked for it does not approve it: somebody else has to";
        return Err(Problem::of(403, "own-request", "One's own request", detail).into());
    }
    let now = engine.parts.clock.now();
    let waited = job.expires
        - i64::try_from((engine.parts.setup)().approval.as_millis()).unwrap_or_default();
    job.waited += (now - waited).max(0);
    let display = person.display.clone();
    job.approver = Some(person);
    job.follow(Origin::here());
    let (to, why) = if approve {
        (State::Claimed, format!("{display} approved it"))
    } else {
        (
            State::Rejected,
            format!(
                "{display} rejected it: {}",
                reason.chars().take(500).collect::<String>()
            ),
        )
    };
    // Of two who click at once one moves it; the other is told that it was moved.
    engine.step(&mut job, to, why).await.map_err(journal)?;
    engine.wake();
    Ok(accepted(&job))
}
