//! Questions that several steps ask: alerts in Prometheus and Alertmanager, and whether all is well.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::time::Instant;

use super::story::{Stage, until};

/// Time for every device to answer and for Prometheus to know it.
const CALM: Duration = Duration::from_secs(60);

/// The alerts that a network has which is not as it should be.
const TROUBLE: [&str; 2] = ["DeviceDown", "InterfaceShut"];

/// An alert about a device, and its port if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alert<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The device.
    pub(super) device: &'a str,
    /// The port.
    pub(super) port: Option<&'a str>,
}

impl Alert<'_> {
    /// Its state in Prometheus: `pending`, `firing`, or none.
    pub(super) async fn in_prometheus(&self, stage: &Stage<'_>) -> anyhow::Result<Option<String>> {
        let url = format!("{}/api/v1/alerts", stage.url("prometheus"));
        let answer = stage.json(&url).await?;
        let alerts = answer["data"]["alerts"]
            .as_array()
            .context("Prometheus: expected data.alerts")?;
        let ours = alerts.iter().find(|alert| self.is(&alert["labels"]));
        let state = ours.and_then(|alert| alert["state"].as_str());
        Ok(state.map(str::to_owned))
    }

    /// The same in Alertmanager: `active`, `suppressed`, `unprocessed`, or none.
    pub(super) async fn in_alertmanager(
        &self,
        stage: &Stage<'_>,
    ) -> anyhow::Result<Option<String>> {
        let alerts = alertmanager(stage).await?;
        let ours = alerts.iter().find(|alert| self.is(&alert["labels"]));
        let state = ours.and_then(|alert| alert["status"]["state"].as_str());
        Ok(state.map(str::to_owned))
    }

    fn is(&self, labels: &Value) -> bool {
        labels["alertname"] == self.name
            && labels["device"] == self.device
            && self.port.is_none_or(|port| labels["ifName"] == port)
    }
}

/// All alerts that Alertmanager has.
async fn alertmanager(stage: &Stage<'_>) -> anyhow::Result<Vec<Value>> {
    let url = format!("{}/api/v2/alerts", stage.url("alertmanager"));
    match stage.json(&url).await? {
        Value::Array(alerts) => Ok(alerts),
        other => anyhow::bail!("Alertmanager: expected a list of alerts, got {other}"),
    }
}

/// Waits until every device of the inventory answers, Prometheus has seen it, and no alert about it is left: an alert in a network
/// that was never whole would prove nothing.
///
/// # Errors
/// It takes more than a minute.
pub(super) async fn calm(stage: &Stage<'_>) -> anyhow::Result<()> {
    let began = Instant::now();
    let names = TROUBLE.join("|");
    let whole = format!(
        "(count(ping_up) > 0 and min(ping_up) == 1 \
         and on() (count(count by (device) (ping_up)) == sum(sotp_inventory_devices))) \
         unless on() ALERTS{{alertname=~\"{names}\"}}"
    );
    let what = "every device of the inventory answers and no alert is left";
    until(what, began + CALM, async || {
        let whole = stage.query(&whole).await?;
        let whole = whole.as_array().is_some_and(|result| !result.is_empty());
        let quiet = async || {
            let alerts = alertmanager(stage).await?;
            let trouble = |alert: &Value| {
                let name = alert["labels"]["alertname"].as_str();
                name.is_some_and(|name| TROUBLE.contains(&name))
            };
            anyhow::Ok(!alerts.iter().any(trouble))
        };
        Ok((whole && quiet().await?).then_some(()))
    })
    .await?;
    eprintln!("{what}, after {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}
