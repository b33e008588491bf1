//! What is wrong with an inventory, and where.

use std::fmt;

use yaml::{At, Mistake};

/// How many problems one error lists; the rest is counted.
const LISTED: usize = 50;

/// An inventory that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a valid inventory.
    #[error("{0}")]
    Invalid(Problems),
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The text is longer than [`MAX_BYTES`](crate::MAX_BYTES).
    #[error("{origin}: an inventory may hold {} bytes at most", crate::MAX_BYTES)]
    TooLarge {
        /// The file or URL.
        origin: String,
    },
    /// The text is not UTF-8.
    #[error("{origin}: not UTF-8 text")]
    NotText {
        /// The file or URL.
        origin: String,
    },
    /// Far fewer devices than before; [`Guard`](crate::Guard) holds them back.
    #[error(
        "{origin}: {after} devices, and there were {before}: held back until this stands unchanged for a minute or is confirmed (POST /-/reload)"
    )]
    Shrunk {
        /// The file or URL.
        origin: String,
        /// Devices in force.
        before: usize,
        /// Devices in the source.
        after: usize,
    },
    /// A source that cannot work, whatever the network does.
    #[error("inventory source {source_name}: {reason}")]
    Source {
        /// The source as it was given, without secrets.
        source_name: String,
        /// What was expected.
        reason: String,
    },
    /// The inventory service could not be asked.
    #[error("cannot fetch {url}: {reason}")]
    Fetch {
        /// The URL.
        url: String,
        /// The chain of causes.
        reason: String,
    },
}

/// Everything that was found wrong in one document.
#[derive(Debug)]
pub struct Problems {
    origin: String,
    list: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(crate) fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            list: Vec::new(),
            more: 0,
        }
    }

    pub(crate) fn push(&mut self, problem: Problem) {
        if self.list.len() < LISTED {
            self.list.push(problem);
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn sort(&mut self) {
        self.list.sort_by_key(|problem| problem.0.at);
    }

    /// The problems that are listed, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// The same problems with other words for the paths and messages.
    #[must_use]
    pub fn map(mut self, words: impl Fn(&str) -> String) -> Self {
        for problem in &mut self.list {
            problem.0.path = words(&problem.0.path);
            problem.0.message = words(&problem.0.message);
        }
        self
    }

    /// How many there are, listed or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}{problem}", self.origin)?;
        }
        if self.more > 0 {
            write!(f, "\n{}: and {} more", self.origin, self.more)?;
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Mistake);

impl Problem {
    pub(crate) fn new(at: At, path: String, message: String) -> Self {
        Self(Mistake { at, path, message })
    }

    /// Line in the file, from 1; `None` when the document did not come from text.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        (self.0.at.line > 0).then_some(self.0.at.line)
    }

    /// Path inside the document: `devices[3].ping.interval`; empty for the whole of it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What is wrong and what was expected.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl From<Mistake> for Problem {
    fn from(mistake: Mistake) -> Self {
        Self(mistake)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
