//! The way of an accepted write, as one call: who asks, whether they may, what it would do, the record of it, the change.
//!
//! [`EditService::change`] does in this order, and why:
//!
//! 1. The caller is found out, and refused when they may do none of the verbs that the request can come to: who may not at all is
//!    told that, not what is wrong with the request.
//! 2. `?validate=true` (a dry run) and `Idempotency-Key` are read. A request that was done under its key is answered again.
//! 3. The service prepares: it looks at its state as it is now and says in a [`Plan`] what will be done, to what, and how. Nothing is
//!    changed yet, so that until here a caller who hangs up, or whose time is over, has changed nothing.
//! 4. Caller and rights are looked at again, by the configuration that is in force now, for the [`Action`] of the plan. That one
//!    value is what is allowed, what is recorded and what the service gets to do.
//! 5. A dry run is answered with the preview.
//! 6. It is recorded as begun; what cannot be recorded is not done. From here on it is done to its end whoever waits. When the time
//!    of the request is over before the end, the answer is 202 with the address that tells the outcome.
//! 7. It is done, and its outcome recorded.
//!
//! Every refusal on this way leaves a record too, as many as [`Audit::refuse`] takes.

mod changes;
mod key;
mod plan;
mod turn;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use tokio::sync::oneshot;
use tokio::time::Instant;
use toolkit::web::response;
use toolkit::{Request, Response};

use crate::audit::{Audit, Outcome, Record, request_hash};
use crate::caller::{Access, Caller, Role, Verb};
use crate::{Problem, Refusal};

use changes::{Changes, Claim, Ticket};
use plan::Steps;
use turn::Turn;

pub use crate::action::{Action, Need};
pub use changes::{ChangeOutcome, ChangeState, Underway};
pub use key::{Key, Remembered};
pub use plan::{Asked, Done, Granted, Plan};

/// Where the outcome of a change can be asked.
const CHANGES: &str = "/api/v1/changes/{id}";

/// The verb of a request whose service names none.
static UNKNOWN: Verb = Verb::new("unknown", Role::Admin);

/// The policy in force, and the answers to requests that were done under a key before this process began.
type Policy = Box<dyn Fn() -> Option<Arc<Access>> + Send + Sync>;
type Recall =
    Box<dyn Fn(String) -> Pin<Box<dyn Future<Output = Option<Remembered>> + Send>> + Send + Sync>;

/// Takes the writes of a service; clones are the same one.
#[derive(Clone)]
pub struct EditService {
    inner: Arc<Inner>,
}

struct Inner {
    audit: Audit,
    policy: Policy,
    recall: Option<Recall>,
    changes: Arc<Changes>,
}

impl std::fmt::Debug for EditService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EditService")
            .field("audit", &self.inner.audit)
            .finish_non_exhaustive()
    }
}

impl EditService {
    /// An edit service that records in `audit` and asks `policy` for the access section in force now; `None` is that nobody may change
    /// anything.
    pub fn new(
        audit: Audit,
        policy: impl Fn() -> Option<Arc<Access>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                audit,
                policy: Box::new(policy),
                recall: None,
                changes: Arc::default(),
            }),
        }
    }

    /// As [`new`](Self::new), for a service that keeps [`Granted::key`] with what it does: `recall` is asked by [`Key::name`] for what
    /// was answered before this process began. Without it keys are remembered as long as the process lives.
    pub fn recalling<F>(
        audit: Audit,
        policy: impl Fn() -> Option<Arc<Access>> + Send + Sync + 'static,
        recall: impl Fn(String) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Option<Remembered>> + Send + 'static,
    {
        Self {
            inner: Arc::new(Inner {
                audit,
                policy: Box::new(policy),
                recall: Some(Box::new(move |name| Box::pin(recall(name)))),
                changes: Arc::default(),
            }),
        }
    }

    /// The log that it records in.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.inner.audit
    }

    /// Who asks, where that must be known and nothing is changed.
    ///
    /// # Errors
    /// Nobody that is known.
    pub async fn identify(&self, request: &Request) -> Result<Caller, Refusal> {
        Ok(self.inner.access()?.identify(request).await?)
    }

    /// Has it recorded, soon, that a caller reads what is not for everybody: [`Audit::read`].
    pub fn read(&self, request: &Request, caller: Option<Caller>, action: &Action) {
        self.inner.audit.read(record(request, caller, action));
    }

    /// Who asks, when they may do what is read only.
    ///
    /// # Errors
    /// Nobody that is known, or not allowed.
    pub(crate) async fn authorised(
        &self,
        request: &Request,
        action: &Action,
    ) -> Result<Caller, Refusal> {
        let access = self.inner.access()?;
        let caller = access.identify(request).await?;
        let mut needs = action.needs().iter();
        let decision =
            needs.try_for_each(|need| access.permits(&caller, need.verb, &need.object()));
        access.decided(request, &caller, decision)?;
        Ok(caller)
    }

    /// Does what a request asks for, or says what it would do (`?validate=true`); see the [module](self) for the order of things.
    ///
    /// `verbs` are those that it can come to, the likeliest first. `prepare` looks and changes nothing. It may wait, as for a lock; then
    /// the lock goes into the plan, so that what was looked at is what is changed.
    pub async fn change<P, F>(
        &self,
        request: Request,
        verbs: &'static [&'static Verb],
        prepare: P,
    ) -> Response
    where
        P: FnOnce(Asked) -> F + Send + 'static,
        F: Future<Output = Result<Plan, Refusal>> + Send + 'static,
    {
        let deadline = request.deadline().map(answer_by);
        let turn = Arc::new(Turn::new());
        let (send, answer) = oneshot::channel();
        let (inner, own) = (Arc::clone(&self.inner), Arc::clone(&turn));
        // In a task of its own: once it is begun it goes on when the one who asked hangs up.
        let task = tokio::spawn(toolkit::trace::carried(async move {
            let _ = send.send(inner.answered(request, verbs, prepare, &own).await);
        }));
        let mut hung_up = turn::CancelOnDrop::new(Arc::clone(&turn), task.abort_handle());
        let over = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = answer => {
                hung_up.keep();
                answer.unwrap_or_else(|_| failed())
            }
            () = over => match hung_up.cancel() {
                None => busy(),
                Some(id) => underway(&id),
            },
        }
    }
}

