//! What a job works with.

use std::collections::BTreeMap;
use std::sync::Arc;

use inventory::Device;
use ssh::Timer;

use crate::decide;
use crate::job::Job;
use crate::platform::Platform;
use crate::runbook::Runbook;
use crate::setup::Setup;

/// What a job works with.
pub(super) struct Bench {
    pub(super) setup: Arc<Setup>,
    pub(super) runbook: Arc<Runbook>,
    pub(super) platform: Arc<Platform>,
    pub(super) device: Device,
    pub(super) values: BTreeMap<String, String>,
}

/// The timer of a job's change.
pub(super) fn timer(job: &Job, bench: &Bench) -> Timer {
    let proof = bench.runbook.verify_within() + bench.setup.snmp_proof;
    decide::timer(proof, &job.id)
}
