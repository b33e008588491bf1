//! Bounds on the rate of requests to one prefix: a bucket of tokens for each prefix in use.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::Pacing;

const SECOND: u64 = 1_000_000_000;
/// What a prefix did not use for so long it may use later, so that requests that are due at the same tick need not wait.
const SAVED: u64 = SECOND / 10;

/// The bounds all threads of the engine keep together.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// There is a bound, so that `pace` is worth the lock.
    bounded: AtomicBool,
    pace: Mutex<Pace>,
}

impl Shared {
    /// Goes on with other rules.
    pub(super) fn set(&self, rules: Pacing) {
        self.lock().set(rules);
        let bounded = rules.requests_per_second > 0;
        self.bounded.store(bounded, Ordering::Relaxed);
    }

    /// Whether a request may go to `address` now; if so, it is counted. `now` in nanoseconds of the clock that all threads share.
    pub(super) fn allows(&self, address: IpAddr, now: u64) -> bool {
        !self.bounded.load(Ordering::Relaxed) || self.lock().allows(address, now)
    }

    /// Forgets prefixes whose rate is not in use.
    pub(super) fn tidy(&self, now: u64) {
        if self.bounded.load(Ordering::Relaxed) {
            self.lock().tidy(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pace> {
        // Each change is whole before the next begins, whatever became of the thread.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The buckets of all prefixes.
#[derive(Debug, Default)]
struct Pace {
    rules: Pacing,
    /// When the rate of a prefix would have used up what was sent to it, nanoseconds of the monotonic clock.
    buckets: HashMap<IpAddr, u64>,
}

impl Pace {
    /// Goes on with other rules.
    fn set(&mut self, rules: Pacing) {
        if rules != self.rules {
            self.rules = rules;
            self.buckets.clear();
        }
    }

    /// Whether a request may go to `address` now; if so, it is counted. `now` in nanoseconds of the monotonic clock.
    fn allows(&mut self, address: IpAddr, now: u64) -> bool {
        let Some(step) = SECOND.checked_div(self.rules.requests_per_second.into()) else {
            return true;
        };
        let used_until = self.buckets.entry(self.prefix(address)).or_insert(0);
        let allowed = *used_until <= now + SAVED;
        if allowed {
            *used_until = (*used_until).max(now) + step;
        }
        allowed
    }

    /// Forgets prefixes whose rate is not in use.
    fn tidy(&mut self, now: u64) {
        self.buckets.retain(|_, used_until| *used_until > now);
    }

    fn prefix(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) => {
                let host = 32_u32.saturating_sub(self.rules.prefix_ipv4.into());
                let mask = u32::MAX.checked_shl(host).unwrap_or(0);
                IpAddr::V4((u32::from(address) & mask).into())
            }
            IpAddr::V6(address) => {
                let host = 128_u32.saturating_sub(self.rules.prefix_ipv6.into());
                let mask = u128::MAX.checked_shl(host).unwrap_or(0);
                IpAddr::V6((u128::from(address) & mask).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(requests_per_second: u32) -> Pace {
        let mut pace = Pace::default();
        pace.set(Pacing {
            requests_per_second,
            ..Pacing::default()
        });
        pace
    }

    fn address(third: u8, last: u8) -> IpAddr {
        [198, 18, third, last].into()
    }

    #[test]
    fn a_prefix_gets_its_rate_and_no_other_suffers() {
        let mut pace = pace(50);
        let mut sent = [0, 0];
        for tick in 0..1_000 {
            let now = 60 * SECOND + tick * SECOND / 100;
            for last in 0..10 {
                sent[0] += u32::from(pace.allows(address(0, last), now));
            }
            if tick % 10 == 0 {
                sent[1] += u32::from(pace.allows(address(1, 1), now));
            }
        }
        // Ten seconds, and what may be saved before.
        assert!((500..=506).contains(&sent[0]), "{sent:?}");
        assert_eq!(sent[1], 100);
        assert_eq!(pace.buckets.len(), 2);
        pace.tidy(100 * SECOND);
        assert_eq!(pace.buckets.len(), 0);
    }

    #[test]
    fn slow_rates_and_the_start_are_right_too() {
        let mut pace = pace(1);
        let allowed: Vec<u64> = (0..50)
            .filter(|tenth| pace.allows(address(0, 1), tenth * SECOND / 10))
            .collect();
        assert_eq!(allowed, [0, 9, 19, 29, 39, 49]);
    }

    #[test]
    fn without_a_rate_nothing_is_kept() {
        let mut pace = pace(0);
        assert!((0..1_000).all(|_| pace.allows(address(0, 1), 0)));
        assert!(pace.buckets.is_empty());
    }

    #[test]
    fn prefixes_of_all_lengths_are_cut() {
        let mut pace = pace(1);
        for (v4, v6, cut) in [
            (0, 0, ["0.0.0.0", "::"]),
            (32, 128, ["198.18.7.9", "2001:db8:1:2::9"]),
        ] {
            pace.rules.prefix_ipv4 = v4;
            pace.rules.prefix_ipv6 = v6;
            let of = |text: &str| pace.prefix(text.parse().unwrap()).to_string();
            assert_eq!([of("198.18.7.9"), of("2001:db8:1:2::9")], cut);
        }
        pace.set(Pacing::default());
        assert_eq!(
            pace.prefix("198.18.7.9".parse().unwrap()).to_string(),
            "198.18.7.0"
        );
        let v6 = pace.prefix("2001:db8:1:2::9".parse().unwrap());
        assert_eq!(v6.to_string(), "2001:db8:1::");
    }
}
