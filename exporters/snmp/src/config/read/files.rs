//! Names of files with `*`, `?` and `[…]`.

use std::path::PathBuf;

/// The files that a pattern names, in order; a name without a pattern names itself, if it exists.
///
/// # Errors
/// The pattern is malformed.
pub fn matching(pattern: &str) -> Result<Vec<PathBuf>, String> {
    // Go writes what a class leaves out with ^.
    let pattern = pattern.replace("[^", "[!");
    let found = glob::glob(&pattern).map_err(|error| format!("malformed file pattern: {error}"))?;
    Ok(found.filter_map(Result::ok).collect())
}
