//! Files and folders of a lab.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The box's own folder, in memory, gone with it.
pub(crate) const RUN: &str = "/run/sotp-lab-box";
/// Where Debian keeps FRR's daemons.
pub(crate) const FRR_PROGRAMS: &str = "/usr/lib/frr";

/// A file with this content, that nobody may read before it has this mode.
pub(crate) fn file(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let new = {
        use std::os::unix::fs::OpenOptionsExt;
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?
    };
    io::Write::write_all(&mut &new, text.as_bytes())?;
    new.set_permissions(fs::Permissions::from_mode(mode))
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    const BYTES: usize = 2_000;
    let mut text = Vec::new();
    if fs::File::open(log)
        .and_then(|mut file| file.read_to_end(&mut text))
        .is_err()
    {
        return "(no log)".to_owned();
    }
    let from = text.len().saturating_sub(BYTES);
    String::from_utf8_lossy(&text[from..]).trim().to_owned()
}
