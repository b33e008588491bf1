//! The other direction: lines that Loki has, asked for by time and in pages.

use std::collections::BTreeMap;

use serde::Deserialize;
use toolkit::Renewing;

use crate::client::{ClientError, chain, http};
use crate::{Authentication, Destination};

/// Lines of one answer: what Loki gives at most unless it is told otherwise (`max_entries_limit_per_query`).
const PAGE: usize = 5_000;
/// Longest time of one question, in nanoseconds: a day. Loki refuses those of more than 30 days and an hour.
const PIECE: i64 = 24 * 3_600 * 1_000_000_000;
/// Most bytes of one answer.
const MOST_BYTES: usize = 64 << 20;
/// Longest part of a refusal that is told.
const DETAIL: usize = 300;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Nobody answered in time: the connection failed or ended.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The server refused the question, or wants other credentials.
    #[error("the server answered {code}: {detail}")]
    Status {
        /// The HTTP status.
        code: u16,
        /// The beginning of what it said.
        detail: String,
    },
    /// The answer is larger than is read.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The answer is not what the API promises.
    #[error("the answer is not of this API: {0}")]
    Unexpected(String),
}

impl QueryError {
    /// Whether asking again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Status { code, .. } => *code == 429 || *code >= 500,
            Self::TooLarge(_) | Self::Unexpected(_) => false,
        }
    }
}

/// A line as Loki has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its stamp, nanoseconds since the epoch.
    pub at: i64,
    /// The labels of its stream and its structured metadata.
    pub labels: BTreeMap<String, String>,
    /// Its text.
    pub text: String,
}

/// Lines in the order of their stamps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// The lines.
    pub lines: Vec<Stored>,
    /// Whether there are more than were asked for.
    pub cut: bool,
}

/// A server that is read from with the address and the credentials of a [`Destination`]; the address is that of the server,
/// `http://loki:3100`, without a path of its API.
#[derive(Clone)]
pub struct Source {
    http: Renewing<reqwest::Client>,
    url: String,
    authentication: Authentication,
    tenant: Option<String>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Frame {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    stream: BTreeMap<String, String>,
    values: Vec<Value>,
}

/// `["1700000000000000000", "a line"]`, and behind it, where the server tells them apart from labels, the metadata of the line.
#[derive(Deserialize)]
struct Value(String, String, #[serde(default)] Categories);

#[derive(Default, Deserialize)]
struct Categories {
    #[serde(default, rename = "structuredMetadata")]
    metadata: BTreeMap<String, String>,
}

impl Source {
    /// A client of the server.
    ///
    /// # Errors
    /// A file cannot be read, or the address or a certificate is not well-formed.
    pub fn new(to: &Destination) -> Result<Self, ClientError> {
        Ok(Self {
            http: http(to)?,
            url: to.url.trim_end_matches('/').to_owned(),
            authentication: to.authentication.clone(),
            tenant: to.tenant.clone(),
        })
    }

    /// The body of the answer to a `GET` of `path` below the address.
    ///
    /// # Errors
    /// Why there is none, and every status but 200.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<u8>, QueryError> {
        let unreachable = |error: reqwest::Error| QueryError::Unreachable(chain(&error));
        let text = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        let mut request = self
            .http
            .current()
            .get(format!("{}{path}?{text}", self.url));
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        let request = self.authentication.apply(request);
        let mut response = request.send().await.map_err(unreachable)?;
        let code = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(QueryError::TooLarge(MOST_BYTES));
            }
            body.extend_from_slice(&chunk);
        }
        if code == 200 {
            return Ok(body);
        }
        let detail = String::from_utf8_lossy(&body)
            .trim()
            .chars()
            .take(DETAIL)
            .collect();
        Err(QueryError::Status { code, detail })
    }

    /// The lines of the LogQL query `query` from `from` to before `to` (nanoseconds since the epoch), `most` of them at most, the oldest
    /// first; asked for day by day and page by page.
    ///
    /// # Errors
    /// Why one of the questions has no answer.
    pub async fn lines(
        &self,
        query: &str,
        from: i64,
        to: i64,
        most: usize,
    ) -> Result<Answered, QueryError> {
        let mut found = Answered::default();
        let mut from = from;
        while from < to {
            let until = to.min(from.saturating_add(PIECE));
            let page = self.page(query, from, until).await?;
            from = match page.last() {
                Some(last) if page.len() >= PAGE => {
                    // Those of the last stamp may not all be in this page: they are asked for again, unless nothing else is in it.
                    let last = last.at;
                    let next = if page[0].at == last { last + 1 } else { last };
                    let known = page.into_iter().filter(|one| one.at < next);
                    found.lines.extend(known);
                    next
                }
                _ => {
                    found.lines.extend(page);
                    until
                }
            };
            if found.lines.len() > most {
                found.lines.truncate(most);
                found.cut = true;
                break;
            }
        }
        Ok(found)
    }

    async fn page(&self, query: &str, from: i64, to: i64) -> Result<Vec<Stored>, QueryError> {
        let fields = [
            ("query", query.to_owned()),
            ("start", from.to_string()),
            ("end", to.to_string()),
            ("limit", PAGE.to_string()),
            ("direction", "forward".to_owned()),
        ];
        let body = self.get("/loki/api/v1/query_range", &fields).await?;
        read(&body)
    }
}

