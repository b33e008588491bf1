//! What time it is.

/// Tells the time; a test tells its own.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the epoch.
    fn now(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }
}
