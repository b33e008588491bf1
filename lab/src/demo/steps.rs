//! The steps of the story, in the order in which they are played.

mod change;
mod cut;
mod selfheal;

use super::story::Step;

/// All steps; [`Step`] says what each has.
pub(super) const STEPS: &[Step] = &[cut::STEP, selfheal::STEP, change::STEP];

/// Their names, for the flag that chooses some.
pub(super) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}
