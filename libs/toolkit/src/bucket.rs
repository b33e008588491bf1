//! A token bucket.

use std::time::{Duration, Instant};

/// What may be done at a rate, and, after a pause, at once. Tokens are what it is counted in: requests, lines, bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenBucket {
    per_second: f64,
    most: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full one: `most` tokens, which come back with `per_second`.
    #[must_use]
    pub fn full(per_second: f64, most: f64, now: Instant) -> Self {
        Self {
            per_second,
            most,
            tokens: most,
            filled: now,
        }
    }

    /// An empty one.
    #[must_use]
    pub fn empty(per_second: f64, most: f64, now: Instant) -> Self {
        Self {
            tokens: 0.0,
            ..Self::full(per_second, most, now)
        }
    }

    /// Goes on with other bounds; what was earned so far was earned by the old ones.
    pub fn set(&mut self, per_second: f64, most: f64, now: Instant) {
        self.fill(now);
        (self.per_second, self.most) = (per_second, most);
        self.tokens = self.tokens.min(most);
    }

    /// Takes so many tokens when they are there.
    pub fn take(&mut self, tokens: f64, now: Instant) -> bool {
        self.fill(now);
        let there = self.tokens >= tokens;
        if there {
            self.tokens -= tokens;
        }
        there
    }

    /// Takes so many tokens whether they are there or not; returns after how long the debt is paid.
    pub fn owe(&mut self, tokens: f64, now: Instant) -> Duration {
        self.fill(now);
        self.tokens -= tokens;
        if self.tokens >= 0.0 || self.per_second <= 0.0 {
            Duration::ZERO
        } else {
            Duration::try_from_secs_f64(-self.tokens / self.per_second).unwrap_or(Duration::MAX)
        }
    }

    /// Tokens that were there at the last change; fewer than none while there is a debt.
    #[must_use]
    pub fn tokens(&self) -> f64 {
        self.tokens
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.most);
        self.filled = self.filled.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn it_empties_and_fills_again() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(1.0, 2.0, start);
        let taken: Vec<bool> = [0, 0, 0, 999, 1500, 1600, 60_000, 60_000, 60_000]
            .into_iter()
            .map(|at| bucket.take(1.0, start + millis(at)))
            .collect();
        assert_eq!(
            taken,
            [true, true, false, false, true, false, true, true, false]
        );
    }

    #[test]
    fn a_debt_is_paid_at_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::empty(1_000.0, 2_000.0, start);
        assert_eq!(bucket.owe(500.0, start), millis(500));
        assert_eq!(bucket.owe(500.0, start + millis(250)), millis(750));
        assert_eq!(bucket.owe(500.0, start + millis(60_000)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn no_time_sees_more_than_its_rate_and_what_was_saved(steps in prop::collection::vec((0_u64..400, 0.0_f64..4.0), 1..200)) {
            let start = Instant::now();
            let mut bucket = TokenBucket::full(5.0, 3.0, start);
            let (mut at, mut taken) = (0, 0.0);
            for (pause, tokens) in steps {
                at += pause;
                if bucket.take(tokens, start + millis(at)) {
                    taken += tokens;
                }
                prop_assert!(taken <= 3.0 + 5.0 * millis(at).as_secs_f64() + 1e-6);
            }
        }
    }
}
