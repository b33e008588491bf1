//! One request: rate, user, route, answer, count.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{
    ALLOW, AUTHORIZATION, CONTENT_LENGTH, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use tokio::sync::Mutex;

use super::auth::Verdict;
use super::conn::{Conn, Open};
use super::incoming::{Bodies, Share};
use super::limits::{Limits, Places, Taken};
use super::live_config::{LiveWebConfig, LoadedWebConfig, Trust};
use super::outgoing::Sent;
use super::request::conceal;
use super::router::{Answer, Found, Handler, Page, Router, Runs};
use super::scrape::Scrape;
use super::{ClientCertificate, Request, Response, keys, landing, response};
use crate::app::{Link, Look, OnWrongLogin, WrongLogin};
use crate::metrics::Metrics;
use crate::supervise::Gates;
use crate::{Identity, trace};

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
    /// The turn of the one request that reads the configuration.
    pub(crate) reloading: Arc<Mutex<()>>,
    /// What is read again with the configuration.
    pub(crate) looks: Vec<Look>,
    /// Who is notified of wrong passwords.
    pub(crate) wrong_logins: Vec<OnWrongLogin>,
    /// What is read without a password, and the metrics with it; empty for nothing.
    pub(crate) open_paths: Vec<&'static str>,
    pub(crate) web_config: LiveWebConfig,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) places: Places,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) pool: tokio::runtime::Handle,
    pub(crate) draining: AtomicBool,
}

/// An admitted request and what its route made of its path.
struct Asked<'a> {
    parts: Parts,
    body: Incoming,
    params: HashMap<String, String>,
    peer: &'a Peer,
    user: Option<String>,
    certificate: Option<Arc<ClientCertificate>>,
    deadline: tokio::time::Instant,
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its address, `unix` on a unix socket.
    pub(crate) address: String,
    /// The certificate that it proved to hold, and the trust under which that was verified.
    pub(crate) certificate: Option<(Arc<ClientCertificate>, Trust)>,
}

impl Peer {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            certificate: None,
        }
    }

    /// The certificate as long as it counts: the web configuration still trusts as it did in the handshake, and it has not expired.
    fn certificate(&self, web_config: &LoadedWebConfig) -> Option<Arc<ClientCertificate>> {
        let (certificate, trust) = self.certificate.as_ref()?;
        let counts = web_config.trust == Some(*trust) && certificate.is_current(SystemTime::now());
        counts.then(|| Arc::clone(certificate))
    }
}

/// The way of an answer: to whom, over which connection, among which others.
pub(crate) struct Way {
    pub(crate) peer: Peer,
    pub(crate) conn: Arc<Conn>,
    pub(crate) open: Arc<Open>,
}

/// A refusal, boxed because responses are large beside what else a check returns.
type Refused = Box<Response>;

