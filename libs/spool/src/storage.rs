//! The storage under a queue: each operation it uses, so that each can be made to fail.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A flat folder of files.
pub trait Storage: Send + Sync + 'static {
    /// The names of all files.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A new, empty file; an existing one of that name is an error.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// An existing file, for reading and writing.
    ///
    /// # Errors
    /// When it does not exist or cannot be opened.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Removes a file; open handles stay readable.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes created and removed names durable.
    ///
    /// # Errors
    /// When the medium refuses.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file of a [`Storage`].
pub trait File: Send + Sync + 'static {
    /// Length in bytes.
    ///
    /// # Errors
    /// When the medium refuses.
    fn length(&self) -> io::Result<u64>;
    /// Reads at an offset; fewer bytes than asked are allowed, none means the end.
    ///
    /// # Errors
    /// When the medium refuses.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at an offset; fewer bytes than given are allowed.
    ///
    /// # Errors
    /// When the medium refuses or is full.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts the file to a length.
    ///
    /// # Errors
    /// When the medium refuses.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Makes all content durable.
    ///
    /// # Errors
    /// When the medium refuses.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the file system, held by one process at a time.
pub struct Disk {
    folder: PathBuf,
    handle: fs::File,
    _lock: fs::File,
}

impl Disk {
    /// Makes the folder if need be and takes its lock.
    ///
    /// # Errors
    /// When the folder cannot be made, or another process holds the lock (`WouldBlock`).
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = fs::File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(folder.join("lock"))?;
        lock.try_lock().map_err(|_| {
            io::Error::new(
                io::ErrorKind::WouldBlock,
                "the folder is in use by another process",
            )
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            handle: fs::File::open(folder)?,
            _lock: lock,
        })
    }
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.folder.join(name))?;
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(
            fs::File::options()
                .read(true)
                .write(true)
                .open(self.folder.join(name))?,
        ))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

impl File for fs::File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

pub(crate) fn write_all(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = &bytes[n..];
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends; gives the number of bytes read.
pub(crate) fn read_full(file: &dyn File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
