//! A folder of files that becomes a package or a layer of an image.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Files that are laid out below one folder as they will be on the machine.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty one; what was in the folder goes.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new(root: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let root = root.into();
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
        Ok(Self { root })
    }

    /// Where it lies.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file that everybody may read; `path` is absolute on the machine.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        self.write(path, content.as_ref(), 0o644)
    }

    /// Writes a program.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn program(&self, path: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        self.write(path, content.as_ref(), 0o755)
    }

    /// Makes a folder of this mode.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn folder(&self, path: &str, mode: u32) -> anyhow::Result<()> {
        let place = self.place(path);
        std::fs::create_dir_all(&place).with_context(|| path.to_owned())?;
        set(&place, mode)
    }

    /// Copies every file below `from`, in their folders.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn copy(&self, from: &Path, to: &str, ending: &str) -> anyhow::Result<()> {
        for file in crate::files(from, ending)? {
            let below = file.strip_prefix(from)?.display().to_string();
            let content = std::fs::read(&file).with_context(|| file.display().to_string())?;
            self.file(&format!("{to}/{below}"), content)?;
        }
        Ok(())
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, content: &[u8], mode: u32) -> anyhow::Result<()> {
        let place = self.place(path);
        let mut folder = self.root.clone();
        for part in Path::new(path.trim_start_matches('/'))
            .parent()
            .into_iter()
            .flatten()
        {
            folder.push(part);
            if !folder.is_dir() {
                std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
                set(&folder, 0o755)?;
            }
        }
        std::fs::write(&place, content).with_context(|| place.display().to_string())?;
        set(&place, mode)
    }
}

fn set(place: &Path, mode: u32) -> anyhow::Result<()> {
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode))
        .with_context(|| place.display().to_string())
}
