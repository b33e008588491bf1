//! One answer, read as far as it can be.

use crate::codec;
use crate::oid;
use crate::reason::Reason;
use crate::value::Raw;

/// The values of an answer up to the first that cannot be read.
pub(super) struct Answer<'a> {
    pub(super) values: Vec<(std::ops::Range<usize>, Raw<'a>)>,
    pub(super) cut: Option<Reason>,
}

impl<'a> Answer<'a> {
    pub(super) fn read(pdu: &codec::Pdu<'a>, names: &mut Vec<u32>) -> Self {
        names.clear();
        let mut answer = Self {
            values: Vec::with_capacity(64),
            cut: None,
        };
        for varbind in codec::Varbinds::new(pdu.varbinds) {
            let start = names.len();
            match varbind {
                Ok((octets, value)) if oid::decode(octets, names).is_ok() => {
                    answer.values.push((start..names.len(), value));
                }
                _ => {
                    answer.cut = Some(Reason::Decode);
                    break;
                }
            }
        }
        answer
    }

    /// Whether every name lies behind the one before, and the first behind `last`. What follows the end of the view does not count.
    pub(super) fn increases(&self, names: &[u32], last: &[u32]) -> bool {
        let mut last = last;
        for (name, value) in &self.values {
            if matches!(value, Raw::EndOfMibView | Raw::Missing) {
                return true;
            }
            let name = &names[name.clone()];
            if name <= last {
                return false;
            }
            last = name;
        }
        true
    }
}
