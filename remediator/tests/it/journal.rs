//! The journal: what is answered is on disk, two who try the same are told apart.

use std::time::{Duration, Instant};

use sotp_remediator::job::State;
use sotp_remediator::journal::{Journal, JournalError, Lock};
use sotp_remediator::runbook::Level;
use testkit::TempDir;

use crate::bench::{BEGIN, Bench, alert};

#[tokio::test]
async fn one_process_at_a_time_has_the_journal() {
    let dir = TempDir::new().unwrap();
    let lock = Lock::take(dir.path()).unwrap();
    assert!(lock.is_some() && Lock::take(dir.path()).unwrap().is_none());
    drop(lock);
    assert!(Lock::take(dir.path()).unwrap().is_some());
}

#[tokio::test]
async fn of_two_who_approve_one_succeeds() {
    let bench = Bench::new(Level::Approve);
    let works = bench.works().await;
    bench.port("r1", "r2", |port| port.up = false);
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    let mut job = works.newest(1, State::AwaitingApproval).await;
    let journal = works.engine.parts.journal.clone();
    works.end().await;
    job.state = State::Claimed;
    let (first, second) = tokio::join!(
        journal.step(State::AwaitingApproval, &job),
        journal.step(State::AwaitingApproval, &job)
    );
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert!(
        matches!(first.err().or(second.err()), Some(JournalError::Moved(now)) if now == "claimed")
    );
    assert!(matches!(
        journal.step(State::Succeeded, &job).await,
        Err(JournalError::Arrow("succeeded", "claimed"))
    ));
}

#[tokio::test]
async fn another_version_of_the_journal_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(Journal::open(dir.path()).unwrap());
    let db = rusqlite::Connection::open(dir.join("journal.sqlite")).unwrap();
    db.execute("UPDATE meta SET version=7", []).unwrap();
    drop(db);
    let refused = Journal::open(dir.path());
    assert!(
        matches!(
            refused,
            Err(JournalError::Version {
                found: 7,
                expected: 3
            })
        ),
        "{refused:?}"
    );
}

/// What version 1 wrote is read on: the reported changes of it name what they are about.
#[tokio::test]
async fn journal_of_the_version_before_is_taken_over() {
    let dir = TempDir::new().unwrap();
    drop(Journal::open(dir.path()).unwrap());
    let db = rusqlite::Connection::open(dir.join("journal.sqlite")).unwrap();
    db.execute_batch(
        "DROP INDEX jobs_runbook; ALTER TABLE hints DROP COLUMN anything; UPDATE meta SET version=1; \
         INSERT INTO hints(at, device, user, source, text) VALUES (7, 'r1', 'alice', 'syslog', 'r2');",
    )
    .unwrap();
    drop(db);
    let journal = Journal::open(dir.path()).unwrap();
    let hints = journal.hints("r1", 0).await.unwrap();
    assert!(hints.len() == 1 && !hints[0].anything, "{hints:?}");
    // It was copied before it was changed.
    let copy = rusqlite::Connection::open(dir.join("journal.sqlite.version-1")).unwrap();
    let version: i64 = copy
        .query_row("SELECT version FROM meta", [], |row| row.get(0))
        .unwrap();
    let hints = copy.query_row("SELECT text FROM hints", [], |row| row.get::<_, String>(0));
    assert_eq!((version, hints.unwrap().as_str()), (1, "r2"));
}

/// Five hundred alerts, fifty senders at a time: together they share flushes, and each is on disk when it is answered.
#[tokio::test(flavor = "multi_thread")]
async fn many_senders_share_a_flush_and_nothing_is_lost() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    let began = Instant::now();
    let senders = (0..50).map(|sender| {
        let journal = journal.clone();
        tokio::spawn(async move {
            for n in 0..10 {
                let one = alert(&format!("r{sender}"), &format!("p{n}"), BEGIN, true);
                journal.receive(vec![one]).await.unwrap();
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(30));
    let (written, commits) = {
        let statistics = journal.statistics();
        let load = |counter: &std::sync::atomic::AtomicU64| {
            counter.load(std::sync::atomic::Ordering::Relaxed)
        };
        (load(&statistics.written), load(&statistics.commits))
    };
    drop(journal);
    assert_eq!(written, 500);
    assert!(commits < 500, "{commits} flushes for 500 senders");
    let again = Journal::open(dir.path()).unwrap();
    assert_eq!(again.open_alerts(1_000).await.unwrap().len(), 500);
}
