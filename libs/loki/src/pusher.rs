//! The loop of one destination: read, deliver, acknowledge.

use std::sync::Arc;

use spool::{Batch, Reader, Record};
use tokio::sync::Notify;

use crate::dead::{DeadLetter, DeadLetters};
use crate::deliver::{Deliverer, Observer, Outcome, Render};
use crate::{ClientError, Destination};

/// Pushes what a queue's reader gives to one destination.
pub struct Pusher<R> {
    deliverer: Deliverer<R>,
    reader: Reader,
}

impl<R: Render> Pusher<R> {
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
        Ok(Self {
            deliverer: Deliverer::new(destination, render, observer, dead)?,
            reader,
        })
    }

    /// Delivers until told to stop. After [`Notify::notify_one`] on `stop` the request under way is finished; if
    /// its answer is a success and more is waiting, that stays in the queue.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn run(&mut self, stop: &Notify) -> Result<(), spool::Error> {
        let batching = self.deliverer.destination.batching.clone();
        let mut batch = Batch::default();
        let mut full = true;
        loop {
            let appended = self.reader.appended();
            if !full {
                // A batch is given time to fill, so that a quiet hour does not make a request of every line.
                tokio::select! {
                    () = tokio::time::sleep(batching.max_age) => {}
                    () = stop.notified() => return Ok(()),
                }
            }
            self.reader
                .read(&mut batch, batching.max_bytes, batching.max_lines)?;
            if batch.is_empty() {
                tokio::select! {
                    () = appended => {}
                    () = stop.notified() => return Ok(()),
                }
                full = false;
                continue;
            }
            full = batch.len() >= batching.max_lines || batch.bytes() >= batching.max_bytes;
            let records: Vec<Record<'_>> = batch.iter().collect();
            if self.deliverer.deliver(&records, stop).await == Outcome::Stopped {
                return Ok(());
            }
            if let Err(error) = self.reader.acknowledge(batch.end()) {
                tracing::error!(%error, "an acknowledgement could not be recorded, after a crash its entries are sent again");
            }
        }
    }
}

/// Sends dead letters again. What is refused again is appended to `dead`. Gives how many were stored and parked.
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
    let mut deliverer = Deliverer::new(destination, render, observer, dead)?;
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
        if deliverer.deliver(&records, &stop).await == Outcome::Stopped {
            return Ok(Outcome::Stopped);
        }
    }
    Ok(Outcome::Done)
}
