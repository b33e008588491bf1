//! Names of files with `*`, `?` and `[…]`.

use std::path::{Path, PathBuf};

/// The files that a pattern names, in order.
///
/// # Errors
/// A name without a pattern does not exist, or the pattern is malformed.
/// `*`, `?` and `[…]` match in the last part of the path only.
pub fn matching(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = Path::new(pattern);
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if !name.contains(['*', '?', '[']) {
        return if path.exists() {
            Ok(vec![path.to_owned()])
        } else {
            Err("no such file".to_owned())
        };
    }
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let wanted = glob(name)?;
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| wanted.is_match(name))
        })
        .map(|entry| {
            if path
                .parent()
                .is_some_and(|parent| parent.as_os_str().is_empty())
            {
                PathBuf::from(entry.file_name())
            } else {
                entry.path()
            }
        })
        .collect();
    files.sort();
    Ok(files)
}

fn glob(name: &str) -> Result<regex::Regex, String> {
    let mut expression = String::from("^");
    let mut in_class = false;
    for c in name.chars() {
        match c {
            '*' if !in_class => expression.push_str(".*"),
            '?' if !in_class => expression.push('.'),
            '[' if !in_class => {
                in_class = true;
                expression.push('[');
            }
            ']' if in_class => {
                in_class = false;
                expression.push(']');
            }
            '^' | '-' if in_class => expression.push(c),
            _ => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push('$');
    regex::Regex::new(&expression).map_err(|_| "malformed file pattern".to_owned())
}
