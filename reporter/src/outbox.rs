//! What is to be sent: a file for each month that says how far it is, and the mail itself, both on disk before anything is sent.
//!
//! `outbox/2026-10.eml` is the mail, byte for byte as it is sent each time; `outbox/2026-10.json` its state. The state becomes `sending`
//! before a byte goes out and `sent` once the server has taken the mail. When the process ends between the two, nobody knows whether
//! the server took it (RFC 1047): it is sent again, with the same Message-ID and the same bytes, so that the receiving side can tell that
//! it is the same mail. Everywhere else one mail goes out, however often the process ends.

use std::fs;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bundle::{FORMAT, expect_format};
use crate::disk;
use crate::month::Month;

/// How far a mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MailState")]
pub enum State {
    /// It waits.
    Queued,
    /// It is on its way; found at a start, nobody knows whether it arrived.
    Sending,
    /// The server has it.
    Sent,
    /// The server does not want it, and will not later.
    Refused,
}

/// A mail in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Mail")]
pub struct Entry {
    /// Version of this form.
    pub format: u32,
    /// The month of its report.
    pub month: Month,
    /// How far it is.
    pub state: State,
    /// Its Message-ID, the same at each attempt.
    pub message_id: String,
    /// Who sends it, the address alone.
    pub from: String,
    /// Who gets it, the addresses alone.
    pub to: Vec<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// How often it was on its way when a process ended, and so may have arrived once more.
    pub in_doubt: u32,
    /// When it was put there.
    #[schemars(with = "String")]
    pub queued: Timestamp,
    /// When the server took it.
    #[schemars(with = "Option<String>")]
    pub sent: Option<Timestamp>,
    /// Why it was not sent the last time.
    pub error: Option<String>,
}

impl Entry {
    /// A mail that waits.
    #[must_use]
    pub fn new(
        month: Month,
        message_id: String,
        from: String,
        to: Vec<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            format: FORMAT,
            month,
            state: State::Queued,
            message_id,
            from,
            to,
            attempts: 0,
            in_doubt: 0,
            queued: now,
            sent: None,
            error: None,
        }
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Outbox {
    folder: PathBuf,
}

impl Outbox {
    /// The outbox in this folder, which is there.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn state(&self, month: Month) -> PathBuf {
        self.folder.join(format!("{month}.json"))
    }

    fn copied(&self, month: Month) -> PathBuf {
        self.folder.join(format!("{month}.copied"))
    }

    fn mail(&self, month: Month) -> PathBuf {
        self.folder.join(format!("{month}.eml"))
    }

    /// The mail of a month; `None` where there never was one.
    ///
    /// # Errors
    /// Its state cannot be read. It is not taken for one that was not sent.
    pub fn get(&self, month: Month) -> io::Result<Option<Entry>> {
        let path = self.state(month);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let bad = |why: String| {
            let message = format!("{}: {why}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        };
        expect_format(&text).map_err(bad)?;
        let entry: Entry = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        if entry.month != month {
            return Err(bad(format!("expected the mail of {month}")));
        }
        Ok(Some(entry))
    }

    /// Every mail, the newest month first.
    ///
    /// # Errors
    /// The folder or a state cannot be read.
    pub fn all(&self) -> io::Result<Vec<Entry>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let month = name
                .to_str()
                .and_then(|name| name.strip_suffix(".json"))
                .and_then(|name| name.parse().ok());
            if let Some(month) = month {
                all.extend(self.get(month)?);
            }
        }
        all.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.month));
        Ok(all)
    }

    /// Puts a mail there that waits; the mail is on disk before its state is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn queue(&self, entry: &Entry, mail: &[u8]) -> io::Result<()> {
        disk::replace(&self.mail(entry.month), mail)?;
        self.save(entry)
    }

    /// Writes how far a mail is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, entry: &Entry) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(entry)?;
        text.push(b'\n');
        disk::replace(&self.state(entry.month), &text)
    }

    /// Whether the copies of a report are where they are to be.
    #[must_use]
    pub fn is_copied(&self, month: Month) -> bool {
        self.copied(month).exists()
    }

    /// Writes that they are.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_copied(&self, month: Month) -> io::Result<()> {
        disk::replace(
            &self.copied(month),
            format!("{}\n", Timestamp::now()).as_bytes(),
        )
    }

    /// The bytes of a mail.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn bytes(&self, month: Month) -> io::Result<Vec<u8>> {
        fs::read(self.mail(month))
    }
}
