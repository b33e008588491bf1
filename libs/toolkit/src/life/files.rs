//! Files by content.

use std::fs::File;
use std::io::{self, Read as _};
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
    let content = bounded(path).map_err(|error| wrong(&error))?;
    String::from_utf8(content).map_err(|_| wrong(&"expected UTF-8"))
}

/// The content, counted while it is read: a device or a pipe has no size beforehand.
fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    if crate::vault::Reference::of(path).is_some() {
        return crate::read_secret(path);
    }
    let mut content = Vec::new();
    let file = File::open(path)?;
    file.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("expected at most {LARGEST} bytes"),
        ));
    }
    Ok(content)
}

/// Checksum of the files' names and content; one that cannot be read counts as such, so that its return is a change.
pub(crate) fn checksum(paths: &[PathBuf]) -> Checksum {
    let mut sum = Sha256::new();
    for path in paths {
        let name = path.as_os_str().as_encoded_bytes();
        sum.update((name.len() as u64).to_le_bytes());
        sum.update(name);
        match bounded(path) {
            Ok(content) => {
                sum.update((content.len() as u64).to_le_bytes());
                sum.update(&content);
            }
            Err(error) => sum.update(format!("{:?}", error.kind())),
        }
    }
    sum.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_without_end_is_refused() {
        let endless = Path::new("/dev/zero");
        let error = read(endless).unwrap_err().to_string();
        assert_eq!(
            error,
            "/dev/zero: cannot be read: expected at most 67108864 bytes"
        );
        assert_eq!(checksum(&[endless.into()]), checksum(&[endless.into()]));
    }
}
