//! The few questions that the checks put to a Prometheus server.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

/// A Prometheus server, asked over HTTP.
#[derive(Debug, Clone)]
pub struct Prometheus {
    base: String,
    client: reqwest::Client,
}

impl Prometheus {
    /// The server at `base`, such as `http://127.0.0.1:9090`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        // A second installation is refused, and the first is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client })
    }

    /// The result of an instant query: the number of series with a number in them.
    ///
    /// # Errors
    /// What the server says against the query, or that it does not answer.
    pub async fn instant(&self, query: &str) -> anyhow::Result<usize> {
        let data = self.get("/api/v1/query", &[("query", query)]).await?;
        Ok(match data["resultType"].as_str() {
            Some("vector") => series(&data).filter(|one| number(&one["value"])).count(),
            _ => usize::from(number(&data["result"])),
        })
    }

    /// The result of a query over the last `range` seconds: the number of series with a number in them.
    ///
    /// # Errors
    /// What the server says against the query, or that it does not answer.
    pub async fn range(&self, query: &str, range: u64, step: u64) -> anyhow::Result<usize> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let (start, end, step) = ((now - range).to_string(), now.to_string(), step.to_string());
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
        let data = self.get("/api/v1/query_range", &parameters).await?;
        let filled = |one: &&Value| one["values"].as_array().into_iter().flatten().any(number);
        Ok(series(&data).filter(filled).count())
    }

    /// The values of `label` over the series that `selector` chooses, sorted.
    ///
    /// # Errors
    /// What the server says against the selector, or that it does not answer.
    pub async fn label_values(&self, selector: &str, label: &str) -> anyhow::Result<Vec<String>> {
        let data = self.get(&format!("/api/v1/label/{label}/values"), &[("match[]", selector)]).await?;
        Ok(serde_json::from_value(data)?)
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.base), parameters)?;
        let response = self.client.get(url).send().await.with_context(|| format!("{} does not answer", self.base))?;
        let mut body: Value = response.json().await.with_context(|| format!("{} is no Prometheus", self.base))?;
        if body["status"] != "success" {
            bail!("{}", body["error"].as_str().unwrap_or("the server gave no reason"));
        }
        Ok(body["data"].take())
    }
}

fn series(data: &Value) -> impl Iterator<Item = &Value> {
    data["result"].as_array().into_iter().flatten()
}

/// Whether a sample, `[time, "value"]`, holds a number.
fn number(sample: &Value) -> bool {
    sample[1].as_str().and_then(|value| value.parse::<f64>().ok()).is_some_and(|value| !value.is_nan())
}
