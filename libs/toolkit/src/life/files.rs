//! Files by content.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::ConfigError;

/// Largest configuration file in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Checksum over the content of several files.
pub(crate) type Checksum = [u8; 32];

/// Reads a text file of bounded size.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    let wrong =
        |error: &dyn std::fmt::Display| ConfigError::new(path, format!("cannot be read: {error}"));
    let size = std::fs::metadata(path)
        .map_err(|error| wrong(&error))?
        .len();
    if size > LARGEST {
        return Err(wrong(&format!(
            "expected at most {LARGEST} bytes, found {size}"
        )));
    }
    std::fs::read_to_string(path).map_err(|error| wrong(&error))
}

/// Checksum of the files' names and content; one that cannot be read counts as such, so that its return is a change.
pub(crate) fn checksum(paths: &[PathBuf]) -> Checksum {
    let mut sum = Sha256::new();
    for path in paths {
        let name = path.as_os_str().as_encoded_bytes();
        sum.update((name.len() as u64).to_le_bytes());
        sum.update(name);
        match std::fs::read(path) {
            Ok(content) => {
                sum.update((content.len() as u64).to_le_bytes());
                sum.update(&content);
            }
            Err(error) => sum.update(format!("{:?}", error.kind())),
        }
    }
    sum.finalize().into()
}
