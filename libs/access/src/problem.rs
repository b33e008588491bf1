//! Problem answers, RFC 9457.

use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::FieldError;
use toolkit::Response;
use toolkit::web::response;

/// What went wrong, for programs and people: the body of an `application/problem+json` answer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Problem {
    /// What kind of problem it is: a URI reference that never changes, `about:blank` when the status says it all.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    #[serde(serialize_with = "as_number")]
    #[schemars(with = "u16")]
    status: StatusCode,
    /// What is wrong this time, and what was expected.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(with = "Option<String>")]
    detail: String,
    #[serde(flatten)]
    #[schemars(with = "Members")]
    members: Map<String, Value>,
}

/// The further members that are of use to programs; others may stand beside them.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what stands in a map")]
struct Members {
    /// The wrong values, where it is known which they are.
    errors: Option<Vec<FieldError>>,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

/// Members that RFC 9457 section 3.1 defines, which an extension never takes the place of.
const DEFINED: [&str; 5] = ["type", "title", "status", "detail", "instance"];

impl Problem {
    /// A problem whose kind is the status itself.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Problem").to_owned(),
            status,
            detail: String::new(),
            members: Map::new(),
        }
    }

    /// A problem of a kind with a name of its own, which becomes `/problems/NAME`; a number that is no status is 500.
    #[must_use]
    pub fn of(status: u16, name: &str, title: &str, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status)
            .kind(format!("/problems/{name}"), title)
            .detail(detail)
    }

    /// The kind and its title, the same for every occurrence.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>, title: impl Into<String>) -> Self {
        (self.kind, self.title) = (kind.into(), title.into());
        self
    }

    /// What is wrong this time, and what was expected.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// A further member, RFC 9457 section 3.2; the names that the RFC defines are left alone.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        if !DEFINED.contains(&name.as_str()) {
            self.members.insert(name, value.into());
        }
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Status and kind in one line, without what is special to this time.
    #[must_use]
    pub fn line(&self) -> String {
        let kind = self.kind.rsplit('/').next().unwrap_or_default();
        match kind {
            "about:blank" => format!("{}: {}", self.status.as_u16(), self.title),
            kind => format!("{}: {kind}", self.status.as_u16()),
        }
    }

    /// The answer.
    #[must_use]
    pub fn response(&self) -> Response {
        let mut answer = response::json(self.status, self);
        if answer.status() == self.status {
            answer.headers_mut().insert(
                http::header::CONTENT_TYPE,
                http::HeaderValue::from_static("application/problem+json"),
            );
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn members_stand_beside_the_defined_ones() {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
            .kind("/problems/invalid", "Not valid")
            .detail("expected an address")
            .with("field", "devices[3].address")
            .with("status", 200);
        let answer = problem.response();
        assert_eq!(answer.status(), 422);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let value: Value = serde_json::from_slice(&body).unwrap();
        let wanted = serde_json::json!({
            "type": "/problems/invalid", "title": "Not valid", "status": 422,
            "detail": "expected an address", "field": "devices[3].address",
        });
        assert_eq!(value, wanted);
    }
}