/// Time is left to say how it stands, before the server answers in the place of the handler.
fn answer_by(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline - (left / 10).clamp(Duration::from_millis(20), Duration::from_secs(1))
}

impl Inner {
    fn access(&self) -> Result<Arc<Access>, Refusal> {
        (self.policy)().ok_or_else(|| {
            Problem::of(
                403,
                "read-only",
                "Nobody may change anything here",
                "the configuration has no access section; expected one in --config.file",
            )
            .into()
        })
    }

    /// The answer, with a record of a refusal.
    async fn answered<P, F>(
        self: Arc<Self>,
        request: Request,
        verbs: &'static [&'static Verb],
        prepare: P,
        turn: &Turn,
    ) -> Response
    where
        P: FnOnce(Asked) -> F + Send + 'static,
        F: Future<Output = Result<Plan, Refusal>> + Send + 'static,
    {
        let request = Arc::new(request);
        let asked = Asked::new(Arc::clone(&request), verbs);
        match self.changed(asked.clone(), prepare, turn).await {
            Ok(answer) => answer,
            Err(refusal) => {
                // A change that was begun has its outcome in the log.
                if !turn.is_taken() {
                    self.refused(&asked, &refusal);
                }
                refusal.response()
            }
        }
    }

    fn refused(&self, asked: &Asked, refusal: &Refusal) {
        let caller = asked.known();
        let peer = asked.request().peer();
        let detail = if caller.is_none() && !peer.is_empty() {
            format!("{} from {peer}", refusal.line())
        } else {
            refusal.line()
        };
        let record = record(asked.request(), caller, &asked.action());
        self.audit.refuse(record, &detail);
    }

    async fn changed<P, F>(
        &self,
        mut asked: Asked,
        prepare: P,
        turn: &Turn,
    ) -> Result<Response, Refusal>
    where
        P: FnOnce(Asked) -> F + Send + 'static,
        F: Future<Output = Result<Plan, Refusal>> + Send + 'static,
    {
        let request = Arc::clone(&asked.request);
        let access = self.access()?;
        let caller = access.identify(&request).await?;
        asked.identified(caller.clone(), Arc::clone(&access));
        let able = access.may_any(&caller, asked.verbs);
        if able.is_err() {
            access.decided(&request, &caller, able)?;
        }
        asked.dry_run = key::validate_only(&request)?;
        let key = match asked.dry_run {
            true => None,
            false => key::of(&request, &caller)?,
        };
        let ticket = match self.claim(&caller, key.as_ref(), turn).await? {
            Ok(ticket) => ticket,
            Err(again) => {
                access.decided(&request, &caller, Ok(()))?;
                return Ok(again);
            }
        };
        let plan = prepare(asked.clone()).await?;
        asked.settle(plan.action());
        // By the rules that are in force now: it may have waited for its turn.
        let access = self.access()?;
        let caller = access.identify(&request).await?;
        let mut needs = plan.action().needs().iter();
        let decision =
            needs.try_for_each(|need| access.permits(&caller, need.verb, &need.object()));
        access.decided(&request, &caller, decision)?;
        if asked.dry_run {
            return Ok(plan.dry_run());
        }
        let (action, carry_out) = match plan.into_steps() {
            Steps::Nothing(answer) => return Ok(answer),
            Steps::Do(action, carry_out) => (action, carry_out),
        };
        // Not after the caller was told that nothing is done.
        if !turn.take(ticket.id()) {
            return Err(stopped().into());
        }
        let record = record(&request, Some(caller.clone()), &action);
        let pending = match self.audit.begin(record).await {
            Ok(pending) => pending,
            Err(error) => {
                let error = toolkit::chain(&error);
                tracing::error!(error, "change refused: it cannot be recorded");
                let refusal = Refusal::from(Problem::of(
                    507,
                    "not-recorded",
                    "The change cannot be recorded",
                    "nothing was changed; the audit log cannot be written",
                ));
                ticket.end(ChangeState::Refused, &refusal.response());
                return Err(refusal);
            }
        };
        let granted = Granted {
            caller,
            action,
            key,
            change: ticket.id().to_owned(),
            record: pending.sequence(),
        };
        match carry_out(granted).await {
            Ok(done) => {
                pending.finish(Outcome::Done(done.detail)).await;
                ticket.done(&done.answer);
                Ok(done.answer)
            }
            Err(refusal) if refusal.status().is_server_error() => {
                pending.finish(Outcome::Failed(refusal.line())).await;
                ticket.end(ChangeState::Failed, &refusal.response());
                Err(refusal)
            }
            Err(refusal) => {
                pending.finish(Outcome::Refused(refusal.line())).await;
                ticket.end(ChangeState::Refused, &refusal.response());
                Err(refusal)
            }
        }
    }

    /// A place for this change, or the answer that was given to the same request under its key.
    async fn claim(
        &self,
        caller: &Caller,
        key: Option<&Key>,
        turn: &Turn,
    ) -> Result<Result<Ticket, Response>, Refusal> {
        let Some(key) = key else {
            return Ok(Ok(self.changes.open(caller)));
        };
        let ticket = match self.changes.claim(caller, key) {
            Claim::Mine(ticket) => ticket,
            Claim::Other => return Err(reused().into()),
            Claim::Same(id, mut answer) => {
                // The one before may take longer than this request may: then this one is told where to ask for it.
                if !turn.take(&id) {
                    return Err(stopped().into());
                }
                let answered = answer.wait_for(Option::is_some).await;
                let answered = answered.ok().and_then(|answer| answer.clone());
                return match answered {
                    Some(answer) => Ok(Err(key::again(answer))),
                    None => Err(busy_problem().into()),
                };
            }
        };
        let remembered = match &self.recall {
            Some(recall) => recall(key.name.clone()).await,
            None => None,
        };
        match remembered {
            Some(known) if known.request == key.request => Ok(Err(key::again(known.answer))),
            Some(_) => Err(reused().into()),
            None => Ok(Ok(ticket)),
        }
    }
}

