//! A month that is closed: what its sources told once, in a file with a hash, so that its report can be made again after they forgot.
//!
//! `closed/2026-10.json` has the intervals of every device and what else the report says; `closed/2026-10.json.sha256` its hash, as
//! `sha256sum -c` reads it. The second is written after the first is on the disk: a month is closed once it is there, and then neither
//! changes any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bundle::sha256;
use crate::disk;
use crate::material::Material;
use crate::month::{Millis, Month};

/// The version of the file.
const FORMAT: u32 = 1;
/// Largest file that is read.
const LARGEST: u64 = 2 << 30;

/// What a month was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Version of this form.
    pub format: u32,
    /// The month.
    pub month: Month,
    /// The zone that it is of.
    pub time_zone: String,
    /// How long a sample held without another one, in milliseconds.
    pub stale_after: Millis,
    /// What its sources told.
    pub material: Material,
}

impl Closed {
    /// What is known of a month, closed or not.
    #[must_use]
    pub fn new(month: Month, time_zone: String, stale_after: Millis, material: Material) -> Self {
        Self {
            format: FORMAT,
            month,
            time_zone,
            stale_after,
            material,
        }
    }

    /// The file: the same month gives the same bytes.
    ///
    /// # Errors
    /// It cannot be written as JSON: an error of the programmer.
    pub fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The closed months.
#[derive(Debug, Clone)]
pub struct Archive {
    folder: PathBuf,
}

impl Archive {
    /// The archive below the folder of the service; it need not be there.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self {
            folder: data.join("closed"),
        }
    }

    fn places(&self, month: Month) -> (PathBuf, PathBuf) {
        let name = format!("{month}.json");
        let hash = format!("{name}.sha256");
        (self.folder.join(name), self.folder.join(hash))
    }

    /// A closed month; `None` where it is not.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn read(&self, month: Month) -> io::Result<Option<Closed>> {
        let (place, hash) = self.places(month);
        let expected = match fs::read_to_string(&hash) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let bad = |why: String| {
            let message = format!("{}: {why}", place.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        };
        if fs::metadata(&place)?.len() > LARGEST {
            return Err(bad(format!("expected at most {LARGEST} bytes")));
        }
        let bytes = fs::read(&place)?;
        if expected.split_whitespace().next() != Some(&sha256(&bytes)) {
            return Err(bad(format!(
                "it is not what was written: another hash than in {}",
                hash.display()
            )));
        }
        let closed: Closed =
            serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if closed.format != FORMAT || closed.month != month {
            return Err(bad(format!(
                "expected format {FORMAT} of {month}, found {} of {}: go back to the version of the program that wrote it, or restore a backup from before it",
                closed.format, closed.month
            )));
        }
        Ok(Some(closed))
    }

    /// Closes a month, unless it is.
    ///
    /// # Errors
    /// It cannot be written; then it is not closed.
    pub fn close(&self, closed: &Closed) -> io::Result<()> {
        let (place, hash) = self.places(closed.month);
        if hash.exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        let bytes = closed.bytes()?;
        disk::replace(&place, &bytes)?;
        let line = format!("{}  {}.json\n", sha256(&bytes), closed.month);
        disk::replace(&hash, line.as_bytes())
    }
}