impl Site {
    /// Answers one request and counts it.
    pub(crate) async fn serve(
        &self,
        request: http::Request<Incoming>,
        way: &Way,
    ) -> http::Response<Sent> {
        let peer = &way.peer;
        let began = Instant::now();
        let _counted = Counted::new(&self.metrics.in_flight);
        let web_config = self.web_config.load_full();
        let (mut parts, body) = request.into_parts();
        conceal(&mut parts.headers);
        let head = parts.method == Method::HEAD;
        let found = self.router.find(&parts.method, parts.uri.path());
        let (route, is_page) = found.route();
        let span = trace::Span::of_request(&parts, route, is_page, &peer.address);
        let answer = span.around(self.admitted(found, &web_config, parts, body, peer));
        let (mut answer, traced) = answer.await;
        if head {
            // A 304 tells the length of the 200 or none at all (RFC 9110 section 8.6), and its body is empty.
            let length = answer
                .body()
                .size_hint()
                .exact()
                .filter(|_| answer.status() != StatusCode::NOT_MODIFIED);
            *answer.body_mut() = Full::new(Bytes::new());
            if let Some(length) = length {
                answer
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
        }
        answer
            .headers_mut()
            .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        for (name, value) in &web_config.headers {
            answer.headers_mut().insert(name, value.clone());
        }
        let answer = self.sent(answer, way);
        let status = answer.status();
        let labels = [route, status.as_str()];
        self.metrics.requests.with_label_values(&labels).inc();
        self.metrics
            .request_seconds
            .with(&[route])
            .observe_traced(began.elapsed(), traced);
        answer
    }

    /// The answer with its room among those on their way, or the refusal.
    fn sent(&self, answer: Response, way: &Way) -> http::Response<Sent> {
        let with = |answer: Response| {
            let body = response::bytes(&answer);
            let held = way.open.hold(&way.conn, body.len())?;
            Some(answer.map(|_| Sent::new(body, held)))
        };
        with(answer)
            .or_else(|| {
                let text = "too many responses wait for their readers";
                with(*self.refuse("response_memory", StatusCode::SERVICE_UNAVAILABLE, text))
            })
            .unwrap_or_else(|| {
                let mut empty = response::text(StatusCode::SERVICE_UNAVAILABLE, "");
                *empty.body_mut() = Full::new(Bytes::new());
                let held = way.open.nothing(&way.conn);
                empty.map(|_| Sent::new(Bytes::new(), held))
            })
    }

    /// Rate and user, then route and answer; and the id of the trace when it is sampled.
    async fn admitted(
        &self,
        found: Found<'_>,
        web_config: &LoadedWebConfig,
        parts: Parts,
        body: Incoming,
        peer: &Peer,
    ) -> (Response, Option<String>) {
        let answer = match self.admit(web_config, &parts, &peer.address).await {
            Ok(user) => {
                self.routed(found, web_config, parts, body, (peer, user))
                    .await
            }
            Err(refused) => *refused,
        };
        trace::answered(answer.status());
        (answer, trace::sampled_id())
    }

    /// Rate limit and authentication: the user, or the refusal.
    async fn admit(
        &self,
        web_config: &LoadedWebConfig,
        parts: &Parts,
        peer: &str,
    ) -> Result<Option<String>, Refused> {
        if web_config
            .bucket
            .as_ref()
            .is_some_and(|bucket| !bucket.take(Instant::now()))
        {
            return Err(self.refuse("rate", StatusCode::TOO_MANY_REQUESTS, "too many requests"));
        }
        let Some(auth) = &web_config.auth else {
            return Ok(None);
        };
        if !parts.headers.contains_key(AUTHORIZATION) && self.is_open(parts) {
            return Ok(None);
        }
        // Waiting for a place to compare passwords is part of the time that a request may take.
        let checked =
            tokio::time::timeout(self.limits.request, auth.check(&parts.headers, peer)).await;
        match checked.unwrap_or(Verdict::Busy) {
            Verdict::Allowed(user) => Ok(Some(user)),
            Verdict::Busy => Err(self.refuse(
                "auth_queue",
                StatusCode::SERVICE_UNAVAILABLE,
                "too many logins at a time",
            )),
            verdict @ (Verdict::Denied | Verdict::Wrong(_)) => {
                if let Verdict::Wrong(user) = verdict {
                    for notify in &self.wrong_logins {
                        let (user, peer) = (user.clone(), peer.to_owned());
                        notify(WrongLogin { user, peer });
                    }
                }
                let mut refused = self.refuse("auth", StatusCode::UNAUTHORIZED, "unauthorized");
                let ask = HeaderValue::from_static("Basic realm=\"SOTP\", charset=\"UTF-8\"");
                refused.headers_mut().insert(WWW_AUTHENTICATE, ask);
                Err(refused)
            }
        }
    }

    /// Whether this is read without a password.
    fn is_open(&self, parts: &Parts) -> bool {
        let path = parts.uri.path();
        let is = |open: &str| path == open || open.ends_with('/') && path.starts_with(open);
        matches!(parts.method, Method::GET | Method::HEAD)
            && !self.open_paths.is_empty()
            && (path == self.telemetry || self.open_paths.iter().any(|open| is(open)))
    }

    async fn routed(
        &self,
        found: Found<'_>,
        web_config: &LoadedWebConfig,
        parts: Parts,
        body: Incoming,
        (peer, user): (&Peer, Option<String>),
    ) -> Response {
        let (answer, params) = match found {
            Found::Nothing => return response::text(StatusCode::NOT_FOUND, "no such page"),
            Found::WrongMethod { allow, .. } => return wrong_method(&allow),
            Found::Route { answer, params, .. } => (answer, params),
        };
        let asked = Asked {
            parts,
            body,
            params,
            peer,
            user,
            certificate: peer.certificate(web_config),
            deadline: tokio::time::Instant::now() + self.limits.request,
        };
        let deadline = asked.deadline;
        let answered = async {
            match answer {
                Answer::Page(page) => self.page(page, asked).await,
                Answer::Service(handler, runs) => self
                    .service(handler, runs, asked)
                    .await
                    .unwrap_or_else(|refused| *refused),
            }
        };
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(answer) => answer,
            Err(_) => *self.refuse(
                "request_time",
                StatusCode::SERVICE_UNAVAILABLE,
                "the request took too long",
            ),
        }
    }

    async fn page(&self, page: Page, asked: Asked<'_>) -> Response {
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
            Page::Metrics => match self.place(self.places.metrics(&asked.peer.address)) {
                Ok(_place) => self.scrape.answer(&asked.parts.headers).await,
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
            return response::text(StatusCode::OK, "ready");
        }
        let closed = closed.join(", ");
        response::text(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: waiting for {closed}"),
        )
    }

