//! The steps of the story, in the order in which they are played.

mod change;
mod compliance;
mod console;
mod cut;
mod description;
mod desired;
mod device;
mod flows;
mod forecast;
mod host;
mod left_alone;
mod port;
mod report;
mod rum;
mod secret;
mod selfheal;
mod sensor;
mod storm;
mod syslog;
mod trace;

use super::story::Step;

/// All steps; [`Step`] says what each has.
pub(super) const STEPS: &[Step] = &[
    cut::STEP,
    storm::STEP,
    device::STEP,
    selfheal::STEP,
    desired::STEP,
    left_alone::STEP,
    change::STEP,
    compliance::STEP,
    console::STEP,
    trace::STEP,
    syslog::STEP,
    flows::STEP,
    forecast::STEP,
    report::STEP,
    sensor::STEP,
    host::STEP,
    rum::STEP,
    secret::STEP,
];

/// Their names, for the flag that chooses some.
pub(super) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}
