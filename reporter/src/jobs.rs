//! What was asked for, while it waits and runs, and what came of it; the last hundred.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::month::Month;

/// Most jobs that are remembered.
const REMEMBERED: usize = 100;
/// Most jobs that wait or run.
const OPEN: usize = 8;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JobState")]
pub enum State {
    /// It waits or runs.
    Running,
    /// It is done.
    Done,
    /// It failed; the outbox tries a mail again by itself.
    Failed,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// The month.
    pub month: Month,
    /// Whether the report is sent, too.
    pub send: bool,
    /// Who asked for it.
    pub requested_by: String,
    /// How far it is.
    pub state: State,
    /// What came of it, in words.
    pub outcome: String,
    /// When it was asked for.
    #[schemars(with = "String")]
    pub created: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub ended: Option<Timestamp>,
}

/// The jobs, the newest first.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<VecDeque<Job>>);

impl Jobs {
    fn all(&self) -> std::sync::MutexGuard<'_, VecDeque<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; `false` when too many wait.
    pub fn add(&self, job: Job) -> bool {
        let mut all = self.all();
        let open = all.iter().filter(|job| job.state == State::Running);
        if open.count() >= OPEN {
            return false;
        }
        all.push_front(job);
        // The oldest is long over: fewer than these may run.
        all.truncate(REMEMBERED);
        true
    }

    /// Says what came of a job.
    pub fn end(&self, id: &str, state: State, outcome: String) {
        if let Some(job) = self.all().iter_mut().find(|job| job.id == id) {
            (job.state, job.outcome) = (state, outcome);
            job.ended = Some(Timestamp::now());
        }
    }

    /// How many wait or run.
    #[must_use]
    pub fn open(&self) -> usize {
        let all = self.all();
        all.iter().filter(|job| job.state == State::Running).count()
    }

    /// All that are remembered.
    #[must_use]
    pub fn list(&self) -> Vec<Job> {
        self.all().iter().cloned().collect()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Job> {
        self.all().iter().find(|job| job.id == id).cloned()
    }
}
