//! Where lines go.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes at the end of a file, safe on disk when a call returns.
pub(crate) trait Store: Send + 'static {
    /// Makes room for this many bytes after the end, so that they can be appended later.
    fn reserve(&mut self, bytes: u64) -> io::Result<()>;
    /// Appends and makes durable. After an error any part of the bytes may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Takes away everything after `len`.
    fn cut(&mut self, len: u64) -> io::Result<()>;
    /// Goes on in a new file, whose first record has this number.
    fn rotate(&mut self, first: u64) -> io::Result<()>;
}

/// Files `audit-FIRST.jsonl` in a folder, each named for its first record.
#[derive(Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    file: File,
    /// Locked for as long as this is open.
    _lock: File,
}

/// Its name, in which the numbers sort as text.
fn name(first: u64) -> String {
    format!("audit-{first:020}.jsonl")
}

/// The files of a log in order; every name of their form counts, whatever number it has.
pub(crate) fn segments(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let ours = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("audit-") && name.ends_with(".jsonl"));
        if ours {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Makes the folder and takes the lock, before anything is read.
pub(crate) fn lock(folder: &Path) -> io::Result<Option<File>> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let lock = options().open(folder.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW);
    options
}

impl Files {
    /// Goes on with the last file, or begins the first.
    pub(crate) fn open(folder: &Path, last: Option<&Path>, lock: File) -> io::Result<Self> {
        let path = last.map_or_else(|| folder.join(name(1)), Path::to_owned);
        let file = options().open(path)?;
        File::open(folder)?.sync_all()?;
        Ok(Self {
            folder: folder.to_owned(),
            file,
            _lock: lock,
        })
    }
}

impl Store for Files {
    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        use nix::fcntl::{FallocateFlags, fallocate};
        let end = self.file.metadata()?.len().cast_signed();
        let keep = FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&self.file, keep, end, bytes.cast_signed()) {
            // Where it cannot be done the outcome may find the disk full; then it waits in memory.
            Ok(()) | Err(nix::errno::Errno::EOPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.sync_data()
    }

    fn rotate(&mut self, first: u64) -> io::Result<()> {
        let file = options().open(self.folder.join(name(first)))?;
        File::open(&self.folder)?.sync_all()?;
        self.file = file;
        Ok(())
    }
}
