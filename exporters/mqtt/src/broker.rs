//! Listening to one broker for as long as the service lives.

use std::collections::VecDeque;
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

/// Most filters of one request.
const FILTERS: usize = 200;

/// Filters that are to be asked for, and those that were: answers come in the order of the questions.
#[derive(Default)]
struct Subscriptions {
    waiting: VecDeque<String>,
    asked: VecDeque<Vec<String>>,
}

impl Subscriptions {
    /// Asks for as many as there is room for.
    fn ask(&mut self, session: &Session, broker: &Broker) -> Result<(), Failed> {
        while !self.waiting.is_empty() {
            let most = self.waiting.len().min(FILTERS);
            let filters: Vec<String> = self.waiting.range(..most).cloned().collect();
            if !session.subscribe(broker, &filters)? {
                break;
            }
            self.waiting.drain(..most);
            self.asked.push_back(filters);
        }
        Ok(())
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
    let mut subscriptions = Subscriptions::default();
    loop {
        match session.next().await? {
            Heard::Connected => {
                status.connected.store(true, Relaxed);
                status.connections.fetch_add(1, Relaxed);
                status.refused.store(0, Relaxed);
                tracing::info!(broker = &*broker.name, "connected to the broker");
                subscriptions = Subscriptions::default();
                subscriptions.waiting.extend(filters.iter().cloned());
                let announced = lock(intake).announced.topics(&broker.name);
                subscriptions.waiting.extend(announced);
            }
            Heard::Subscribed(granted) => {
                let asked = subscriptions.asked.pop_front().unwrap_or_default();
                let refused = asked.iter().zip(&granted).filter(|(_, granted)| !**granted);
                for (filter, _) in refused {
                    status.refused.fetch_add(1, Relaxed);
                    tracing::error!(
                        broker = &*broker.name,
                        filter,
                        "the broker does not grant the subscription"
                    );
                }
            }
            Heard::Message {
                topic,
                payload,
                retained,
            } => {
                let (outcome, announced) = {
                    let mut intake = lock(intake);
                    let outcome = intake.take(&broker.name, &topic, &payload, retained);
                    (outcome, intake.announced.unasked(&broker.name))
                };
                subscriptions.waiting.extend(announced);
                tracing::debug!(
                    broker = &*broker.name,
                    topic,
                    outcome = outcome.as_str(),
                    "message"
                );
            }
            Heard::Other => {}
        }
        subscriptions.ask(&session, broker)?;
    }
}
