//! A word in the environment of everything that a test starts.

use std::time::Duration;

use crate::wait::until;

/// A word for the environment, by which everything that a test starts is found again.
#[derive(Debug, Clone)]
pub struct Mark(String);

impl Mark {
    /// The variable that carries it.
    pub const KEY: &str = "SOTP_TEST_MARK";

    /// A new word.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        let time = std::time::SystemTime::UNIX_EPOCH.elapsed();
        let time = time.map_or(0, |time| time.as_nanos());
        Self(format!("{}-{time}", std::process::id()))
    }

    /// The word.
    #[must_use]
    pub fn word(&self) -> &str {
        &self.0
    }

    /// The command lines of living processes that carry it.
    #[must_use]
    pub fn living(&self) -> Vec<String> {
        let mark = format!("{}={}", Self::KEY, self.0);
        let of = |entry: std::fs::DirEntry| {
            let environ = std::fs::read(entry.path().join("environ")).ok()?;
            let ours = environ
                .split(|&byte| byte == 0)
                .any(|part| part == mark.as_bytes());
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let dead = stat
                .rsplit_once(')')
                .is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            (ours && !dead).then(|| String::from_utf8_lossy(&line).replace('\0', " "))
        };
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        processes.filter_map(of).collect()
    }

    /// Waits until none is left.
    ///
    /// # Panics
    /// One is left after `limit`.
    pub fn assert_gone(&self, limit: Duration) {
        until("every process is gone", limit, || {
            let living = self.living();
            if living.is_empty() {
                Ok(())
            } else {
                Err(format!("{living:#?}"))
            }
        });
    }
}
