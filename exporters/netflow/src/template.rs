//! A template, compiled once into a plan that takes its records apart without an allocation.
//!
//! Information elements: <https://www.iana.org/assignments/ipfix/ipfix.xhtml>; NetFlow v9 field types are the same numbers up to 127
//! (RFC 3954 section 8). Everything that is asked of a record is a number of up to eight octets (an IPv6 address is two of them) with a place
//! in [`Values`]; a field that nothing here asks for costs nothing in a record of fixed length. A number is loaded as the eight octets that end
//! where it ends: there are always so many, since a header stands before every record ([`LEAD`]).

use slot::{What, what};
pub(crate) use values::{Clock, Values};

pub(crate) mod packet;
pub(crate) mod read;
mod slot;
mod values;

/// Length that stands for "told in the record" (RFC 7011 section 7).
pub(crate) const VARIABLE: u16 = 65_535;
/// Octets that must stand before the first record of a set, whatever they are.
pub(crate) const LEAD: usize = 8;

/// One field of a template as the exporter defined it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Field {
    /// Number of the information element.
    pub(crate) element: u16,
    /// Octets, or [`VARIABLE`].
    pub(crate) length: u16,
    /// 0 for the elements of IANA.
    pub(crate) enterprise: u32,
}

/// Enterprise number for what is no information element.
const NO_ELEMENT: u32 = u32::MAX;

impl Field {
    /// Of a NetFlow v9 options scope (RFC 3954 section 6.1): an interface is one wherever it stands.
    pub(crate) fn of_v9_scope(kind: u16, length: u16) -> Self {
        let (element, enterprise) = if kind == 2 {
            (10, 0)
        } else {
            (kind, NO_ELEMENT)
        };
        Self {
            element,
            length,
            enterprise,
        }
    }
}

impl Field {
    /// `ELEMENT/OCTETS`, with the enterprise before it; `v` stands for a length that each record tells.
    pub(crate) fn describe(&self) -> String {
        let length = if self.length == VARIABLE {
            "v".to_owned()
        } else {
            self.length.to_string()
        };
        match self.enterprise {
            0 => format!("{}/{length}", self.element),
            NO_ELEMENT => format!("scope{}/{length}", self.element),
            enterprise => format!("{enterprise}.{}/{length}", self.element),
        }
    }
}

/// A number of a record of fixed length: where it ends, and the bits that are left of what is loaded there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    mask: u64,
    end: u16,
    slot: u8,
}

/// Fields of fixed length that stand together, and the field behind them that has to be looked at by itself: one of variable length, or a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Segment {
    loads: Vec<Load>,
    octets: u16,
    then: Option<Step>,
}

/// A field of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    length: u16,
    what: What,
}

impl Segment {
    fn add(&mut self, field: &Field, what: What) -> Option<()> {
        self.octets = self.octets.checked_add(field.length)?;
        let end = self.octets;
        let load = |end: u16, slot: u8, octets: u16| Load {
            mask: u64::MAX >> (64 - 8 * octets.min(8)),
            end,
            slot,
        };
        match what {
            What::Number(slot) if field.length > 0 => {
                self.loads.push(load(end, slot, field.length));
            }
            What::Address6(high, low) => {
                let middle = end.saturating_sub(8);
                self.loads
                    .extend([load(middle, high, 8), load(end, low, 8)]);
            }
            _ => {}
        }
        Some(())
    }

    /// Loads are taken four at a time: the last one is loaded again where that does not come out even.
    fn fill(&mut self) {
        while let Some(last) = self
            .loads
            .last()
            .filter(|_| !self.loads.len().is_multiple_of(4))
        {
            self.loads.push(*last);
        }
    }

    /// Loads its numbers from a slice that begins [`LEAD`] octets before it.
    #[inline]
    fn load(&self, bytes: &[u8], values: &mut Values<'_>) {
        let (fours, _) = self.loads.as_chunks::<4>();
        for four in fours {
            for load in four {
                values.load(load, bytes);
            }
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.loads)
    }
}

/// A compiled template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    fields: Box<[Field]>,
    /// One where all fields are of fixed length and none holds a packet.
    segments: Box<[Segment]>,
    /// Octets of a record; with fields of variable length, the fewest it can have.
    length: usize,
    /// Its records are about the exporter, not flows.
    pub(crate) options: bool,
    /// Which groups of values its records have.
    pub(crate) has: slot::Groups,
}

