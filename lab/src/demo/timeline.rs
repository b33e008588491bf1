//! What a story showed: an entry for each step, with its evidence.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

use crate::stack::output::colour;

/// One thing that was seen in a step.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Evidence {
    /// Seconds after the trigger of the step; below zero for what was seen before.
    pub(super) seconds: f64,
    /// What it shows.
    pub(super) what: String,
    /// What was asked: a query, a URL, a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<String>,
    /// The raw answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<Value>,
}

/// One step and how it ended.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Entry {
    /// Its name.
    pub(super) step: &'static str,
    /// What it shows.
    pub(super) what: &'static str,
    /// Seconds from its trigger to the last thing that had to be seen, or to its failure; none when it failed before its trigger.
    pub(super) seconds: Option<f64>,
    /// Seconds that it may take.
    pub(super) bound: u64,
    /// Whether everything was seen within the bound.
    pub(super) ok: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// What was seen.
    pub(super) evidence: Vec<Evidence>,
}

/// All steps in order, as a table.
pub(super) fn table(entries: &[Entry]) -> String {
    let width = entries.iter().map(|entry| entry.step.len()).max();
    let width = width.unwrap_or(0).max(4);
    let mut text = format!("\n  {:width$}  seconds  bound\n", "step");
    for entry in entries {
        let seconds = entry
            .seconds
            .map_or("-".to_owned(), |seconds| format!("{seconds:.2}"));
        let verdict = match (entry.ok, colour()) {
            (true, true) => "\x1b[32mok\x1b[0m    ",
            (true, false) => "ok    ",
            (false, true) => "\x1b[31mfailed\x1b[0m",
            (false, false) => "failed",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {:width$}  {seconds:>7}  {:>5}  {verdict}  {}",
            entry.step, entry.bound, entry.what
        );
        if let Some(error) = &entry.error {
            let _ = writeln!(text, "  {:width$}                  {error}", "");
        }
    }
    text
}

/// The median time of everything that was seen in the rounds of a step, and the longest one.
pub(super) fn medians(entries: &[Entry]) -> String {
    let mut seen: Vec<(&str, &str, Vec<f64>)> = Vec::new();
    for entry in entries {
        let evidence = entry.evidence.iter();
        let parts = evidence.map(|part| (&*part.what, Some(part.seconds)));
        for (what, seconds) in parts.chain([("all of it", entry.seconds)]) {
            let Some(seconds) = seconds.filter(|seconds| *seconds > 0.0) else {
                continue;
            };
            let known = seen.iter_mut();
            let mut known = known.filter(|(step, own, _)| *step == entry.step && *own == what);
            match known.next() {
                Some((.., all)) => all.push(seconds),
                None => seen.push((entry.step, what, vec![seconds])),
            }
        }
    }
    let mut text = "  median  longest  rounds\n".to_owned();
    for (step, what, mut all) in seen {
        all.sort_by(f64::total_cmp);
        let median = all[(all.len() - 1) / 2];
        let longest = all[all.len() - 1];
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {median:>6.2}  {longest:>7.2}  {:>6}  {step}: {what}",
            all.len()
        );
    }
    text
}

/// Writes all steps as JSON, with the folders on the way.
///
/// # Errors
/// A file or folder cannot be written.
pub(super) fn write(file: &Path, entries: &[Entry]) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let text = serde_json::to_string_pretty(entries)?;
    std::fs::write(file, text + "\n").with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_of_each_thing_that_was_seen_in_all_rounds() {
        let round = |seconds: f64| Entry {
            step: "selfheal",
            what: "a port goes down",
            seconds: Some(seconds + 1.0),
            bound: 15,
            ok: true,
            error: None,
            evidence: vec![
                Evidence {
                    seconds: -1.0,
                    what: "all is calm".to_owned(),
                    asked: None,
                    answer: None,
                },
                Evidence {
                    seconds,
                    what: "it is up".to_owned(),
                    asked: None,
                    answer: None,
                },
            ],
        };
        let text = medians(&[9.0, 3.0, 2.0, 4.0, 3.5].map(round));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[1], "    3.50     9.00       5  selfheal: it is up");
        assert_eq!(lines[2], "    4.50    10.00       5  selfheal: all of it");
    }

    #[test]
    fn a_failed_step_says_why_below_its_line_and_has_no_time_when_it_never_began() {
        let entry = |ok, seconds| Entry {
            step: "cut",
            what: "a link is cut",
            seconds,
            bound: 30,
            ok,
            error: (!ok).then(|| "the alert: not within 30 s".to_owned()),
            evidence: Vec::new(),
        };
        let text = table(&[entry(true, Some(12.345)), entry(false, None)]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].contains("12.35     30  ") || lines[2].contains("12.34     30  "));
        assert!(lines[2].ends_with("a link is cut"), "{text}");
        assert!(lines[3].contains("-     30  "), "{text}");
        assert!(lines[4].ends_with("the alert: not within 30 s"), "{text}");
    }
}
