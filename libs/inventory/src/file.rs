//! Reading files that may be too long.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::model::MAX_BYTES;
use crate::problem::Error;

/// All of the file at `path`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(|source| Error::Read {
        path: path.display().to_string(),
        source,
    })?;
    bounded(file, path)
}

/// All of `file`, or an error when it is longer than an inventory can be.
pub(crate) fn bounded(file: File, path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_BYTES as u64 + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(|source| Error::Read {
            path: path.display().to_string(),
            source,
        })?;
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge {
            origin: path.display().to_string(),
        });
    }
    Ok(bytes)
}