impl Template {
    /// Compiles fields in their order on the wire. A template whose records could be empty is none: a set of it would never end.
    pub(crate) fn new(fields: Vec<Field>, options: bool) -> Option<Self> {
        let mut segments = vec![Segment::default()];
        let (mut length, mut has) = (0_usize, slot::Groups::default());
        for field in &fields {
            let what = what(field);
            has.add(field, what);
            length += if field.length == VARIABLE {
                1
            } else {
                usize::from(field.length)
            };
            let last = segments.last_mut()?;
            if field.length == VARIABLE || matches!(what, What::Frame | What::Packet) {
                last.then = Some(Step {
                    length: field.length,
                    what,
                });
                segments.push(Segment::default());
            } else {
                last.add(field, what)?;
            }
        }
        if length == 0 {
            return None;
        }
        if segments.len() > 1 && segments.last().is_some_and(|last| last.octets == 0) {
            segments.pop();
        }
        segments.iter_mut().for_each(Segment::fill);
        Some(Self {
            fields: fields.into(),
            segments: segments.into(),
            length,
            options,
            has,
        })
    }

    /// As the exporter defined it.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Octets that it holds, with its place in a table.
    pub(crate) fn bytes(&self) -> usize {
        let segments: usize = self.segments.iter().map(Segment::bytes).sum();
        size_of_val(&*self.fields) + segments + 128
    }

    /// Takes the records apart that `bytes` holds behind its first [`LEAD`] octets; what is shorter than a record at the end is padding.
    /// Answers how many there were, and whether the last one fitted.
    pub(crate) fn records(&self, bytes: &[u8], mut each: impl FnMut(&Values<'_>)) -> (u32, bool) {
        let mut values = Values::default();
        let mut count = 0;
        if let [Segment { then: None, .. }] = &*self.segments {
            let (segment, mut rest) = (&self.segments[0], bytes);
            while let Some(record) = rest.get(..LEAD + self.length) {
                segment.load(record, &mut values);
                each(&values);
                count += 1;
                rest = &rest[self.length..];
            }
            return (count, true);
        }
        let mut at = LEAD;
        while bytes.len().saturating_sub(at) >= self.length {
            let Some(end) = self.walk(bytes, at, &mut values) else {
                return (count, false);
            };
            at = end;
            each(&values);
            count += 1;
        }
        (count, true)
    }

    /// Takes the record apart that begins there; answers where it ends. Every field of the template is set anew.
    fn walk<'a>(&self, bytes: &'a [u8], mut at: usize, values: &mut Values<'a>) -> Option<usize> {
        for segment in &self.segments {
            let end = at + usize::from(segment.octets);
            segment.load(bytes.get(at - LEAD..end)?, values);
            at = end;
            let Some(step) = segment.then else { continue };
            let length = match step.length {
                VARIABLE => {
                    let short = *bytes.get(at)?;
                    at += 1;
                    if short == 255 {
                        at += 2;
                        u16::from_be_bytes([*bytes.get(at - 2)?, *bytes.get(at - 1)?]).into()
                    } else {
                        usize::from(short)
                    }
                }
                fixed => usize::from(fixed),
            };
            at += length;
            if at > bytes.len() {
                return None;
            }
            match step.what {
                What::Skip => {}
                What::Number(slot) => values.set(slot, number(bytes, at, length)),
                What::Address6(high, low) => {
                    let (upper, lower) = if length == 16 { (8, 8) } else { (0, 0) };
                    values.set(high, number(bytes, at - lower, upper));
                    values.set(low, number(bytes, at, lower));
                }
                What::Frame => values.frame = bytes.get(at - length..at),
                What::Packet => values.packet = bytes.get(at - length..at),
            }
        }
        Some(at)
    }
}

/// The number of so many octets that ends there: reduced-size encoding (RFC 7011 section 6.2); of a longer one the last eight count.
#[inline]
fn number(bytes: &[u8], end: usize, octets: usize) -> u64 {
    let eight = end
        .checked_sub(8)
        .and_then(|begin| bytes.get(begin..)?.first_chunk());
    let value = eight.map_or(0, |eight| u64::from_be_bytes(*eight));
    match octets {
        0 => 0,
        1..8 => value & ((1 << (8 * octets)) - 1),
        _ => value,
    }
}
