//! The reports on disk: `reports/2026-10/` with the files of the month, whole or not there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::bundle::{Bundle, MANIFEST, Manifest, expect_format, sha256};
use crate::closed::Archive;
use crate::disk;
use crate::month::Month;

/// Largest manifest that is read.
const LARGEST: u64 = 16 << 20;

/// The folder of the service.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// Nobody else works on the folder while it lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock ends with the open file")] File);

impl Store {
    /// The store in this folder, which is made where it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        for name in ["reports", "outbox"] {
            fs::create_dir_all(folder.join(name))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The folder of the outbox.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.folder.join("outbox")
    }

    /// The folder of a month.
    #[must_use]
    pub fn place(&self, month: Month) -> PathBuf {
        place(&self.folder, month)
    }

    /// The folder for this process alone; `None` while another one works in it.
    ///
    /// # Errors
    /// The file of the lock cannot be opened.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        let file = File::create(self.folder.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Since when the schedule is followed here: what was due before is not made up for.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn since(&self, now: Timestamp) -> io::Result<Timestamp> {
        let path = self.folder.join("since");
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| {
                let message = format!(
                    "{}: expected a time such as 2026-11-01T06:00:00Z",
                    path.display()
                );
                io::Error::new(io::ErrorKind::InvalidData, message)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk::replace(&path, format!("{now}\n").as_bytes())?;
                Ok(now)
            }
            Err(error) => Err(error),
        }
    }

    /// The months of which there is a report, the newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn months(&self) -> io::Result<Vec<Month>> {
        let mut months = Vec::new();
        for entry in fs::read_dir(self.folder.join("reports"))? {
            let name = entry?.file_name();
            // What is being written has another name.
            months.extend(name.to_str().and_then(|name| name.parse::<Month>().ok()));
        }
        months.sort_unstable_by(|a, b| b.cmp(a));
        Ok(months)
    }

    /// The closed months.
    #[must_use]
    pub fn archive(&self) -> Archive {
        Archive::new(&self.folder)
    }

    /// What the report of a month says of itself; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read, or is of a newer version.
    pub fn manifest(&self, month: Month) -> io::Result<Option<Manifest>> {
        manifest(&self.folder, month)
    }

    /// A file of the report of a month; `None` where its list does not name one.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn file(&self, month: Month, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(manifest) = self.manifest(month)? else {
            return Ok(None);
        };
        if name == MANIFEST {
            return fs::read(self.place(month).join(MANIFEST)).map(Some);
        }
        // Only a name of the list becomes a path.
        let Some(known) = manifest.files.iter().find(|file| file.name == name) else {
            return Ok(None);
        };
        let place = self.place(month).join(&known.name);
        let content = fs::read(&place)?;
        if sha256(&content) != known.sha256 {
            let message = format!("{}: another hash than in {MANIFEST}", place.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Some(content))
    }

    /// Puts a report in the place of the one that may be there.
    ///
    /// # Errors
    /// It cannot be written; then the old one is still there, or none.
    pub fn put(&self, bundle: &Bundle) -> io::Result<()> {
        let place = self.place(bundle.manifest.month);
        put(&place, bundle)
    }
}

fn place(folder: &Path, month: Month) -> PathBuf {
    folder.join("reports").join(month.to_string())
}

/// What the report of a month that is kept in `folder` says of itself; `None` where there is none. Nothing is made that is not there.
///
/// # Errors
/// It cannot be read, or is of a newer version.
pub fn manifest(folder: &Path, month: Month) -> io::Result<Option<Manifest>> {
    let path = place(folder, month).join(MANIFEST);
    let size = match fs::metadata(&path) {
        Ok(about) => about.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bad = |why: String| {
        let message = format!("{}: {why}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    if size > LARGEST {
        return Err(bad(format!("expected at most {LARGEST} bytes")));
    }
    let bytes = fs::read(&path)?;
    expect_format(&bytes).map_err(bad)?;
    let manifest = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    Ok(Some(manifest))
}

/// Writes the files of a report into a folder that replaces the one that may be there.
///
/// # Errors
/// It cannot be written.
pub fn put(place: &Path, bundle: &Bundle) -> io::Result<()> {
    let (new, old) = (beside(place, "new"), beside(place, "old"));
    for left in [&new, &old] {
        if left.exists() {
            fs::remove_dir_all(left)?;
        }
    }
    fs::create_dir_all(&new)?;
    for file in &bundle.files {
        disk::write(&new.join(&file.name), &file.content)?;
    }
    disk::sync_folder(&new)?;
    if place.exists() {
        fs::rename(place, &old)?;
    }
    fs::rename(&new, place)?;
    if let Some(parent) = place
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        disk::sync_folder(parent)?;
    }
    if old.exists() {
        fs::remove_dir_all(old)?;
    }
    Ok(())
}

fn beside(place: &Path, what: &str) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(what);
    place.with_file_name(name)
}
