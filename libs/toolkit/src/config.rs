//! The contract between a service and the toolkit.

use std::future::Future;
use std::path::{Path, PathBuf};

use crate::{App, Identity, Live};

mod keys;

pub use keys::{Key, Keys};
pub use units::{Bytes, Duration, DurationIn, Ranged};

/// One binary of ours.
pub trait Service: Sized + Send + Sync + 'static {
    /// Name, title, default port.
    const IDENTITY: Identity;
    /// Flags of its own; each is read from a `SOTP_*` environment variable too.
    type Flags: clap::Args + Clone + std::fmt::Debug + Send + Sync + 'static;
    /// The checked configuration.
    type Config: Configuration;

    /// Reads and checks the whole configuration: at the start, and again whenever its content has changed. `origin` is the file it came
    /// from: for messages, and to resolve relative paths. Without a file the text is [`Configuration::DEFAULT`].
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line and path where known, and what was expected.
    fn configure(
        flags: &Self::Flags,
        text: &str,
        origin: &Path,
    ) -> Result<Self::Config, ConfigError>;

    /// Binds what the service needs and registers routes, metrics and tasks on `app`.
    ///
    /// Nothing is answered and no task runs before it returns `Ok`. An error ends the process with exit code 1, a [`BadInput`] with 64.
    fn build(
        flags: Self::Flags,
        config: Live<Self::Config>,
        app: &mut App,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Threads that carry TCP connections, each with an event loop of its own, so that a connection never waits for another thread: for a
    /// service whose handlers run [there](App::route_on_connection). Without any the two threads of the web server carry them.
    #[must_use]
    fn connection_threads() -> usize {
        0
    }

    /// Checks what else the service reads, beyond its configuration: for `--config.check`. Answers a line on what was found good.
    ///
    /// # Errors
    /// What is wrong; it ends the check with the exit code of a wrong configuration.
    fn check(_flags: &Self::Flags, _config: &Self::Config) -> Result<Option<String>, BadInput> {
        Ok(None)
    }

    /// What its own flags ask to be printed in place of running.
    fn print(_flags: &Self::Flags) -> Option<String> {
        None
    }
}

/// Input beside flags and configuration that is wrong: returned by [`Service::build`] it ends the process as a wrong configuration does,
/// with exit code 64 and every line of its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// The checked configuration of a service.
pub trait Configuration: Sized + Send + Sync + 'static {
    /// The annotated default as YAML: what `--config.print-default` prints and what runs without `--config.file`.
    const DEFAULT: &'static str;

    /// The configuration as YAML with every secret masked: the body of `/config`.
    fn masked(&self) -> String;

    /// Further files whose content belongs to the configuration; a change of one is a change of the configuration.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// Why a configuration was refused: `file:line:column: path: what was expected`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.line())]
pub struct ConfigError {
    /// The file, or what stands for it.
    pub origin: PathBuf,
    /// Line and column, counted from 1, where known.
    pub place: Option<(u64, u64)>,
    /// Path inside the document, `devices[3].address`, where known.
    pub path: Option<String>,
    /// What is wrong and what was expected.
    pub message: String,
}

impl ConfigError {
    /// An error about the file as a whole.
    pub fn new(origin: &Path, message: impl Into<String>) -> Self {
        Self {
            origin: origin.to_owned(),
            place: None,
            path: None,
            message: message.into(),
        }
    }

    /// An error about the value at `path` (`devices[3].address`) of the YAML `text`; the line is found from the path.
    pub fn at(
        text: &str,
        origin: &Path,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let path = path.into();
        let place = crate::yaml::locate(text, &path);
        Self {
            origin: origin.to_owned(),
            place,
            path: Some(path),
            message: message.into(),
        }
    }

    fn line(&self) -> String {
        let mut line = self.origin.display().to_string();
        if let Some((row, column)) = self.place {
            line.push_str(&format!(":{row}:{column}"));
        }
        if let Some(path) = self.path.as_deref().filter(|path| !path.is_empty()) {
            line.push_str(": ");
            line.push_str(path);
        }
        line.push_str(": ");
        line.push_str(&self.message);
        line
    }
}