    async fn reload(&self) -> Response {
        let control = Arc::clone(&self.control);
        // Held by the thread that reads, so that one stuck in a file is not joined by more.
        let turn = Arc::clone(&self.reloading).lock_owned().await;
        let failed = |reason: &str| {
            response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("configuration not reloaded: {reason}"),
            )
        };
        let mut looked = Ok(false);
        for look in &self.looks {
            match self.pool.spawn(look()).await {
                Ok(seen) => looked = looked.and_then(|before| Ok(seen? || before)),
                Err(_) => looked = Err("reading it panicked, see the log".to_owned()),
            }
        }
        let read = move || {
            let _held = turn;
            control.reload("request")
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(changed)) => match looked {
                Err(reason) => failed(&reason),
                Ok(seen) if seen || changed => {
                    response::text(StatusCode::OK, "configuration reloaded")
                }
                Ok(_) => response::text(StatusCode::OK, "configuration unchanged"),
            },
            Ok(Err(reason)) => match looked {
                Err(further) => failed(&format!("{reason}; {further}")),
                Ok(_) => failed(&reason),
            },
            Err(_) => failed("reading it panicked, see the log"),
        }
    }

    /// One of the places for expensive requests, or the refusal.
    fn place(&self, place: Option<Taken>) -> Result<Taken, Refused> {
        place.ok_or_else(|| {
            let mut refused = self.refuse(
                "max_requests",
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests at a time",
            );
            refused
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
            refused
        })
    }

    /// A handler of the service.
    async fn service(
        &self,
        handler: Handler,
        runs: Runs,
        asked: Asked<'_>,
    ) -> Result<Response, Refused> {
        if self.draining.load(Ordering::Acquire) {
            return Err(self.refuse(
                "draining",
                StatusCode::SERVICE_UNAVAILABLE,
                "the service is ending",
            ));
        }
        // The body before the place: who sends one slowly keeps nobody waiting.
        let (body, _share) = self.body(asked.body, &asked.peer.address).await?;
        let known = asked.user.is_some() || asked.certificate.is_some();
        let _place = self.place(self.places.service(known, &asked.peer.address))?;
        let Parts {
            method,
            uri,
            headers,
            ..
        } = asked.parts;
        let (params, user) = (asked.params, asked.user);
        let request = Request {
            method,
            uri,
            headers,
            body,
            params,
            peer: asked.peer.address.clone(),
            user,
            certificate: asked.certificate,
            deadline: Some(asked.deadline),
        };
        let handled = async move {
            match keys::repeated(&request.body) {
                Some(place) => Err(place),
                None => Ok(handler(request).await),
            }
        };
        let handled = match runs {
            Runs::Connection => caught(handled).await,
            Runs::Pool => AbortOnDrop(self.pool.spawn(trace::carried(handled)))
                .await
                .ok(),
        };
        match handled {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(place)) => {
                let text = format!("a key stands twice in one object of the body, {place}");
                Err(self.refuse("duplicate_key", StatusCode::BAD_REQUEST, &text))
            }
            // The panic hook has logged why.
            None => Ok(response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the request failed, see the log",
            )),
        }
    }

    async fn body(&self, mut body: Incoming, peer: &str) -> Result<(Bytes, Share), Refused> {
        let most = self.limits.body_bytes;
        let too_large = || {
            self.refuse(
                "body_size",
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("the body may have {most} bytes"),
            )
        };
        if body.size_hint().lower() > most as u64 {
            return Err(too_large());
        }
        let mut share = self.bodies.share(peer);
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(Box::new(response::text(
                    StatusCode::BAD_REQUEST,
                    "the body cannot be read",
                )));
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if whole.len() + data.len() > most {
                return Err(too_large());
            }
            if !share.grow(data.len()) {
                return Err(self.refuse(
                    "body_memory",
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many bodies at a time",
                ));
            }
            whole.extend_from_slice(&data);
        }
        Ok((whole.freeze(), share))
    }

    fn refuse(&self, reason: &str, status: StatusCode, text: &str) -> Refused {
        self.metrics.refused.with_label_values(&[reason]).inc();
        Box::new(response::text(status, text))
    }
}

fn wrong_method(allow: &str) -> Response {
    let mut refused = response::text(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("expected one of: {allow}"),
    );
    if let Ok(allow) = HeaderValue::from_str(allow) {
        refused.headers_mut().insert(ALLOW, allow);
    }
    refused
}

/// One more in a gauge for as long as it lives.
struct Counted(prometheus::IntGauge);

impl Counted {
    fn new(gauge: &prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What a future gives, or nothing when it panicked.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

/// A task that ends with the request that waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx)
    }
}
