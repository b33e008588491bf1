//! The tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use super::JournalError;

/// The version that this program writes.
const VERSION: i64 = 3;

/// What makes a journal of the version before one of the next: from 1 on.
const CHANGES: [&str; 2] = [
    "ALTER TABLE hints ADD COLUMN anything INTEGER NOT NULL DEFAULT 0;",
    "CREATE INDEX jobs_runbook ON jobs(runbook, state);",
];

const TABLES: &str = "
CREATE TABLE meta(version INTEGER NOT NULL);
CREATE TABLE alerts(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, fingerprint TEXT NOT NULL, firing INTEGER NOT NULL,
  starts_at INTEGER NOT NULL, labels TEXT NOT NULL, trace TEXT, done INTEGER NOT NULL);
CREATE INDEX alerts_open ON alerts(seq) WHERE done=0;
CREATE TABLE jobs(
  id TEXT PRIMARY KEY, state TEXT NOT NULL, open INTEGER NOT NULL, runbook TEXT NOT NULL, device TEXT NOT NULL, key TEXT NOT NULL,
  updated INTEGER NOT NULL, body TEXT NOT NULL);
CREATE UNIQUE INDEX jobs_claim ON jobs(key) WHERE open=1;
CREATE INDEX jobs_key ON jobs(key);
CREATE INDEX jobs_updated ON jobs(updated);
CREATE INDEX jobs_runbook ON jobs(runbook, state);
CREATE TABLE rows(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, job TEXT NOT NULL, \"from\" TEXT, \"to\" TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX rows_job ON rows(job);
CREATE TABLE hints(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, device TEXT NOT NULL, user TEXT NOT NULL, source TEXT NOT NULL,
  text TEXT NOT NULL, anything INTEGER NOT NULL DEFAULT 0);
CREATE INDEX hints_device ON hints(device, at);
CREATE TABLE commands(id TEXT PRIMARY KEY, updated INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE switch(id INTEGER PRIMARY KEY CHECK (id=1), body TEXT NOT NULL);
";

pub(super) fn open(path: &Path) -> Result<Connection, JournalError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let there: Option<String> = connection
        .query_row(
            "SELECT name FROM sqlite_master WHERE name='meta'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if there.is_none() {
        connection.execute_batch(&format!(
            "BEGIN;{TABLES}INSERT INTO meta VALUES ({VERSION});COMMIT;"
        ))?;
    }
    let version = |connection: &Connection| {
        connection.query_row("SELECT version FROM meta", [], |row| row.get(0))
    };
    let mut found: i64 = version(&connection)?;
    if (1..VERSION).contains(&found) {
        keep_copy(&connection, path, found)?;
    }
    while let Some(change) = usize::try_from(found - 1)
        .ok()
        .and_then(|from| CHANGES.get(from))
    {
        connection.execute_batch(&format!(
            "BEGIN;{change}UPDATE meta SET version={};COMMIT;",
            found + 1
        ))?;
        found = version(&connection)?;
    }
    if found != VERSION {
        return Err(JournalError::Version {
            found,
            expected: VERSION,
        });
    }
    Ok(connection)
}

/// Copies a journal beside itself before it is changed: `journal.sqlite.version-1`. One that is there is of an earlier attempt, and older.
fn keep_copy(connection: &Connection, path: &Path, version: i64) -> Result<(), JournalError> {
    let mut copy = path.as_os_str().to_owned();
    copy.push(format!(".version-{version}"));
    if !Path::new(&copy).exists() {
        let copy = copy.to_string_lossy();
        tracing::info!(copy = %copy, version, "journal is copied before it is changed");
        connection.execute("VACUUM INTO ?1", [&copy])?;
    }
    Ok(())
}
