//! Spans of pages, on their way to a collector (OTLP over HTTP as JSON: <https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>).
//!
//! A page may say anything in them. What is handed on is written anew: who the page belongs to, identifiers, times, names, and attributes of a
//! short list; nothing of the user, the session or the browser's exact version.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use loki::Destination;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::sync::{Mutex, mpsc};
use toolkit::Live;

use crate::config::Config;
use crate::route::scrubbed;

/// Posts whose spans wait.
const WAITING: usize = 64;
/// Time for one request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest text, bytes.
const LONGEST: usize = 256;
/// Attributes that are handed on (<https://opentelemetry.io/docs/specs/semconv/http/>, and their older names).
const KEPT: [&str; 12] = [
    "component",
    "error.type",
    "http.host",
    "http.method",
    "http.request.method",
    "http.response.status_code",
    "http.scheme",
    "http.status_code",
    "http.url",
    "server.address",
    "server.port",
    "url.full",
];

/// The spans of a payload, as Faro has them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Traces {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResourceSpans {
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ScopeSpans {
    spans: Vec<Span>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Span {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: String,
    kind: i32,
    /// Nanoseconds since 1970, a number or a text.
    start_time_unix_nano: Json,
    end_time_unix_nano: Json,
    attributes: Vec<Attribute>,
    status: Status,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Status {
    code: i32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Attribute {
    key: String,
    value: Json,
}

/// Whether a text is an identifier of so many hexadecimal digits, not all of them 0 (W3C trace context, section 3.2.2).
#[must_use]
pub fn is_id(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|b| b != b'0')
}

fn cut(text: &str) -> String {
    let text = scrubbed(text);
    text[..text.floor_char_boundary(LONGEST)].to_owned()
}

impl Span {
    /// The same with nothing that is not to be handed on; `None` when it is no span.
    fn clean(self) -> Option<Self> {
        let time = |time: &Json| match time {
            Json::Number(number) => number.as_u64(),
            Json::String(text) => text.parse().ok(),
            _ => None,
        };
        let (from, to) = (
            time(&self.start_time_unix_nano)?,
            time(&self.end_time_unix_nano)?,
        );
        if !is_id(&self.trace_id, 32) || !is_id(&self.span_id, 16) || to < from {
            return None;
        }
        let attributes = self.attributes.into_iter().filter_map(|attribute| {
            let known = KEPT.contains(&&*attribute.key);
            let value = attribute.value.as_object().filter(|_| known)?;
            let value = match value.iter().next()? {
                (key, Json::String(text)) if key == "stringValue" => Json::String(cut(text)),
                (key, number @ (Json::Number(_) | Json::String(_)))
                    if matches!(&**key, "intValue" | "doubleValue") =>
                {
                    let text = number.to_string();
                    let number: f64 = text.trim_matches('"').parse().ok()?;
                    let value = serde_json::json!({"doubleValue": number});
                    return Some(Attribute { value, ..attribute });
                }
                _ => return None,
            };
            let value = serde_json::json!({"stringValue": value});
            Some(Attribute { value, ..attribute })
        });
        Some(Self {
            parent_span_id: self.parent_span_id.filter(|id| is_id(id, 16)),
            name: cut(&self.name),
            kind: self.kind.clamp(0, 5),
            start_time_unix_nano: Json::String(from.to_string()),
            end_time_unix_nano: Json::String(to.to_string()),
            attributes: attributes.collect(),
            status: Status {
                code: self.status.code.clamp(0, 2),
            },
            trace_id: self.trace_id,
            span_id: self.span_id,
        })
    }
}

impl Traces {
    /// How many spans there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let scopes = self.resource_spans.iter().flat_map(|one| &one.scope_spans);
        scopes.map(|scope| scope.spans.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body of a request to a collector, and how many spans are in it; `route` is the page.
    #[must_use]
    pub fn request(self, app: &str, version: &str, route: &str) -> (Vec<u8>, u64) {
        let scopes = self
            .resource_spans
            .into_iter()
            .flat_map(|one| one.scope_spans);
        let spans: Vec<Span> = scopes
            .flat_map(|scope| scope.spans)
            .filter_map(Span::clean)
            .collect();
        let text = |key: &str, text: &str| serde_json::json!({"key": key, "value": {"stringValue": cut(text)}});
        let resource = [
            text("service.name", app),
            text("service.version", version),
            text("page.route", route),
        ];
        let count = spans.len() as u64;
        let body = serde_json::json!({"resourceSpans": [{
            "resource": {"attributes": resource},
            "scopeSpans": [{"scope": {"name": "faro"}, "spans": spans}],
        }]});
        (body.to_string().into_bytes(), count)
    }
}

/// How spans ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The collector took them.
    Sent,
    /// It did not.
    Failed,
    /// Too many waited.
    Dropped,
}

impl Outcome {
    pub(crate) const ALL: [(Self, &'static str); 3] = [
        (Self::Sent, "sent"),
        (Self::Failed, "failed"),
        (Self::Dropped, "dropped"),
    ];
}

/// Hands spans on.
#[derive(Debug)]
pub(crate) struct Spans {
    sender: mpsc::Sender<(Vec<u8>, u64)>,
    receiver: Mutex<mpsc::Receiver<(Vec<u8>, u64)>>,
    counts: [AtomicU64; Outcome::ALL.len()],
}

impl Spans {
    pub(crate) fn new() -> Arc<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        Arc::new(Self {
            sender,
            receiver: Mutex::new(receiver),
            counts: Default::default(),
        })
    }

    /// Puts a request among those that wait.
    pub(crate) fn hand_on(&self, body: Vec<u8>, count: u64) {
        if count > 0 && self.sender.try_send((body, count)).is_err() {
            self.add(Outcome::Dropped, count);
        }
    }

    fn add(&self, how: Outcome, count: u64) {
        self.counts[how as usize].fetch_add(count, Relaxed);
    }

    /// Spans by how they ended.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Outcome::ALL.into_iter().zip(&self.counts);
        counts.map(|((_, name), count)| (name, count.load(Relaxed)))
    }

    /// Sends what waits, for as long as it is not dropped.
    pub(crate) async fn send(&self, live: &Live<Config>) {
        let mut receiver = self.receiver.lock().await;
        // A new configuration means a new client.
        let mut client: Option<(Arc<Config>, toolkit::Renewing<reqwest::Client>)> = None;
        while let Some((body, count)) = receiver.recv().await {
            let config = live.current();
            let Some(destination) = &config.traces else {
                self.add(Outcome::Dropped, count);
                continue;
            };
            if client
                .as_ref()
                .is_none_or(|(of, _)| !Arc::ptr_eq(of, &config))
            {
                client = match loki::http(destination) {
                    Ok(new) => Some((Arc::clone(&config), new)),
                    Err(error) => {
                        self.failed(count, &toolkit::chain(&error));
                        continue;
                    }
                };
            }
            let Some((_, client)) = &client else { continue };
            match post(&client.current(), destination, body).await {
                Ok(()) => self.add(Outcome::Sent, count),
                Err(error) => self.failed(count, &error),
            }
        }
    }

    fn failed(&self, count: u64, error: &str) {
        self.add(Outcome::Failed, count);
        tracing::warn!(error, spans = count, "spans of pages were not taken");
    }
}

async fn post(
    client: &reqwest::Client,
    destination: &Destination,
    body: Vec<u8>,
) -> Result<(), String> {
    let mut request = client
        .post(&destination.url)
        .timeout(PATIENCE)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body);
    if let Some(tenant) = &destination.tenant {
        request = request.header("X-Scope-OrgID", tenant);
    }
    let answer = destination.authentication.apply(request).send().await;
    let status = answer
        .map_err(|error| toolkit::chain(&error.without_url()))?
        .status();
    if status.is_success() {
        return Ok(());
    }
    Err(format!("the collector answered {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_on_is_written_anew_and_names_nobody() {
        let text = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"session.id","value":{"stringValue":"s1"}}]},"scopeSpans":[{"spans":[
          {"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"GET https://x/y?user=alice","kind":3,"startTimeUnixNano":"1","endTimeUnixNano":5,
           "attributes":[{"key":"http.url","value":{"stringValue":"https://x/y?user=alice"}},{"key":"http.status_code","value":{"intValue":"200"}},{"key":"user.id","value":{"stringValue":"alice"}},{"key":"http.host","value":{"arrayValue":{"values":[]}}}],"status":{"code":9},"events":[{"name":"alice"}]},
          {"traceId":"00000000000000000000000000000000","spanId":"b7ad6b7169203331","startTimeUnixNano":"1","endTimeUnixNano":"5"},
          {"traceId":"0AF7651916CD43DD8448EB211C80319C","spanId":"b7ad6b7169203331","startTimeUnixNano":"1","endTimeUnixNano":"5"},
          {"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","startTimeUnixNano":"6","endTimeUnixNano":"5"}]}]}]}"#;
        let traces: Traces = serde_json::from_str(text).unwrap();
        assert_eq!(traces.len(), 4);
        let (body, count) = traces.request("shop", "1.2", "/cart");
        assert_eq!(count, 1);
        let json = |text: &[u8]| serde_json::from_slice::<Json>(text).unwrap();
        assert_eq!(
            json(&body),
            json(r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"service.version","value":{"stringValue":"1.2"}},{"key":"page.route","value":{"stringValue":"/cart"}}]},"scopeSpans":[{"scope":{"name":"faro"},"spans":[{"attributes":[{"key":"http.url","value":{"stringValue":"https://x/y?…"}},{"key":"http.status_code","value":{"doubleValue":200.0}}],"endTimeUnixNano":"5","kind":3,"name":"GET https://x/y?…","spanId":"b7ad6b7169203331","startTimeUnixNano":"1","status":{"code":2},"traceId":"0af7651916cd43dd8448eb211c80319c"}]}]}]}"#.as_bytes())
        );
    }
}
