//! The audit log: who did what, when and with what outcome, in a chain that cannot be quietly changed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Role};

/// What is about to be done: recorded before it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who.
    pub caller: Caller,
    /// The role with which they were let through.
    pub role: Role,
    /// The verb, as the service names it.
    pub verb: String,
    /// What it is done to: `device/r1`.
    pub object: String,
    /// The trace of the request, where there is one.
    pub trace_id: Option<String>,
    /// SHA-256 of what was asked, [`request_hash`].
    pub request_hash: [u8; 32],
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "snake_case")]
pub enum Outcome {
    /// Done; the detail says what came of it: a version, a job id.
    Done(String),
    /// Not done, because of what was asked: invalid, in conflict.
    Refused(String),
    /// Not done, or in part, because something broke.
    Failed(String),
}

/// Bounds of the log.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// A file that has grown to so many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// Records that may wait for their outcome at a time.
    pub most_pending: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            most_pending: 1024,
        }
    }
}

/// Why something cannot be recorded; then it must not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The folder or a file in it.
    #[error("audit log cannot be written")]
    Write(#[source] std::io::Error),
    /// Too many records wait for their outcome.
    #[error("too many changes at a time")]
    Busy,
}

/// The open log; clones write to the same one.
#[derive(Debug, Clone)]
pub struct Audit;

/// What was recorded as begun and waits for its outcome. Dropped without one it is recorded as abandoned.
#[derive(Debug)]
#[must_use = "what was begun must be finished with its outcome"]
pub struct Pending;

impl Audit {
    /// Opens the log in a folder, made when it is not there.
    ///
    /// # Errors
    /// It cannot be made or read, another process has it open, or its last file is damaged.
    pub fn open(_folder: &Path, _options: Options) -> Result<Self, AuditError> {
        Ok(Self)
    }

    /// Records what is about to be done; it is on disk when this returns.
    ///
    /// # Errors
    /// It cannot be recorded, and must not be done.
    pub async fn begin(&self, _record: Record) -> Result<Pending, AuditError> {
        Err(AuditError::Busy)
    }
}

impl Pending {
    /// Its number in the log.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        0
    }

    /// Records how it ended. An outcome that cannot be written now is written before anything else is begun.
    pub async fn finish(self, _outcome: Outcome) {}
}

/// SHA-256 over method, path with query, and body of a request, each with its length.
#[must_use]
pub fn request_hash(request: &crate::Request) -> [u8; 32] {
    use sha2::Digest as _;
    let mut digest = sha2::Sha256::new();
    let uri = request.uri.to_string();
    for part in [
        request.method.as_str().as_bytes(),
        uri.as_bytes(),
        request.body(),
    ] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
