//! The two clocks of a round trip, and which of its stamps to believe.
//!
//! Kernel stamps are of `CLOCK_REALTIME`, which somebody may set while a request is on its way. Each moment
//! therefore also holds the monotonic time and the number of steps seen so far; a round trip across a step, or one
//! that does not fit into the monotonic time that passed, is measured by the monotonic clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A change of the distance between the clocks that is a step: they are slewed alike, so that only setting the time
/// changes it.
const STEP_NANOS: u64 = 500_000;
/// Reading both clocks took longer than this: the thread was interrupted between the two, so nothing is concluded.
const SLOW_READ_NANOS: u64 = 100_000;
/// How much a span of one clock may exceed the enclosing span of the other.
const SLACK_NANOS: u64 = 2_000;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Nanoseconds of the monotonic clock since the engine started.
    pub mono: u64,
    /// Nanoseconds since 1970-01-01 00:00:00 UTC.
    pub real: u64,
    /// Steps of the real-time clock seen so far.
    pub steps: u32,
    /// Real minus monotonic nanoseconds since the last step: what all moments between two steps have in common.
    pub offset: u64,
}

/// What a round trip was measured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Both stamps of the kernel.
    Kernel,
    /// The kernel's stamp of the reply, and the time before the system call that sent the request.
    ReceiveOnly,
    /// The times this process sent and read: up to one tick too long.
    Userland,
}

impl Source {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Kernel, Self::ReceiveOnly, Self::Userland];

    /// The value of the label `source`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::ReceiveOnly => "receive_only",
            Self::Userland => "userland",
        }
    }
}

/// The round trip in nanoseconds of a request sent at `sent` (read before the system call) whose reply was read at
/// `read`, by the best of the kernel's stamps `transmitted` and `received` that can be true.
pub fn round_trip(
    sent: Moment,
    transmitted: Option<u64>,
    received: Option<u64>,
    read: Moment,
) -> (u64, Source) {
    let elapsed = read.mono.saturating_sub(sent.mono);
    let possible = |nanos: &u64| *nanos <= elapsed.saturating_add(SLACK_NANOS);
    if let Some(received) = received.filter(|_| sent.steps == read.steps) {
        let kernel = transmitted.and_then(|transmitted| received.checked_sub(transmitted));
        if let Some(nanos) = kernel.filter(possible) {
            return (nanos, Source::Kernel);
        }
        if let Some(nanos) = received.checked_sub(sent.real).filter(possible) {
            return (nanos, Source::ReceiveOnly);
        }
    }
    (elapsed, Source::Userland)
}

/// Reads both clocks and notices steps.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// Real minus monotonic nanoseconds.
    offset: u64,
    steps: u32,
}

impl Clock {
    /// A clock whose monotonic zero is now.
    pub fn start() -> Self {
        Self::since(Instant::now())
    }

    /// A clock whose monotonic zero is at `start`.
    pub fn since(start: Instant) -> Self {
        let mut clock = Self {
            start,
            offset: 0,
            steps: 0,
        };
        let (mono, real, _) = clock.read();
        clock.offset = real.wrapping_sub(mono);
        clock
    }

    /// The present moment.
    pub fn now(&mut self) -> Moment {
        let (mono, real, took) = self.read();
        self.judge(mono, real, took)
    }

    /// Steps seen so far.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    fn read(&self) -> (u64, u64, u64) {
        let before = self.start.elapsed().as_nanos() as u64;
        let real = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        let after = self.start.elapsed().as_nanos() as u64;
        (before, real, after.saturating_sub(before))
    }

    fn judge(&mut self, mono: u64, real: u64, took: u64) -> Moment {
        let offset = real.wrapping_sub(mono);
        if took <= SLOW_READ_NANOS
            && (offset.wrapping_sub(self.offset) as i64).unsigned_abs() > STEP_NANOS
        {
            self.offset = offset;
            self.steps = self.steps.wrapping_add(1);
        }
        Moment {
            mono,
            real,
            steps: self.steps,
            offset: self.offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn moment(mono: u64, real: u64, steps: u32) -> Moment {
        Moment {
            mono,
            real,
            steps,
            offset: 1_000 * SECOND,
        }
    }

    #[test]
    fn the_best_possible_stamps_are_taken() {
        let sent = moment(0, 1_000 * SECOND, 0);
        let read = moment(10_000_000, 1_000 * SECOND + 10_000_000, 0);
        let (tx, rx) = (sent.real + 3_000, sent.real + 903_000);
        assert_eq!(
            round_trip(sent, Some(tx), Some(rx), read),
            (900_000, Source::Kernel)
        );
        assert_eq!(
            round_trip(sent, None, Some(rx), read),
            (903_000, Source::ReceiveOnly)
        );
        assert_eq!(
            round_trip(sent, Some(tx), None, read),
            (10_000_000, Source::Userland)
        );
        assert_eq!(
            round_trip(sent, None, None, read),
            (10_000_000, Source::Userland)
        );
    }

    #[test]
    fn impossible_stamps_fall_back() {
        let sent = moment(0, 1_000 * SECOND, 0);
        let read = moment(1_000_000, 1_000 * SECOND + 1_000_000, 0);
        // A reply stamped before its request, and one that took longer than all the time that passed.
        assert_eq!(
            round_trip(sent, Some(sent.real + 500), Some(sent.real + 400), read),
            (400, Source::ReceiveOnly)
        );
        assert_eq!(
            round_trip(sent, Some(sent.real), Some(sent.real - 1), read).1,
            Source::Userland
        );
        assert_eq!(
            round_trip(sent, Some(sent.real), Some(sent.real + SECOND), read),
            (1_000_000, Source::Userland)
        );
    }

    #[test]
    fn a_step_is_seen_both_ways_and_taken_from_the_monotonic_clock() {
        for stepped in [1_000 * SECOND + 3_600 * SECOND, 1_000 * SECOND - 2 * SECOND] {
            let mut clock = Clock {
                start: Instant::now(),
                offset: 1_000 * SECOND,
                steps: 0,
            };
            let sent = clock.judge(SECOND, 1_001 * SECOND, 100);
            assert_eq!(sent.steps, 0);
            let read = clock.judge(SECOND + 7_000_000, stepped + SECOND + 7_000_000, 100);
            assert_eq!(read.steps, 1);
            let stamps = (Some(sent.real + 10), Some(sent.real + 5_000));
            assert_eq!(
                round_trip(sent, stamps.0, stamps.1, read),
                (7_000_000, Source::Userland)
            );
            assert_eq!(
                clock.judge(2 * SECOND, stepped + 2 * SECOND, 100).steps,
                1,
                "one step counts once"
            );
        }
    }

    #[test]
    fn an_interrupted_reading_is_no_step() {
        let mut clock = Clock {
            start: Instant::now(),
            offset: 1_000 * SECOND,
            steps: 0,
        };
        let seen = clock.judge(SECOND, 1_001 * SECOND + 3_000_000, 3_000_000);
        assert_eq!(seen.steps, 0);
    }

    #[test]
    fn the_real_clocks_agree_with_themselves() {
        let mut clock = Clock::start();
        let (first, second) = (clock.now(), clock.now());
        assert!(first.mono <= second.mono && first.real > 1_600_000_000 * SECOND);
        assert_eq!(clock.steps(), 0);
    }
}
