//! The runner of `make test`: built test binaries, test by test, several at a time.
//!
//! Most tests wait for something: a timer, a network, another process. So more of them run at once than there are processors, each in a
//! process of its own; those that measure time run alone at the end, and of those that share something scarce one runs at a time.
//! Which ones these are says `checks/tests.toml`.

pub mod list;
mod report;
mod rules;
mod work;

use std::path::Path;

use anyhow::Context;

pub use list::Test;
pub use report::{Report, minutes};
pub use rules::{Place, Rules};
pub use work::{Outcome, Verdict, run};

/// Runs what `cargo test --no-run --message-format=json` built and prints the report; whether all passed.
///
/// # Errors
/// The list of what was built or the rules cannot be read, or a test binary does not list its tests.
pub fn main(
    built_list: &Path,
    phases: Option<&Path>,
    at_once: usize,
    only: &str,
) -> anyhow::Result<bool> {
    let read =
        |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let rules = Rules::parse(&read(&crate::root().join("checks/tests.toml"))?)?;
    let mut all = Vec::new();
    for binary in list::built(&read(built_list)?)? {
        all.extend(list::tests(&binary)?);
    }
    let unknown: Vec<String> = rules.unknown(&all).into_iter().cloned().collect();
    all.retain(|test| test.id().contains(only));
    let report = Report::new(run(all, &rules, at_once, |outcome| {
        print!("{}", report::line(outcome));
    }));
    print!("{report}");
    if let Some(phases) = phases {
        print!("{}", minutes(&read(phases)?));
    }
    if !unknown.is_empty() {
        println!("checks/tests.toml names tests that do not exist: {unknown:?}");
    }
    // The last line, which `.ci/run` reads.
    println!("{}", report.result());
    Ok(report.passed() && unknown.is_empty())
}
