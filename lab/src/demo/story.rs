//! The story of the product: steps, each of which is done to the real network and seen in the real counterpart.
//!
//! A step that fails does not keep the later ones from running; what a step changed is undone before the next one begins.

mod play;
mod stage;

use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

pub(super) use play::{Play, until};
pub(super) use stage::Stage;

use super::timeline::Entry;

/// Time for what comes before the trigger of a step.
const PREPARATION: Duration = Duration::from_secs(60);
/// Time for what a step changed to be undone.
const UNDO: Duration = Duration::from_secs(30);
/// Time for each command of the user's.
pub(super) const HOOK: Duration = Duration::from_secs(300);

/// Something that a step does.
pub(super) type Act<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// One step of the story; each has a file of its own below `steps/`.
pub(super) struct Step {
    /// Its name, one word.
    pub(super) name: &'static str,
    /// What it shows, one sentence.
    pub(super) what: &'static str,
    /// Seconds that it may take, from its trigger on.
    pub(super) bound: u64,
    /// Does it and sees it.
    pub(super) play: for<'p, 's> fn(&'p mut Play<'s>) -> Act<'p>,
    /// Undoes what it changed; runs also when the step failed, however far it came.
    pub(super) undo: for<'p, 's> fn(&'p Stage<'s>) -> Act<'p>,
}

/// For a step that changes nothing, or whose end is where it began.
pub(super) fn nothing<'p>(_: &'p Stage<'_>) -> Act<'p> {
    Box::pin(async { Ok(()) })
}

/// Plays one step and undoes it.
pub(super) async fn one(step: &Step, stage: &Stage<'_>) -> Entry {
    let bound = Duration::from_secs(step.bound);
    let mut play = Play::new(stage, bound);
    // Every wait of a step ends by itself; this is for one that does not.
    let limit = PREPARATION + bound + Duration::from_secs(10);
    let hooks = HOOK * u32::try_from(stage.args.while_firing.len()).unwrap_or(0);
    let played = match timeout(limit + hooks, (step.play)(&mut play)).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!("it does not end")),
    };
    let (seconds, bound, evidence) = play.end();
    let undone = match timeout(UNDO, (step.undo)(stage)).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!("not within {} s", UNDO.as_secs())),
    };
    let undone = undone.map_err(|error| error.context("what it changed could not be undone"));
    let verdict = played.and_then(|()| judged(seconds, bound, evidence.len()));
    let error = verdict.and(undone).err();
    Entry {
        step: step.name,
        what: step.what,
        seconds,
        bound: bound.as_secs(),
        ok: error.is_none(),
        error: error.map(|error| format!("{error:#}")),
        evidence,
    }
}

/// Whether a step that went through to its end has shown something, in time.
fn judged(seconds: Option<f64>, bound: Duration, evidence: usize) -> anyhow::Result<()> {
    let Some(seconds) = seconds else {
        anyhow::bail!("it has no trigger");
    };
    anyhow::ensure!(evidence > 0, "it has no evidence");
    anyhow::ensure!(
        seconds <= bound.as_secs_f64(),
        "it took {seconds:.2} s, and may take {} s",
        bound.as_secs()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_without_trigger_without_evidence_or_beyond_its_bound_has_failed() {
        let bound = Duration::from_secs(5);
        let error = |seconds, evidence| judged(seconds, bound, evidence).unwrap_err().to_string();
        assert_eq!(error(None, 3), "it has no trigger");
        assert_eq!(error(Some(1.0), 0), "it has no evidence");
        assert_eq!(error(Some(5.01), 3), "it took 5.01 s, and may take 5 s");
        assert!(judged(Some(5.0), bound, 1).is_ok());
    }
}
