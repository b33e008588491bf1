//! What is decided once for each record of a batch, so that every attempt sends the same.

use std::collections::HashMap;
use std::time::Duration;

use crate::{Limits, Line};

/// A stream not used for this long no longer counts.
const IDLE: u64 = 30 * 60 * 1_000_000_000;

/// Stamp and stream of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) stamp: u64,
    pub(crate) coarse: bool,
}

#[derive(Debug)]
struct Seen {
    newest: u64,
    used: u64,
}

/// The streams in use and the newest stamp of each.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    seen: HashMap<String, Seen>,
    last_restamp: u64,
    swept: u64,
    key: String,
    pub(crate) restamped: u64,
    pub(crate) coarsened: u64,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Decides stream and stamp of a line; `now` in nanoseconds since 1970.
    pub(crate) fn place(&mut self, line: &Line, stamp: u64, now: u64, limits: &Limits) -> Placed {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        crate::push::render_labels(line.labels(false), &mut key);
        let mut coarse = false;
        if !self.seen.contains_key(&key) && self.seen.len() >= limits.streams {
            self.sweep(now);
            if self.seen.len() >= limits.streams {
                coarse = true;
                self.coarsened += 1;
                key.clear();
                crate::push::render_labels(line.labels(true), &mut key);
            }
        }
        let newest = self.seen.get(&key).map_or(0, |s| s.newest);
        let in_time = stamp >= now.saturating_sub(nanos(limits.max_age))
            && stamp <= now.saturating_add(nanos(limits.max_ahead))
            && stamp >= newest.saturating_sub(nanos(limits.max_behind));
        let stamp = if in_time {
            stamp
        } else {
            self.restamped += 1;
            self.last_restamp = now.max(self.last_restamp + 1);
            self.last_restamp
        };
        match self.seen.get_mut(&key) {
            Some(seen) => {
                seen.newest = seen.newest.max(stamp);
                seen.used = now;
            }
            None => {
                self.seen.insert(
                    key.clone(),
                    Seen {
                        newest: stamp,
                        used: now,
                    },
                );
            }
        }
        self.key = key;
        Placed { stamp, coarse }
    }

    fn sweep(&mut self, now: u64) {
        // At most once a second: a full table must not cost a walk for every line.
        if now.saturating_sub(self.swept) >= 1_000_000_000 {
            self.swept = now;
            self.seen
                .retain(|_, seen| now.saturating_sub(seen.used) < IDLE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(device: &str) -> Line {
        let mut line = Line::default();
        line.label("job", "syslog", true);
        line.label("device", device, false);
        line
    }

    const HOUR: u64 = 3_600_000_000_000;

    #[test]
    fn times_that_loki_would_refuse_are_replaced_by_unique_ones() {
        let now = 500_000 * HOUR;
        let limits = Limits::default();
        let mut streams = Streams::default();
        let mut place =
            |device: &str, stamp| streams.place(&line(device), stamp, now, &limits).stamp;
        assert_eq!(place("a", now - 100 * HOUR), now - 100 * HOUR);
        assert_eq!(place("a", now - 99 * HOUR), now - 99 * HOUR);
        assert_eq!(place("a", now - 200 * HOUR), now, "older than a week");
        assert_eq!(
            place("a", now - 99 * HOUR),
            now + 1,
            "an hour behind its stream"
        );
        assert_eq!(place("b", now + HOUR), now + 2, "ahead");
        assert_eq!(place("b", now + HOUR / 60), now + HOUR / 60);
    }

    #[test]
    fn beyond_the_budget_lines_share_a_coarse_stream() {
        let limits = Limits {
            streams: 3,
            ..Limits::default()
        };
        let now = 500_000 * HOUR;
        let mut streams = Streams::default();
        let coarse = ["a", "b", "c", "d", "a", "e"]
            .map(|d| streams.place(&line(d), now, now, &limits).coarse);
        assert_eq!(coarse, [false, false, false, true, false, true]);
        assert_eq!(streams.len(), 4);
        let later = now + HOUR;
        assert!(
            !streams.place(&line("f"), later, later, &limits).coarse,
            "idle streams make room"
        );
    }
}
