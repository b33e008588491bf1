//! The loop that probes: one thread that owns the sockets, the timers and the accounts.
//!
//! The thread is lazy. It wakes at ticks at which something is due and otherwise a few times a second; replies wait
//! in the socket with the kernel's stamps, so being late costs no accuracy. It talks to the rest through a bounded
//! queue of commands, [`Tally`]s and [`Stats`], so that neither a scrape nor a resolver can delay it.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};

use crate::echo::Token;
use crate::tally::Tally;

mod lane;
mod pace;
mod run;
pub mod socket;
pub mod stats;
mod table;

pub use socket::{OpenError, Sockets};
pub use stats::Stats;
pub use table::Spec;

/// Batches of commands that wait for the engine.
const COMMANDS: usize = 16;

/// What names a target to the engine; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub u64);

/// What the engine is told.
#[derive(Debug, Clone)]
pub enum Command {
    /// Probe a target, or go on with another specification; its counters and the requests in flight stay.
    Put(Id, Spec, Arc<Tally>),
    /// Stop probing a target.
    Remove(Id),
    /// Keep to these rates.
    Pace(crate::config::Pacing),
    /// The end of a change that began then: the engine notes how long it took.
    Mark(std::time::Instant),
}

/// The engine as the rest of the process sees it. Dropping it ends the thread.
#[derive(Debug)]
pub struct Engine {
    commands: SyncSender<Vec<Command>>,
    stats: Arc<Stats>,
}

/// The engine's thread has ended.
#[derive(Debug, thiserror::Error)]
#[error("the probing thread has ended")]
pub struct Ended;

impl Engine {
    /// Starts the thread; `ended` is called when it ends for whatever reason.
    ///
    /// # Errors
    /// The system's, when no thread can be started.
    pub fn start(sockets: Sockets, ended: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        /// Calls it also when the thread panics.
        struct AtEnd<F: FnOnce()>(Option<F>);
        impl<F: FnOnce()> Drop for AtEnd<F> {
            fn drop(&mut self) {
                if let Some(ended) = self.0.take() {
                    ended();
                }
            }
        }

        let (commands, queue) = mpsc::sync_channel(COMMANDS);
        let stats = Arc::new(Stats::default());
        let at_end = AtEnd(Some(ended));
        let shared = Arc::clone(&stats);
        std::thread::Builder::new()
            .name("ping-engine".into())
            .spawn(move || {
                let _at_end = at_end;
                let token = Token::from(fastrand::u64(..).to_ne_bytes());
                run::Loop::new(sockets, token, shared).run(&queue);
            })?;
        Ok(Self { commands, stats })
    }

    /// Counters of the engine itself.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Hands over commands, which take effect in their order and together. Waits while the queue is full.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn tell(&self, commands: Vec<Command>) -> Result<(), Ended> {
        let mut commands = commands;
        loop {
            match self.commands.try_send(commands) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Ended),
                Err(TrySendError::Full(back)) => commands = back,
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
