//! What is kept over a restart: templates, sampling rates and times of each stream, in one file of JSON.
//!
//! Exporters tell their templates every few minutes only; what they send between a restart and then would be lost without this. The file is written
//! whole beside its place and put there in one step, so that it is never half a file. Sequence numbers are not kept: what came while nobody
//! listened is no loss on the way.

use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::session::Restored;

/// Longest file that is read.
const LONGEST: u64 = 256 << 20;

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    version: u32,
    streams: Vec<(Key, Restored)>,
}

impl State {
    pub(crate) fn new(streams: impl Iterator<Item = (Key, Restored)>) -> Self {
        let mut streams: Vec<_> = streams.collect();
        streams.sort_unstable_by_key(|(key, _)| *key);
        Self {
            version: 1,
            streams,
        }
    }

    pub(crate) fn into_streams(self) -> impl Iterator<Item = (Key, Restored)> {
        self.streams.into_iter()
    }

    /// Reads the file; `None` when there is none.
    ///
    /// # Errors
    /// The kernel's, or that it is no such file.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(about) if about.len() > LONGEST => return Err(io::Error::other("too long")),
            Ok(_) => {}
        }
        #[derive(Deserialize)]
        struct Form {
            version: u32,
        }
        let bytes = std::fs::read(path)?;
        let Form { version } = serde_json::from_slice(&bytes)?;
        if version != 1 {
            let message = format!("of version {version}, of a later program; expected 1");
            return Err(io::Error::other(message));
        }
        Ok(Some(serde_json::from_slice(&bytes)?))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let beside = path.with_extension("new");
        let mut file = std::fs::File::create(&beside)?;
        let mut out = io::BufWriter::new(&mut file);
        serde_json::to_writer(&mut out, self)?;
        out.flush()?;
        drop(out);
        file.sync_all()?;
        std::fs::rename(beside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_later_version_is_refused() {
        let folder = testkit::TempDir::new().unwrap();
        let path = folder.join("templates.json");
        State::new(std::iter::empty()).write(&path).unwrap();
        assert!(State::read(&path).unwrap().is_some());
        let later = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            &path,
            later
                .replace("\"version\":1", "\"version\":2")
                .replace("streams", "flows"),
        )
        .unwrap();
        let error = State::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("of version 2, of a later program"),
            "{error}"
        );
    }
}
