//! A Vault for tests: the few questions that our services ask, refused as Vault refuses them.
//!
//! The contract is <https://developer.hashicorp.com/vault/api-docs>: `secret/kv/kv-v2` (a deleted version is 404), `auth/approle`, `auth/kubernetes`,
//! `auth/token`. Whatever else is asked is 404 and remembered in [`Vault::refused`], as is a question without the namespace or with a body that
//! has other fields. Policies, versions before the last, response wrapping and redirects of standby nodes are left out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Largest body in bytes.
const LARGEST: usize = 64 << 10;
/// The namespace that every question must name.
pub const NAMESPACE: &str = "sotp";
/// The role and its proof that AppRole takes.
pub const APPROLE: (&str, &str) = ("role-of-sotp", "secret-id-of-sotp");
/// The role and the token that Kubernetes' login takes.
pub const KUBERNETES: (&str, &str) = ("sotp", "token-of-a-service-account");

/// A running Vault on a free port of 127.0.0.1; it ends when it is dropped.
#[derive(Debug)]
pub struct Vault {
    url: String,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    secrets: BTreeMap<String, Value>,
    tokens: BTreeMap<String, Token>,
    lease: Duration,
    longest: Duration,
    sealed: bool,
    made: usize,
    asked: Vec<String>,
    refused: Vec<String>,
}

#[derive(Debug, Clone)]
struct Token {
    until: Option<Instant>,
    /// When no renewal helps any more.
    last: Option<Instant>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vault {
    /// Starts it. A token that it gives lives for `lease` from its last renewal, and for `longest` in all.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(lease: Duration, longest: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State {
            secrets: BTreeMap::new(),
            tokens: BTreeMap::new(),
            lease,
            longest,
            sealed: false,
            made: 0,
            asked: Vec::new(),
            refused: Vec::new(),
        }));
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, Arc::clone(&state)));
        Ok(Self {
            url,
            state,
            _tasks: tasks,
        })
    }

    /// The value of `VAULT_ADDR`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes a secret: `path` with the mount, `secret/sotp/snmp`.
    pub fn put(&self, path: &str, data: Value) {
        locked(&self.state).secrets.insert(path.to_owned(), data);
    }

    /// Deletes the last version of a secret.
    pub fn delete(&self, path: &str) {
        locked(&self.state).secrets.remove(path);
    }

    /// A token that somebody was given, which lives for ever.
    pub fn token(&self, token: &str) {
        let forever = Token {
            until: None,
            last: None,
        };
        locked(&self.state).tokens.insert(token.to_owned(), forever);
    }

    /// Ends every token that it gave.
    pub fn revoke(&self) {
        locked(&self.state).tokens.clear();
    }

    /// Seals it, so that it answers nothing but that; or opens it again.
    pub fn seal(&self, sealed: bool) {
        locked(&self.state).sealed = sealed;
    }

    /// What was asked so far, method and path.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        locked(&self.state).asked.clone()
    }

    /// What nobody may ask a Vault, and was asked.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        locked(&self.state).refused.clone()
    }
}

