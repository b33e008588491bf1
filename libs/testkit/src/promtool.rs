//! Prometheus' own judgement of an exposition.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Has `promtool check metrics` read a page of metrics; its lint warnings count as faults. Says so as a skipped
/// test where promtool is not installed.
///
/// # Panics
/// When promtool finds a fault.
pub fn promtool(page: &str) {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        crate::skip("promtool is not installed");
        return;
    };
    let written = child
        .stdin
        .take()
        .map(|mut to| to.write_all(page.as_bytes()));
    assert!(matches!(written, Some(Ok(()))), "promtool reads no page");
    let said = child.wait_with_output().map(|output| {
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    });
    match said {
        Ok((true, _)) => (),
        other => panic!("{other:?}\n{page}"),
    }
}
