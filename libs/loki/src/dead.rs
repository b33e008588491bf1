//! The dead-letter file: entries that Loki will not take, kept whole with the reason.

use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use spool::Record;

/// One entry of the file, which is one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it was dead-lettered, RFC 3339.
    pub time: String,
    /// The destination that would not take it.
    pub destination: String,
    /// Why, in one word.
    pub reason: String,
    /// What Loki said.
    pub detail: String,
    /// The labels of its stream.
    pub labels: String,
    /// Its text, to be read by people.
    pub line: String,
    /// Its stamp, nanoseconds since 1970.
    pub stamp: u64,
    /// Its class in the queue.
    pub class: u8,
    /// The record of the queue, base64: what `replay` sends.
    pub record: String,
}

impl DeadLetter {
    pub(crate) fn new(record: Record<'_>, destination: &str, reason: &str, detail: &str) -> Self {
        Self {
            time: jiff::Timestamp::now().to_string(),
            destination: destination.to_owned(),
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            labels: String::new(),
            line: String::new(),
            stamp: record.stamp,
            class: record.class,
            record: STANDARD.encode(record.payload),
        }
    }

    /// The content of the queue's record.
    ///
    /// # Errors
    /// When it is not base64.
    pub fn payload(&self) -> io::Result<Vec<u8>> {
        STANDARD
            .decode(&self.record)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// A dead-letter file that is appended to. What was appended is durable.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
    max_bytes: u64,
    file: Mutex<fs::File>,
}

impl DeadLetters {
    /// Opens or makes the file. It takes no more than `max_bytes`.
    ///
    /// # Errors
    /// When it cannot be opened for appending.
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = fs::File::options().create(true).append(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            max_bytes,
            file: Mutex::new(file),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |m| m.len())
    }

    /// Appends letters and makes them durable. The file may be moved away meanwhile: a new one is begun.
    ///
    /// # Errors
    /// `StorageFull` when they do not fit into the bound, or what the file system says.
    pub fn append(&self, letters: &[DeadLetter]) -> io::Result<()> {
        let mut text = Vec::new();
        for letter in letters {
            serde_json::to_writer(&mut text, letter)?;
            text.push(b'\n');
        }
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !self.path.exists() {
            *file = fs::File::options()
                .create(true)
                .append(true)
                .open(&self.path)?;
        }
        let length = file.metadata()?.len();
        if length + text.len() as u64 > self.max_bytes {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the dead-letter file is full",
            ));
        }
        let written = file.write_all(&text).and_then(|()| file.sync_data());
        if written.is_err() {
            let _ = file.set_len(length);
        }
        written
    }
}

/// Reads a dead-letter file. A last line that was not written whole is skipped.
///
/// # Errors
/// When the file cannot be read, or a line is not a dead letter: the message names the line.
pub fn read_dead_letters(path: &Path) -> io::Result<Vec<DeadLetter>> {
    let mut letters = Vec::new();
    let mut lines = io::BufReader::new(fs::File::open(path)?)
        .lines()
        .enumerate()
        .peekable();
    while let Some((number, line)) = lines.next() {
        let line = line?;
        match serde_json::from_str(&line) {
            Ok(letter) => letters.push(letter),
            Err(_) if lines.peek().is_none() || line.is_empty() => {}
            Err(error) => {
                let text = format!(
                    "{}:{}: expected a dead letter: {error}",
                    path.display(),
                    number + 1
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
    }
    Ok(letters)
}
