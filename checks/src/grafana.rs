//! Asking a Grafana what its own pages would ask: each query of each dashboard through its data sources, its plugin, and what passes it.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::dashboards::Query;
use crate::panels::Answers;

/// The oldest version whose panels the dashboards are written for.
const OLDEST: (u64, u64) = (12, 3);

/// Who asks.
#[derive(Debug, Clone, Default)]
pub enum Who {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// Somebody with a password.
    User(String, String),
    /// A service account.
    Token(String),
}

/// A Grafana, asked over HTTP.
#[derive(Debug, Clone)]
pub struct Grafana {
    base: String,
    client: reqwest::Client,
    who: Who,
}

impl Grafana {
    /// The Grafana at `base`, such as `http://127.0.0.1:3000`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str, who: Who) -> anyhow::Result<Self> {
        // A second installation is refused, and the first is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            client,
            who,
        })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        request = match &self.who {
            Who::Anonymous => request,
            Who::User(name, password) => request.basic_auth(name, Some(password)),
            Who::Token(token) => request.bearer_auth(token),
        };
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("{} does not answer", self.base))?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    async fn get(&self, path: &str) -> anyhow::Result<(StatusCode, Value)> {
        self.ask(Method::GET, path, None).await
    }

    /// What is to be said of the Grafana itself, each line with its verdict: version, data sources, the app and who one is there, and
    /// that no write passes it.
    ///
    /// # Errors
    /// It does not answer, or is no Grafana.
    pub async fn itself(&self) -> anyhow::Result<Vec<Verdict>> {
        let (status, health) = self.get("/api/health").await?;
        let Some(version) = health["version"].as_str() else {
            bail!("{} answered {status} and is no Grafana", self.base);
        };
        let mut verdicts = vec![Verdict::of(
            new_enough(version),
            format!("Grafana {version}"),
            "12.3 or newer is needed",
        )];
        for uid in ["prom", "loki", "tempo"] {
            let (status, said) = self
                .get(&format!("/api/datasources/uid/{uid}/health"))
                .await?;
            let why = match status {
                StatusCode::NOT_FOUND => {
                    format!("no data source has the uid `{uid}`; docs/dashboards.md")
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    "sign in: anonymous visitors may not look".to_owned()
                }
                _ => text(&said),
            };
            verdicts.push(Verdict::of(
                status.is_success(),
                format!("data source {uid}"),
                &why,
            ));
        }
        // No line is in it: where this is let through, nothing is written.
        let empty = json!({"streams": []});
        let push = "/api/datasources/proxy/uid/loki/loki/api/v1/push";
        let (status, _) = self.ask(Method::POST, push, Some(&empty)).await?;
        let shut = matches!(status.as_u16(), 401 | 403 | 404 | 405);
        verdicts.push(Verdict::of(
            shut,
            "no line can be pushed into Loki through Grafana".to_owned(),
            &format!("a push was answered {status}: put the gate before Loki (docs/dashboards.md)"),
        ));
        let (status, settings) = self.get("/api/plugins/sotp-app/settings").await?;
        let on = status.is_success() && settings["enabled"] == true;
        verdicts.push(Verdict::of(
            on,
            "the SOTP app".to_owned(),
            &format!("not installed or not switched on ({status}); docs/app.md"),
        ));
        if on {
            let (status, said) = self
                .get("/api/plugin-proxy/sotp-app/inventory/api/v1/devices")
                .await?;
            let why = match status.as_u16() {
                401 | 403 => format!(
                    "the inventory does not know who asks: its section `access` ({})",
                    text(&said)
                ),
                404 => "the plugin has no such route: it is of another version".to_owned(),
                _ => format!("the inventory is not reached ({status})"),
            };
            verdicts.push(Verdict::of(
                status.is_success(),
                "the app reaches the inventory, which knows who asks".to_owned(),
                &why,
            ));
        }
        Ok(verdicts)
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is as it should be.
    pub good: bool,
    /// What was looked at, and what to do where it is not.
    pub said: String,
}

impl Verdict {
    fn of(good: bool, mut said: String, why: &str) -> Self {
        if !good {
            let _ = write!(said, ": {why}");
        }
        Self { good, said }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}",
            if self.good { "good" } else { "FAULT" },
            self.said
        )
    }
}

fn new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST
}

/// What an answer says against a request.
fn text(said: &Value) -> String {
    let found = ["message", "detail", "error"]
        .iter()
        .find_map(|name| said[*name].as_str());
    found.unwrap_or("no reason was given").to_owned()
}

impl Answers for Grafana {
    fn knows(&self, query: &Query) -> bool {
        // An unfilled search or trace is asked for by nobody.
        query.source != "tempo"
    }

    async fn label_values(&self, selector: &str, label: &str) -> anyhow::Result<Vec<String>> {
        let path = format!(
            "{}/api/datasources/uid/prom/resources/api/v1/label/{label}/values",
            self.base
        );
        let url = reqwest::Url::parse_with_params(&path, &[("match[]", selector)])?;
        let path = &url.as_str()[self.base.len()..];
        let (status, body) = self.get(path).await?;
        anyhow::ensure!(status.is_success(), "{status}: {}", text(&body));
        Ok(serde_json::from_value(body["data"].clone())?)
    }

    async fn filled(
        &self,
        query: &Query,
        text_of: &str,
        range: u64,
        step: u64,
    ) -> anyhow::Result<usize> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let kind = if query.source == "loki" {
            "loki"
        } else {
            "prometheus"
        };
        let body = json!({
            "from": ((now - range) * 1000).to_string(),
            "to": (now * 1000).to_string(),
            "queries": [{
                "refId": "A",
                "datasource": {"uid": query.source, "type": kind},
                "expr": text_of,
                "queryType": if kind == "loki" { "range" } else { "" },
                "instant": query.instant,
                "range": !query.instant,
                "format": if query.instant { "table" } else { "time_series" },
                "intervalMs": step * 1000,
                "maxDataPoints": 300,
            }],
        });
        let (status, said) = self.ask(Method::POST, "/api/ds/query", Some(&body)).await?;
        let result = &said["results"]["A"];
        if let Some(error) = result["error"].as_str() {
            bail!("{error}");
        }
        anyhow::ensure!(status.is_success(), "{status}: {}", text(&said));
        if kind == "loki" {
            // Nothing said is no fault; an error would have been one.
            return Ok(1);
        }
        let frames = result["frames"].as_array().into_iter().flatten();
        Ok(frames.filter(|frame| rows(frame) > 0).count())
    }
}

/// Rows of a frame that have something in a column besides the time.
fn rows(frame: &Value) -> usize {
    let columns = frame["data"]["values"]
        .as_array()
        .into_iter()
        .flatten()
        .skip(1);
    let filled = columns
        .filter_map(Value::as_array)
        .map(|column| column.iter().filter(|cell| !cell.is_null()).count());
    filled.max().unwrap_or(0)
}
