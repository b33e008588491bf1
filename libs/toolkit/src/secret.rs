//! Secrets that do not show.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

/// What stands in the place of a secret.
const MASK: &str = "<secret>";

/// A string that never shows itself: `Debug`, `Display` and serde write a mask; the memory is overwritten at the end.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(#[serde(with = "plain")] Zeroizing<String>);

mod plain {
    use serde::Deserialize;
    use zeroize::Zeroizing;

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(from).map(Zeroizing::new)
    }
}

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the one call that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(MASK)
    }
}

/// A secret in a file, read again when its content changes; one trailing line end is not part of it.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    seen: Mutex<(Option<Stamp>, Secret)>,
}

/// What tells cheaply that a file may have changed. Symlinks are followed, so a Kubernetes swap changes the inode.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// Largest secret in bytes.
const LARGEST: u64 = 64 * 1024;

impl SecretFile {
    /// Reads the file once.
    ///
    /// # Errors
    /// It cannot be read, is not UTF-8 or holds more than 64 KiB.
    pub fn open(path: impl Into<PathBuf>) -> std::io::Result<Self> {
        let path = path.into();
        let stamp = stamp(&path).ok();
        let secret = read(&path)?;
        Ok(Self {
            path,
            seen: Mutex::new((stamp, secret)),
        })
    }

    /// The file it comes from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret as the file has it now; while the file cannot be read, the last good one.
    #[must_use]
    pub fn current(&self) -> Secret {
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = stamp(&self.path).ok();
        if now.is_some() && now != seen.0 {
            match read(&self.path) {
                Ok(secret) => *seen = (now, secret),
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "secret file cannot be read, the last one stays");
                }
            }
        }
        seen.1.clone()
    }
}

fn read(path: &Path) -> std::io::Result<Secret> {
    if std::fs::metadata(path)?.len() > LARGEST {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            "a secret has at most 64 KiB",
        ));
    }
    let mut text = Zeroizing::new(std::fs::read_to_string(path)?);
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(Secret(text))
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
