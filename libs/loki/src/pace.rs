//! Spreads what is sent over time.

use std::time::Duration;

use tokio::time::Instant;
use toolkit::TokenBucket;

use crate::Rate;

pub(crate) struct Pace(Option<TokenBucket>);

impl Pace {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        let now = Instant::now().into_std();
        Self(rate.map(|rate| TokenBucket::full(rate.bytes_per_second, rate.burst_bytes, now)))
    }

    /// Takes the bytes and gives how long to wait before sending them. A request larger than the burst waits until
    /// its debt is paid.
    pub(crate) fn take(&mut self, bytes: usize) -> Duration {
        let now = Instant::now().into_std();
        let bucket = self.0.as_mut();
        bucket.map_or(Duration::ZERO, |bucket| bucket.owe(bytes as f64, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_sees_more_than_rate_and_burst() {
        let mut pace = Pace::new(Some(Rate {
            bytes_per_second: 1_000.0,
            burst_bytes: 2_000.0,
        }));
        let begin = Instant::now();
        let mut sent = 0.0;
        for _ in 0..100 {
            tokio::time::sleep(pace.take(500)).await;
            sent += 500.0;
            assert!(sent <= 2_000.0 + 1_001.0 * begin.elapsed().as_secs_f64() + 1.0);
        }
        let took = begin.elapsed().as_secs_f64();
        assert!((47.9..48.2).contains(&took), "{took}");
    }
}
