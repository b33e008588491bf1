//! Files by content.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

/// Checksum over the content of several files.
pub(crate) type Checksum = [u8; 32];

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
