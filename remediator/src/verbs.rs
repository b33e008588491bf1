//! Everything that can be asked for, with the least role where no rule names it.

use access::caller::{Role, Verb};

/// Starting a runbook by hand.
pub const RUN: Verb = Verb::new("runbook.run", Role::Operator);
/// Approving a plan.
pub const APPROVE: Verb = Verb::new("job.approve", Role::Operator);
/// Rejecting a plan.
pub const REJECT: Verb = Verb::new("job.reject", Role::Operator);
/// Running a console command.
pub const COMMAND: Verb = Verb::new("command.run", Role::Operator);
/// Reading what devices answered on the console: the right to each of them, and recorded.
pub const ANSWER: Verb = Verb::new("answer.read", Role::Viewer);
/// Stopping everything.
pub const PAUSE: Verb = Verb::new("switch.pause", Role::Operator);
/// Letting everything go on.
pub const RESUME: Verb = Verb::new("switch.resume", Role::Admin);

/// Making a silence.
pub const SILENCE: Verb = Verb::new("silence.create", Role::Operator);
/// Ending a silence.
pub const END_SILENCE: Verb = Verb::new("silence.end", Role::Operator);

pub(crate) const ALL: &[Verb] = &[
    RUN,
    APPROVE,
    REJECT,
    COMMAND,
    ANSWER,
    PAUSE,
    RESUME,
    SILENCE,
    END_SILENCE,
];
