//! The last good inventory on disk: whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::{blocking, parse};
use crate::model::Inventory;
use crate::problem::Error;

pub(super) async fn read(path: &Path) -> Result<Inventory, Error> {
    let owned = path.to_owned();
    let bytes = blocking(move || crate::file::read(&owned)).await?;
    parse(bytes, path.display().to_string()).await
}

/// Puts `bytes` at `path`: written beside it, synced, then renamed over it.
pub(super) async fn write(path: &Path, bytes: Arc<[u8]>) -> io::Result<()> {
    let path = path.to_owned();
    blocking(move || {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}", std::process::id()));
        let beside = path.with_file_name(beside);
        let written = (|| {
            let mut file = File::create(&beside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)
        })();
        if written.is_err() {
            // What is left of a full disk helps nobody.
            let _ = std::fs::remove_file(&beside);
        }
        written?;
        match path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    })
    .await
}
