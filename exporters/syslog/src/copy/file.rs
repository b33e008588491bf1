//! A copy in a file that is begun anew when it is long enough.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use spool::Batch;

use super::{line, messages};
use crate::config::FileCopy;

/// The file that is written to.
pub struct File {
    copy: FileCopy,
    open: Option<(fs::File, u64)>,
    buffer: Vec<u8>,
}

impl File {
    pub(super) fn new(copy: FileCopy) -> Self {
        Self {
            copy,
            open: None,
            buffer: Vec::new(),
        }
    }

    /// Writes a batch and makes it durable; gives the bytes. When that fails the part written is cut off again.
    pub(super) fn write(&mut self, batch: &Batch) -> io::Result<usize> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        for message in messages(batch) {
            line(message, &mut buffer);
        }
        let result = tokio::task::block_in_place(|| self.append(&buffer));
        if result.is_err() {
            self.open = None;
        }
        let length = buffer.len();
        self.buffer = buffer;
        result.map(|()| length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self
            .open
            .as_ref()
            .is_some_and(|(_, length)| *length >= self.copy.max_bytes)
        {
            self.open = None;
            rotate(&self.copy.path, self.copy.keep)?;
        }
        let (file, length) = match &mut self.open {
            Some(open) => open,
            None => {
                if let Some(folder) = self.copy.path.parent() {
                    fs::create_dir_all(folder)?;
                }
                let file = fs::File::options()
                    .create(true)
                    .append(true)
                    .open(&self.copy.path)?;
                let length = file.metadata()?.len();
                self.open.insert((file, length))
            }
        };
        if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_data()) {
            let _ = file.set_len(*length);
            return Err(error);
        }
        *length += bytes.len() as u64;
        Ok(())
    }
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Moves `path` to `path.1`, that to `path.2` and so on; what is beyond `keep` is removed.
fn rotate(path: &Path, keep: usize) -> io::Result<()> {
    let missing = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if keep == 0 {
        return missing(fs::remove_file(path));
    }
    for number in (1..keep).rev() {
        missing(fs::rename(
            numbered(path, number),
            numbered(path, number + 1),
        ))?;
    }
    missing(fs::rename(path, numbered(path, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_files_move_up_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy.log");
        for round in 0..4 {
            fs::write(&path, format!("{round}")).unwrap();
            rotate(&path, 2).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).ok();
        assert_eq!(read("copy.log"), None);
        assert_eq!(read("copy.log.1").as_deref(), Some("3"));
        assert_eq!(read("copy.log.2").as_deref(), Some("2"));
        assert_eq!(read("copy.log.3"), None);
    }
}
