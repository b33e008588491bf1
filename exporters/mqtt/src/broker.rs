//! Listening to one broker for as long as the service lives.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::config::Broker;
use crate::intake::{Intake, lock};
use crate::session::{Failed, Heard, Reason, Session};

/// Pause before the second attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How a broker does.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) connected: AtomicBool,
    pub(crate) connections: AtomicU64,
    pub(crate) failures: [AtomicU64; Reason::ALL.len()],
    /// Filters that the broker did not grant.
    pub(crate) refused: AtomicU64,
}

/// Says that the connection is gone, also when the task is dropped.
struct Leaving<'a>(&'a Broker, &'a Status, &'a Mutex<Intake>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.1.connected.store(false, Relaxed);
        lock(self.2).readings.disconnected(&self.0.name);
    }
}

/// Connects, listens, and connects again, for ever.
pub(crate) async fn listen(
    broker: Arc<Broker>,
    filters: Arc<[String]>,
    status: Arc<Status>,
    intake: Arc<Mutex<Intake>>,
) {
    let mut pause = FIRST_PAUSE;
    let mut complained = false;
    loop {
        let before = status.connections.load(Relaxed);
        let Err(error) = connection(&broker, &filters, &status, &intake).await;
        if let Some(at) = Reason::ALL.iter().position(|one| *one == error.reason) {
            status.failures[at].fetch_add(1, Relaxed);
        }
        if status.connections.load(Relaxed) > before {
            (pause, complained) = (FIRST_PAUSE, false);
        }
        if std::mem::replace(&mut complained, true) {
            tracing::debug!(broker = &*broker.name, reason = error.reason.as_str(), %error, "still no connection to the broker");
        } else {
            tracing::warn!(broker = &*broker.name, reason = error.reason.as_str(), %error, "no connection to the broker");
        }
        // Not all at once after a broker was away.
        tokio::time::sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn connection(
    broker: &Broker,
    filters: &[String],
    status: &Status,
    intake: &Mutex<Intake>,
) -> Result<std::convert::Infallible, Failed> {
    let mut session = Session::new(broker)?;
    let _leaving = Leaving(broker, status, intake);
    loop {
        match session.next().await? {
            Heard::Connected => {
                status.connected.store(true, Relaxed);
                status.connections.fetch_add(1, Relaxed);
                tracing::info!(broker = &*broker.name, "connected to the broker");
                if !filters.is_empty() {
                    session.subscribe(broker, filters)?;
                }
            }
            Heard::Subscribed(granted) => {
                let refused = filters
                    .iter()
                    .zip(&granted)
                    .filter(|(_, granted)| !**granted);
                let mut count = 0;
                for (filter, _) in refused {
                    count += 1;
                    tracing::error!(
                        broker = &*broker.name,
                        filter,
                        "the broker does not grant the subscription"
                    );
                }
                status.refused.store(count, Relaxed);
            }
            Heard::Message {
                topic,
                payload,
                retained,
            } => {
                let outcome = lock(intake).take(&broker.name, &topic, &payload, retained);
                tracing::debug!(
                    broker = &*broker.name,
                    topic,
                    outcome = outcome.as_str(),
                    "message"
                );
            }
            Heard::Other => {}
        }
    }
}
