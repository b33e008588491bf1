//! The questions to Vault: <https://developer.hashicorp.com/vault/api-docs>, `secret/kv/kv-v2`, `auth/approle`, `auth/kubernetes`, `auth/token`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, StatusCode};
use reqwest::blocking;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::settings::{Login, Settings};
use crate::Secret;

/// Time for one question.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer in bytes. Vault keeps at most 1 MiB in a secret where Raft stores it.
const LARGEST: u64 = 2 << 20;

/// Reads secrets with a token that it keeps valid.
pub(super) struct Client {
    settings: Settings,
    http: Option<blocking::Client>,
    token: Option<Token>,
    /// Whether the last question had no answer of Vault at all.
    pub(super) away: bool,
}

struct Token {
    value: Secret,
    since: Instant,
    /// How long it lives from `since`; `None` for ever.
    lease: Option<Duration>,
    renewable: bool,
}

/// Why there is no answer.
enum Failure {
    /// Nobody answered, or not as Vault does.
    Away(String),
    /// Vault refuses.
    Refused(StatusCode, String),
}

impl Failure {
    fn text(self) -> String {
        match self {
            Self::Away(reason) => reason,
            Self::Refused(status, reason) if reason.is_empty() => {
                format!("Vault answers {status}")
            }
            Self::Refused(status, reason) => format!("Vault answers {status}: {reason}"),
        }
    }
}

