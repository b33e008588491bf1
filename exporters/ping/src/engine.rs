//! The loops that probe: threads that own the sockets, the timers and the accounting of their targets.
//!
//! A thread is lazy. It wakes at ticks at which something is due and otherwise a few times a second; replies wait
//! in the socket with the kernel's stamps, so being late costs no accuracy. It talks to the rest through a bounded
//! queue of commands, [`SharedCounters`]s and [`Stats`], so that neither a scrape nor a resolver can delay it.
//!
//! There is one thread until the targets ask for more requests than one should make. What a target begins with it stays with: its thread
//! alone sends its requests, reads their answers and writes its counters.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::Instant;

use crate::counters::SharedCounters;
use crate::echo::Mode;

mod host;
mod pace;
mod ping_socket;
mod ping_sockets;
mod run;
mod shards;
pub mod socket;
pub mod stats;
mod table;

use run::Common;
use shards::Shards;
pub(crate) use socket::Port;
pub use socket::{OpenError, Sockets};
pub use stats::Stats;
pub use table::{ProbeProfile, ProbeProfiles, Spec};

/// Batches of commands that wait for the engine.
const COMMANDS: usize = 16;

/// What names a target to the engine; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub u64);

/// What the engine is told.
#[derive(Debug, Clone)]
pub enum Command {
    /// Probe a target, or go on with another specification; its counters and the requests in flight stay.
    Put(Id, Spec, Arc<SharedCounters>),
    /// Stop probing a target.
    Remove(Id),
    /// Keep to these rates.
    Pace(crate::config::Pacing),
    /// The end of a change that began then: the engine notes how long it took.
    Mark(std::time::Instant),
}

/// The engine as the rest of the process sees it. Dropping it ends the threads.
pub struct Engine {
    commands: Vec<SyncSender<Vec<Command>>>,
    shards: Shards,
    common: Common,
    ended: Arc<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

/// A thread of the engine has ended.
#[derive(Debug, thiserror::Error)]
#[error("a probing thread has ended")]
pub struct Ended;

impl Engine {
    /// Starts the first thread; `ended` is called when one ends for whatever reason. `threads` is how many there are to be, 0 for one and
    /// more by load, up to as many as this process has processors. With raw sockets there is one: each of them gets every echo reply of
    /// the host.
    ///
    /// # Errors
    /// The system's, when no thread can be started.
    pub fn start(
        sockets: Sockets,
        threads: usize,
        ended: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let Sockets { v4, v6, opener } = sockets;
        let shards = match (threads, opener.mode()) {
            (_, Mode::Raw) => Shards::new(1, 1),
            (0, _) => {
                let processors = std::thread::available_parallelism();
                Shards::new(1, processors.map_or(1, usize::from))
            }
            (threads, _) => Shards::new(threads, threads),
        };
        let mut engine = Self {
            commands: Vec::new(),
            shards,
            common: Common {
                stats: Arc::default(),
                pace: Arc::default(),
                opener,
                host: Arc::default(),
                start: Instant::now(),
            },
            ended: Arc::new(ended),
        };
        engine.spawn([v4, v6])?;
        Ok(engine)
    }

    /// Starts one more thread.
    fn spawn(&mut self, ports: [Option<Port>; 2]) -> std::io::Result<()> {
        /// Calls it also when the thread panics.
        struct AtEnd(Arc<dyn Fn() + Send + Sync>);
        impl Drop for AtEnd {
            fn drop(&mut self) {
                (self.0)();
            }
        }

        let (commands, queue) = mpsc::sync_channel(COMMANDS);
        let at_end = AtEnd(Arc::clone(&self.ended));
        let (shard, common) = (self.commands.len(), self.common.clone());
        std::thread::Builder::new()
            .name(format!("ping-engine-{shard}"))
            .spawn(move || {
                let _at_end = at_end;
                run::Loop::new(shard, ports, common).run(&queue);
            })?;
        self.commands.push(commands);
        self.common.stats.threads.add(1);
        Ok(())
    }

    /// Counters of the engine itself.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.common.stats
    }

    /// Hands over commands, which take effect in their order and, for each thread, together. Waits while a queue is full.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn tell(&mut self, commands: Vec<Command>) -> Result<(), Ended> {
        let rate = self.common.stats.rate.get() as f64 / 1e3;
        let wanted = self.shards.wanted(rate, &commands);
        while self.commands.len() < wanted {
            if let Err(error) = self.widen() {
                // Those there are do what they can.
                tracing::warn!(error, threads = self.commands.len(), "no further thread");
                self.shards.keep(self.commands.len());
                break;
            }
        }
        for (shard, part) in self.shards.split(commands).into_iter().enumerate() {
            if let Some(queue) = self.commands.get(shard).filter(|_| !part.is_empty()) {
                hand_over(queue, part).await?;
            }
        }
        Ok(())
    }

    fn widen(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        use netio::option::Family::{V4, V6};
        let opener = &self.common.opener;
        let ports = [opener.open(V4)?, opener.open(V6)?];
        Ok(self.spawn(ports)?)
    }
}

async fn hand_over(queue: &SyncSender<Vec<Command>>, commands: Vec<Command>) -> Result<(), Ended> {
    let mut commands = commands;
    loop {
        match queue.try_send(commands) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(_)) => return Err(Ended),
            Err(TrySendError::Full(back)) => commands = back,
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
