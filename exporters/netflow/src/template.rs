//! A template, compiled once into a plan that takes its records apart without an allocation.
//!
//! Information elements: <https://www.iana.org/assignments/ipfix/ipfix.xhtml>; NetFlow v9 field types are the same numbers up to 127
//! (RFC 3954 section 8). Everything that is asked of a record is a number of up to eight octets (an IPv6 address is two of them), which has a
//! *slot*. A plan says where in a record the number of each slot ends and how many of its bits count ([`Places`]), and a number is loaded when it is
//! asked for, as the eight octets that end there: there are always so many, since a header stands before every record ([`LEAD`]). So a field that
//! nobody asks for costs nothing. A record with fields of variable length is walked through first, and its numbers are copied to where they
//! always stand.

use slot::{What, what};
pub(crate) use values::{Clock, Values};
use values::{PLACES, Places, WINDOW};

pub(crate) mod packet;
pub(crate) mod plans;
pub(crate) mod read;
mod slot;
mod values;

/// Length that stands for "told in the record" (RFC 7011 section 7).
pub(crate) const VARIABLE: u16 = 65_535;
/// Octets that must stand before the first record of a set, whatever they are.
pub(crate) const LEAD: usize = 8;

/// One field of a template as the exporter defined it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
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

/// Fields of fixed length that stand together, and the field behind them that has to be looked at by itself: one of variable length, or a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Segment {
    /// Numbers to copy: where each ends, and its slot.
    copies: Vec<(u16, u8)>,
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
    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.copies)
    }
}

/// How the records of a template are taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    /// All fields are of fixed length, none holds a packet, and a window reaches over the record: its numbers are loaded from where they are.
    Straight,
    /// Everything else.
    Walk(Box<[Segment]>),
}

/// A compiled template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    fields: Box<[Field]>,
    layout: Layout,
    places: Box<Places>,
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
        let shortest = |field: &Field| match field.length {
            VARIABLE => 1,
            octets => usize::from(octets),
        };
        let length: usize = fields.iter().map(shortest).sum();
        if length == 0 {
            return None;
        }
        let is_apart = |field: &Field| {
            field.length == VARIABLE || matches!(what(field), What::Frame | What::Packet)
        };
        let straight = length < PLACES * 8 && !fields.iter().any(is_apart);
        let (mut places, mut has) = (Box::<Places>::default(), slot::Groups::default());
        let mut segments = vec![Segment::default()];
        for field in &fields {
            let what = what(field);
            has.add(field, what);
            let last = segments.last_mut()?;
            if is_apart(field) {
                for slot in what.slots().into_iter().flatten() {
                    places.put_apart(slot, 8);
                }
                last.then = Some(Step {
                    length: field.length,
                    what,
                });
                segments.push(Segment::default());
                continue;
            }
            last.octets = last.octets.checked_add(field.length)?;
            let end = last.octets;
            let numbers: [Option<(u8, u16, u16)>; 2] = match what {
                What::Number(slot) if field.length > 0 => [Some((slot, end, field.length)), None],
                What::Address6(high, low) => [Some((high, end - 8, 8)), Some((low, end, 8))],
                _ => [None, None],
            };
            for (slot, end, octets) in numbers.into_iter().flatten() {
                if straight {
                    places.put(slot, end, octets);
                } else {
                    places.put_apart(slot, octets);
                    last.copies.push((end, slot));
                }
            }
        }
        if segments.last().is_some_and(|last| last.octets == 0) {
            segments.pop();
        }
        Some(Self {
            fields: fields.into(),
            layout: match straight {
                true => Layout::Straight,
                false => Layout::Walk(segments.into()),
            },
            places,
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
        let walk = match &self.layout {
            Layout::Straight => 0,
            Layout::Walk(segments) => segments.iter().map(Segment::bytes).sum(),
        };
        size_of_val(&*self.fields) + size_of::<Places>() + walk + 128
    }

    /// Takes the records apart that `bytes` holds behind its first [`LEAD`] octets; what is shorter than a record at the end is padding.
    /// Answers how many there were, and whether the last one fitted.
    #[inline]
    pub(crate) fn records(&self, bytes: &[u8], each: impl FnMut(&Values<'_>)) -> (u32, bool) {
        match &self.layout {
            Layout::Straight => (self.straight(bytes, each), true),
            Layout::Walk(segments) => self.walked(segments, bytes, each),
        }
    }

    #[inline]
    fn straight(&self, bytes: &[u8], mut each: impl FnMut(&Values<'_>)) -> u32 {
        let count = bytes.len().saturating_sub(LEAD) / self.length;
        // The last records stand nearer to the end of their set than a window reaches: they are copied to where more follows.
        let mut copy = [0; 2 * WINDOW];
        let (mut at, mut is_copied) = (0, false);
        for _ in 0..count {
            if !is_copied && bytes.len() - at < WINDOW {
                copy[..bytes.len() - at].copy_from_slice(&bytes[at..]);
                (at, is_copied) = (0, true);
            }
            let from = if is_copied { &copy[..] } else { bytes };
            let Some(window) = from.get(at..).and_then(<[u8]>::first_chunk) else {
                break;
            };
            each(&Values::new(window, &self.places));
            at += self.length;
        }
        count as u32
    }

    fn walked(
        &self,
        segments: &[Segment],
        bytes: &[u8],
        mut each: impl FnMut(&Values<'_>),
    ) -> (u32, bool) {
        let mut window = [0; WINDOW];
        let (mut at, mut count) = (LEAD, 0);
        while bytes.len().saturating_sub(at) >= self.length {
            let mut packets = (None, None);
            let Some(end) = walk(segments, bytes, at, &mut window, &mut packets) else {
                return (count, false);
            };
            at = end;
            let mut values = Values::new(&window, &self.places);
            (values.frame, values.packet) = packets;
            each(&values);
            count += 1;
        }
        (count, true)
    }
}

/// Frame and packet of a record.
type Packets<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// Copies the numbers of the record that begins there to their places, all of them anew; answers where it ends.
#[inline]
fn walk<'a>(
    segments: &[Segment],
    bytes: &'a [u8],
    mut at: usize,
    window: &mut [u8; WINDOW],
    (frame, packet): &mut Packets<'a>,
) -> Option<usize> {
    for segment in segments {
        let end = at + usize::from(segment.octets);
        let record = bytes.get(at - LEAD..end)?;
        for (end, slot) in &segment.copies {
            let end = usize::from(*end);
            let eight = record.get(end..end + 8).and_then(<[u8]>::first_chunk);
            values::put(window, *slot, *eight.unwrap_or(&[0; 8]));
        }
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
        let mut set = |slot: u8, number: u64| values::put(window, slot, number.to_be_bytes());
        match step.what {
            What::Skip => {}
            What::Number(slot) => set(slot, number(bytes, at, length)),
            What::Address6(high, low) => {
                let (upper, lower) = if length == 16 { (8, 8) } else { (0, 0) };
                set(high, number(bytes, at - lower, upper));
                set(low, number(bytes, at, lower));
            }
            What::Frame => *frame = bytes.get(at - length..at),
            What::Packet => *packet = bytes.get(at - length..at),
        }
    }
    Some(at)
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
