//! The pieces of protobuf that a push request is made of.

/// Appends a number of variable length.
pub(crate) fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Bytes that a length takes.
pub(crate) fn varint_length(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Appends a field of bytes.
pub(crate) fn field(into: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    into.push(number << 3 | 2);
    varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// Appends a pair of metadata: field 3 of an entry, with name (1) and value (2).
#[inline]
pub(crate) fn pair(into: &mut Vec<u8>, name: &str, value: &str) {
    let size = 4 + name.len() + value.len();
    if size < 0x80 {
        // Each length takes one byte, which is what metadata mostly is.
        into.reserve(2 + size);
        into.extend_from_slice(&[3 << 3 | 2, size as u8, 1 << 3 | 2, name.len() as u8]);
        into.extend_from_slice(name.as_bytes());
        into.extend_from_slice(&[2 << 3 | 2, value.len() as u8]);
        into.extend_from_slice(value.as_bytes());
    } else {
        long_pair(into, name, value);
    }
}

#[cold]
fn long_pair(into: &mut Vec<u8>, name: &str, value: &str) {
    let size =
        2 + varint_length(name.len()) + varint_length(value.len()) + name.len() + value.len();
    into.push(3 << 3 | 2);
    varint(into, size as u64);
    field(into, 1, name.as_bytes());
    field(into, 2, value.as_bytes());
}

/// The pairs that [`pair`] wrote.
pub(crate) fn pairs(mut bytes: &[u8]) -> impl Iterator<Item = (&str, &str)> + Clone {
    std::iter::from_fn(move || {
        let (tag, mut rest) = bytes.split_first()?;
        debug_assert_eq!(*tag, 3 << 3 | 2);
        number(&mut rest)?;
        let name = text(&mut rest)?;
        let value = text(&mut rest)?;
        bytes = rest;
        Some((name, value))
    })
}

fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    *bytes = bytes.get(1..)?;
    let length = number(bytes)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

/// Appends an entry as field 2 of a stream: time (1: seconds, 2: nanoseconds), text (2), and what is encoded already.
pub(crate) fn entry(into: &mut Vec<u8>, stamp: u64, text: &str, pairs: &[u8]) {
    let mut time = [0u8; 20];
    let mut at = 0;
    for (number, mut value) in [(1u8, stamp / 1_000_000_000), (2, stamp % 1_000_000_000)] {
        if value > 0 {
            time[at] = number << 3;
            at += 1;
            while value >= 0x80 {
                time[at] = value as u8 | 0x80;
                value >>= 7;
                at += 1;
            }
            time[at] = value as u8;
            at += 1;
        }
    }
    let line = if text.is_empty() {
        0
    } else {
        1 + varint_length(text.len()) + text.len()
    };
    let size = 2 + at + line + pairs.len();
    into.reserve(size + 8);
    into.push(2 << 3 | 2);
    varint(into, size as u64);
    field(into, 1, &time[..at]);
    if !text.is_empty() {
        field(into, 2, text.as_bytes());
    }
    into.extend_from_slice(pairs);
}
