//! A Grafana for tests: what Grafana OSS 12.3 does between a browser and a service of ours, and nothing else.
//!
//! It has users with basic roles and sessions, signs identity tokens (ES256) and publishes its keys, and proxies to services by the
//! routes of app plugins and of data sources, with their role gates, the header fields it strips and adds, and the rules for panel
//! actions; and it serves the pages of an app plugin to a browser. It was written from Grafana's sources (`pluginproxy/pluginproxy.go`, `pluginproxy/ds_proxy.go`, `idimpl/service.go`,
//! `proxyutil.go`, `validate_action_url.go`) and held to what a Grafana 12.3.3 was seen to do; what it does not know it refuses loudly
//! rather than lets through. The scripts of its pages are the real `@grafana/ui`, `data` and `runtime`, built from npm beside the app.
//!
//! Left out, because nothing of ours uses it: OAuth, teams, folders, organisations beside the first, service accounts, the query API,
//! streaming and web sockets.

mod action;
mod answer;
mod login;
mod page;
mod plugin;
mod proxy;
mod route;
mod token;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::tls::Files;

pub use login::{Basic, User};
pub use plugin::{Page, Plugin};
pub use route::{App, Route, Source, SourceType};
pub use token::{Signer, Token};

/// Largest body in bytes.
const LARGEST: usize = 16 << 20;

/// How it is set up.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Who may log in.
    pub users: Vec<User>,
    /// The basic role of who does not log in; `None` for nobody.
    pub anonymous: Option<Basic>,
    /// App plugins by id.
    pub apps: BTreeMap<String, App>,
    /// Data sources by uid.
    pub sources: BTreeMap<String, Source>,
    /// `[security] actions_allow_post_url`: globs of paths; empty for none.
    pub actions_allow_post_url: Vec<String>,
    /// `[dataproxy] send_user_header`, which reaches data sources.
    pub send_user_header: bool,
    /// `[dataproxy] logging`, which, by a slip in Grafana, is what adds the user header for app plugins.
    pub dataproxy_logging: bool,
    /// The folder with `host.js`, the scripts of its pages; without it a browser sees nothing.
    pub host: Option<PathBuf>,
    /// The language of everybody, such as `pl-PL`.
    pub language: String,
    /// `root_url`, which its tokens name as their issuer, where it is not the address that it listens on.
    pub root_url: Option<String>,
}

/// What the signing keys answer.
#[derive(Debug, Clone)]
pub enum Keys {
    /// Its own keys.
    Own,
    /// This.
    Answer(StatusCode, Bytes),
    /// Nothing, ever.
    Silence,
}

/// A running Grafana; it ends when it is dropped.
#[derive(Debug)]
pub struct Grafana {
    address: SocketAddr,
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    setup: Setup,
    issuer: String,
    state: Mutex<State>,
    fetches: AtomicUsize,
    client: reqwest::Client,
}

#[derive(Debug)]
struct State {
    /// Newest last; the last one signs.
    signers: Vec<Signer>,
    keys: Keys,
    roles: BTreeMap<String, Basic>,
    /// Login by session.
    sessions: BTreeMap<String, String>,
}

type Answer = Response<Full<Bytes>>;

/// A request with its whole body.
type Whole = Request<Bytes>;

