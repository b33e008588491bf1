//! The story from its beginning to its table.

use std::time::Duration;

use tokio::time::Instant;

use super::idle::{Busy, idle};
use super::steps::STEPS;
use super::story::{HOOK, Stage, Step, one};
use super::timeline::{medians, table, write};
use super::watch;

/// Plays the chosen steps in the order of the story, prints the table and writes the timeline.
///
/// # Errors
/// A step failed, or a command of the user's did.
pub(super) async fn run(stage: &Stage<'_>) -> anyhow::Result<()> {
    let busy = Busy::new(stage.args.busy);
    watch::calm(stage).await?;
    let calm = Instant::now();
    for command in &stage.args.while_up {
        stage.hook(command, HOOK).await?;
    }
    if let Some(seconds) = stage.args.idle {
        idle(stage, calm, Duration::from_secs(seconds)).await?;
    }
    drop(busy);
    let chosen = &stage.args.steps;
    let chosen = |step: &&Step| chosen.is_empty() || chosen.iter().any(|name| name == step.name);
    let mut entries = Vec::new();
    let round = || STEPS.iter().filter(chosen);
    for step in (0..stage.args.rounds).flat_map(|_| round()) {
        println!("\n{}: {}", step.name, step.what);
        let entry = one(step, stage).await;
        if let Some(error) = &entry.error {
            println!("  failed: {error}");
        }
        entries.push(entry);
        // After each, so that an interrupted story leaves what it has shown.
        if let Some(file) = &stage.args.timeline {
            write(file, &entries)?;
        }
    }
    println!("{}", table(&entries));
    if stage.args.rounds > 1 {
        println!("{}", medians(&entries));
    }
    let failed = entries.iter().filter(|entry| !entry.ok);
    let failed: Vec<&str> = failed.map(|entry| entry.step).collect();
    anyhow::ensure!(
        failed.is_empty(),
        "of {} steps failed: {}",
        entries.len(),
        failed.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_names_of_their_own_and_say_in_a_sentence_what_they_show() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
        for step in STEPS {
            assert!(
                step.what.len() > 20 && !step.what.ends_with('.'),
                "{}",
                step.name
            );
            assert!((1..=90).contains(&step.bound), "{}", step.name);
        }
    }

    #[test]
    fn every_step_is_in_the_table_of_the_docs_with_its_bound_and_in_its_place() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/stack.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows = STEPS.iter().map(|step| {
            let row = format!("\n| `{}` | {} | ", step.name, step.bound);
            page.find(&row).unwrap_or_else(|| panic!("no row {row}"))
        });
        assert!(
            rows.is_sorted(),
            "the rows are in another order than the steps"
        );
    }
}
