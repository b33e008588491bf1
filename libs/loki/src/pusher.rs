//! The loop of one destination: read, make ready, deliver, acknowledge.

use std::sync::Arc;

use spool::{Batch, Reader, Record};
use tokio::sync::{Mutex, Notify};

use crate::compose::{Composer, Prepared};
use crate::dead::{DeadLetter, DeadLetters};
use crate::deliver::{Deliverer, Observer, Outcome, Render};
use crate::{Batching, ClientError, Destination};

/// Pushes what a queue's reader gives to one destination.
pub struct Pusher<R> {
    deliverer: Deliverer,
    /// Shared with the task that makes the next batch ready.
    composer: Arc<Mutex<Composer<R>>>,
    reader: Reader,
}

/// A batch that was read, with its requests.
struct Ready {
    batch: Batch,
    requests: Prepared,
    /// More is waiting behind it.
    full: bool,
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            batch: Batch::default(),
            requests: Prepared::default(),
            full: true,
        }
    }
}

impl Ready {
    fn read(&mut self, reader: &mut Reader, batching: &Batching) -> Result<(), spool::Error> {
        reader.read(&mut self.batch, batching.max_bytes, batching.max_lines)?;
        self.full =
            self.batch.len() >= batching.max_lines || self.batch.bytes() >= batching.max_bytes;
        Ok(())
    }

    fn compose<R: Render>(&mut self, composer: &mut Composer<R>) {
        let records: Vec<Record<'_>> = self.batch.iter().collect();
        composer.compose(&records, &mut self.requests);
    }
}

impl<R: Render + 'static> Pusher<R> {
    /// Puts a pusher together.
    ///
    /// # Errors
    /// When the destination's certificates, address or headers are not right.
    pub fn new(
        destination: Destination,
        reader: Reader,
        render: R,
        observer: Arc<dyn Observer>,
        dead: Arc<DeadLetters>,
    ) -> Result<Self, ClientError> {
        let destination = Arc::new(destination);
        Ok(Self {
            deliverer: Deliverer::new(destination.clone(), observer, dead)?,
            composer: Arc::new(Mutex::new(Composer::new(destination, render))),
            reader,
        })
    }

    /// Delivers until it is stopped. After [`Notify::notify_one`] on `stop` the request under way is finished; if
    /// its answer is a success and more is waiting, that stays in the queue. A queue's reader is opened again to go on.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn run(&mut self, stop: &Notify) -> Result<(), spool::Error> {
        let batching = self.deliverer.destination.batching.clone();
        // One batch is under way, the other is made ready meanwhile.
        let (mut current, mut next) = (Ready::default(), Ready::default());
        let mut ahead = false;
        loop {
            if !ahead {
                let appended = self.reader.appended();
                if !current.full {
                    // A batch is given time to fill, so that a quiet hour does not make a request of every line.
                    tokio::select! {
                        () = tokio::time::sleep(batching.max_age) => {}
                        () = stop.notified() => return Ok(()),
                    }
                }
                current.read(&mut self.reader, &batching)?;
                if current.batch.is_empty() {
                    tokio::select! {
                        () = appended => {}
                        () = stop.notified() => return Ok(()),
                    }
                    continue;
                }
            }
            if !ahead || !current.requests.is_fresh() {
                current.compose(&mut *self.composer.lock().await);
            }
            ahead = false;
            if current.full {
                // A fault of the storage is met again by the next read: what was read before it goes out first.
                let read = next.read(&mut self.reader, &batching);
                ahead = read.is_ok() && !next.batch.is_empty();
            }
            let composing = ahead.then(|| {
                let (composer, mut next) = (self.composer.clone(), std::mem::take(&mut next));
                tokio::task::spawn_blocking(move || {
                    next.compose(&mut composer.blocking_lock());
                    next
                })
            });
            // Compressed on a thread of its own, while the next is rendered on another.
            let mut requests = std::mem::take(&mut current.requests);
            let packed = tokio::task::spawn_blocking(move || {
                requests.pack();
                requests
            });
            let packed = packed.await;
            current.requests = packed.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
            let answers = self.deliverer.send(&current.requests, stop).await;
            if let Some(composing) = composing {
                let made = composing.await;
                next = made.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
            }
            let records: Vec<Record<'_>> = current.batch.iter().collect();
            let mut composer = self.composer.lock().await;
            let settled = self
                .deliverer
                .settle(
                    &records,
                    &mut current.requests,
                    answers,
                    &mut composer,
                    stop,
                )
                .await;
            drop(composer);
            if settled == Outcome::Stopped {
                return Ok(());
            }
            if let Err(error) = self.reader.acknowledge(current.batch.end()) {
                tracing::error!(%error, "an acknowledgement could not be recorded, after a crash its entries are sent again");
            }
            if ahead {
                std::mem::swap(&mut current, &mut next);
            }
        }
    }
}

/// Sends dead letters again. What is refused again is appended to `dead`. Gives how many were stored and dead-lettered.
///
/// # Errors
/// When the destination's certificates, address or headers are not right, or a letter is not well-formed.
pub async fn replay<R: Render>(
    destination: Destination,
    letters: &[DeadLetter],
    render: R,
    observer: Arc<dyn Observer>,
    dead: Arc<DeadLetters>,
) -> Result<Outcome, Box<dyn std::error::Error + Send + Sync>> {
    let batching = destination.batching.clone();
    let destination = Arc::new(destination);
    let mut deliverer = Deliverer::new(destination.clone(), observer, dead)?;
    let mut composer = Composer::new(destination, render);
    let mut requests = Prepared::default();
    let stop = Notify::new();
    for chunk in letters.chunks(batching.max_lines.clamp(1, 500)) {
        let payloads = chunk
            .iter()
            .map(DeadLetter::payload)
            .collect::<Result<Vec<_>, _>>()?;
        let records: Vec<Record<'_>> = chunk
            .iter()
            .zip(&payloads)
            .map(|(letter, payload)| Record {
                seq: 0,
                stamp: letter.stamp,
                class: letter.class,
                payload,
            })
            .collect();
        composer.compose(&records, &mut requests);
        requests.pack();
        let answers = deliverer.send(&requests, &stop).await;
        let settled = deliverer
            .settle(&records, &mut requests, answers, &mut composer, &stop)
            .await;
        if settled == Outcome::Stopped {
            return Ok(Outcome::Stopped);
        }
    }
    Ok(Outcome::Done)
}
