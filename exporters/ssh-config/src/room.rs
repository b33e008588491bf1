//! How much is worked on at a time beside the sessions: what takes the processor, and what waits for the disk.

use anyhow::Context as _;
use tokio::sync::Semaphore;

/// Most configurations that are masked and compared at a time, however many processors there are: each takes memory.
const LOOKED_AT: usize = 16;
/// Versions that are written or wait for it: those that come together are written together, and each is in memory meanwhile.
const WRITTEN: usize = 64;

/// Room for work that blocks.
pub(crate) struct Room {
    look: Semaphore,
    write: Semaphore,
}

impl Default for Room {
    /// As many at a time as there are processors: more of them would keep those from sessions and pages, and be done no sooner.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            look: Semaphore::new(processors.clamp(2, LOOKED_AT)),
            write: Semaphore::new(WRITTEN),
        }
    }
}

impl Room {
    /// Work that takes the processor.
    pub(crate) async fn look<T, E>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> anyhow::Result<T>
    where
        T: Send + 'static,
        E: Into<anyhow::Error> + Send + 'static,
    {
        let _place = self.look.acquire().await;
        blocking(work).await
    }

    /// Work that waits for the disk.
    pub(crate) async fn write<T, E>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> anyhow::Result<T>
    where
        T: Send + 'static,
        E: Into<anyhow::Error> + Send + 'static,
    {
        let _place = self.write.acquire().await;
        blocking(work).await
    }
}

/// Work that blocks and is rare.
pub(crate) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> anyhow::Result<T>
where
    T: Send + 'static,
    E: Into<anyhow::Error> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .context("blocking work")?
        .map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// The most pieces of work at a time, of 200 that are asked for at once.
    async fn most(writes: bool) -> usize {
        let room = Arc::new(Room::default());
        let [now, most] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..200 {
            let (room, now, most) = (Arc::clone(&room), Arc::clone(&now), Arc::clone(&most));
            tasks.push(tokio::spawn(async move {
                let work = move || {
                    let count = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(count, Ordering::SeqCst);
                    // So that others would have begun meanwhile.
                    std::thread::sleep(Duration::from_millis(2));
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, std::io::Error>(())
                };
                match writes {
                    true => room.write(work).await,
                    false => room.look(work).await,
                }
            }));
        }
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        most.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn no_more_is_worked_on_at_a_time_than_there_is_room_for() {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (look, write) = (most(false).await, most(true).await);
        assert!((1..=processors.clamp(2, 16)).contains(&look), "{look}");
        assert!(write > look && write <= 64, "{write}");
    }
}
