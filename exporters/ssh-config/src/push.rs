//! The archive, sent to another repository soon after each version.

use std::sync::Arc;
use std::time::Duration;

use toolkit::{Stop, chain};

use crate::collector::Shared;

/// Time in which versions that come together are sent together.
const TOGETHER: Duration = Duration::from_secs(2);
/// Time after a failure until it is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// Sends the archive at the start, after each version, and again after a failure.
pub(crate) async fn run(shared: Arc<Shared>, stop: Stop) -> anyhow::Result<()> {
    let mut failed = true;
    loop {
        if let Some(url) = shared.config.current().push.clone() {
            let archive = shared.archive.clone();
            let result = tokio::task::spawn_blocking(move || archive.push(&url)).await?;
            failed = result.is_err();
            if let Err(error) = &result {
                tracing::warn!(
                    error = chain(error),
                    "the archive could not be sent to the other repository; it is tried again"
                );
            }
            let name = if failed { "failed" } else { "ok" };
            shared.counters.pushes.with_label_values(&[name]).inc();
        }
        let again = async {
            match failed {
                true => tokio::time::sleep(AGAIN).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.archive.written() => {}
            () = again => {}
            () = stop.requested() => return Ok(()),
        }
        tokio::select! {
            () = tokio::time::sleep(TOGETHER) => {}
            () = stop.requested() => {}
        }
    }
}