impl EditService {
    /// How the change of this id stands, for the caller who asked for it or an admin.
    ///
    /// # Errors
    /// Nobody that is known asks, or there is no such change of theirs.
    pub async fn outcome(&self, id: &str, request: &Request) -> Result<ChangeOutcome, Refusal> {
        let caller = self.identify(request).await?;
        let told = self.inner.changes.told(id, &caller);
        told.ok_or_else(|| {
            Problem::of(
                404,
                "no-change",
                "No such change",
                "no change of yours has this id; the last thousand are known as long as the service runs, all are in the audit log",
            )
            .into()
        })
    }
}

fn record(request: &Request, caller: Option<Caller>, action: &Action) -> Record {
    Record {
        caller,
        verb: action.verb().name().to_owned(),
        object: action.object(),
        trace_id: toolkit::trace::current_id(),
        request_hash: request_hash(request),
    }
}

fn reused() -> Problem {
    Problem::of(
        422,
        "key-reused",
        "Key used for another request",
        "this Idempotency-Key was sent with another request within the last day",
    )
}

fn busy_problem() -> Problem {
    Problem::of(
        503,
        "busy",
        "Too busy",
        "nothing was changed and nothing will be; try again",
    )
}

/// What nobody reads: the caller was answered before.
fn stopped() -> Problem {
    busy_problem()
}

fn busy() -> Response {
    let mut answer = busy_problem().response();
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn underway(id: &str) -> Response {
    let underway = Underway {
        change: id.to_owned(),
        state: ChangeState::Running,
    };
    let mut answer = response::json(StatusCode::ACCEPTED, &underway);
    let headers = answer.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&CHANGES.replace("{id}", id)) {
        headers.insert(LOCATION, location);
    }
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// The panic hook has logged why; the log has it as abandoned.
fn failed() -> Response {
    response::text(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the change failed, see the log",
    )
}
