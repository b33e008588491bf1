//! One record as one line.
//!
//! A line is a JSON object whose last member is `hash`, the SHA-256 of every byte of the line before `,"hash":"`. The member before it,
//! `prev`, is the hash of the record before, 64 zeros for the first. Hashes are 64 lower-case hexadecimal digits. Since the bytes are
//! hashed and not what they mean, there is nothing to canonicalise and no second way to write the same record.
//!
//! A record without a member `v` is of version 1, which is the one that is written. One of a later version has it, with `seq`, `prev` and
//! `hash` as they are here; what else it holds is not known, so that it is not taken for a record that was changed.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What comes before the first record.
pub(crate) const GENESIS: Hash = [0; 32];
/// Largest number of a record: what a Prometheus sample holds exactly.
pub(crate) const MOST: u64 = 1 << 53;
/// Longest line in bytes, without the line end.
pub(crate) const LONGEST: usize = 32 * 1024;
/// `,"hash":"`, the digits and `"}`.
pub(crate) const MEMBER: &[u8] = b",\"hash\":\"";
pub(crate) const TAIL: usize = MEMBER.len() + 64 + 2;

/// The version of the records that this program writes, and the latest that it reads.
const VERSION: u32 = 1;

/// Everything but the hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) time: String,
    #[serde(flatten)]
    pub(crate) event: Event,
    pub(crate) prev: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// Something is about to be done.
    Begun(What),
    /// It ended; `of` is the number of the record that began it.
    Ended {
        of: u64,
        #[serde(flatten)]
        what: What,
        outcome: String,
        detail: String,
    },
    /// Something was asked for and refused.
    Refused {
        #[serde(flatten)]
        what: What,
        detail: String,
    },
    /// Somebody read what is not for everybody.
    Read(What),
    /// Somebody declared that the records from `first` to the one before this are lost; `last` is the newest that was known of.
    Resumed {
        first: u64,
        last: u64,
        last_hash: String,
        by: String,
        reason: String,
    },
    /// A line without an end, left by a crash, was taken out or, when it was whole, given its end.
    Recovered {
        bytes: u64,
        sha256: String,
        whole: bool,
    },
}

/// Who does what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct What {
    pub(crate) subject: String,
    pub(crate) display: String,
    pub(crate) via: String,
    pub(crate) role: String,
    pub(crate) verb: String,
    pub(crate) object: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) request_hash: String,
}

impl Entry {
    /// The line with its end, and its hash.
    pub(crate) fn line(&self) -> Result<(Vec<u8>, Hash), serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.pop();
        let hash = digest(&line);
        line.extend_from_slice(MEMBER);
        line.extend_from_slice(hex(&hash).as_bytes());
        line.extend_from_slice(b"\"}\n");
        Ok((line, hash))
    }
}

/// A line that was read.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// What it says is what was hashed.
    Whole { entry: Box<Entry>, hash: Hash },
    /// What it says is what was hashed, but it is of a later version of this form.
    Later {
        sequence: u64,
        prev: Hash,
        hash: Hash,
        version: u32,
    },
    /// It is not. The number is what the line claims; the hashes are those that the record after it may name.
    Changed {
        claim: Option<u64>,
        hashes: Vec<Hash>,
    },
}

/// Reads a line without its end.
pub(crate) fn parse(line: &[u8]) -> Parsed {
    let Some((content, stated)) = split(line) else {
        return Parsed::Changed {
            claim: claim(line),
            hashes: vec![
                line.len()
                    .checked_sub(TAIL)
                    .map_or(GENESIS, |at| digest(&line[..at])),
            ],
        };
    };
    let actual = digest(content);
    let mut object = content.to_vec();
    object.push(b'}');
    if actual == stated
        && let Some(later) = later(&object, actual)
    {
        return later;
    }
    match serde_json::from_slice::<Entry>(&object) {
        Ok(entry) if actual == stated && unhex(&entry.prev).is_some() && entry.seq <= MOST => {
            Parsed::Whole {
                entry: Box::new(entry),
                hash: actual,
            }
        }
        _ => Parsed::Changed {
            claim: claim(&object),
            hashes: vec![stated, actual],
        },
    }
}

/// A record whose version is later than ours.
fn later(object: &[u8], hash: Hash) -> Option<Parsed> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
        seq: u64,
        prev: String,
    }
    // Hardly a record has one: the others need no second reading. Within a text the quotes would have a backslash before them.
    let named = br#""v":"#;
    object.windows(named.len()).find(|bytes| bytes == named)?;
    let record: Versioned = serde_json::from_slice(object).ok()?;
    (record.v > VERSION && record.seq <= MOST).then_some(Parsed::Later {
        sequence: record.seq,
        prev: unhex(&record.prev)?,
        hash,
        version: record.v,
    })
}

fn split(line: &[u8]) -> Option<(&[u8], Hash)> {
    let (content, tail) = line.split_at(line.len().checked_sub(TAIL)?);
    let digits = tail.strip_prefix(MEMBER)?.strip_suffix(b"\"}")?;
    Some((content, unhex(std::str::from_utf8(digits).ok()?)?))
}

fn claim(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    serde_json::from_slice::<Numbered>(line)
        .ok()
        .map(|it| it.seq)
}

pub(crate) fn digest(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of exactly 64 lower-case hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Option<Hash> {
    let digits = text.as_bytes();
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if digits.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(hash)
}