impl Grafana {
    /// Starts it on a free port of loopback.
    ///
    /// # Errors
    /// A route that it would not understand, or no free port.
    pub async fn start(setup: Setup) -> anyhow::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), setup).await
    }

    /// Starts it on this address.
    ///
    /// # Errors
    /// A route that it would not understand, or the address cannot be bound.
    pub async fn start_at(address: SocketAddr, setup: Setup) -> anyhow::Result<Self> {
        Self::start_with(address, setup, None, None).await
    }

    /// The same, with TLS where there are files, and with `authority` as what apps' services must lead to in place of the system's, as
    /// `SSL_CERT_FILE` has it. As the real one, it shows no certificate to the services of apps.
    ///
    /// # Errors
    /// As [`Grafana::start_at`], or the authority cannot be read.
    pub async fn start_with(
        address: SocketAddr,
        setup: Setup,
        tls: Option<Files>,
        authority: Option<&Path>,
    ) -> anyhow::Result<Self> {
        route::check(&setup)?;
        let listener = tokio::net::TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        crate::crypto();
        let trusted = match authority {
            Some(path) => reqwest::Certificate::from_pem_bundle(&std::fs::read(path)?)?,
            None => Vec::new(),
        };
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(30))
            .tls_certs_only(trusted)
            .build()?;
        let roles = setup
            .users
            .iter()
            .map(|user| (user.login.clone(), user.role));
        let state = State {
            signers: vec![Signer::new()?],
            keys: Keys::Own,
            roles: roles.collect(),
            sessions: BTreeMap::new(),
        };
        let inner = Arc::new(Inner {
            issuer: setup
                .root_url
                .clone()
                .unwrap_or_else(|| format!("http://{address}/")),
            setup,
            state: Mutex::new(state),
            fetches: AtomicUsize::new(0),
            client,
        });
        let own = Arc::clone(&inner);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, peer)) = listener.accept().await else {
                    return;
                };
                while open.try_join_next().is_some() {}
                let (own, tls) = (Arc::clone(&own), tls.clone());
                open.spawn(async move {
                    let Ok(stream) = crate::tls::accepted(tls.as_ref(), stream).await else {
                        return;
                    };
                    let service = service_fn(|request| {
                        let own = Arc::clone(&own);
                        async move { Ok::<_, Infallible>(own.serve(request, peer).await) }
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self {
            address,
            inner,
            task,
        })
    }

    /// Its address, with a slash at the end: what `root_url` says unless the setup does, and the issuer of its tokens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Logs a user in; the value of a `Cookie` field.
    ///
    /// # Panics
    /// There is no such user.
    #[must_use]
    pub fn session(&self, login: &str) -> String {
        assert!(self.inner.user(login).is_some(), "no user {login}");
        format!("{}={}", login::COOKIE, self.inner.lock().log_in(login))
    }

    /// Ends every session, as when they have lasted long enough.
    pub fn end_sessions(&self) {
        self.inner.lock().sessions.clear();
    }

    /// The token that it forwards for a user now.
    ///
    /// # Panics
    /// There is no such user.
    #[must_use]
    pub fn token(&self, login: &str) -> String {
        let user = self.inner.user(login);
        assert!(user.is_some(), "no user {login}");
        user.map(|user| self.inner.sign(&user)).unwrap_or_default()
    }

    /// The subject of a user's tokens, `user:3`.
    ///
    /// # Panics
    /// There is no such user.
    #[must_use]
    pub fn subject(&self, login: &str) -> String {
        let user = self.inner.user(login);
        assert!(user.is_some(), "no user {login}");
        user.map(|user| format!("user:{}", user.number))
            .unwrap_or_default()
    }

    /// A right token for a user, to be made wrong before it is signed.
    ///
    /// # Panics
    /// There is no such user.
    #[must_use]
    pub fn draft(&self, login: &str) -> Token {
        let user = self.inner.user(login);
        assert!(user.is_some(), "no user {login}");
        user.map_or_else(Token::default, |user| self.inner.draft(&user))
    }

    /// The key that it signs with now.
    #[must_use]
    pub fn signer(&self) -> Signer {
        self.inner.lock().signer()
    }

    /// Gives a user another basic role, as an administrator would.
    pub fn set_role(&self, login: &str, role: Basic) {
        self.inner.lock().roles.insert(login.to_owned(), role);
    }

    /// Signs with a new key from now on; the old ones stay published.
    ///
    /// # Errors
    /// No key can be made.
    pub fn rotate(&self) -> anyhow::Result<()> {
        let signer = Signer::new()?;
        self.inner.lock().signers.push(signer);
        Ok(())
    }

    /// What the signing keys answer from now on.
    pub fn set_keys(&self, keys: Keys) {
        self.inner.lock().keys = keys;
    }

    /// How often the signing keys were asked for.
    #[must_use]
    pub fn key_fetches(&self) -> usize {
        self.inner.fetches.load(Ordering::Relaxed)
    }
}

impl Drop for Grafana {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn signer(&self) -> Signer {
        self.signers[self.signers.len() - 1].clone()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, LARGEST).collect().await else {
            return answer::message(StatusCode::BAD_REQUEST, "the body cannot be read");
        };
        let request = Request::from_parts(parts, body.to_bytes());
        self.answer(request, peer).await
    }

    async fn answer(&self, request: Whole, peer: SocketAddr) -> Answer {
        if !login::same_origin(&request) {
            return answer::message(StatusCode::FORBIDDEN, "origin not allowed");
        }
        if let Err(refused) = action::check(&self.setup.actions_allow_post_url, &request) {
            return *refused;
        }
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, "/api/signing-keys/keys") => return self.keys().await,
            (&Method::GET, "/api/health") => {
                return answer::json(StatusCode::OK, &serde_json::json!({"database": "ok"}));
            }
            (&Method::POST, "/login") => return self.log_in(&request),
            _ => {}
        }
        if let Some(file) = self.file(&request) {
            return file;
        }
        let Some(user) = self.caller(&request) else {
            return if path == "/" || path.starts_with("/a/") {
                page::elsewhere("/login")
            } else {
                answer::message(StatusCode::UNAUTHORIZED, "Unauthorized")
            };
        };
        if let Some(rest) = path.strip_prefix("/api/plugin-proxy/") {
            return self.app(request, &user, rest, peer).await;
        }
        if let Some(rest) = path.strip_prefix("/api/datasources/proxy/uid/") {
            return self.source(request, &user, rest, peer).await;
        }
        if request.method() == Method::GET && path == "/api/user" {
            return answer::json(StatusCode::OK, &user.context());
        }
        if let Some(settings) = self.settings(&path, &user) {
            return settings;
        }
        if let Some(page) = self.page(&request, &user) {
            return page;
        }
        answer::message(StatusCode::NOT_FOUND, "Not found")
    }

    async fn keys(&self) -> Answer {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let keys = self.lock().keys.clone();
        match keys {
            Keys::Own => answer::json(StatusCode::OK, &token::jwks(&self.lock().signers)),
            Keys::Answer(status, body) => answer::new(status, "application/json", body),
            Keys::Silence => std::future::pending().await,
        }
    }
}

/// A header field from text that the setup was checked to have.
fn field(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, value.parse().ok()?))
}
