//! What is asked for, what it comes to, and what came of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use toolkit::web::response;
use toolkit::{Request, Response};

use super::Key;
use crate::Refusal;
use crate::action::Action;
use crate::caller::{Access, Caller, Denied, Verb};

/// A request whose caller is known, while the service prepares what it asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub(super) request: Arc<Request>,
    pub(super) verbs: &'static [&'static Verb],
    pub(super) dry_run: bool,
    found: Arc<Mutex<Found>>,
}

/// What is found out about a request on its way, for the record of a refusal too.
#[derive(Debug, Default)]
struct Found {
    caller: Option<(Caller, Arc<Access>)>,
    action: Option<Action>,
}

impl Asked {
    pub(super) fn new(request: Arc<Request>, verbs: &'static [&'static Verb]) -> Self {
        Self {
            request,
            verbs,
            dry_run: false,
            found: Arc::default(),
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn identified(&self, caller: Caller, access: Arc<Access>) {
        self.found().caller = Some((caller, access));
    }

    pub(super) fn known(&self) -> Option<Caller> {
        self.found()
            .caller
            .as_ref()
            .map(|(caller, _)| caller.clone())
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Whether it is only asked what would be done.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Says what it comes to as soon as that is seen, so that who may not do it is told that before anything else that is wrong, and
    /// the record of a refusal names it.
    ///
    /// # Errors
    /// The caller may not.
    pub fn intend(&self, action: Action) -> Result<(), Denied> {
        let mut found = self.found();
        let decision = match &found.caller {
            Some((caller, access)) => action
                .needs()
                .iter()
                .try_for_each(|need| access.permits(caller, need.verb, &need.object())),
            None => Ok(()),
        };
        if let (Err(_), Some((caller, access))) = (&decision, &found.caller) {
            // Counts and logs it.
            let _ = access.decided(&self.request, caller, decision.clone());
        }
        found.action = Some(action);
        decision
    }

    pub(super) fn settle(&self, action: &Action) {
        self.found().action = Some(action.clone());
    }

    /// What it comes to as far as that is known, else the likeliest verb and the path.
    pub(super) fn action(&self) -> Action {
        let known = self.found().action.clone();
        known.unwrap_or_else(|| {
            let verb = self.verbs.first().copied().unwrap_or(&super::UNKNOWN);
            // A path is the caller's text: it is cut, as every name from outside is.
            let path = self.request.path().trim_start_matches('/');
            let path: String = path.chars().take(256).collect();
            Action::new(verb, "path", path)
        })
    }
}

type Work = Pin<Box<dyn Future<Output = Result<Done, Refusal>> + Send>>;
pub(super) type CarryOut = Box<dyn FnOnce(Granted) -> Work + Send>;

/// What will be done, worked out and checked; nothing of it is done yet.
pub struct Plan {
    action: Action,
    preview: Option<Value>,
    steps: PlanSteps,
}

enum PlanSteps {
    Nothing(Box<Response>),
    Do(CarryOut),
}

pub(super) enum Steps {
    Nothing(Response),
    Do(Action, CarryOut),
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// `carry_out` does it, once it is allowed and recorded. Its refusal is recorded as an outcome: of a status of 500 and more as
    /// failed, of any other as refused.
    pub fn new<F>(action: Action, carry_out: impl FnOnce(Granted) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Done, Refusal>> + Send + 'static,
    {
        Self {
            action,
            preview: None,
            steps: PlanSteps::Do(Box::new(move |granted| Box::pin(carry_out(granted)))),
        }
    }

    /// There is nothing to be done, which is the answer; nothing is recorded.
    #[must_use]
    pub fn nothing(action: Action, answer: Response) -> Self {
        Self {
            action,
            preview: None,
            steps: PlanSteps::Nothing(Box::new(answer)),
        }
    }

    /// What a dry run answers: an object, to which `valid` is added.
    #[must_use]
    pub fn preview(mut self, preview: Value) -> Self {
        self.preview = Some(preview);
        self
    }

    /// What will be done.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.action
    }

    pub(super) fn dry_run(self) -> Response {
        let mut body = match self.preview {
            Some(Value::Object(body)) => body,
            _ => serde_json::Map::new(),
        };
        body.insert("valid".to_owned(), true.into());
        response::json(StatusCode::OK, &body)
    }

    pub(super) fn into_steps(self) -> Steps {
        match self.steps {
            PlanSteps::Nothing(answer) => Steps::Nothing(*answer),
            PlanSteps::Do(carry_out) => Steps::Do(self.action, carry_out),
        }
    }
}

/// What is given to the work once it is allowed and recorded as begun.
#[derive(Debug, Clone)]
pub struct Granted {
    /// Who asks.
    pub caller: Caller,
    /// What is to be done.
    pub action: Action,
    /// To be kept with what is done by a service that recalls; see [`EditService::recalling`](super::EditService::recalling).
    pub key: Option<Key>,
    /// The id under which the outcome can be asked.
    pub change: String,
    /// The number of the audit record.
    pub record: u64,
}

/// It is done.
#[derive(Debug)]
pub struct Done {
    pub(super) answer: Response,
    pub(super) detail: String,
}

impl Done {
    /// The answer to the caller, and what the audit record says came of it: a version, the id of a job.
    #[must_use]
    pub fn new(answer: Response, detail: impl Into<String>) -> Self {
        Self {
            answer,
            detail: detail.into(),
        }
    }

    /// As [`new`](Self::new), with a value as JSON.
    #[must_use]
    pub fn json(status: StatusCode, body: &impl Serialize, detail: impl Into<String>) -> Self {
        Self::new(response::json(status, body), detail)
    }
}
