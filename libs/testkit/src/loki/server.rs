//! The HTTP side of the double.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use super::rules::matchers;
use super::store::Entry;
use super::wire::{PushedEntry, PushedStream};
use super::{Inner, Misbehave, wire};
use crate::tls::{Files, accepted};

pub(super) async fn serve(
    listener: tokio::net::TcpListener,
    inner: Arc<Mutex<Inner>>,
    tls: Option<Files>,
) {
    while let Ok((socket, _)) = listener.accept().await {
        let (inner, tls) = (inner.clone(), tls.clone());
        tokio::spawn(async move {
            let Ok(socket) = accepted(tls.as_ref(), socket).await else {
                return;
            };
            let service = hyper::service::service_fn(move |request| {
                let inner = inner.clone();
                async move { answer(request, inner).await }
            });
            // A client that goes away is no concern of the double.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(socket), service)
                .await;
        });
    }
}

fn reply(status: u16, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() =
        hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// An error ends the connection without an answer.
async fn answer(
    request: Request<Incoming>,
    inner: Arc<Mutex<Inner>>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let lock = || inner.lock().unwrap_or_else(PoisonError::into_inner);
    let path = request.uri().path().to_owned();
    if request.method() == Method::POST && path == "/loki/api/v1/push" {
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let (kind, encoding) = (header("content-type"), header("content-encoding"));
        let (tenant, authorization) = (header("x-scope-orgid"), header("authorization"));
        let body = request
            .into_body()
            .collect()
            .await
            .map_err(std::io::Error::other)?
            .to_bytes();
        let misbehave = {
            let mut inner = lock();
            inner.requests += 1;
            inner.always.clone().or_else(|| inner.script.pop_front())
        };
        let mut lose = false;
        match misbehave {
            Some(Misbehave::Status(status, text)) => return Ok(reply(status, text)),
            Some(Misbehave::RetryAfter(status, seconds)) => {
                let mut response = reply(status, "later");
                response.headers_mut().insert("retry-after", seconds.into());
                return Ok(response);
            }
            Some(Misbehave::LoseAnswer) => lose = true,
            Some(Misbehave::Slow(pause)) => tokio::time::sleep(pause).await,
            None => {}
        }
        let (status, text) = push(
            &mut lock(),
            &body,
            &kind,
            &encoding,
            &tenant,
            &authorization,
        );
        if lose {
            return Err(std::io::Error::other("the answer is lost"));
        }
        return Ok(reply(status, text));
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    let entries = || lock().store.entries(None);
    Ok(match (request.method(), path.as_str()) {
        (&Method::GET, "/ready") => reply(200, "ready"),
        (&Method::GET, "/loki/api/v1/labels") => {
            let names = entries().into_iter().flat_map(|e| e.labels).map(|l| l.0);
            values(names)
        }
        (&Method::GET, "/loki/api/v1/query_range") => range(&query, entries()),
        (&Method::GET, path) if path.starts_with("/loki/api/v1/label/") => {
            let name = path
                .trim_start_matches("/loki/api/v1/label/")
                .trim_end_matches("/values");
            values(
                entries()
                    .into_iter()
                    .flat_map(|e| e.labels)
                    .filter(|l| l.0 == name)
                    .map(|l| l.1),
            )
        }
        _ => reply(404, "not found"),
    })
}

fn now() -> i128 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos() as i128)
}

fn push(
    inner: &mut Inner,
    body: &[u8],
    kind: &str,
    encoding: &str,
    tenant: &str,
    authorization: &str,
) -> (u16, String) {
    if inner
        .authorization
        .as_deref()
        .is_some_and(|expected| expected != authorization)
    {
        return (401, "unauthorized".to_owned());
    }
    if inner.tenant_required && tenant.is_empty() {
        return (401, "no org id".to_owned());
    }
    if body.len() > inner.limits.body_bytes {
        return (413, "request body too large".to_owned());
    }
    let mut plain = std::mem::take(&mut inner.plain);
    let answer = match wire::decode(body, kind, encoding, &mut plain) {
        Ok(streams) => take(inner, &streams, tenant),
        Err(text) => (400, text),
    };
    inner.plain = plain;
    answer
}

