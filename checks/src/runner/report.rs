//! What a run says: a line for each test that failed or was slow, the ten slowest, where the minutes went, and the counts.

use std::fmt;
use std::time::Duration;

use super::work::{Outcome, Verdict};

/// A test of this length is named as it ends, so that somebody who watches sees what goes on.
const LONG: Duration = Duration::from_secs(10);
/// How many of the slowest are named.
const SLOWEST: usize = 10;

/// All outcomes of a run.
#[derive(Debug)]
pub struct Report(Vec<Outcome>);

/// What is said of a test as it ends: all that it wrote if it failed.
#[must_use]
pub(super) fn line(outcome: &Outcome) -> String {
    let (id, took) = (outcome.test.id(), outcome.took.as_secs_f64());
    match outcome.verdict {
        Verdict::Failed => format!("FAILED {id} ({took:.1} s)\n{}\n", outcome.output),
        _ if outcome.took >= LONG => format!("passed {id} ({took:.1} s)\n"),
        _ => String::new(),
    }
}

impl Report {
    /// Of these outcomes.
    #[must_use]
    pub fn new(mut outcomes: Vec<Outcome>) -> Self {
        outcomes.sort_by_key(|outcome| std::cmp::Reverse(outcome.took));
        Self(outcomes)
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.0
            .iter()
            .filter(|outcome| outcome.verdict == verdict)
            .count()
    }

    /// Whether something was run and nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.count(Verdict::Failed) == 0 && self.count(Verdict::Passed) > 0
    }

    /// The counts, in the words of cargo's own runner.
    #[must_use]
    pub fn result(&self) -> String {
        format!(
            "test result: {}. {} passed; {} failed; {} ignored",
            if self.passed() { "ok" } else { "FAILED" },
            self.count(Verdict::Passed),
            self.count(Verdict::Failed),
            self.count(Verdict::Ignored),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nThe slowest tests:")?;
        for outcome in self.0.iter().take(SLOWEST) {
            writeln!(
                f,
                "{:>8.1} s  {}",
                outcome.took.as_secs_f64(),
                outcome.test.id()
            )?;
        }
        let sum: Duration = self.0.iter().map(|outcome| outcome.took).sum();
        writeln!(
            f,
            "{:>8.1} s  all of them, one after the other",
            sum.as_secs_f64()
        )?;
        let failed: Vec<_> = self
            .0
            .iter()
            .filter(|outcome| outcome.verdict == Verdict::Failed)
            .collect();
        if !failed.is_empty() {
            writeln!(f, "\nFailed:")?;
        }
        for outcome in failed {
            writeln!(f, "  {}", outcome.test.id())?;
        }
        Ok(())
    }
}

/// Where the minutes went: from lines `SECONDS PHASE`, each the beginning of a phase, the last one going on until now.
#[must_use]
pub fn minutes(phases: &str) -> String {
    let began: Vec<(f64, &str)> = phases
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(at, name)| Some((at.parse().ok()?, name)))
        .collect();
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0.0, |since| since.as_secs_f64());
    let ends = began.iter().skip(1).map(|(at, _)| *at).chain([now]);
    let mut text = "\nWhere the time went:\n".to_owned();
    let mut row = |seconds: f64, name: &str| {
        text.push_str(&format!(
            "{:>5.0} m {:>2.0} s  {name}\n",
            (seconds / 60.0).floor(),
            (seconds % 60.0).floor()
        ));
    };
    for ((at, name), end) in began.iter().zip(ends) {
        row(end - at, name);
    }
    if let Some((first, _)) = began.first() {
        row(now - first, "all of it");
    }
    text
}
