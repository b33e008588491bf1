//! `sotp-syslog convert`: a configuration of Promtail or Alloy becomes ours.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

/// Writes our configuration to standard output; what it lacks and where labels are now to standard error.
pub(super) fn convert(file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut converted =
        crate::convert::convert(&text).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    let yaml = converted.checked();
    for note in &converted.notes {
        writeln!(std::io::stderr(), "note: {note}")?;
    }
    let table = converted.table();
    if !table.is_empty() {
        writeln!(
            std::io::stderr(),
            "note: where the labels of old are now:\n{table}"
        )?;
    }
    // What this program would refuse is not printed.
    let yaml = yaml.map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    write!(std::io::stdout(), "{yaml}")?;
    Ok(())
}
