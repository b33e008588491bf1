//! Copies of a report outside of the service: in a folder, such as one of a file server, and in a bucket of S3.
//!
//! The list of the files goes last: who finds it finds the others. Putting a file again puts the same file again, so that nothing has to
//! be known of an attempt that failed.

mod s3;

use std::io;
use std::path::PathBuf;

use crate::bundle::Bundle;
use crate::store;

pub use s3::Bucket;

/// Where copies go.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    /// A folder; each report has one of its own in it.
    pub folder: Option<PathBuf>,
    /// A bucket.
    pub bucket: Option<Bucket>,
}

/// Why a copy is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder.
    #[error("the copy in {0}")]
    Folder(String, #[source] io::Error),
    /// The bucket.
    #[error("the copy in S3: {0}")]
    Bucket(String),
}

impl Copies {
    /// Whether there are to be none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.folder.is_none() && self.bucket.is_none()
    }

    /// Puts a report everywhere.
    ///
    /// # Errors
    /// The first place where it is not.
    pub async fn put(&self, bundle: &Bundle) -> Result<(), Error> {
        let month = bundle.manifest.month;
        if let Some(folder) = &self.folder {
            let place = folder.join(month.to_string());
            store::put(&place, bundle)
                .map_err(|error| Error::Folder(place.display().to_string(), error))?;
        }
        if let Some(bucket) = &self.bucket {
            // The manifest is the last of them.
            for file in &bundle.files {
                let key = format!("{month}/{}", file.name);
                let put = bucket.put(&key, file.content.clone());
                put.await.map_err(Error::Bucket)?;
            }
        }
        Ok(())
    }
}
