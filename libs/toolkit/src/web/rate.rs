//! A bound on the rate of all requests together.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::TokenBucket;
use crate::web_config::RateLimit;

/// The bucket that they all take from.
pub(crate) struct Bucket {
    limit: RateLimit,
    tokens: Mutex<TokenBucket>,
}

impl Bucket {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let per_second = 1.0 / limit.interval.as_secs_f64();
        let full = TokenBucket::full(per_second, limit.burst.into(), Instant::now());
        Self {
            limit,
            tokens: Mutex::new(full),
        }
    }

    pub(crate) fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.take(1.0, now)
    }
}
