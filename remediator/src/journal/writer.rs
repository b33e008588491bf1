//! The one thread that writes: what waits together is flushed together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use rusqlite::{Connection, Transaction};
use tokio::sync::oneshot;

use super::JournalError;

/// Most changes that wait to be written.
const WAITING: usize = 4_096;
/// Most changes in one transaction.
const TOGETHER: usize = 512;

/// How much was written.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Changes that are on disk.
    pub written: AtomicU64,
    /// Transactions that they took.
    pub commits: AtomicU64,
    /// Changes that were refused because too much waited.
    pub refused: AtomicU64,
    /// Changes that the disk or SQLite did not take.
    pub failed: AtomicU64,
    /// Changes that wait.
    pub waiting: AtomicU64,
}

/// Does its change inside the transaction, or is told that there is none; answers what happens with the result once that is known.
type Change = Box<dyn FnOnce(Result<&Transaction<'_>, &rusqlite::Error>) -> Answer + Send>;
/// Tells the result; `Err` when the transaction is not on disk.
type Answer = Box<dyn FnOnce(Result<(), &rusqlite::Error>) + Send>;

#[derive(Clone)]
pub(super) struct Writer {
    queue: SyncSender<Change>,
    statistics: Arc<Statistics>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (queue, changes) = sync_channel(WAITING);
        let statistics = Arc::new(Statistics::default());
        let own = Arc::clone(&statistics);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || work(connection, &changes, &own))?;
        Ok(Self { queue, statistics })
    }

    pub(super) fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (send, answer) = oneshot::channel();
        let change: Change = Box::new(move |tx| {
            let result = match tx {
                Ok(tx) => savepoint(tx, change),
                Err(error) => Err(JournalError::not_written(error)),
            };
            Box::new(move |stored| {
                let result = match (result, stored) {
                    (Ok(_), Err(error)) => Err(JournalError::not_written(error)),
                    (result, _) => result,
                };
                // Who asked may have gone.
                let _ = send.send(result);
            })
        });
        // Counted before, or the thread could count it off first.
        self.statistics.waiting.fetch_add(1, Relaxed);
        if let Err(error) = self.queue.try_send(change) {
            self.statistics.waiting.fetch_sub(1, Relaxed);
            return Err(match error {
                TrySendError::Full(_) => {
                    self.statistics.refused.fetch_add(1, Relaxed);
                    JournalError::Full
                }
                TrySendError::Disconnected(_) => JournalError::Ended,
            });
        }
        answer.await.map_err(|_| JournalError::Ended)?
    }
}

/// One change of many in a transaction: a failed one leaves nothing behind and does not take the others with it.
fn savepoint<T>(
    tx: &Transaction<'_>,
    change: impl FnOnce(&Transaction<'_>) -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    tx.execute_batch("SAVEPOINT change")?;
    let result = change(tx);
    if tx.is_autocommit() {
        // It was given up whole, and its savepoints with it.
        return Err(result
            .err()
            .unwrap_or_else(|| JournalError::not_written(&full())));
    }
    tx.execute_batch(if result.is_ok() {
        "RELEASE change"
    } else {
        "ROLLBACK TO change; RELEASE change"
    })?;
    result
}

fn work(mut connection: Connection, changes: &Receiver<Change>, statistics: &Statistics) {
    while let Ok(first) = changes.recv() {
        let mut batch = vec![first];
        while batch.len() < TOGETHER
            && let Ok(more) = changes.try_recv()
        {
            batch.push(more);
        }
        let count = batch.len() as u64;
        statistics.waiting.fetch_sub(count, Relaxed);
        match together(&mut connection, batch, statistics) {
            Ok(()) => {}
            Err(error) => {
                statistics.failed.fetch_add(count, Relaxed);
                // Who asked says so; the engine tells people once.
                tracing::debug!(%error, "nothing of a transaction is written");
            }
        }
    }
}

/// All of them in one transaction; each is answered only when it is on disk.
fn together(
    connection: &mut Connection,
    batch: Vec<Change>,
    statistics: &Statistics,
) -> rusqlite::Result<()> {
    let count = batch.len() as u64;
    let begun = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate);
    let tx = match begun {
        Ok(tx) => tx,
        Err(error) => {
            for change in batch {
                change(Err(&error))(Ok(()));
            }
            return Err(error);
        }
    };
    let mut answers: Vec<Answer> = Vec::new();
    for change in batch {
        // SQLite may give the whole up in the middle, as on a full disk: what would be written then would be a transaction of its own.
        let given_up = tx.is_autocommit().then(full);
        answers.push(change(given_up.as_ref().map_or(Ok(&tx), Err)));
    }
    let committed = match tx.is_autocommit() {
        true => Err(full()),
        false => tx.commit(),
    };
    // Before anybody is answered: who was finds it counted.
    if committed.is_ok() {
        statistics.written.fetch_add(count, Relaxed);
        statistics.commits.fetch_add(1, Relaxed);
    }
    for answer in answers {
        answer(committed.as_ref().copied());
    }
    committed
}