/// Holds the streams of a push against the limits and keeps what is within them.
fn take(inner: &mut Inner, streams: &[PushedStream<'_>], tenant: &str) -> (u16, String) {
    let now = now();
    let size = |e: &PushedEntry<'_>| e.line.len() + e.metadata.bytes();
    let entries = streams.iter().flat_map(|s| &s.entries);
    let bytes: usize = entries.map(size).sum();
    let Inner {
        limits,
        store,
        sink,
        ..
    } = inner;
    // Entries are validated first, then the rate is held against the request as a whole.
    let mut fault: Option<(u16, String)> = None;
    if !store.within_rate(tenant, bytes as f64, limits, now) {
        return (
            429,
            format!("ingestion rate limit exceeded for user {tenant}: {bytes} bytes"),
        );
    }
    for stream in streams {
        let labels = match limits.check_labels(&stream.labels) {
            Ok(labels) => labels,
            Err(text) => {
                fault = Some((400, text));
                continue;
            }
        };
        let check = |entry| limits.check_entry(&stream.labels, entry, now);
        let checked: Vec<_> = stream.entries.iter().map(check).collect();
        let (mut refused, mut kept) = (Vec::new(), 0);
        // A stream begins with its first entry that is well-formed.
        let mut place = checked
            .iter()
            .any(Result::is_ok)
            .then(|| store.stream(tenant, &labels, limits));
        for (entry, checked) in stream.entries.iter().zip(checked) {
            let result = match (checked, &mut place) {
                (Err(text), _) => Err((400, text)),
                (Ok(()), Some(Ok(place))) => place.add(entry, limits, sink.is_none()),
                (Ok(()), Some(Err(fault))) => Err(fault.clone()),
                (Ok(()), None) => Ok(0),
            };
            match result {
                Ok(count) => {
                    kept += count;
                    if let Some(sink) = sink {
                        sink(
                            &stream.labels,
                            u64::try_from(entry.stamp).unwrap_or(0),
                            entry.line.as_bytes(),
                        );
                    }
                }
                Err((status, text)) => {
                    refused.push(text.clone());
                    fault = Some((status, text));
                }
            }
        }
        store.kept(kept);
        for text in refused {
            store.note_refusal(&text);
        }
    }
    fault.unwrap_or((204, String::new()))
}

fn values(all: impl Iterator<Item = String>) -> Response<Full<Bytes>> {
    let unique: std::collections::BTreeSet<String> = all.collect();
    reply(
        200,
        serde_json::json!({"status": "success", "data": unique}).to_string(),
    )
}

/// `query={label="value",…}` with any matcher, optionally `|= "text"`; `start` and `end` in nanoseconds; `limit`.
fn range(query: &str, entries: Vec<Entry>) -> Response<Full<Bytes>> {
    let parameter = |name: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let text = parameter("query").unwrap_or_default();
    let (selector, filter) = text.split_once("|=").unwrap_or((&text, ""));
    let filter = filter.trim().trim_matches(|c| c == '"' || c == '`');
    let wanted = match matchers(selector.trim()) {
        Ok(wanted) => wanted,
        Err(text) => return reply(400, text),
    };
    let number = |name: &str| parameter(name).and_then(|v| v.parse::<u64>().ok());
    let (start, end) = (
        number("start").unwrap_or(0),
        number("end").unwrap_or(u64::MAX),
    );
    let limit = number("limit").unwrap_or(100) as usize;
    let found = entries.into_iter().filter(|e| {
        e.stamp >= start
            && e.stamp < end
            && e.line.contains(filter)
            && wanted.iter().all(|w| w.takes(&e.labels))
    });
    let mut streams: std::collections::BTreeMap<Vec<(String, String)>, Vec<serde_json::Value>> =
        Default::default();
    for entry in found.take(limit) {
        let metadata: serde_json::Map<String, serde_json::Value> = entry
            .metadata
            .into_iter()
            .map(|(k, v)| (k, v.into()))
            .collect();
        let value = serde_json::json!([entry.stamp.to_string(), entry.line, {"structuredMetadata": metadata}]);
        streams.entry(entry.labels).or_default().push(value);
    }
    let result: Vec<_> = streams
        .into_iter()
        .map(|(labels, values)| {
            let labels: serde_json::Map<String, serde_json::Value> =
                labels.into_iter().map(|(k, v)| (k, v.into())).collect();
            serde_json::json!({"stream": labels, "values": values})
        })
        .collect();
    let body = serde_json::json!({"status": "success", "data": {"resultType": "streams", "result": result}});
    reply(200, body.to_string())
}
