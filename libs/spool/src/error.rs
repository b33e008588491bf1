use std::io;

/// What can go wrong with a queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The storage refused an operation.
    #[error("{operation} {file}")]
    Storage {
        /// What was attempted.
        operation: &'static str,
        /// The file it was attempted on, relative to the queue's folder.
        file: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file of the queue is not what it should be.
    #[error("{file} is damaged: expected {expected}")]
    Damaged {
        /// The file, relative to the queue's folder.
        file: String,
        /// What was expected of it.
        expected: &'static str,
    },
    /// A later version of the program wrote it.
    #[error(
        "{file} has the format {found}, of a later version: go back to that version, or restore a backup from before it"
    )]
    Later {
        /// The file, relative to the queue's folder.
        file: String,
        /// What its first bytes say.
        found: String,
    },
    /// A record is longer than the format or the bounds allow.
    #[error("a record of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Length of the record's content in bytes.
        length: usize,
        /// The longest that is taken.
        limit: usize,
    },
    /// The options contradict themselves.
    #[error("{option}: {expected}")]
    Options {
        /// The option.
        option: &'static str,
        /// What was expected of it.
        expected: &'static str,
    },
    /// No reader of that name was declared when the queue was opened.
    #[error("no reader named {0:?} was declared")]
    NoReader(String),
}

impl Error {
    pub(crate) fn storage(
        operation: &'static str,
        file: impl Into<String>,
    ) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |source| Self::Storage {
            operation,
            file,
            source,
        }
    }
}