async fn listen(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut open = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while open.try_join_next().is_some() {}
        let state = Arc::clone(&state);
        open.spawn(async move {
            let service = service_fn(|request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(serve(&state, request).await) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn serve(state: &Mutex<State>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST).collect().await;
    let body = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let field = |name: &str| {
        let value = parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (method, path) = (&parts.method, parts.uri.path());
    let mut state = locked(state);
    state.asked.push(format!("{method} {path}"));
    let asked = Asked {
        method,
        path: path.strip_prefix("/v1/").unwrap_or_default(),
        token: field("x-vault-token"),
        namespace: field("x-vault-namespace"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let (status, answer) = state.answer(&asked);
    let mut answer = Response::new(Full::new(Bytes::from(answer.to_string())));
    *answer.status_mut() = status;
    answer
}

struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    token: String,
    namespace: String,
    body: Value,
}

fn errors(status: StatusCode, reasons: &[&str]) -> (StatusCode, Value) {
    (status, json!({ "errors": reasons }))
}

fn answered(data: &Value, auth: &Value) -> (StatusCode, Value) {
    let answer = json!({
        "request_id": "00000000-0000-0000-0000-000000000000", "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": data, "wrap_info": null, "warnings": null, "auth": auth,
    });
    (StatusCode::OK, answer)
}

impl State {
    fn answer(&mut self, asked: &Asked<'_>) -> (StatusCode, Value) {
        if self.sealed {
            return errors(StatusCode::SERVICE_UNAVAILABLE, &["Vault is sealed"]);
        }
        if asked.namespace != NAMESPACE {
            self.refused
                .push(format!("namespace {:?}", asked.namespace));
            return errors(StatusCode::NOT_FOUND, &["no handler for route"]);
        }
        let now = Instant::now();
        self.tokens
            .retain(|_, token| token.until.is_none_or(|until| now < until));
        let denied = errors(StatusCode::FORBIDDEN, &["permission denied"]);
        let known = self.tokens.contains_key(&asked.token);
        match (asked.method, asked.path) {
            (&Method::POST, "auth/approle/login") => {
                let right = json!({"role_id": APPROLE.0, "secret_id": APPROLE.1});
                self.login(&asked.body, &right, "invalid role or secret ID")
            }
            (&Method::POST, "auth/kubernetes/login") => {
                let right = json!({"role": KUBERNETES.0, "jwt": KUBERNETES.1});
                self.login(&asked.body, &right, "permission denied")
            }
            (&Method::POST, "auth/token/renew-self") if known => self.renew(&asked.token),
            (&Method::GET, "auth/token/lookup-self") if known => {
                let token = &self.tokens[&asked.token];
                let left = token.until.map_or(0, |until| (until - now).as_secs());
                answered(&json!({"ttl": left, "renewable": left > 0}), &Value::Null)
            }
            (_, "auth/token/renew-self" | "auth/token/lookup-self") => denied,
            (&Method::GET, path) if path.split('/').nth(1) == Some("data") => {
                if !known {
                    return denied;
                }
                match self.secrets.get(&path.replacen("/data/", "/", 1)) {
                    Some(Value::Null) => denied,
                    Some(data) => answered(
                        &json!({"data": data, "metadata": {"version": 1, "destroyed": false}}),
                        &Value::Null,
                    ),
                    None => errors(StatusCode::NOT_FOUND, &[]),
                }
            }
            (method, path) => {
                self.refused.push(format!("{method} {path}"));
                errors(StatusCode::NOT_FOUND, &["no handler for route"])
            }
        }
    }

    fn login(&mut self, body: &Value, right: &Value, reason: &str) -> (StatusCode, Value) {
        if body != right {
            let keys = |body: &Value| {
                let keys = body.as_object().into_iter().flat_map(|all| all.keys());
                keys.cloned().collect::<Vec<_>>()
            };
            if keys(body) != keys(right) {
                self.refused.push(format!("fields {:?}", keys(body)));
            }
            return errors(StatusCode::BAD_REQUEST, &[reason]);
        }
        self.made += 1;
        let name = format!("hvs.token-{}", self.made);
        let last = Instant::now() + self.longest;
        let token = Token {
            until: Some(Instant::now()),
            last: Some(last),
        };
        self.tokens.insert(name.clone(), token);
        self.renew(&name)
    }

    fn renew(&mut self, name: &str) -> (StatusCode, Value) {
        let now = Instant::now();
        let lease = self.lease;
        let Some(token) = self.tokens.get_mut(name) else {
            return errors(StatusCode::FORBIDDEN, &["permission denied"]);
        };
        let (Some(_), Some(last)) = (token.until, token.last) else {
            return errors(StatusCode::BAD_REQUEST, &["lease is not renewable"]);
        };
        let until = (now + lease).min(last);
        token.until = Some(until);
        let left = until.saturating_duration_since(now).as_secs();
        let auth = json!({"client_token": name, "lease_duration": left, "renewable": true});
        answered(&Value::Null, &auth)
    }
}