fn read(body: &[u8]) -> Result<Vec<Stored>, QueryError> {
    let wrong = |why: String| QueryError::Unexpected(why);
    let frame: Frame = serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
    let mut lines = Vec::new();
    for stream in frame.data.result {
        for Value(at, text, more) in stream.values {
            let at = at.parse();
            let at = at.map_err(|_| wrong("a stamp that is no number".to_owned()))?;
            let mut labels = stream.stream.clone();
            labels.extend(more.metadata);
            lines.push(Stored { at, labels, text });
        }
    }
    lines.sort_by(|a, b| (a.at, &a.labels, &a.text).cmp(&(b.at, &b.labels, &b.text)));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_become_lines_in_the_order_of_time_with_their_labels() {
        let body = br#"{"status":"success","data":{"resultType":"streams","result":[
            {"stream":{"device":"r1"},"values":[["20","b"],["5","a"]]},
            {"stream":{"device":"r2"},"values":[["7","c",{"structuredMetadata":{"user":"eve"}}]]}]}}"#;
        let lines = read(body).unwrap();
        let told: Vec<_> = lines.iter().map(|one| (one.at, &*one.text)).collect();
        assert_eq!(told, [(5, "a"), (7, "c"), (20, "b")]);
        assert_eq!(lines[1].labels["user"], "eve");
        for bad in [
            &b"<html>"[..],
            br#"{"data":{"result":[{"stream":{},"values":[["x","a"]]}]}}"#,
            br#"{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]}}"#,
        ] {
            assert!(matches!(read(bad), Err(QueryError::Unexpected(_))));
        }
    }

    /// More than two pages, the end of the first within lines of one stamp.
    #[tokio::test]
    async fn pages_lose_no_line_and_tell_none_twice() {
        testkit::crypto();
        let server = testkit::loki::Loki::start(None).await.unwrap();
        let now = jiff::Timestamp::now().as_second() - 3_600;
        let stamp = |line: i64| (now * 1_000 + line / 7) * 1_000_000;
        let all: Vec<[String; 2]> = (0..12_000)
            .map(|line| [stamp(line).to_string(), format!("line {line}")])
            .collect();
        let body = serde_json::json!({"streams": [{"stream": {"job": "a"}, "values": all}]});
        let pushed = testkit::client()
            .post(server.push_url())
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(pushed.status().as_u16(), 204);
        let to = Destination::new("loki", format!("http://{}/", server.address()));
        let source = Source::new(&to).unwrap();
        let (from, end) = (stamp(0), stamp(12_000) + 1);
        let found = source.lines(r#"{job="a"}"#, from, end, 20_000);
        let found = found.await.unwrap();
        assert!(!found.cut);
        let mut told: Vec<String> = found.lines.into_iter().map(|one| one.text).collect();
        told.sort_unstable();
        let mut expected: Vec<String> = all.into_iter().map(|[_, text]| text).collect();
        expected.sort_unstable();
        assert!(told == expected, "{} lines", told.len());
        let few = source.lines(r#"{job="a"}"#, from, end, 100).await.unwrap();
        assert!(few.cut && few.lines.len() == 100);
        // Nobody listens on the discard port of loopback.
        let away = Source::new(&Destination::new("loki", "http://127.0.0.1:9")).unwrap();
        let away = away.lines(r#"{job="a"}"#, from, end, 100).await;
        assert!(away.unwrap_err().is_transient());
    }
}
