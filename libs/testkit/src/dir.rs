//! Folders that end with the test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;

/// A new empty folder, removed with its content on drop.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes the folder, readable by this user alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (pid, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let since = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(0, |t| t.subsec_nanos());
        let path = std::env::temp_dir().join(format!("sotp-test-{pid}-{number}-{since}"));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("test folder {}", path.display()))?;
        Ok(Self(path))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path inside it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file inside it, beside and then renamed, so that a reader never sees half of it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(
        &self,
        name: impl AsRef<Path>,
        content: impl AsRef<[u8]>,
    ) -> anyhow::Result<PathBuf> {
        let path = self.join(name);
        let mut beside = path.clone().into_os_string();
        beside.push(".new");
        std::fs::write(&beside, content)
            .with_context(|| format!("test file {}", path.display()))?;
        std::fs::rename(&beside, &path)?;
        Ok(path)
    }

    /// Puts a program inside it that everybody may run. The copy is made by another process: while one of ours
    /// writes it, whatever a second test starts would inherit the open file, and the program would be "busy".
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn program(&self, from: impl AsRef<Path>) -> anyhow::Result<PathBuf> {
        let from = from.as_ref();
        let name = from.file_name().context("a program has a name")?;
        let path = self.join(name);
        let copied = std::process::Command::new("install")
            .args(["-m", "755"])
            .args([from, &path])
            .status()
            .context("install")?;
        anyhow::ensure!(copied.success(), "{} is not copied", from.display());
        Ok(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
