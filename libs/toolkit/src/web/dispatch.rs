//! One request: limits, route, answer, count.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::sync::Semaphore;

use super::router::{Answer, Found, Handler, Page, Router};
use super::scrape::Scrape;
use super::{Request, Response, landing, response};
use crate::Identity;
use crate::app::Link;
use crate::metrics::Metrics;
use crate::supervise::Gates;
use crate::web::serve::Limits;

/// What the server asks of the configuration.
pub(crate) trait Control: Send + Sync + 'static {
    /// Reads the configuration again; tells whether it had changed.
    fn reload(&self, why: &'static str) -> Result<bool, String>;
    /// The configuration with secrets masked.
    fn masked(&self) -> String;
}

/// Everything that answers requests.
pub(crate) struct Site {
    pub(crate) identity: Identity,
    pub(crate) telemetry: String,
    pub(crate) links: Vec<Link>,
    pub(crate) router: Router,
    pub(crate) scrape: Arc<Scrape>,
    pub(crate) gates: Gates,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) slots: Option<Arc<Semaphore>>,
    pub(crate) pool: tokio::runtime::Handle,
    pub(crate) draining: AtomicBool,
}

impl Site {
    /// Answers one request and counts it.
    pub(crate) async fn serve(
        self: &Arc<Self>,
        request: http::Request<Incoming>,
        peer: &str,
    ) -> Response {
        let began = Instant::now();
        self.metrics.in_flight.inc();
        let head = *request.method() == Method::HEAD;
        let (parts, body) = request.into_parts();
        let (pattern, answered) = {
            let found = self.router.find(&parts.method, parts.uri.path());
            let pattern = match &found {
                Found::Route { pattern, .. } | Found::WrongMethod { pattern, .. } => {
                    (*pattern).to_owned()
                }
                Found::Nothing => "other".to_owned(),
            };
            (pattern, self.limited(found, parts.clone(), body, peer))
        };
        let mut answer = answered.await;
        if head {
            let length = answer.body().size_hint().exact();
            *answer.body_mut() = Full::new(Bytes::new());
            if let Some(length) = length {
                answer
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
        }
        self.metrics.in_flight.dec();
        self.metrics
            .requests
            .with_label_values(&[pattern.as_str(), answer.status().as_str()])
            .inc();
        self.metrics
            .request_seconds
            .observe(&[&pattern], began.elapsed());
        answer
    }

    async fn limited(
        self: &Arc<Self>,
        found: Found<'_>,
        parts: Parts,
        body: Incoming,
        peer: &str,
    ) -> Response {
        let (answer, params) = match found {
            Found::Nothing => return response::text(StatusCode::NOT_FOUND, "no such page"),
            Found::WrongMethod { allow, .. } => {
                let mut refused = response::text(
                    StatusCode::METHOD_NOT_ALLOWED,
                    format!("expected one of: {allow}"),
                );
                if let Ok(allow) = HeaderValue::from_str(&allow) {
                    refused.headers_mut().insert(ALLOW, allow);
                }
                return refused;
            }
            Found::Route { answer, params, .. } => (answer, params),
        };
        match tokio::time::timeout(
            self.limits.request,
            self.answer(answer, params, parts, body, peer),
        )
        .await
        {
            Ok(answer) => answer,
            Err(_) => self.refuse(
                "request_time",
                StatusCode::SERVICE_UNAVAILABLE,
                "the request took too long",
            ),
        }
    }

    async fn answer(
        self: &Arc<Self>,
        answer: Answer,
        params: HashMap<String, String>,
        parts: Parts,
        body: Incoming,
        peer: &str,
    ) -> Response {
        let page = match answer {
            Answer::Page(page) => page,
            Answer::Service(handler) => {
                return self.service(handler, params, parts, body, peer).await;
            }
        };
        match page {
            Page::Healthy => response::text(StatusCode::OK, "healthy"),
            Page::Ready => self.ready(),
            Page::Landing => response::html(
                StatusCode::OK,
                landing::page(&self.identity, &self.telemetry, &self.links),
            ),
            Page::Config => response::new(
                StatusCode::OK,
                "text/plain; charset=utf-8",
                self.control.masked(),
            ),
            Page::Reload => self.reload().await,
            Page::Metrics => match self.slot() {
                Ok(_slot) => self.scrape.answer(&parts.headers).await,
                Err(refused) => *refused,
            },
        }
    }

    fn ready(&self) -> Response {
        if self.draining.load(Ordering::Acquire) {
            return response::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: the service is ending",
            );
        }
        let closed = self.gates.closed();
        if closed.is_empty() {
            response::text(StatusCode::OK, "ready")
        } else {
            response::text(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: waiting for {}", closed.join(", ")),
            )
        }
    }

    async fn reload(&self) -> Response {
        let control = Arc::clone(&self.control);
        match tokio::task::spawn_blocking(move || control.reload("request")).await {
            Ok(Ok(true)) => response::text(StatusCode::OK, "configuration reloaded"),
            Ok(Ok(false)) => response::text(StatusCode::OK, "configuration unchanged"),
            Ok(Err(reason)) => response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("configuration not reloaded: {reason}"),
            ),
            Err(_) => response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "configuration not reloaded: reading it panicked, see the log",
            ),
        }
    }

    /// One of the places for expensive requests, or the refusal.
    fn slot(&self) -> Result<Option<tokio::sync::OwnedSemaphorePermit>, Box<Response>> {
        let Some(slots) = &self.slots else {
            return Ok(None);
        };
        match Arc::clone(slots).try_acquire_owned() {
            Ok(permit) => Ok(Some(permit)),
            Err(_) => {
                let mut refused = self.refuse(
                    "max_requests",
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many requests at a time",
                );
                refused
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
                Err(Box::new(refused))
            }
        }
    }

    async fn service(
        &self,
        handler: Handler,
        params: HashMap<String, String>,
        parts: Parts,
        body: Incoming,
        peer: &str,
    ) -> Response {
        if self.draining.load(Ordering::Acquire) {
            return response::text(StatusCode::SERVICE_UNAVAILABLE, "the service is ending");
        }
        let slot = match self.slot() {
            Ok(slot) => slot,
            Err(refused) => return *refused,
        };
        let body = match self.body(body).await {
            Ok(body) => body,
            Err(refused) => return *refused,
        };
        let Parts {
            method,
            uri,
            headers,
            ..
        } = parts;
        let request = Request {
            method,
            uri,
            headers,
            body,
            params,
            peer: peer.to_owned(),
            user: None,
        };
        let task = AbortOnDrop(self.pool.spawn(async move { handler(request).await }));
        let answer = task.await;
        drop(slot);
        answer.unwrap_or_else(|_| {
            response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the request failed, see the log",
            )
        })
    }

    async fn body(&self, body: Incoming) -> Result<Bytes, Box<Response>> {
        match Limited::new(body, self.limits.body_bytes).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                let most = self.limits.body_bytes;
                Err(Box::new(self.refuse(
                    "body_size",
                    StatusCode::PAYLOAD_TOO_LARGE,
                    &format!("the body may have {most} bytes"),
                )))
            }
            Err(_) => Err(Box::new(response::text(
                StatusCode::BAD_REQUEST,
                "the body cannot be read",
            ))),
        }
    }

    pub(crate) fn refuse(&self, reason: &str, status: StatusCode, text: &str) -> Response {
        self.metrics.refused.with_label_values(&[reason]).inc();
        response::text(status, text)
    }
}

/// A task that ends with the request that waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> std::future::Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx)
    }
}
