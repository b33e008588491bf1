//! How many posts are taken.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A bucket of tokens: so many a second, and twice as many after a pause.
#[derive(Debug)]
pub(crate) struct Rate(Mutex<(f64, Instant)>);

impl Rate {
    /// Full.
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self(Mutex::new((f64::from(per_second) * 2.0, now)))
    }

    /// Whether another is taken now.
    pub(crate) fn take(&self, per_second: u32, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = f64::from(per_second);
        let passed = now.saturating_duration_since(bucket.1).as_secs_f64();
        bucket.0 = (bucket.0 + passed * rate).min(rate * 2.0);
        bucket.1 = now;
        let taken = bucket.0 >= 1.0;
        if taken {
            bucket.0 -= 1.0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn more_than_the_rate_is_refused_until_time_has_passed() {
        let now = Instant::now();
        let rate = Rate::new(2, now);
        let taken = (0..10).filter(|_| rate.take(2, now)).count();
        assert_eq!(taken, 4);
        assert!(rate.take(2, now + Duration::from_millis(500)));
        assert!(!rate.take(2, now + Duration::from_millis(500)));
    }
}
