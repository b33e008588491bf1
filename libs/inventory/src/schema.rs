//! The JSON Schema of the file, for editors.

use crate::document::Document;

/// The schema of `inventory.yaml` (JSON Schema 2020-12), as indented JSON with a final line feed.
#[must_use]
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(Document);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}
