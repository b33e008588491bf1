//! Console jobs in the journal.

use rusqlite::{OptionalExtension as _, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Journal, JournalError};
use crate::job::Who;

/// A console command on one or more devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandJob {
    /// Its id.
    pub id: String,
    /// `running`, `done`, or `unknown` when the process ended meanwhile: nobody knows what was asked then.
    pub state: String,
    /// The command as it was sent.
    pub command: String,
    /// The devices.
    pub devices: Vec<String>,
    /// Who asked.
    pub requester: Who,
    /// When it was made, milliseconds since the epoch.
    pub created: i64,
    /// When it last changed, milliseconds since the epoch.
    pub updated: i64,
    /// Trace that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What each device answered.
    pub answers: Vec<Answered>,
}

/// What one device answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answered {
    /// The device.
    pub device: String,
    /// Whether it answered.
    pub ok: bool,
    /// Its answer, masked and bounded, or why there is none.
    pub text: String,
    /// Whether the answer was longer than what is kept.
    #[serde(default)]
    pub truncated: bool,
    /// Seconds until it was whole.
    pub seconds: f64,
}

impl Journal {
    /// Stores a console job, new or changed.
    ///
    /// # Errors
    /// It is not stored.
    pub async fn put_command(&self, job: CommandJob) -> Result<(), JournalError> {
        self.write(move |tx| {
            let body = serde_json::to_string(&job)?;
            tx.execute(
                "INSERT INTO commands(id, updated, body) VALUES (?1,?2,?3) ON CONFLICT(id) DO UPDATE SET updated=?2, body=?3",
                params![job.id, job.updated, body],
            )?;
            Ok(())
        })
        .await
    }

    /// The console job of this id.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn command(&self, id: &str) -> Result<Option<CommandJob>, JournalError> {
        let id = id.to_owned();
        self.read(move |db| {
            let body = db
                .query_row("SELECT body FROM commands WHERE id=?", [&id], |row| {
                    row.get::<_, String>(0)
                })
                .optional()?;
            Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
        })
        .await
    }

    /// Jobs with the same command before this one, the newest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn commands_before(
        &self,
        job: &CommandJob,
        most: u32,
    ) -> Result<Vec<CommandJob>, JournalError> {
        let (id, command) = (job.id.clone(), job.command.clone());
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT body FROM commands WHERE id<? AND json_extract(body, '$.command')=? ORDER BY id DESC LIMIT ?",
            )?;
            let rows = query.query_map(params![id, command, most], |row| row.get::<_, String>(0))?;
            rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
        })
        .await
    }

    /// Console jobs that ran when the process before ended are unknown from now on.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn forget_running(&self, now: i64) -> Result<(), JournalError> {
        self.write(move |tx| {
            tx.execute(
                "UPDATE commands SET updated=?1, body=json_set(body, '$.state', 'unknown', '$.updated', ?1) \
                 WHERE json_extract(body, '$.state')='running'",
                [now],
            )?;
            Ok(())
        })
        .await
    }

    /// The last console jobs, the newest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn commands(&self, most: u32) -> Result<Vec<CommandJob>, JournalError> {
        self.read(move |db| {
            let mut query =
                db.prepare_cached("SELECT body FROM commands ORDER BY id DESC LIMIT ?")?;
            let rows = query.query_map([most], |row| row.get::<_, String>(0))?;
            rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
        })
        .await
    }
}
