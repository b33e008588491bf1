//! Events call others: for each translated message of the kinds a webhook asks for, one `POST` of JSON.
//!
//! A reader of the queue of its own finds the events, so that they do not wait for Loki; it counts what the messages say
//! as well. What a webhook does not take
//! waits in a bounded queue in memory; the messages themselves are not held up by it.

mod call;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use inventory::Feed;
use loki::{Line, Observer as _, Render as _, State, Watch};
use serde_json::json;
use spool::{Batch, Reader, Record};
use tokio::sync::mpsc;
use toolkit::{Live, Stop};

use crate::config::{Config, Hook};
use crate::header::{self, SEVERITIES};
use crate::intake::now;
use crate::record::Received;
use crate::render::Lines;
use crate::statistics::Statistics;
use crate::text;
use crate::translate::Translator;

/// What became of events, by webhook.
#[derive(Debug, Default)]
pub struct HookCounters {
    /// Answered with success.
    pub called: AtomicU64,
    /// Waiting.
    pub queued: AtomicU64,
    /// Not called because of a call for the same device and kind just before.
    pub merged: AtomicU64,
    /// Given up because the queue was full.
    pub full: AtomicU64,
    /// Given up after [`Hook::retry_for`].
    pub expired: AtomicU64,
    /// Refused by an answer that no repetition mends.
    pub refused: AtomicU64,
    /// Attempts that failed and were or are repeated.
    pub failed: AtomicU64,
}

/// The counters of all webhooks, by name.
#[derive(Debug, Default)]
pub struct WebhookCounters(Mutex<HashMap<String, Arc<HookCounters>>>);

impl WebhookCounters {
    /// The counters of a webhook.
    #[must_use]
    pub fn of(&self, name: &str) -> Arc<HookCounters> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(name.to_owned()).or_default().clone()
    }

    /// All of them in order of names.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Arc<HookCounters>)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = all.iter().map(|(n, t)| (n.clone(), t.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

/// An event on its way.
#[derive(Debug)]
struct Event {
    kind: &'static str,
    device: String,
    stamp: u64,
    body: String,
}

/// What the task shares with the rest of the service.
pub struct Shared {
    /// The rules.
    pub translator: Arc<Translator>,
    /// The devices.
    pub feed: Feed,
    /// The configuration that runs.
    pub config: Live<Config>,
    /// The counts.
    pub webhook_counters: Arc<WebhookCounters>,
    /// The delivery statistics.
    pub statistics: Arc<Statistics>,
    /// Counts what was looked at.
    pub watch: Arc<Watch>,
}

type Callers = Vec<(Hook, mpsc::Sender<Event>, Arc<HookCounters>)>;

fn callers(
    hooks: &[Hook],
    webhook_counters: &WebhookCounters,
) -> Result<Callers, loki::ClientError> {
    let mut all = Callers::new();
    for hook in hooks {
        let (sender, receiver) = mpsc::channel(hook.queue);
        let counters = webhook_counters.of(&hook.name);
        let client = call::Client::new(hook)?;
        // It ends by itself when the sender is dropped and everything that waits was dealt with.
        tokio::spawn(call::run(client, hook.clone(), receiver, counters.clone()));
        all.push((hook.clone(), sender, counters));
    }
    Ok(all)
}

/// Finds events and hands them to their webhooks until it is stopped.
///
/// # Errors
/// When the queue cannot be read, or a webhook cannot be set up.
pub async fn run(mut reader: Reader, shared: &Shared, stop: &Stop) -> anyhow::Result<()> {
    let mut live = shared.config.clone();
    let mut hooks = live.current().webhooks.clone();
    let mut callers = callers(&hooks, &shared.webhook_counters)?;
    let mut batch = Batch::default();
    let mut counting = Lines::new(
        shared.translator.clone(),
        shared.feed.clone(),
        Some(shared.statistics.clone()),
        shared.config.clone(),
    );
    let mut line = Line::default();
    loop {
        let appended = reader.appended();
        reader.read(&mut batch, 256 << 10, 1_000)?;
        if batch.is_empty() {
            tokio::select! {
                () = appended => {}
                () = live.changed() => {
                    let new = live.current().webhooks.clone();
                    if format!("{new:?}") != format!("{hooks:?}") {
                        callers = self::callers(&new, &shared.webhook_counters)?;
                        hooks = new;
                    }
                }
                () = stop.requested() => return Ok(()),
            }
            continue;
        }
        counting.begin();
        for record in batch.iter() {
            line.clear();
            counting.render(record, &mut line);
            if !callers.is_empty() {
                offer(&record, shared, &callers);
            }
        }
        counting.end();
        if let Err(error) = reader.acknowledge(batch.end()) {
            tracing::error!(%error, "an acknowledgement could not be recorded, after a crash its events are called again");
        }
        shared.watch.state(State::Delivering);
        let records: Vec<_> = batch.iter().collect();
        shared.watch.stored(&mut records.iter());
        if stop.is_requested() {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// Hands one message to the webhooks that want to know of it.
fn offer(record: &Record<'_>, shared: &Shared, callers: &Callers) {
    let Some(received) = Received::decode(record.payload) else {
        return;
    };
    let text = text::decode(received.bytes);
    let header = header::parse(&text);
    let Some(found) = shared.translator.translate(&header) else {
        return;
    };
    let kind = found.rule.event;
    for (hook, sender, counters) in callers.iter().filter(|c| c.0.events.contains(&kind)) {
        let age = Duration::from_nanos(now().saturating_sub(record.stamp));
        if age > hook.retry_for {
            counters.expired.fetch_add(1, Relaxed);
            continue;
        }
        let inventory = shared.feed.current();
        let device = inventory.device(received.device);
        let mut sentence = String::new();
        found.sentence(&mut sentence);
        let fields: serde_json::Map<_, _> = found
            .fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_ref().into()))
            .collect();
        let time = jiff::Timestamp::from_nanosecond(i128::from(record.stamp))
            .map_or(String::new(), |t| t.to_string());
        let body = json!({
            "version": 1, "id": record.stamp.to_string(), "event": kind, "device": received.device,
            "site": device.map_or("", |d| &*d.site), "role": device.map_or("", |d| &*d.role),
            "severity": SEVERITIES[usize::from(header.severity())], "vendor": found.rule.vendor,
            "mnemonic": header.mnemonic, "sentence": sentence, "fields": fields, "message": text,
            "received": time, "source_ip": received.source.ip().to_string(),
        });
        let event = Event {
            kind,
            device: received.device.to_owned(),
            stamp: record.stamp,
            body: body.to_string(),
        };
        counters.queued.fetch_add(1, Relaxed);
        if sender.try_send(event).is_err() {
            counters.queued.fetch_sub(1, Relaxed);
            counters.full.fetch_add(1, Relaxed);
        }
    }
}
