//! Silences of Alertmanager, by its API of version 2: <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>.

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::{Error, Http};

/// A client of one Alertmanager; made by [`Section::alertmanager`](crate::Section::alertmanager). Clones share its connections.
#[derive(Clone)]
pub struct Alertmanager(Http);

impl std::fmt::Debug for Alertmanager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alertmanager")
            .field("url", &self.0.url)
            .finish_non_exhaustive()
    }
}

/// What a label has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// Its value, or a regular expression for the whole of it.
    pub value: String,
    /// Whether `value` is a regular expression.
    pub is_regex: bool,
    /// Whether it has to match; else it must not.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// All of them have to hold.
    pub matchers: Vec<Matcher>,
    /// When it begins, RFC 3339.
    pub starts_at: String,
    /// When it ends, RFC 3339.
    pub ends_at: String,
    /// Who made it, by their own word.
    pub created_by: String,
    /// Why.
    pub comment: String,
    status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Status {
    state: String,
}

impl Silence {
    /// Whether it silences now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status.state == "active"
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.status.state == "expired"
    }
}

/// A silence to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSilence {
    /// All of them have to hold.
    pub matchers: Vec<Matcher>,
    /// When it begins, RFC 3339.
    pub starts_at: String,
    /// When it ends, RFC 3339.
    pub ends_at: String,
    /// Who makes it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    #[serde(rename = "silenceID")]
    id: String,
}

impl Alertmanager {
    pub(crate) fn new(http: Http) -> Self {
        Self(http)
    }

    /// Every silence that it keeps, those that are over too.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn silences(&self) -> Result<Vec<Silence>, Error> {
        let request = self.0.client.current().get(self.path("silences"));
        self.answer(request).await
    }

    /// Makes a silence and answers its id.
    ///
    /// # Errors
    /// It was not made, or nobody knows whether it was.
    pub async fn silence(&self, silence: &NewSilence) -> Result<String, Error> {
        let body =
            serde_json::to_vec(silence).map_err(|error| Error::Unexpected(error.to_string()))?;
        let json = HeaderValue::from_static("application/json");
        let request = self.0.client.current().post(self.path("silences"));
        let request = request.header(CONTENT_TYPE, json).body(body);
        Ok(self.answer::<Made>(request).await?.id)
    }

    /// Ends a silence; `false` when there is none of this id.
    ///
    /// # Errors
    /// It was not ended, or nobody knows whether it was.
    pub async fn end_silence(&self, id: &str) -> Result<bool, Error> {
        // An id is Alertmanager's own, a UUID: nothing else goes into the path.
        if id.is_empty() || !id.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-') {
            return Ok(false);
        }
        let request = self
            .0
            .client
            .current()
            .delete(self.path(&format!("silence/{id}")));
        match self.0.send(request).await?.0 {
            200 => Ok(true),
            404 => Ok(false),
            code => Err(Error::Status { code }),
        }
    }

    fn path(&self, path: &str) -> String {
        format!("{}/api/v2/{path}", self.0.url)
    }

    async fn answer<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Error> {
        let (code, body) = self.0.send(request).await?;
        if code != 200 {
            return Err(Error::Status { code });
        }
        serde_json::from_slice(&body).map_err(|error| Error::Unexpected(error.to_string()))
    }
}
