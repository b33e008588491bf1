//! The folder that holds everything one instance of the stack writes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A state folder that is held by this process alone.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
    // The lock goes with the file.
    _lock: File,
}

impl State {
    /// Makes the folder if needed, readable by its owner only, and takes it for this process.
    ///
    /// # Errors
    /// It cannot be made, or another instance holds it.
    pub(crate) fn take(folder: &Path) -> anyhow::Result<Self> {
        let folder = std::path::absolute(folder)?;
        let make = || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
        };
        make().with_context(|| folder.display().to_string())?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let lock = lock.with_context(|| path.display().to_string())?;
        lock.try_lock().ok().with_context(|| {
            format!(
                "{} is in use: another stack runs there; choose another with --state-dir",
                folder.display()
            )
        })?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Where the state is when nobody says: `$XDG_STATE_HOME/sotp/stack`, else `~/.local/state/sotp/stack`.
///
/// # Errors
/// There is no home folder.
pub(crate) fn usual() -> anyhow::Result<PathBuf> {
    let xdg = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let base = xdg
        .or_else(home)
        .context("HOME is not set: name a folder with --state-dir")?;
    Ok(base.join("sotp/stack"))
}

/// A file with a password of 24 random characters, made once, readable by its owner only.
///
/// # Errors
/// The file can be neither read nor made.
pub(crate) fn password(state: &Path, name: &str) -> anyhow::Result<PathBuf> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let path = state.join(name);
    if path.metadata().is_ok_and(|meta| meta.len() > 0) {
        return Ok(path);
    }
    let mut random = [0; 24];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .context("/dev/urandom")?;
    let text: Vec<u8> = random
        .iter()
        .map(|byte| LETTERS[usize::from(byte % 64)])
        .collect();
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&path);
    file.and_then(|mut file| file.write_all(&text))
        .with_context(|| path.display().to_string())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_state_folder_is_private_and_held_once() {
        let folder = std::env::temp_dir().join(format!("sotp-state-{}", std::process::id()));
        let state = State::take(&folder).unwrap();
        assert_eq!(
            folder.metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
        let error = State::take(&folder).unwrap_err().to_string();
        assert!(error.contains("is in use"), "{error}");
        let file = password(state.folder(), "p").unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let first = std::fs::read_to_string(&file).unwrap();
        assert_eq!(first.len(), 24);
        password(state.folder(), "p").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), first, "made once");
        drop(state);
        State::take(&folder).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
