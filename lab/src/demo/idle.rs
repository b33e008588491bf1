//! A network in which nothing happens raises no alert, however busy the machine is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::story::Stage;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// Threads that do nothing else than to be busy, until this is dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<AtomicBool>);

impl Busy {
    /// So many of them.
    pub(super) fn new(threads: usize) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        for _ in 0..threads {
            let ended = ended.clone();
            std::thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(ended)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until `length` has passed since `began`.
///
/// # Errors
/// An alert fires, or has fired since then; or Prometheus does not answer.
pub(super) async fn idle(
    stage: &Stage<'_>,
    began: Instant,
    length: Duration,
) -> anyhow::Result<()> {
    loop {
        sleep_until((Instant::now() + LOOK).min(began + length)).await;
        let passed = began.elapsed();
        // Rounded up, so that the first second counts.
        let fired = format!(
            "count_over_time(ALERTS{{alertstate=\"firing\"}}[{}s])",
            passed.as_secs() + 1
        );
        let fired = fired_alerts(&stage.query(&fired).await?);
        anyhow::ensure!(
            fired.is_empty(),
            "nothing happens in the network, and yet after {} s: {}",
            passed.as_secs(),
            fired.join("; ")
        );
        if passed >= length {
            println!("no alert in {} s without an event", passed.as_secs());
            return Ok(());
        }
    }
}

/// Name and labels of each alert.
fn fired_alerts(result: &Value) -> Vec<String> {
    let alerts = result.as_array().into_iter().flatten();
    let alert = |alert: &Value| {
        let labels = alert["metric"].as_object()?;
        let name = labels.get("alertname")?.as_str()?;
        let others = labels
            .iter()
            .filter(|(label, _)| *label != "alertname" && *label != "alertstate");
        let others: Vec<String> = others
            .map(|(label, value)| format!("{label}={value}"))
            .collect();
        Some(format!("{name} ({})", others.join(", ")))
    };
    alerts.filter_map(alert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_alert_that_fired_is_told_with_its_labels() {
        let result = json!([{"metric": {"alertname": "DeviceDown", "alertstate": "firing", "device": "r1"}, "value": [1, "3"]}]);
        assert_eq!(fired_alerts(&result), ["DeviceDown (device=\"r1\")"]);
        assert!(fired_alerts(&json!([])).is_empty());
    }
}
