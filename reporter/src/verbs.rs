//! Everything that can be asked for, with the least role where no rule names it.

use access::caller::{Role, Verb};

/// Making the files of a month.
pub const BUILD: Verb = Verb::new("report.build", Role::Operator);
/// Making them and sending them.
pub const SEND: Verb = Verb::new("report.send", Role::Operator);

pub(crate) const ALL: &[Verb] = &[BUILD, SEND];
