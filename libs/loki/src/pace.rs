//! A token bucket that spreads what is sent over time.

use std::time::Duration;

use tokio::time::Instant;

use crate::Rate;

pub(crate) struct Pace {
    rate: Option<Rate>,
    tokens: f64,
    filled: Instant,
}

impl Pace {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        let tokens = rate.as_ref().map_or(0.0, |r| r.burst_bytes);
        Self {
            rate,
            tokens,
            filled: Instant::now(),
        }
    }

    /// Takes the bytes and gives how long to wait before sending them. A request larger than the burst waits until
    /// its debt is paid.
    pub(crate) fn take(&mut self, bytes: usize) -> Duration {
        let Some(rate) = &self.rate else {
            return Duration::ZERO;
        };
        let now = Instant::now();
        let gained = now.duration_since(self.filled).as_secs_f64() * rate.bytes_per_second;
        self.tokens = (self.tokens + gained).min(rate.burst_bytes) - bytes as f64;
        self.filled = now;
        if self.tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.tokens / rate.bytes_per_second)
        }
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
