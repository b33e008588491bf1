//! Changes that are not in git yet, one line each: what makes a change durable within a few milliseconds.
//!
//! A line is 16 hexadecimal digits (the begin of SHA-256 over the rest), a space, JSON and a line feed. A last line
//! that is cut short or does not fit its digits was never answered for and is dropped; damage before it is an error.
//! Records stay until their commit is made; a commit names its record (`Change: 17`), so that none is made twice.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inventory::edit::{Edit, Entry, Kind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::disk::Disk;

/// A change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// From 1, without gaps.
    pub(crate) number: u64,
    /// Unix time in seconds.
    pub(crate) seconds: i64,
    /// `name <address>`.
    pub(crate) author: String,
    /// The whole commit message.
    pub(crate) message: String,
    /// The steps, or the whole text where a person wrote the file.
    pub(crate) steps: Steps,
    /// SHA-256 of the text afterwards, in hexadecimal.
    pub(crate) text: String,
    /// For whom it was done, when it was asked for under a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Key>,
    /// A commit that is merged with this change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merge: Option<String>,
    /// Whether that commit takes the place of one of this record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) forward: bool,
}

/// A request that may be sent again (`Idempotency-Key`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// Caller and key.
    pub(crate) name: String,
    /// SHA-256 of the request, in hexadecimal.
    pub(crate) request: String,
    /// Status of the answer.
    pub(crate) status: u16,
    /// Entity tag of the answer.
    pub(crate) tag: String,
    /// Body of the answer, where it is short.
    #[serde(default)]
    pub(crate) body: String,
}

/// What a change does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Steps {
    /// Entries, each by itself.
    Edits(Vec<Step>),
    /// The whole text.
    Text(String),
}

/// An [`Edit`]; the entry as JSON text, whose numbers are read back to the last bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    kind: Kind,
    name: String,
    put: Option<String>,
}

impl From<&Edit> for Step {
    fn from(edit: &Edit) -> Self {
        Self {
            kind: edit.kind(),
            name: edit.name().to_owned(),
            put: match edit {
                Edit::Put(entry) => Some(entry.to_json()),
                Edit::Delete(..) => None,
            },
        }
    }
}

impl Step {
    pub(crate) fn edit(&self) -> Result<Edit, inventory::Error> {
        Ok(match &self.put {
            Some(json) => Edit::Put(Entry::parse(self.kind, json)?),
            None => Edit::Delete(self.kind, self.name.clone()),
        })
    }
}

pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    length: u64,
    /// Why nothing can be added until the service starts again: what is on disk is not known.
    broken: bool,
}

impl Journal {
    /// The journal in `folder` and what stands in it.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path) -> io::Result<(Self, Vec<Record>)> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("journal");
        let bytes = disk.read(&path)?.unwrap_or_default();
        let (records, length) = read(&bytes, &path)?;
        if length < bytes.len() {
            tracing::warn!(journal = %path.display(), "journal ended in the middle of a change that was never answered for; dropped");
            disk.truncate(&path, length as u64)?;
        }
        let journal = Self {
            disk,
            path,
            length: length as u64,
            broken: false,
        };
        Ok((journal, records))
    }

    /// Adds a record; it is on disk when this returns.
    pub(crate) fn append(&mut self, record: &Record) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other(
                "the journal could not be repaired after an error; restart the service",
            ));
        }
        let line = line(record)?;
        match self.disk.append(&self.path, line.as_bytes()) {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Part of the line may stand there; it must not come back to life.
                self.broken = self.disk.truncate(&self.path, self.length).is_err();
                Err(error)
            }
        }
    }

    /// Forgets everything but `left`: it is in git.
    pub(crate) fn keep<'a>(&mut self, left: impl Iterator<Item = &'a Record>) -> io::Result<()> {
        let mut lines = String::new();
        for record in left {
            lines.push_str(&line(record)?);
        }
        if lines.is_empty() {
            self.disk.truncate(&self.path, 0)?;
        } else {
            let beside = self.path.with_extension("new");
            self.disk.write(&beside, lines.as_bytes())?;
            self.disk.sync(&beside)?;
            self.disk.rename(&beside, &self.path)?;
        }
        self.length = lines.len() as u64;
        Ok(())
    }

    /// Bytes that stand in it.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

fn line(record: &Record) -> io::Result<String> {
    let json = serde_json::to_string(record)?;
    Ok(format!("{} {json}\n", digits(json.as_bytes())))
}

fn digits(json: &[u8]) -> String {
    super::hex(&Sha256::digest(json)[..8])
}

/// The records, and how many bytes are whole lines.
fn read(bytes: &[u8], path: &Path) -> io::Result<(Vec<Record>, usize)> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let line = rest.iter().position(|byte| *byte == b'\n');
        let record = line.and_then(|end| record(&rest[..end]));
        match (record, line) {
            (Some(record), Some(end)) => {
                records.push(record);
                at += end + 1;
            }
            (None, Some(end)) if at + end + 1 < bytes.len() => {
                let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
                let text = format!(
                    "{}:{line}: the line is damaged; expected one that fits its checksum (the changes before and after it are whole, nothing was dropped)",
                    path.display()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            _ => break,
        }
    }
    Ok((records, at))
}

fn record(line: &[u8]) -> Option<Record> {
    let (sum, json) = line.split_at_checked(16)?;
    let json = json.strip_prefix(b" ")?;
    (sum == digits(json).as_bytes())
        .then(|| serde_json::from_slice(json).ok())
        .flatten()
}
