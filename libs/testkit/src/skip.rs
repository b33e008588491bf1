//! Saying that a test did not run.

use std::fmt::Display;
use std::io::Write as _;

/// Says that the running test is skipped, and why; the test returns after it.
///
/// The line goes to standard error, and to the file that `SOTP_SKIPPED` names, so that a run can count what it did not test.
pub fn skip(reason: impl Display) {
    let thread = std::thread::current();
    // What another program said may have several lines.
    let reason = reason.to_string();
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = format!("{}: {reason}", thread.name().unwrap_or("test"));
    eprintln!("skipped: {line}");
    let Some(path) = std::env::var_os("SOTP_SKIPPED") else {
        return;
    };
    // One write of one line: tests of several processes append to the same file.
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())) {
        eprintln!("{}: {error}", path.display());
    }
}
