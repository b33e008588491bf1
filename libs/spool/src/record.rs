//! One record as bytes.

/// Bytes in front of a record's content.
pub(crate) const HEADER: usize = 20;

/// Longest content that the format allows, in bytes.
pub const MAX_RECORD: usize = 16 << 20;

/// A record as a reader receives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number in the queue.
    pub seq: u64,
    /// Its unique stamp, nanoseconds since 1970.
    pub stamp: u64,
    /// Its class as appended; 0 is the most urgent.
    pub class: u8,
    /// Its content as appended.
    pub payload: &'a [u8],
}

fn checksum(seq: u64, covered: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seq.to_le_bytes());
    hasher.update(covered);
    hasher.finalize()
}

/// Appends the record's bytes.
pub(crate) fn encode(record: Record<'_>, into: &mut Vec<u8>) {
    let start = into.len();
    into.reserve(HEADER + record.payload.len());
    into.extend_from_slice(&[0; HEADER]);
    into.extend_from_slice(record.payload);
    let length = u32::try_from(record.payload.len()).unwrap_or(u32::MAX);
    let head = &mut into[start..start + HEADER];
    head[4..8].copy_from_slice(&length.to_le_bytes());
    head[8..16].copy_from_slice(&record.stamp.to_le_bytes());
    head[16] = record.class;
    let sum = checksum(record.seq, &into[start + 4..]);
    into[start..start + 4].copy_from_slice(&sum.to_le_bytes());
}

/// How many bytes the record at the beginning of `bytes` takes, as far as they tell.
pub(crate) fn extent(bytes: &[u8]) -> usize {
    match bytes.get(4..8) {
        Some(length) if bytes.len() >= HEADER => {
            HEADER + u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize
        }
        _ => HEADER,
    }
}

/// The record with the number `seq` at the beginning of `bytes`, and how many bytes it takes; none when
/// it is not there whole and intact.
pub(crate) fn decode(bytes: &[u8], seq: u64) -> Option<(Record<'_>, usize)> {
    let (head, rest) = bytes.split_first_chunk::<HEADER>()?;
    let field =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let length = field(4) as usize;
    let payload = rest.get(..length)?;
    if checksum(seq, &bytes[4..HEADER + length]) != field(0) {
        return None;
    }
    let stamp = u64::from(field(8)) | u64::from(field(12)) << 32;
    Some((
        Record {
            seq,
            stamp,
            class: head[16],
            payload,
        },
        HEADER + length,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_under_its_own_number_only() {
        let mut bytes = Vec::new();
        let record = Record {
            seq: 7,
            stamp: 123_456_789_012_345_678,
            class: 3,
            payload: b"hello",
        };
        encode(record, &mut bytes);
        assert_eq!(decode(&bytes, 7), Some((record, HEADER + 5)));
        assert_eq!(decode(&bytes, 8), None);
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], 7).is_none(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(decode(&flipped, 7).is_none(), "flipped at {at}");
        }
    }
}
