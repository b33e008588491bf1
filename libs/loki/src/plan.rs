//! What is decided once for each record of a batch, so that every attempt sends the same.

use std::collections::HashMap;
use std::time::Duration;

use crate::limits::Refusal;
use crate::{Limits, Line};

/// A stream not used for this long no longer counts.
const IDLE: u64 = 30 * 60 * 1_000_000_000;

/// Stamp and stream of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) stamp: u64,
    pub(crate) coarse: bool,
    /// Number of the stream; its labels are [`Streams::labels`] until the next batch is placed.
    pub(crate) stream: usize,
}

#[derive(Debug)]
struct Seen {
    labels: String,
    newest: u64,
    used: u64,
}

/// The streams in use and the newest stamp of each.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// By the lines' own key, so that labels are rendered for a new stream only.
    numbers: HashMap<Vec<u8>, usize>,
    /// The stream of the last line: one device often says several things.
    last: Option<(Vec<u8>, usize)>,
    seen: Vec<Seen>,
    /// Numbers of streams that fell idle.
    free: Vec<usize>,
    last_restamp: u64,
    swept: u64,
    pub(crate) restamped: u64,
    pub(crate) coarsened: u64,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The labels of a stream, rendered.
    pub(crate) fn labels(&self, number: usize) -> &str {
        self.seen.get(number).map_or("{}", |s| &s.labels)
    }

    /// Decides stream and stamp of a line; `now` in nanoseconds since 1970.
    pub(crate) fn place(
        &mut self,
        line: &Line,
        stamp: u64,
        now: u64,
        limits: &Limits,
    ) -> Result<Placed, Refusal> {
        limits.check_text(line)?;
        let (stream, coarse) = match &self.last {
            Some((key, number)) if key == line.key() => (*number, false),
            _ => match self.numbers.get(line.key()) {
                Some(&number) => {
                    let (key, last) = self.last.get_or_insert_default();
                    key.clear();
                    key.extend_from_slice(line.key());
                    *last = number;
                    (number, false)
                }
                None => self.new_stream(line, now, limits)?,
            },
        };
        let newest = self.seen.get(stream).map_or(0, |s| s.newest);
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
        if let Some(seen) = self.seen.get_mut(stream) {
            seen.newest = seen.newest.max(stamp);
            seen.used = now;
        }
        Ok(Placed {
            stamp,
            coarse,
            stream,
        })
    }

    /// The number of a stream that was not in use, or of the coarse one when there is no room for it.
    fn new_stream(
        &mut self,
        line: &Line,
        now: u64,
        limits: &Limits,
    ) -> Result<(usize, bool), Refusal> {
        // Labels that are known were checked when they came first.
        limits.check_labels(line)?;
        let mut coarse = false;
        let mut key = line.key().to_vec();
        if self.numbers.len() >= limits.streams {
            self.sweep(now);
            if self.numbers.len() >= limits.streams {
                coarse = true;
                self.coarsened += 1;
                let mut essential = Line::default();
                for (name, value) in line.labels(true) {
                    essential.label(name, value, true);
                }
                key = essential.key().to_vec();
                if let Some(&number) = self.numbers.get(&key) {
                    return Ok((number, true));
                }
            }
        }
        let mut labels = String::new();
        crate::push::render_labels(line.labels(coarse), &mut labels);
        let seen = Seen {
            labels,
            newest: 0,
            used: now,
        };
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(place) = self.seen.get_mut(number) {
                    *place = seen;
                }
                number
            }
            None => {
                self.seen.push(seen);
                self.seen.len() - 1
            }
        };
        self.numbers.insert(key, number);
        Ok((number, coarse))
    }

    fn sweep(&mut self, now: u64) {
        // At most once a second: a full table must not cost a walk for every line.
        if now.saturating_sub(self.swept) >= 1_000_000_000 {
            self.swept = now;
            self.last = None;
            let (seen, free) = (&self.seen, &mut self.free);
            self.numbers.retain(|_, number| {
                let used = seen.get(*number).map_or(0, |s| s.used);
                let kept = now.saturating_sub(used) < IDLE;
                if !kept {
                    free.push(*number);
                }
                kept
            });
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
        let mut place = |device: &str, stamp| {
            streams
                .place(&line(device), stamp, now, &limits)
                .unwrap()
                .stamp
        };
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
            .map(|d| streams.place(&line(d), now, now, &limits).unwrap().coarse);
        assert_eq!(coarse, [false, false, false, true, false, true]);
        assert_eq!(streams.len(), 4);
        let later = now + HOUR;
        assert!(
            !streams
                .place(&line("f"), later, later, &limits)
                .unwrap()
                .coarse,
            "idle streams make room"
        );
    }
}
