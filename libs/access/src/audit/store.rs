//! Where lines go.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::head::HeadFile;
use super::line::{MEMBER, TAIL, hex};
use super::recover::{self, Recovered};
use super::segment::{Open, Position, name, written};
use super::{Anchor, AuditError};

/// Bytes at the end of a file, safe on disk when a call returns.
pub(crate) trait Store: Send + 'static {
    /// Sees whether what stands is what was written, up to this record; `dirty` when more may stand after it. Where it was not, it is
    /// opened again once somebody declared that, and goes on where this says.
    fn check(&mut self, _at: &Position, _dirty: bool) -> Result<Option<Recovered>, AuditError> {
        Ok(None)
    }
    /// Makes room for this many bytes after the end, so that they can be appended later.
    fn reserve(&mut self, bytes: u64) -> io::Result<()>;
    /// Appends and makes durable. After an error any part of the bytes may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Takes away everything after `len`.
    fn cut(&mut self, len: u64) -> io::Result<()>;
    /// Goes on in a new file, whose first record has this number.
    fn rotate(&mut self, first: u64) -> io::Result<()>;
    /// Notes the newest record where the log is not.
    fn keep(&mut self, _head: &Anchor) {}
}

/// Files `audit-FIRST.jsonl` in a folder, each named for its first record.
#[derive(Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    head: HeadFile,
    /// `None` while it is not what was written.
    open: Option<Open>,
}

impl Files {
    /// The log of a folder, and what must be recorded first; or why it is not what was written, so that nothing is.
    pub(super) fn open(
        folder: &Path,
        head: &Path,
    ) -> Result<(Self, Result<Recovered, AuditError>), AuditError> {
        let mut files = Self {
            folder: folder.to_owned(),
            head: HeadFile::new(head),
            open: None,
        };
        let opened = match files.head.read() {
            Ok(kept) => recover::open(folder, kept),
            Err(what) => Err(files.lost(&what)),
        };
        let found = match opened {
            Ok((open, found)) => {
                files.open = Some(open);
                Ok(found)
            }
            Err(locked @ AuditError::Locked(_)) => return Err(locked),
            Err(error) => Err(error),
        };
        Ok((files, found))
    }

    /// The record that must be in the log at least.
    pub(super) fn expected(&self) -> Option<Anchor> {
        self.head.kept()
    }

    fn lost(&self, what: &str) -> AuditError {
        AuditError::Lost {
            folder: self.folder.display().to_string(),
            what: what.to_owned(),
        }
    }

    fn file(&self) -> io::Result<&File> {
        let open = self.open.as_ref();
        open.map(|open| &open.file)
            .ok_or_else(|| io::Error::other("the audit log is not open"))
    }

    /// What is wrong with what stands, where something is.
    fn wrong(&self, open: &Open, at: &Position, dirty: bool) -> Option<String> {
        let file = open.path.display();
        let (Ok(stands), Ok(ours)) = (std::fs::symlink_metadata(&open.path), open.file.metadata())
        else {
            return Some(format!("{file} is gone"));
        };
        if (stands.dev(), stands.ino()) != (ours.dev(), ours.ino()) {
            return Some(format!("{file} is another file"));
        }
        let len = ours.len();
        if len < at.len {
            return Some(format!("{file} has {len} bytes, expected {}", at.len));
        }
        if len > at.len && !dirty {
            return Some(format!("{file} was written by somebody else"));
        }
        if let Some(before) = open.before.as_ref().filter(|before| !before.exists()) {
            return Some(format!("{} is gone", before.display()));
        }
        if let Some(end) = at.len.checked_sub(TAIL as u64 + 1) {
            let mut tail = [0; TAIL];
            let read = open.file.read_exact_at(&mut tail, end);
            let same = tail.strip_prefix(MEMBER).and_then(|it| it.get(..64))
                == Some(hex(&at.hash).as_bytes());
            if read.is_err() || !same {
                return Some(format!("{file} has another end"));
            }
        }
        None
    }
}

impl Store for Files {
    fn check(&mut self, at: &Position, dirty: bool) -> Result<Option<Recovered>, AuditError> {
        if let Some(open) = &self.open {
            let Some(wrong) = self.wrong(open, at, dirty) else {
                return Ok(None);
            };
            // The lock goes with it, so that the restore can be declared while the service runs.
            self.open = None;
            return Err(self.lost(&wrong));
        }
        let expected = match at.sequence {
            0 => self.head.read().map_err(|what| self.lost(&what))?,
            sequence => Some(Anchor {
                sequence,
                hash: at.hash,
            }),
        };
        let (open, found) = recover::open(&self.folder, expected)?;
        self.open = Some(open);
        Ok(Some(found))
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        use nix::fcntl::{FallocateFlags, fallocate};
        let file = self.file()?;
        let end = file.metadata()?.len().cast_signed();
        let keep = FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(file, keep, end, bytes.cast_signed()) {
            // Where it cannot be done the outcome may find the disk full; then it waits in memory.
            Ok(()) | Err(nix::errno::Errno::EOPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file()?;
        file.write_all(bytes)?;
        file.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        let file = self.file()?;
        file.set_len(len)?;
        file.sync_data()
    }

    fn rotate(&mut self, first: u64) -> io::Result<()> {
        let path = self.folder.join(name(first));
        let file = written(&path)?;
        File::open(&self.folder)?.sync_all()?;
        if let Some(open) = &mut self.open {
            open.file = file;
            open.before = Some(std::mem::replace(&mut open.path, path));
        }
        Ok(())
    }

    fn keep(&mut self, head: &Anchor) {
        self.head.keep(head);
    }
}
