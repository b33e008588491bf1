//! The newest record, noted beside the folder of the log: what tells a start that the log was taken away.
//!
//! One line, `NUMBER:HASH`, padded to one length, so that it is written over in place and needs no room on a full disk. It is written
//! after its record is on disk, and may lag behind after a crash; it is never before the log.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Anchor;

/// Digits of the largest number, colon, hash and line end.
const LENGTH: usize = 20 + 1 + 64 + 1;

#[derive(Debug)]
pub(super) struct HeadFile {
    path: PathBuf,
    file: Option<File>,
    kept: Option<Anchor>,
    told: bool,
}

/// Where it is for a log in this folder, when nothing else is said.
#[must_use]
pub(super) fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".head");
    PathBuf::from(name)
}

/// The record that was noted last; `None` where nothing was noted yet.
///
/// # Errors
/// There is a note, and it cannot be read: who took the log away may have spoilt it too.
pub(super) fn read(path: &Path) -> Result<Option<Anchor>, String> {
    let wrong = |why: String| format!("{} cannot be read: {why}", path.display());
    match std::fs::read(path) {
        // Made, and nothing written before a crash.
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let note = text.trim().parse();
            note.map(Some)
                .map_err(|_| wrong("expected NUMBER:HASH".to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(error.to_string())),
    }
}

impl HeadFile {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            kept: None,
            told: false,
        }
    }

    /// What was noted, from now on what is [`kept`](Self::kept).
    pub(super) fn read(&mut self) -> Result<Option<Anchor>, String> {
        self.kept = read(&self.path)?;
        Ok(self.kept)
    }

    pub(super) fn kept(&self) -> Option<Anchor> {
        self.kept
    }

    pub(super) fn keep(&mut self, head: &Anchor) {
        self.kept = Some(*head);
        let line = format!("{:>width$}\n", head.to_string(), width = LENGTH - 1);
        let written = self
            .file()
            .and_then(|file| file.write_all_at(line.as_bytes(), 0));
        match written {
            Ok(()) => self.told = false,
            Err(error) if !self.told => {
                self.told = true;
                self.file = None;
                tracing::warn!(
                    %error,
                    path = %self.path.display(),
                    "the newest audit record cannot be noted here; a log that is taken away before a start would not be noticed"
                );
            }
            Err(_) => self.file = None,
        }
    }

    fn file(&mut self) -> std::io::Result<&File> {
        if self.file.is_none() || !self.path.exists() {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(nix::libc::O_NOFOLLOW)
                .open(&self.path)?;
            self.file = Some(file);
        }
        self.file
            .as_ref()
            .ok_or_else(|| std::io::Error::other("not open"))
    }
}
