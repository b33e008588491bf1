//! Why something is not done, as its caller is told and as it is recorded.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use toolkit::Response;

use crate::Problem;
use crate::caller::Denied;

/// A refusal: because of who asks, or because of what is asked.
#[derive(Debug)]
pub enum Refusal {
    /// Not known, not allowed, or it cannot be found out.
    Denied(Denied),
    /// Anything else.
    Problem(Box<Problem>),
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl Refusal {
    /// The refusal as an answer.
    #[must_use]
    pub fn response(&self) -> Response {
        match self {
            Self::Denied(denied) => denied.response(),
            Self::Problem(problem) => problem.response(),
        }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        match self {
            Self::Denied(denied) => denied.status(),
            Self::Problem(problem) => problem.status(),
        }
    }

    /// One line for the audit log: the status, and the reason where it is one of a fixed set. What the caller sent is not in it.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Denied(denied) => format!("{}: {}", denied.status().as_u16(), denied.reason()),
            Self::Problem(problem) => problem.line(),
        }
    }
}

/// A wrong value as a member of `errors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// Its path with dots; empty for the whole.
    pub field: String,
    /// Its path as a JSON pointer (RFC 6901), where it is one of a JSON body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What is wrong, and what was expected.
    pub detail: String,
    /// The line, from 1, where it stands in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// A wrong value as a member of `errors`: its path with dots, as a JSON pointer (RFC 6901), and what was expected.
#[must_use]
pub fn field_error(field: &str, message: &str, line: Option<u32>) -> Value {
    let steps = field.split(['.', '[']).filter(|step| !step.is_empty());
    let pointer: String = steps
        .map(|step| format!("/{}", step.trim_end_matches(']')))
        .collect();
    json!(FieldError {
        field: field.to_owned(),
        pointer: Some(pointer),
        detail: message.to_owned(),
        line,
    })
}
