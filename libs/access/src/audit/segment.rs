//! The files of a log on disk, and where its chain goes on.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::line::Hash;

/// Where the chain goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) sequence: u64,
    pub(super) hash: Hash,
    /// Good bytes in the current file.
    pub(super) len: u64,
}

/// The file that is written.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// The one before, which must stay too.
    pub(super) before: Option<PathBuf>,
    /// Locked for as long as this is open.
    pub(super) _lock: File,
}

/// Its name, in which the numbers sort as text.
pub(super) fn name(first: u64) -> String {
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

pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW);
    options
}

pub(super) fn written(path: &Path) -> io::Result<File> {
    options().read(true).open(path)
}

impl Open {
    /// Goes on with the last of these files, or begins the first.
    pub(super) fn new(folder: &Path, files: &[PathBuf], lock: File) -> io::Result<Self> {
        let (path, before) = match files {
            [] => (folder.join(name(1)), None),
            [only] => (only.clone(), None),
            [.., before, last] => (last.clone(), Some(before.clone())),
        };
        let file = written(&path)?;
        File::open(folder)?.sync_all()?;
        Ok(Self {
            path,
            file,
            before,
            _lock: lock,
        })
    }
}
