//! Secrets in files and in Vault.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::secret::read_file;
use crate::{Secret, vault};

/// A secret in a file, read again when its content changes; one trailing line end is not part of it. In place of the name of a file it may
/// have that of a secret in Vault, `vault:MOUNT/PATH#KEY` (docs/toolkit.md).
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    seen: Seen,
}

#[derive(Debug)]
enum Seen {
    File(Mutex<(Option<Stamp>, Secret)>),
    Vault(vault::Value),
}

/// What tells cheaply that a file may have changed. Symlinks are followed, so a Kubernetes swap changes the inode.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl SecretFile {
    /// Reads it once; waits for Vault for some seconds at most.
    ///
    /// # Errors
    /// It cannot be read, is not UTF-8 or holds more than 64 KiB; Vault is not configured, does not answer or refuses.
    pub fn open(path: impl Into<PathBuf>) -> std::io::Result<Self> {
        let path = path.into();
        let seen = if let Some(reference) = vault::Reference::of(&path) {
            Seen::Vault(vault::Value::open(&reference?)?)
        } else {
            let stamp = stamp(&path).ok();
            Seen::File(Mutex::new((stamp, read_file(&path)?)))
        };
        Ok(Self { path, seen })
    }

    /// The file it comes from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret as the file or Vault has it now; while it cannot be read, the last good one.
    #[must_use]
    pub fn current(&self) -> Secret {
        let seen = match &self.seen {
            Seen::File(seen) => seen,
            Seen::Vault(value) => return value.current(),
        };
        let mut seen = seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = stamp(&self.path).ok();
        if now.is_some() && now != seen.0 {
            match read_file(&self.path) {
                Ok(secret) => *seen = (now, secret),
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "secret file cannot be read, the last one stays");
                }
            }
        }
        seen.1.clone()
    }
}

/// The bytes of a file that a configuration names, or of a secret in Vault (`vault:MOUNT/PATH#KEY`): for a reader that makes something of
/// them at once, such as a key.
///
/// # Errors
/// It cannot be read; Vault is not configured, does not answer or refuses.
pub fn read_secret(path: &Path) -> std::io::Result<Vec<u8>> {
    match vault::Reference::of(path) {
        None => std::fs::read(path),
        Some(reference) => {
            let value = vault::Value::open(&reference?)?;
            Ok(value.current().reveal().as_bytes().to_vec())
        }
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path)?;
    Ok(Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.len(),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_read_again_when_it_changes_and_kept_when_it_is_gone() {
        let dir = testkit::TempDir::new().unwrap();
        let path = dir.write("password", "first\r\n").unwrap();
        let file = SecretFile::open(&path).unwrap();
        assert_eq!(file.current().reveal(), "first");
        dir.write("password", "other").unwrap();
        assert_eq!(file.current().reveal(), "other");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.current().reveal(), "other");
        dir.write("password", "third\n\n").unwrap();
        assert_eq!(file.current().reveal(), "third\n");
    }

    #[test]
    fn huge_file_is_no_secret() {
        let dir = testkit::TempDir::new().unwrap();
        let path = dir.write("password", vec![b'x'; 70_000]).unwrap();
        assert!(SecretFile::open(&path).is_err());
    }
}
