//! The journal: what came in, what was decided, what was done; on disk before anything that it announces.
//!
//! One SQLite file in WAL mode with `synchronous=FULL`. One thread writes: it takes everything that waits, does it in one transaction
//! and answers when that is on disk, so that many senders share one flush. A lock file beside the database keeps a second instance out.
//!
//! Tables, version 3 (`meta.version`): `alerts` (each alert of each webhook; `done` when its jobs are made), `jobs` (the latest value of
//! each, one open job for a key), `rows` (every change of a job, never changed), `hints` (changes by people that others reported),
//! `commands` (console jobs), `switch` (whether everything is stopped).

mod commands;
mod schema;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use toolkit::trace::Origin;

use crate::job::{Job, Row, State};

pub use commands::{Answered, CommandJob};
pub use writer::Statistics;

/// Why the journal did not take something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// More waits to be written than is allowed to.
    #[error("too much waits to be written")]
    Full,
    /// The writer has ended.
    #[error("the journal has ended")]
    Ended,
    /// It is not on disk, and may be when there is room again.
    #[error("the journal cannot be written now: {0}")]
    NotWritten(String),
    /// SQLite refused.
    #[error("the journal cannot be written or read: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The folder or the lock cannot be used.
    #[error("{path} cannot be used: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another version of this program wrote it.
    #[error(
        "the journal has version {found}, expected {expected}: go back to the version of the program that wrote it, or restore a backup from before it"
    )]
    Version {
        /// What it says.
        found: i64,
        /// What this program reads.
        expected: i64,
    },
    /// What is stored cannot be read back.
    #[error("a row of the journal cannot be read: {0}")]
    Row(#[from] serde_json::Error),
    /// Somebody was faster: the job does not stand where it was thought to.
    #[error("the job is {0} now")]
    Moved(String),
    /// Another open job has the same target.
    #[error("another job has the same target: {0}")]
    Claimed(String),
    /// There is no such job.
    #[error("there is no such job")]
    Missing,
    /// The state machine has no such arrow.
    #[error("a job does not go from {0} to {1}")]
    Arrow(&'static str, &'static str),
}

impl JournalError {
    /// What was not written, by what SQLite said.
    fn not_written(error: &rusqlite::Error) -> Self {
        match passes(error) {
            true => Self::NotWritten(error.to_string()),
            false => Self::Ended,
        }
    }

    /// Whether it may be otherwise later without anybody touching the journal: a disk that is full, or not there for a moment.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotWritten(_) | Self::Full => true,
            Self::Sql(error) => passes(error),
            _ => false,
        }
    }
}

fn passes(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, ReadOnly, SystemIoFailure,
    };
    let passing = [
        CannotOpen,
        DatabaseBusy,
        DatabaseLocked,
        DiskFull,
        OutOfMemory,
        ReadOnly,
        SystemIoFailure,
    ];
    error
        .sqlite_error_code()
        .is_some_and(|code| passing.contains(&code))
}

/// An alert as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its number; 0 before it is stored.
    pub seq: i64,
    /// When it came, milliseconds since the epoch.
    pub at: i64,
    /// Alertmanager's hash of its labels.
    pub fingerprint: String,
    /// Whether it fires; else it is resolved.
    pub firing: bool,
    /// When it began, milliseconds since the epoch.
    pub starts_at: i64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The place in the trace that it came with.
    pub origin: Option<Origin>,
}

/// A change by a person that somebody reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// When, milliseconds since the epoch.
    pub at: i64,
    /// The device.
    pub device: String,
    /// The person, as far as known.
    pub user: String,
    /// Who reported it: `syslog`, `config`.
    pub source: String,
    /// What changed, for people and to find the port in.
    pub text: String,
    /// Whether it tells of a change of the configuration without saying of what: any port may be meant.
    pub anything: bool,
}

/// Whether everything is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Switch {
    /// Nothing is done while it is.
    pub paused: bool,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub by: String,
    /// When, milliseconds since the epoch; 0 for never.
    pub since: i64,
}

/// The lock that one instance has.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held until it is dropped")] Flock<File>);

