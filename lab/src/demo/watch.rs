//! Looking from outside at one device: through the exporter, Prometheus and Alertmanager.

use std::time::Duration;

use anyhow::Context;
use reqwest::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

/// Time between two looks; a time in the timeline is late by this much at most, and by the look itself.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// The three that are asked, and the device and alert in question.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    pub(super) client: Client,
    pub(super) exporter: String,
    pub(super) prometheus: String,
    pub(super) alertmanager: String,
    pub(super) device: &'a str,
    pub(super) alert: &'a str,
}

/// What the exporter says about the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Probe {
    /// Whether any address family of it is up.
    pub(super) up: bool,
    /// Requests that were lost, all address families.
    pub(super) lost: f64,
}

impl Watch<'_> {
    /// What the exporter says now.
    pub(super) async fn probe(&self) -> anyhow::Result<Probe> {
        let answer = self
            .client
            .get(format!("{}/metrics", self.exporter))
            .send()
            .await?
            .error_for_status()?;
        let text = answer.text().await?;
        let up = samples(&text, "ping_up", self.device);
        anyhow::ensure!(
            !up.is_empty(),
            "the exporter has no ping_up for {}",
            self.device
        );
        let lost = samples(&text, "ping_lost_total", self.device).iter().sum();
        Ok(Probe {
            up: up.contains(&1.0),
            lost,
        })
    }

    /// The state of the alert in Prometheus: `pending`, `firing`, or none.
    pub(super) async fn rule(&self) -> anyhow::Result<Option<String>> {
        let answer = self
            .json(&format!("{}/api/v1/alerts", self.prometheus))
            .await?;
        let alerts = answer["data"]["alerts"]
            .as_array()
            .context("Prometheus: expected data.alerts")?;
        let ours = alerts.iter().find(|alert| self.is_ours(&alert["labels"]));
        Ok(ours
            .and_then(|alert| alert["state"].as_str())
            .map(str::to_owned))
    }

    /// The state of the alert in Alertmanager: `active`, `suppressed`, `unprocessed`, or none.
    pub(super) async fn delivered(&self) -> anyhow::Result<Option<String>> {
        let answer = self
            .json(&format!("{}/api/v2/alerts", self.alertmanager))
            .await?;
        let alerts = answer
            .as_array()
            .context("Alertmanager: expected a list of alerts")?;
        let ours = alerts.iter().find(|alert| self.is_ours(&alert["labels"]));
        Ok(ours
            .and_then(|alert| alert["status"]["state"].as_str())
            .map(str::to_owned))
    }

    /// The value of the instant query `expr`, none when its answer is empty.
    pub(super) async fn query(&self, expr: &str) -> anyhow::Result<Option<f64>> {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/query", self.prometheus))?;
        url.query_pairs_mut().append_pair("query", expr);
        let answer = self.json(url.as_str()).await?;
        let text = answer["data"]["result"][0]["value"][1].as_str();
        Ok(text.and_then(|text| text.parse().ok()))
    }

    async fn json(&self, url: &str) -> anyhow::Result<Value> {
        Ok(self
            .client
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?)
    }

    fn is_ours(&self, labels: &Value) -> bool {
        labels["alertname"] == self.alert && labels["device"] == self.device
    }
}

/// Looks until `look` finds something, and returns it with the time of the look.
///
/// # Errors
/// `limit` is over; the error says what was waited for and what the last look met.
pub(super) async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<(T, Instant)> {
    let deadline = Instant::now() + limit;
    let mut last = None;
    let search = async {
        loop {
            let at = Instant::now();
            match look().await {
                Ok(Some(found)) => return (found, at),
                Ok(None) => last = None,
                Err(error) => last = Some(error),
            }
            sleep(LOOK).await;
        }
    };
    match timeout_at(deadline, search).await {
        Ok(found) => Ok(found),
        Err(_) => {
            let failed = format!("{what}: not within {} s", limit.as_secs());
            Err(last.map_or_else(
                || anyhow::anyhow!(failed.clone()),
                |error| error.context(failed.clone()),
            ))
        }
    }
}

/// The values of all samples of the family `name` whose labels say `device`.
fn samples(text: &str, name: &str, device: &str) -> Vec<f64> {
    let label = format!("device=\"{device}\"");
    let value = |line: &str| {
        let labels = line.strip_prefix(name)?.strip_prefix('{')?;
        let (labels, value) = labels.rsplit_once('}')?;
        let found = labels.split(',').any(|pair| pair == label);
        found.then(|| value.split_whitespace().next()?.parse().ok())?
    };
    text.lines().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_by_whole_name_and_whole_device() {
        let text = "# TYPE ping_up gauge\n\
            ping_up{device=\"h2\",site=\"east\",role=\"host\",family=\"ipv4\"} 1\n\
            ping_up{device=\"h22\",site=\"east\",role=\"host\",family=\"ipv4\"} 0\n\
            ping_up_total{device=\"h2\"} 7\n\
            ping_up{site=\"east\",device=\"h2\",family=\"ipv6\"} 0 1700000000\n";
        assert_eq!(samples(text, "ping_up", "h2"), [1.0, 0.0]);
        assert_eq!(samples(text, "ping_lost_total", "h2"), [0.0; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_and_says_what_it_met_last() {
        let mut looks = 0;
        let found = until("three", Duration::from_secs(5), async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.await.unwrap().0, 3);
        let never = until(
            "the alert",
            Duration::from_secs(5),
            async || -> anyhow::Result<Option<()>> { anyhow::bail!("refused") },
        );
        assert_eq!(
            format!("{:#}", never.await.unwrap_err()),
            "the alert: not within 5 s: refused"
        );
    }
}
