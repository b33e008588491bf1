//! Questions that several steps ask: alerts in Prometheus and Alertmanager, and whether all is well.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::story::{Play, Stage, until};

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
    /// Waits until it fires in Prometheus.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(super) async fn fires(&self, play: &mut Play<'_>) -> anyhow::Result<()> {
        let expr = format!(
            "ALERTS{{{},alertstate=\"firing\"}}",
            self.matchers().join(",")
        );
        play.until_query("the alert fires in Prometheus", &expr)
            .await?;
        Ok(())
    }

    /// Waits until it is active in Alertmanager.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(super) async fn active(&self, play: &mut Play<'_>) -> anyhow::Result<()> {
        let active = |alert: &Value| alert["status"]["state"] == "active";
        let there = |alerts: &Value| alerts.as_array().is_some_and(|all| all.iter().any(active));
        let url = self.in_alertmanager(play.stage);
        play.until_json("the alert is active in Alertmanager", &url, there)
            .await?;
        Ok(())
    }

    /// Waits until it is over in Prometheus.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(super) async fn over(&self, play: &mut Play<'_>) -> anyhow::Result<()> {
        let expr = format!("ALERTS{{{}}}", self.matchers().join(","));
        play.until_no_result("the alert is over in Prometheus", &expr)
            .await
    }

    /// Waits until Alertmanager does not have it any more.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(super) async fn resolved(&self, play: &mut Play<'_>) -> anyhow::Result<()> {
        let gone = |alerts: &Value| alerts.as_array().is_some_and(Vec::is_empty);
        let url = self.in_alertmanager(play.stage);
        play.until_json("the alert is resolved in Alertmanager", &url, gone)
            .await?;
        Ok(())
    }

    fn matchers(&self) -> Vec<String> {
        let port = self.port.map(|port| format!("ifName=\"{port}\""));
        let mut matchers = vec![
            format!("alertname=\"{}\"", self.name),
            format!("device=\"{}\"", self.device),
        ];
        matchers.extend(port);
        matchers
    }

    /// The URL of it there.
    fn in_alertmanager(&self, stage: &Stage<'_>) -> String {
        let mut url = form_urlencoded::Serializer::new(String::new());
        for matcher in self.matchers() {
            url.append_pair("filter", &matcher);
        }
        format!(
            "{}/api/v2/alerts?{}",
            stage.url("alertmanager"),
            url.finish()
        )
    }
}

/// Waits until every device of the inventory answers, routers to SNMP too, Prometheus has seen it, and no alert about it is left: an alert in a network
/// that was never whole would prove nothing.
///
/// # Errors
/// It takes more than a minute.
pub(super) async fn calm(stage: &Stage<'_>) -> anyhow::Result<()> {
    let began = Instant::now();
    let names = TROUBLE.join("|");
    let routers = stage.lab.topology().routers().count();
    let whole = format!(
        "(count(ping_up) > 0 and min(ping_up) == 1 \
         and on() (count(count by (device) (ping_up)) == sum(sotp_inventory_devices)) \
         and on() (count(up{{job=\"snmp\"}} == 1) == {routers})) \
         unless on() ALERTS{{alertname=~\"{names}\"}}"
    );
    let alerts = format!("{}/api/v2/alerts", stage.url("alertmanager"));
    let what = "every device of the inventory answers and no alert is left";
    until(what, began + CALM, async || {
        let whole = stage.query(&whole).await?;
        let whole = whole.as_array().is_some_and(|result| !result.is_empty());
        let alerts = stage.json(&alerts).await?;
        let trouble = |alert: &Value| {
            let name = alert["labels"]["alertname"].as_str();
            name.is_some_and(|name| TROUBLE.contains(&name))
        };
        let quiet = alerts
            .as_array()
            .is_some_and(|all| !all.iter().any(trouble));
        Ok((whole && quiet).then_some(()))
    })
    .await?;
    eprintln!("{what}, after {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}
