//! Waiting for the end, and the end.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::web::dispatch::Control;
use crate::web::serve::Server;
use crate::{Flags, Spawner};

/// The signals a service knows.
pub(crate) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Reloads on SIGHUP and on a changed checksum until a stop is asked for or a task fails the service. Returns whether it was asked for.
pub(crate) async fn until_asked(
    flags: &Flags,
    signals: &mut Signals,
    mut failures: mpsc::Receiver<&'static str>,
    control: &Arc<impl Control>,
) -> bool {
    let every = flags.config_auto_reload_interval;
    let mut poll = tokio::time::interval(if every.is_zero() {
        std::time::Duration::from_secs(3600)
    } else {
        every
    });
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let why = tokio::select! {
            biased;
            _ = signals.terminate.recv() => return true,
            _ = signals.interrupt.recv() => return true,
            Some(task) = failures.recv() => {
                tracing::error!(task, "service ends because of a task");
                return false;
            }
            _ = signals.hangup.recv() => "signal",
            _ = poll.tick(), if !every.is_zero() => "poll",
        };
        let control = Arc::clone(control);
        let reload = tokio::task::spawn_blocking(move || control.reload(why));
        // Reading a file may hang; the signals must not.
        tokio::select! {
            biased;
            _ = signals.terminate.recv() => return true,
            _ = signals.interrupt.recv() => return true,
            _ = reload => {}
        }
    }
}

/// Drains. Returns whether the end was asked for and nothing had to be aborted.
pub(crate) async fn drain(
    flags: &Flags,
    signals: &mut Signals,
    asked: bool,
    server: &Server,
    spawner: &Spawner,
) -> anyhow::Result<bool> {
    tracing::info!(
        deadline_seconds = flags.drain_timeout.as_secs_f64(),
        "draining"
    );
    server.not_ready();
    let drained = async {
        spawner.drain().await;
        server.stop().await;
    };
    tokio::select! {
        () = drained => {
            tracing::info!("stopped");
            Ok(asked)
        }
        () = tokio::time::sleep(flags.drain_timeout) => {
            tracing::error!(tasks = spawner.left(), "drain deadline passed, what is left is aborted");
            Ok(false)
        }
        () = signals.stop() => {
            tracing::warn!("second signal, what is left is aborted");
            Ok(false)
        }
    }
}