impl Lock {
    /// The lock of `folder`, if no other process has it.
    ///
    /// # Errors
    /// The folder or its lock file cannot be used.
    pub fn take(folder: &Path) -> Result<Option<Self>, JournalError> {
        let path = folder.join("journal.lock");
        let wrong = |source| JournalError::File {
            path: path.display().to_string(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(wrong)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(wrong)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self(lock))),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(wrong(errno.into())),
        }
    }
}

/// An open journal; clones are the same one.
#[derive(Clone)]
pub struct Journal {
    writer: writer::Writer,
    reader: Arc<Mutex<Connection>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal in `folder`, or makes it. Only who has the [`Lock`] may.
    ///
    /// # Errors
    /// The file cannot be used or has another version.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let path: PathBuf = folder.join("journal.sqlite");
        let connection = schema::open(&path)?;
        let reader =
            Connection::open_with_flags(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        reader.busy_timeout(std::time::Duration::from_secs(5))?;
        let writer = writer::Writer::start(connection).map_err(|source| JournalError::File {
            path: path.display().to_string(),
            source,
        })?;
        Ok(Self {
            writer,
            reader: Arc::new(Mutex::new(reader)),
        })
    }

    /// How much was written and how fast.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        self.writer.statistics()
    }

    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.writer.write(change).await
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let reader = Arc::clone(&self.reader);
        let looked = tokio::task::spawn_blocking(move || {
            let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            look(&reader)
        });
        looked.await.map_err(|_| JournalError::Ended)?
    }

    /// Writes something that changes nothing: whether the journal can be written.
    ///
    /// # Errors
    /// It cannot.
    pub async fn probe(&self) -> Result<(), JournalError> {
        self.write(|tx| {
            tx.execute("UPDATE meta SET version=version", [])?;
            Ok(())
        })
        .await
    }

    /// Stores the alerts of one webhook, all or none; they are on disk when it answers.
    ///
    /// # Errors
    /// They are not stored.
    pub async fn receive(&self, alerts: Vec<Alert>) -> Result<(), JournalError> {
        self.write(move |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT INTO alerts(at, fingerprint, firing, starts_at, labels, trace, done) VALUES (?,?,?,?,?,?,0)",
            )?;
            for alert in &alerts {
                let labels = serde_json::to_string(&alert.labels)?;
                insert.execute(params![alert.at, alert.fingerprint, alert.firing, alert.starts_at, labels, alert.origin.as_ref().map(Origin::as_str)])?;
            }
            Ok(())
        })
        .await
    }

    /// Alerts of which nothing was made yet, in the order in which they came.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn open_alerts(&self, most: u32) -> Result<Vec<Alert>, JournalError> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT seq, at, fingerprint, firing, starts_at, labels, trace FROM alerts WHERE done=0 ORDER BY seq LIMIT ?",
            )?;
            let rows = query.query_map([most], |row| {
                Ok((
                    Alert {
                        seq: row.get(0)?,
                        at: row.get(1)?,
                        fingerprint: row.get(2)?,
                        firing: row.get(3)?,
                        starts_at: row.get(4)?,
                        labels: BTreeMap::new(),
                        origin: row.get::<_, Option<String>>(6)?.as_deref().and_then(Origin::parse),
                    },
                    row.get::<_, String>(5)?,
                ))
            })?;
            let mut alerts = Vec::new();
            for row in rows {
                let (mut alert, labels) = row?;
                alert.labels = serde_json::from_str(&labels)?;
                alerts.push(alert);
            }
            Ok(alerts)
        })
        .await
    }

    /// What fires since `since` by the last that was told of it: fingerprint, label `device`, when it was told.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn firing(&self, since: i64) -> Result<Vec<(String, String, i64)>, JournalError> {
        self.read(move |db| {
            // The other columns are those of the row that has the maximum.
            let mut query = db.prepare(
                "SELECT fingerprint, coalesce(json_extract(labels, '$.device'), ''), at, firing, max(seq) FROM alerts \
                 WHERE done=1 AND at>=? GROUP BY fingerprint",
            )?;
            let rows = query.query_map([since], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, bool>(3)?))
            })?;
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            let fires = rows.into_iter().filter(|(.., firing)| *firing);
            Ok(fires.map(|(fingerprint, device, at, _)| (fingerprint, device, at)).collect())
        })
        .await
    }

    /// Makes what came of an alert: new jobs, each in its first state with its row, and the alert done; all or nothing. A job whose
    /// target is taken is left out.
    ///
    /// Answers the jobs that were made.
    ///
    /// # Errors
    /// Nothing was made.
    pub async fn settle(&self, alert: i64, jobs: Vec<Job>) -> Result<Vec<Job>, JournalError> {
        self.write(move |tx| {
            let mut made = Vec::new();
            for job in jobs {
                match insert(tx, &job) {
                    Ok(()) => made.push(job),
                    Err(JournalError::Claimed(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            tx.execute("UPDATE alerts SET done=1 WHERE seq=?", [alert])?;
            Ok(made)
        })
        .await
    }

    /// Stores a new job.
    ///
    /// # Errors
    /// Another open job has its target, or it cannot be stored.
    pub async fn insert(&self, job: Job) -> Result<(), JournalError> {
        self.write(move |tx| insert(tx, &job)).await
    }

    /// Moves a job from `from` to the state that `job` has, and stores the rest of it. Of two who try, one succeeds.
    ///
    /// # Errors
    /// It does not stand at `from` any more, there is no such arrow, or it cannot be stored.
    pub async fn step(&self, from: State, job: &Job) -> Result<(), JournalError> {
        if !from.may_become(job.state) {
            return Err(JournalError::Arrow(from.as_str(), job.state.as_str()));
        }
        let job = job.clone();
        self.write(move |tx| {
            let body = serde_json::to_string(&job)?;
            let moved = tx.execute(
                "UPDATE jobs SET state=?, open=?, updated=?, body=? WHERE id=? AND state=?",
                params![
                    job.state.as_str(),
                    !job.state.is_final(),
                    job.updated,
                    body,
                    job.id,
                    from.as_str()
                ],
            )?;
            if moved == 0 {
                let now = tx
                    .query_row("SELECT state FROM jobs WHERE id=?", [&job.id], |row| {
                        row.get::<_, String>(0)
                    })
                    .optional()?;
                return Err(now.map_or(JournalError::Missing, JournalError::Moved));
            }
            row(tx, &job, Some(from))
        })
        .await
    }

    /// Stores what changed in a job that stays where it is.
    ///
    /// # Errors
    /// It moved, or cannot be stored.
    pub async fn keep(&self, job: &Job) -> Result<(), JournalError> {
        let job = job.clone();
        self.write(move |tx| {
            let body = serde_json::to_string(&job)?;
            let kept = tx.execute(
                "UPDATE jobs SET updated=?, body=? WHERE id=? AND state=?",
                params![job.updated, body, job.id, job.state.as_str()],
            )?;
            if kept == 0 {
                Err(JournalError::Missing)
            } else {
                Ok(())
            }
        })
        .await
    }

    /// The job of this id.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn job(&self, id: &str) -> Result<Option<Job>, JournalError> {
        let id = id.to_owned();
        self.read(move |db| {
            let body = db
                .query_row("SELECT body FROM jobs WHERE id=?", [&id], |row| {
                    row.get::<_, String>(0)
                })
                .optional()?;
            Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
        })
        .await
    }

    /// Jobs by a condition, the newest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn jobs(&self, filter: Filter) -> Result<Vec<Job>, JournalError> {
        self.read(move |db| {
            let (sql, values) = filter.query();
            let mut query = db.prepare_cached(&sql)?;
            let values = values.iter().map(|value| &**value);
            let rows = query.query_map(rusqlite::params_from_iter(values), |row| {
                row.get::<_, String>(0)
            })?;
            rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
        })
        .await
    }

    /// How many jobs of a runbook stand in a state.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn count(&self, runbook: &str, state: State) -> Result<u32, JournalError> {
        let runbook = runbook.to_owned();
        self.read(move |db| {
            let count = COUNT;
            Ok(db.query_row(count, params![runbook, state.as_str()], |row| row.get(0))?)
        })
        .await
    }

    /// The rows of a job, oldest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn rows(&self, job: &str) -> Result<Vec<Row>, JournalError> {
        let job = job.to_owned();
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT seq, at, job, \"from\", \"to\", reason FROM rows WHERE job=? ORDER BY seq",
            )?;
            let rows = query.query_map([job], |row| {
                Ok(Row {
                    seq: row.get(0)?,
                    at: row.get(1)?,
                    job: row.get(2)?,
                    from: row.get(3)?,
                    to: row.get(4)?,
                    reason: row.get(5)?,
                })
            })?;
            rows.map(|row| Ok(row?)).collect()
        })
        .await
    }

    /// The number of the last row; 0 without any.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn last_row(&self) -> Result<i64, JournalError> {
        self.read(|db| {
            Ok(
                db.query_row("SELECT coalesce(max(seq), 0) FROM rows", [], |row| {
                    row.get(0)
                })?,
            )
        })
        .await
    }

    /// Stores a change by a person.
    ///
    /// # Errors
    /// It is not stored.
    pub async fn hint(&self, hint: Hint) -> Result<(), JournalError> {
        self.write(move |tx| {
            tx.execute(
                "INSERT INTO hints(at, device, user, source, text, anything) VALUES (?,?,?,?,?,?)",
                params![
                    hint.at,
                    hint.device,
                    hint.user,
                    hint.source,
                    hint.text,
                    hint.anything
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Changes of a device by people since `since`, the newest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn hints(&self, device: &str, since: i64) -> Result<Vec<Hint>, JournalError> {
        let device = device.to_owned();
        self.read(move |db| {
            let mut query =
                db.prepare_cached("SELECT at, device, user, source, text, anything FROM hints WHERE device=? AND at>=? ORDER BY seq DESC LIMIT 200")?;
            let rows = query.query_map(params![device, since], |row| {
                Ok(Hint { at: row.get(0)?, device: row.get(1)?, user: row.get(2)?, source: row.get(3)?, text: row.get(4)?, anything: row.get(5)? })
            })?;
            rows.map(|row| Ok(row?)).collect()
        })
        .await
    }

    /// Whether everything is stopped.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn switch(&self) -> Result<Switch, JournalError> {
        self.read(|db| {
            let found = db
                .query_row("SELECT body FROM switch WHERE id=1", [], |row| {
                    row.get::<_, String>(0)
                })
                .optional()?;
            Ok(found
                .map(|body| serde_json::from_str(&body))
                .transpose()?
                .unwrap_or_default())
        })
        .await
    }

    /// Stops everything, or lets it go on.
    ///
    /// # Errors
    /// It is not stored.
    pub async fn set_switch(&self, switch: Switch) -> Result<(), JournalError> {
        self.write(move |tx| {
            let body = serde_json::to_string(&switch)?;
            tx.execute(
                "INSERT INTO switch(id, body) VALUES (1, ?1) ON CONFLICT(id) DO UPDATE SET body=?1",
                [body],
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets what ended before these times (milliseconds since the epoch): alerts and hints before `short`, jobs before `long`. Rows of
    /// jobs that are forgotten go with them.
    ///
    /// # Errors
    /// Nothing was forgotten.
    pub async fn prune(&self, short: i64, long: i64) -> Result<(), JournalError> {
        self.write(move |tx| {
            tx.execute("DELETE FROM alerts WHERE done=1 AND at<?", [short])?;
            tx.execute("DELETE FROM hints WHERE at<?", [short])?;
            tx.execute(
                "DELETE FROM rows WHERE job IN (SELECT id FROM jobs WHERE open=0 AND updated<?)",
                [long],
            )?;
            tx.execute("DELETE FROM jobs WHERE open=0 AND updated<?", [long])?;
            tx.execute("DELETE FROM commands WHERE updated<?", [long])?;
            Ok(())
        })
        .await
    }
}

/// How many jobs of a runbook stand in a state.
const COUNT: &str = "SELECT count(*) FROM jobs WHERE runbook=? AND state=?";

/// Which jobs.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those in this state.
    pub state: Option<State>,
    /// Those of this device.
    pub device: Option<String>,
    /// Those of this key.
    pub key: Option<String>,
    /// Those that are not over.
    pub open: bool,
    /// Those that changed since then, milliseconds since the epoch.
    pub since: i64,
    /// Those before this id.
    pub before: Option<String>,
    /// At most so many.
    pub most: u32,
}

impl Filter {
    /// The query with the conditions that there are and no others, so that an index serves each: jobs are kept for more than a year.
    fn query(&self) -> (String, Vec<Box<dyn rusqlite::ToSql>>) {
        let mut conditions = Vec::new();
        let mut values: Vec<Box<dyn rusqlite::ToSql>> = Vec::new();
        let mut when = |condition, value: Box<dyn rusqlite::ToSql>| {
            conditions.push(condition);
            values.push(value);
        };
        if let Some(state) = self.state {
            when("state=?", Box::new(state.as_str()));
        }
        if let Some(device) = &self.device {
            when("device=?", Box::new(device.clone()));
        }
        if let Some(key) = &self.key {
            when("key=?", Box::new(key.clone()));
        }
        if self.since > 0 {
            when("updated>=?", Box::new(self.since));
        }
        if let Some(before) = &self.before {
            when("id<?", Box::new(before.clone()));
        }
        values.push(Box::new(self.most));
        if self.open {
            // As the index has it, letter by letter.
            conditions.push("open=1");
        }
        let conditions = match &*conditions {
            [] => "1".to_owned(),
            all => all.join(" AND "),
        };
        // Few are open: to read those and sort them is less than to read all in their order.
        let index = if self.open {
            "INDEXED BY jobs_claim"
        } else {
            ""
        };
        let sql =
            format!("SELECT body FROM jobs {index} WHERE {conditions} ORDER BY id DESC LIMIT ?");
        (sql, values)
    }
}

fn insert(tx: &Transaction<'_>, job: &Job) -> Result<(), JournalError> {
    let body = serde_json::to_string(job)?;
    let key = job.key();
    let inserted = tx.execute(
        "INSERT INTO jobs(id, state, open, runbook, device, key, updated, body) VALUES (?,?,?,?,?,?,?,?)",
        params![job.id, job.state.as_str(), !job.state.is_final(), job.runbook, job.device, key, job.updated, body],
    );
    match inserted {
        Ok(_) => row(tx, job, None),
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == rusqlite::ErrorCode::ConstraintViolation =>
        {
            Err(JournalError::Claimed(key))
        }
        Err(error) => Err(error.into()),
    }
}

fn row(tx: &Transaction<'_>, job: &Job, from: Option<State>) -> Result<(), JournalError> {
    tx.execute(
        "INSERT INTO rows(at, job, \"from\", \"to\", reason) VALUES (?,?,?,?,?)",
        params![
            job.updated,
            job.id,
            from.map(State::as_str),
            job.state.as_str(),
            job.reason
        ],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite goes about a query.
    fn way(db: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> String {
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = plan.query_map(values, |row| row.get::<_, String>(3));
        let rows: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
        rows.join("; ")
    }

    #[test]
    fn what_is_asked_with_every_alert_and_every_step_reads_no_more_than_it_answers() {
        let dir = testkit::TempDir::new().unwrap();
        let db = schema::open(&dir.join("journal.sqlite")).unwrap();
        let open = Filter {
            open: true,
            most: 10,
            ..Filter::default()
        };
        let of_key = Filter {
            key: Some("port-up r1 r2".to_owned()),
            most: 50,
            ..Filter::default()
        };
        let page = Filter {
            before: Some("01".to_owned()),
            most: 10,
            ..Filter::default()
        };
        for (filter, index) in [
            (open, "jobs_claim"),
            (of_key, "jobs_key"),
            (page, "sqlite_autoindex_jobs_1"),
        ] {
            let (sql, values) = filter.query();
            let values: Vec<&dyn rusqlite::ToSql> = values.iter().map(|one| &**one).collect();
            let way = way(&db, &sql, &values);
            assert!(way.contains(index), "{sql}: {way}");
        }
        let way = way(&db, COUNT, &[&"port-up", &"succeeded"]);
        assert!(way.contains("jobs_runbook"), "{way}");
    }

    #[tokio::test]
    async fn journal_of_the_version_before_gets_its_index_and_a_copy_of_what_it_was() {
        let dir = testkit::TempDir::new().unwrap();
        let path = dir.join("journal.sqlite");
        let db = schema::open(&path).unwrap();
        db.execute_batch("DROP INDEX jobs_runbook; UPDATE meta SET version=2;")
            .unwrap();
        drop(db);
        let db = schema::open(&path).unwrap();
        let way = way(&db, COUNT, &[&"port-up", &"succeeded"]);
        assert!(way.contains("jobs_runbook"), "{way}");
        assert!(dir.join("journal.sqlite.version-2").exists());
    }
}
