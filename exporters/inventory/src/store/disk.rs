//! Every call by which the store touches the disk, so that tests can let any of them fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::Output;

/// What the store asks of the operating system and of `git`.
pub(crate) trait Disk: Send + Sync + 'static {
    /// The content of a file; `None` when there is none.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Adds to the end of a file and waits until it is on disk.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file and waits until that is on disk.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Writes a whole file.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Waits until a file or folder is on disk.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Puts a file in the place of another.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Runs `git` in a folder with what `input` writes on its standard input.
    fn git(
        &self,
        folder: &Path,
        args: &[&str],
        input: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Output>;
}

/// The disk as it is.
pub(crate) struct Real;

impl Disk for Real {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_data()
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(path, bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn git(
        &self,
        folder: &Path,
        args: &[&str],
        input: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Output> {
        ::git::run(folder, args, input)
    }
}