/// What SQLite says when it gave a transaction up.
fn full() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
        Some("the transaction was given up".to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of so many pages is a disk of that size: SQLite gives a change, or all of a transaction, up.
    #[tokio::test]
    async fn what_finds_no_room_is_not_written_is_told_so_and_goes_on_when_there_is_room() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE kept(text TEXT NOT NULL); PRAGMA max_page_count=8;")
            .unwrap();
        let writer = Writer::start(connection).unwrap();
        let put = |size: usize| {
            let writer = writer.clone();
            async move {
                let change = move |tx: &Transaction<'_>| {
                    tx.execute("INSERT INTO kept VALUES (?)", ["x".repeat(size)])?;
                    Ok(())
                };
                writer.write(change).await
            }
        };
        put(100).await.unwrap();
        let mut taken = 1;
        // Small ones and such as find no room, many in one transaction.
        let sizes = (0..200).map(|n| if n % 3 == 0 { 100 } else { 9_000 });
        let all = futures_util::future::join_all(sizes.map(put)).await;
        let mut refused = 0;
        for done in all {
            match done {
                Ok(()) => taken += 1,
                Err(error) => {
                    assert!(error.may_pass(), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 100, "{refused}");
        let room = |tx: &Transaction<'_>| {
            tx.execute_batch("PRAGMA max_page_count=10000")?;
            Ok(())
        };
        writer.write(room).await.unwrap();
        put(9_000).await.unwrap();
        let count = |tx: &Transaction<'_>| {
            Ok(tx.query_row("SELECT count(*) FROM kept", [], |row| row.get::<_, i64>(0))?)
        };
        // Whoever was told that it is written is there, and nobody else.
        assert_eq!(writer.write(count).await.unwrap(), taken + 1);
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_refused_and_what_waits_is_written() {
        let writer = Writer::start(Connection::open_in_memory().unwrap()).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let own = writer.clone();
        let first = tokio::spawn(async move {
            let wait = move |_: &Transaction<'_>| {
                let _ = begun.send(());
                let _ = held.recv();
                Ok(())
            };
            own.write(wait).await
        });
        begins.await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..WAITING {
            let own = writer.clone();
            waiting.spawn(async move { own.write(|_| Ok(())).await });
        }
        while writer.statistics().waiting.load(Relaxed) < WAITING as u64 {
            tokio::task::yield_now().await;
        }
        let refused = writer.write(|_| Ok(())).await;
        assert!(matches!(refused, Err(JournalError::Full)), "{refused:?}");
        assert_eq!(writer.statistics().refused.load(Relaxed), 1);
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        while let Some(written) = waiting.join_next().await {
            written.unwrap().unwrap();
        }
        assert_eq!(
            writer.statistics().written.load(Relaxed),
            WAITING as u64 + 1
        );
    }
}
