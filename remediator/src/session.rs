//! Reaching a device: the one trait between what is decided and what is typed.

use futures_util::future::BoxFuture;
use inventory::Device;
use ssh::Timer;

/// Why a device did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct AccessError {
    /// Of a fixed set, for metrics and the journal.
    pub reason: &'static str,
    /// For people; without secrets.
    pub detail: String,
}

impl AccessError {
    /// An error of this kind.
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// As whom a session is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    /// Reads and configures: for repairs.
    Repair,
    /// Reads only: for the console.
    Console,
}

/// An open session.
pub trait Session: Send {
    /// The answer to one command that changes nothing.
    fn run<'a>(&'a mut self, command: &'a str) -> BoxFuture<'a, Result<String, AccessError>>;

    /// Types lines in configuration mode and answers what the device said. An error may come after some were taken.
    fn configure<'a>(
        &'a mut self,
        lines: &'a [String],
    ) -> BoxFuture<'a, Result<String, AccessError>>;

    /// Types commands that do something outside of configuration mode and answers what the device said. An error may come after some
    /// were taken.
    fn act<'a>(&'a mut self, lines: &'a [String]) -> BoxFuture<'a, Result<String, AccessError>>;

    /// As [`configure`](Self::configure), but the device takes the lines back when the timer is over, unless it is confirmed before.
    /// `None`: it takes no timer, and nothing was typed. After an error the timer may run.
    fn configure_until<'a>(
        &'a mut self,
        _: &'a [String],
        _: &'a Timer,
    ) -> BoxFuture<'a, Result<Option<String>, AccessError>> {
        Box::pin(async { Ok(None) })
    }

    /// Keeps what was typed with a timer.
    fn confirm<'a>(&'a mut self, _: &'a Timer) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(async { Err(AccessError::new("unsupported", "it knows no timer")) })
    }

    /// Takes what was typed with a timer back at once. `None`: the timer has to do it.
    fn revert<'a>(
        &'a mut self,
        _: &'a Timer,
    ) -> BoxFuture<'a, Result<Option<String>, AccessError>> {
        Box::pin(async { Ok(None) })
    }
}

/// Opens sessions.
pub trait Access: Send + Sync + 'static {
    /// A session on `device`.
    fn open<'a>(
        &'a self,
        device: &'a Device,
        account: Account,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, AccessError>>;

    /// `text` of a device without its secrets.
    fn mask(&self, device: &Device, text: &str) -> String;
}
