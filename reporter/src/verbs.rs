//! Everything that can be asked for, with the least role where no rule names it.

use access::caller::{Role, Verb};

/// Seeing which reports there are, how far their mails are, and what was asked for.
pub const LIST: Verb = Verb::new("report.list", Role::Viewer);
/// Reading a report and its files.
pub const READ: Verb = Verb::new("report.read", Role::Viewer);
/// Making the files of a month.
pub const BUILD: Verb = Verb::new("report.build", Role::Operator);
/// Making them and sending them.
pub const SEND: Verb = Verb::new("report.send", Role::Operator);

pub(crate) const ALL: &[Verb] = &[LIST, READ, BUILD, SEND];
