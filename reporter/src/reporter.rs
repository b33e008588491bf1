//! One report at a time, whoever asks for it: the schedule, the outbox or a person.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use jiff::{Timestamp, Zoned};
use tokio::sync::Mutex;
use toolkit::{Live, Stop};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::month::Month;
use crate::outbox::{Entry, Outbox, State};
use crate::schedule;
use crate::store::Store;
use crate::work::{self, Done, Work};

/// Between two looks at the schedule and the outbox.
const LOOK: std::time::Duration = std::time::Duration::from_secs(5);

/// Makes and sends reports.
#[derive(Debug)]
pub struct Reporter {
    /// The configuration that runs.
    pub config: Live<Config>,
    /// The reports.
    pub store: Store,
    /// The series.
    pub metrics: Arc<Metrics>,
    turn: Mutex<()>,
}

/// Attempts at a month that failed in a row, and when the next one is.
type Waits = BTreeMap<Month, (u32, Instant)>;

impl Reporter {
    /// Over this store.
    #[must_use]
    pub fn new(config: Live<Config>, store: Store, metrics: Arc<Metrics>) -> Self {
        Self {
            config,
            store,
            metrics,
            turn: Mutex::new(()),
        }
    }

    /// Makes the report of a month, and sends it where that is asked for.
    ///
    /// # Errors
    /// It is not made, or not out.
    pub async fn report(
        &self,
        month: Month,
        send: bool,
        incomplete: bool,
    ) -> Result<Done, work::Error> {
        let _turn = self.turn.lock().await;
        let config = self.config.current();
        let work = Work {
            config: &config,
            store: &self.store,
            metrics: &self.metrics,
            incomplete,
            progress: &|_, _| {},
        };
        let done = if send {
            work.deliver(month).await
        } else {
            work.keep(month).await
        };
        match &done {
            Ok(Done::Sent(entry)) => {
                tracing::info!(%month, message_id = entry.message_id, attempts = entry.attempts, "report was sent");
            }
            Ok(Done::Kept) => tracing::info!(%month, "report was made"),
            Ok(Done::AlreadySent(_)) => {}
            Err(error) => {
                let error = toolkit::chain(error);
                tracing::error!(%month, error, "report is not out");
            }
        }
        done
    }

    /// Follows the schedule and the outbox until the end.
    ///
    /// # Errors
    /// The folder of the reports cannot be read.
    pub async fn follow(&self, stop: &Stop) -> anyhow::Result<()> {
        let mut waits = Waits::new();
        loop {
            let wanted = self.wanted()?;
            for (month, send) in wanted {
                let wait = waits.get(&month).filter(|(_, at)| Instant::now() < *at);
                if wait.is_some() {
                    continue;
                }
                let report = self.report(month, send, false);
                let done = tokio::select! {
                    done = report => done,
                    () = stop.requested() => return Ok(()),
                };
                match done {
                    Ok(_) => {
                        waits.remove(&month);
                    }
                    Err(_) => {
                        let failed = waits.get(&month).map_or(0, |(failed, _)| *failed);
                        waits.insert(month, (failed + 1, Instant::now() + work::pause(failed)));
                    }
                }
                self.wanted()?;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.requested() => return Ok(()),
            }
        }
    }

    /// The months that wait for something, and whether that is a mail; the gauges say so.
    fn wanted(&self) -> anyhow::Result<Vec<(Month, bool)>> {
        let config = self.config.current();
        let outbox = Outbox::new(self.store.outbox());
        let entries = outbox.all().context("the outbox")?;
        let waiting = |entry: &&Entry| entry.state != State::Sent;
        let sent = entries.iter().filter_map(|entry| entry.sent).max();
        let count = i64::try_from(entries.iter().filter(waiting).count()).unwrap_or(i64::MAX);
        self.metrics.outbox.set(count);
        if let Some(sent) = sent {
            self.metrics
                .last_sent
                .set(sent.as_millisecond() as f64 / 1_000.0);
        }
        let send = config.sends();
        let copied = |month| config.copies.is_empty() || outbox.is_copied(month);
        let mut wanted: BTreeMap<Month, bool> = BTreeMap::new();
        let mut due = 0;
        if let Some(cron) = &config.schedule {
            let now = Zoned::now().with_time_zone(config.zone.clone());
            let since = self
                .store
                .since(Timestamp::now())
                .context("the beginning of the schedule")?;
            let next = schedule::next(cron, &now).map(|next| next.timestamp().as_second() as f64);
            self.metrics.next_due.set(next.unwrap_or(0.0));
            for month in schedule::due(cron, since, &now) {
                let is_sent = |entry: &Entry| entry.month == month && entry.state == State::Sent;
                let out = match config.mail {
                    Some(_) => entries.iter().any(is_sent) && copied(month),
                    None => self.store.manifest(month)?.is_some() && copied(month),
                };
                if !out {
                    due += 1;
                    wanted.insert(month, send);
                }
            }
        } else {
            self.metrics.next_due.set(0.0);
        }
        self.metrics.due.set(due);
        if config.mail.is_some() {
            // A mail that was refused waits for a person.
            let queued = entries
                .iter()
                .filter(|entry| matches!(entry.state, State::Queued | State::Sending));
            wanted.extend(queued.map(|entry| (entry.month, true)));
            let refused = entries.iter().filter(|entry| entry.state == State::Refused);
            for entry in refused {
                wanted.remove(&entry.month);
            }
        }
        Ok(wanted.into_iter().collect())
    }
}
