//! From a text, a file or a document to a checked inventory, and back.

use std::path::Path;

use crate::document::Document;
use crate::edit::Edit;
use crate::model::Inventory;
use crate::problem::Error;
use crate::{check, file};

impl Inventory {
    /// The inventory in `text`, which is YAML or JSON; `origin` names it in errors.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every problem that could be found, [`Error::TooLarge`] above [`MAX_BYTES`](crate::MAX_BYTES).
    pub fn parse(text: &str, origin: &Path) -> Result<Self, Error> {
        check::parse(text, &origin.display().to_string())
    }

    /// The inventory in `text` and the document it was made of.
    ///
    /// # Errors
    /// As [`Inventory::parse`].
    pub fn parse_both(text: &str, origin: &Path) -> Result<(Document, Self), Error> {
        check::parse_both(text, &origin.display().to_string())
    }

    /// The inventory in the file at `path`.
    ///
    /// # Errors
    /// As [`Inventory::parse`], and when the file cannot be read or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = file::read(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::NotText {
            origin: path.display().to_string(),
        })?;
        Self::parse(text, path)
    }

    /// The inventory that `document` describes; problems carry paths and no lines.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every problem that could be found.
    pub fn check(document: &Document, origin: &Path) -> Result<Self, Error> {
        check::check(document, &origin.display().to_string())
    }

    /// The inventory that `document` describes, which became what it is from the document of this one by `edits`.
    ///
    /// What the edits leave alone is shared with this one, so that a change costs little however many devices there are.
    ///
    /// # Errors
    /// As [`Inventory::check`].
    pub fn amend(&self, document: &Document, edits: &[Edit], origin: &Path) -> Result<Self, Error> {
        match check::amend(self, document, edits) {
            Some(inventory) => Ok(inventory),
            None => Self::check(document, origin),
        }
    }

    /// The document the inventory was made of, read back from its JSON form: to be changed and checked again.
    #[must_use]
    pub fn document(&self) -> Document {
        // Numbers are read back to the last bit, which not every JSON reader does.
        check::document(&self.json)
    }
}
