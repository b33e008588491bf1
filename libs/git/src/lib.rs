//! Versions of texts in a git repository, by the `git` command.
//!
//! The program is used and not a library because its crash safety and its formats are the reference and it costs nothing to
//! build. Writing is `git fast-import`, one process for any number of commits on any number of references. Reading is one
//! `git cat-file --batch` that is kept, so that a version costs no process.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod commit;
mod objects;
mod packed;
mod process;
mod repository;

pub use commit::{Commit, Logged, author, import, logged};
pub use objects::Objects;
pub use process::run;
pub use repository::{Change, Repository, Version};

use std::io;
use std::process::Output;

/// Why git did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be run, or broke off.
    #[error("git cannot be run")]
    Run(#[source] io::Error),
    /// It said no.
    #[error("git {command}: {said}")]
    Refused {
        /// The command, such as `fast-import`.
        command: String,
        /// The beginning of what it said.
        said: String,
    },
}

impl Error {
    /// What `output` of `git ARGS` says.
    #[must_use]
    pub fn refused(args: &[&str], output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stderr);
        let mut first = said.trim().chars().take(400).collect::<String>();
        if first.is_empty() {
            first = format!("ended with {}", output.status);
        }
        // Settings stand before the command.
        let command = args
            .iter()
            .scan(false, |value, arg| {
                let is_value = std::mem::replace(value, *arg == "-c");
                Some((!is_value && *arg != "-c").then_some(*arg))
            })
            .flatten()
            .next();
        Self::Refused {
            command: command.unwrap_or_default().to_owned(),
            said: first,
        }
    }
}
