//! Identical requests under way share one scrape.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus::IntCounter;
use tokio::sync::watch;

use crate::probe::{Answer, Ask};

/// Generation of the configuration, whether the body is compressed and protobuf, and what is asked.
type Key = (u64, (bool, bool), Ask);
type Waiting = (Instant, watch::Receiver<Option<Arc<Answer>>>);

/// Scrapes under way, by what they ask.
#[derive(Debug, Default)]
pub(super) struct Coalesce {
    under_way: Arc<Mutex<HashMap<Key, Waiting>>>,
}

impl Coalesce {
    /// The answer to `key`: that of a scrape under way which ends in time, or that of a new one.
    ///
    /// A scrape goes on when the one who asked first has gone, since others may wait for it.
    pub(super) async fn run<F>(
        &self,
        key: Key,
        deadline: Instant,
        shared: &IntCounter,
        begin: impl FnOnce() -> F,
    ) -> Arc<Answer>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (mut waiting, sender) = {
            let mut under_way = self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match under_way.get(&key) {
                Some((ends, waiting)) if *ends <= deadline => {
                    shared.inc();
                    (waiting.clone(), None)
                }
                _ => {
                    let (sender, waiting) = watch::channel(None);
                    under_way.insert(key.clone(), (deadline, waiting.clone()));
                    (waiting, Some(sender))
                }
            }
        };
        if let Some(sender) = sender {
            // It is large, and a task that begins is moved many times.
            let scrape = Box::pin(begin());
            let under_way = Arc::clone(&self.under_way);
            tokio::spawn(async move {
                let answer = scrape.await;
                let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
                if under_way
                    .get(&key)
                    .is_some_and(|(ends, _)| *ends == deadline)
                {
                    under_way.remove(&key);
                }
                drop(under_way);
                let _ = sender.send(Some(Arc::new(answer)));
            });
        }
        let answer = waiting.wait_for(Option::is_some).await;
        answer
            .ok()
            .and_then(|answer| answer.clone())
            .unwrap_or_else(|| Arc::new(Answer::broken()))
    }
}
