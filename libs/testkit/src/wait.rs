//! Waiting for what must become true.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Asks again until the answer is `Ok` and returns it; after `timeout` the last error.
///
/// # Errors
/// The last answer, when none was `Ok` in time.
pub async fn eventually<T, F>(timeout: Duration, mut ask: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let began = Instant::now();
    let mut last = None;
    loop {
        let left = timeout.saturating_sub(began.elapsed());
        let error = match tokio::time::timeout(left.max(Duration::from_millis(1)), ask()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            // What was wrong before says more than that there was no time for another answer.
            Err(_) => {
                last.unwrap_or_else(|| anyhow::anyhow!("the question was not answered in time"))
            }
        };
        if began.elapsed() >= timeout {
            return Err(error).with_context(|| format!("not true within {timeout:?}"));
        }
        last = Some(error);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks until the answer is `Ok` and returns it, without a runtime.
///
/// # Panics
/// None was `Ok` within `limit`; the text has the last one.
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) => assert!(
                began.elapsed() < limit,
                "{what}: not within {limit:?}; last: {last}"
            ),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