impl Client {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            http: None,
            token: None,
            away: false,
        }
    }

    /// The keys of the secret at `path`, which is what stands behind `/v1/`.
    ///
    /// # Errors
    /// Why it cannot be read, without anything secret.
    pub(super) fn read(&mut self, path: &str) -> Result<BTreeMap<String, Secret>, String> {
        self.away = false;
        let read = self.attempt(path);
        self.away = matches!(read, Err(Failure::Away(_)));
        read.map_err(Failure::text)
    }

    fn attempt(&mut self, path: &str) -> Result<BTreeMap<String, Secret>, Failure> {
        self.keep_token()?;
        let answer = match self.ask(Method::GET, path, None) {
            // The token may have been revoked, or this path be closed to it: only the first is mended by a new one.
            Err(Failure::Refused(StatusCode::FORBIDDEN, reason)) if !self.token_is_good()? => {
                self.token = None;
                self.keep_token().map_err(|login| match login {
                    Failure::Refused(..) => Failure::Refused(
                        StatusCode::FORBIDDEN,
                        format!("{reason}; {}", login.text()),
                    ),
                    away @ Failure::Away(_) => away,
                })?;
                self.ask(Method::GET, path, None)?
            }
            other => other?,
        };
        let Some(Value::Object(data)) = answer.pointer("/data/data") else {
            let message = "expected a secret of a key-value engine of version 2".to_owned();
            return Err(Failure::Refused(StatusCode::OK, message));
        };
        Ok(data
            .iter()
            .map(|(key, value)| {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                (key.clone(), Secret::new(text))
            })
            .collect())
    }

    /// Whether Vault knows the token.
    fn token_is_good(&mut self) -> Result<bool, Failure> {
        match self.ask(Method::GET, "auth/token/lookup-self", None) {
            Ok(_) => Ok(true),
            Err(Failure::Refused(..)) => Ok(false),
            Err(away) => Err(away),
        }
    }

    /// Logs in where there is no token, and renews one of which two thirds are over.
    fn keep_token(&mut self) -> Result<(), Failure> {
        if let Login::Token(file) = &self.settings.login {
            let value = content(file)?;
            if self
                .token
                .as_ref()
                .is_none_or(|token| token.value.reveal() != value.reveal())
            {
                self.token = Some(Token {
                    value,
                    since: Instant::now(),
                    lease: None,
                    renewable: false,
                });
                // What a token may is its own affair; one that may not look at itself is used as it is.
                if let Ok(answer) = self.ask(Method::GET, "auth/token/lookup-self", None) {
                    self.granted(&answer["data"], "ttl");
                }
            }
        }
        let Some(token) = &self.token else {
            return self.log_in();
        };
        let Some(lease) = token.lease else {
            return Ok(());
        };
        if token.since.elapsed() < lease * 2 / 3 {
            return Ok(());
        }
        if token.renewable {
            match self.ask(Method::POST, "auth/token/renew-self", Some(json!({}))) {
                Ok(answer) => {
                    self.granted(&answer["auth"], "lease_duration");
                    let renewed = self.token.as_ref().and_then(|token| token.lease);
                    // Near its longest life Vault grants less and less.
                    if renewed.is_none_or(|renewed| renewed > lease / 2) {
                        return Ok(());
                    }
                }
                Err(Failure::Refused(..)) => {}
                Err(away) => return Err(away),
            }
        }
        self.log_in()
    }

    /// Takes over what Vault grants to the token.
    fn granted(&mut self, grant: &Value, lease: &str) {
        if let Some(token) = &mut self.token {
            token.since = Instant::now();
            let seconds = grant[lease].as_u64().unwrap_or(0);
            token.lease = (seconds > 0).then(|| Duration::from_secs(seconds));
            token.renewable = grant["renewable"].as_bool().unwrap_or(false);
        }
    }

    fn log_in(&mut self) -> Result<(), Failure> {
        let Login::With { mount, fixed, file } = &self.settings.login else {
            // Whoever writes the file has to.
            return Ok(());
        };
        let proof = content(&file.1)?;
        let body = json!({ fixed.0: fixed.1, file.0: proof.reveal() });
        let path = format!("auth/{mount}/login");
        self.token = None;
        let answer = self.ask(Method::POST, &path, Some(body))?;
        let auth = &answer["auth"];
        let Some(value) = auth["client_token"].as_str() else {
            return Err(Failure::Away("expected a token, found none".to_owned()));
        };
        self.token = Some(Token {
            value: Secret::new(value),
            since: Instant::now(),
            lease: None,
            renewable: false,
        });
        self.granted(auth, "lease_duration");
        Ok(())
    }

    fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let url = self
            .settings
            .base
            .join(path)
            .map_err(|_| Failure::Away("expected a path".to_owned()))?;
        let http = match &self.http {
            Some(http) => http,
            None => self.http.insert(connect(&self.settings)?),
        };
        let mut request = http.request(method, url);
        if let Some(namespace) = &self.settings.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(token) = &self.token {
            let mut value = HeaderValue::try_from(token.value.reveal()).map_err(|_| {
                Failure::Refused(StatusCode::FORBIDDEN, "the token is none".to_owned())
            })?;
            value.set_sensitive(true);
            request = request.header("X-Vault-Token", value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let away = |error: &reqwest::Error| Failure::Away(crate::chain(error));
        let response = request.send().map_err(|error| away(&error.without_url()))?;
        let status = response.status();
        let mut text = Zeroizing::new(Vec::new());
        response
            .take(LARGEST)
            .read_to_end(&mut text)
            .map_err(|error| Failure::Away(error.to_string()))?;
        let answer: Result<Value, _> = serde_json::from_slice(&text);
        if status.is_success() {
            return answer.map_err(|_| Failure::Away("expected JSON of Vault".to_owned()));
        }
        if status == StatusCode::NOT_FOUND {
            return Err(Failure::Refused(status, "no such secret".to_owned()));
        }
        let reasons: Vec<String> = answer
            .ok()
            .and_then(|answer| serde_json::from_value(answer["errors"].clone()).ok())
            .unwrap_or_default();
        let reason: String = reasons.join("; ").chars().take(200).collect();
        // RFC 9110, section 15.6: the server, not the question. Sealed is 503, no active node 500.
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failure::Away(Failure::Refused(status, reason).text()));
        }
        Err(Failure::Refused(status, reason))
    }
}

fn content(file: &Path) -> Result<Secret, Failure> {
    crate::secret::read_file(file).map_err(|error| {
        let message = format!("{}: {error}", file.display());
        Failure::Refused(StatusCode::UNAUTHORIZED, message)
    })
}

fn connect(settings: &Settings) -> Result<blocking::Client, Failure> {
    // Whoever reads a configuration outside of a service's life has named no provider yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |error: &dyn std::fmt::Display| Failure::Away(error.to_string());
    let mut builder = blocking::Client::builder()
        .user_agent(concat!("sotp/", env!("CARGO_PKG_VERSION")))
        // A token goes nowhere but to the address that was named.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT);
    if let Some(file) = &settings.ca {
        let pem = std::fs::read(file)
            .map_err(|error| failed(&format!("VAULT_CACERT: {}: {error}", file.display())))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| failed(&format!("VAULT_CACERT: {}", crate::chain(&error))))?;
        builder = builder.tls_certs_only(certificates);
    } else if settings.base.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    }
    builder
        .build()
        .map_err(|error| failed(&crate::chain(&error)))
}
