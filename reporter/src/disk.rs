//! Files that are there whole or not at all, also after a loss of power.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Puts a file in the place of the one that may be there.
///
/// # Errors
/// It cannot be written; then the old one is still there.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    write(&beside, content)?;
    fs::rename(&beside, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Writes a file and waits until the disk has it.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Waits until the disk has the names in a folder.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
