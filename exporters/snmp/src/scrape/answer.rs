//! One answer, read as far as it can be.

use crate::codec;
use crate::oid;
use crate::reason::Reason;
use crate::value::{Raw, Table};

/// The values of an answer up to the first that cannot be read and that somebody wants.
pub(super) struct Answer<'a> {
    pub(super) values: Vec<(std::ops::Range<usize>, Raw<'a>)>,
    pub(super) cut: Option<Reason>,
    /// The name of that value, when it is the value alone that cannot be read.
    pub(super) unread: Option<std::ops::Range<usize>>,
}

impl<'a> Answer<'a> {
    /// `table` knows which values are wanted.
    pub(super) fn read(pdu: &codec::Pdu<'a>, names: &mut Vec<u32>, table: &Table) -> Self {
        names.clear();
        let mut answer = Self {
            values: Vec::with_capacity(64),
            cut: None,
            unread: None,
        };
        let mut varbinds = codec::Varbinds::new(pdu.varbinds);
        while let Some(varbind) = varbinds.next_named() {
            let start = names.len();
            let value = match varbind {
                Ok((octets, value)) if oid::decode(octets, names).is_ok() => value.ok(),
                _ => {
                    answer.cut = Some(Reason::Decode);
                    break;
                }
            };
            // What nobody wants need not be read, when it stands where the agent may be: its name alone tells that.
            let unwanted = || {
                let (name, first) = (&names[start..], table.columns().first());
                table.column_of(name).is_none()
                    && first.is_some_and(|one| one.prefix().ids() < name)
            };
            match value {
                Some(value) => answer.values.push((start..names.len(), value)),
                None if unwanted() => answer.values.push((start..names.len(), Raw::Null)),
                None => {
                    answer.cut = Some(Reason::Decode);
                    answer.unread = Some(start..names.len());
                    break;
                }
            }
        }
        answer
    }

    /// Whether it holds fewer values than the `asked` ones, although more follow.
    pub(super) fn is_short(&self, asked: usize) -> bool {
        let ended = matches!(self.values.last(), Some((_, Raw::EndOfMibView)));
        self.cut.is_none() && !ended && self.values.len() < asked
    }

    /// Whether every name lies behind the one before, and the first behind `last`. What follows the end of the view does not count.
    pub(super) fn increases(&self, names: &[u32], last: &[u32]) -> bool {
        let mut last = last;
        for (name, value) in &self.values {
            let name = &names[name.clone()];
            match value {
                Raw::EndOfMibView => return true,
                // The echo of what was asked for; behind it, it is a row that the agent lists and does not have.
                Raw::Missing if name <= last => return true,
                _ if name <= last => return false,
                _ => last = name,
            }
        }
        true
    }
}
