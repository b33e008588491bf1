//! Autonomous systems of addresses, from files in MaxMind's format (<https://maxmind.github.io/MaxMind-DB/>), as GeoLite2-ASN and DB-IP come.
//!
//! The tree of a file is laid flat into sorted ranges once, so that a look-up reads two or three places of memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use foldhash::fast::RandomState;

/// Where the description of the file begins.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// The key of what is looked for.
const NUMBER: &[u8] = b"autonomous_system_number";
/// Most ranges of a file.
const MOST_RANGES: usize = 8_000_000;
/// Deepest nesting of values that are skipped.
const DEEPEST: usize = 16;
/// Values of a map or an array that are looked at.
const MOST_VALUES: usize = 10_000;

/// Why a file is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It does not end with a description.
    #[error("not in MaxMind's format")]
    Format,
    /// Its tree or a value leads outside of it.
    #[error("broken: something in it leads outside of it")]
    Broken,
    /// No record has a number.
    #[error("no record of it has an autonomous_system_number")]
    Empty,
}

/// Ranges of addresses with their system; 0 where there is none.
#[derive(Debug, Default)]
pub struct Systems {
    /// First addresses, ascending, and who has them up to the next one.
    four: Vec<(u32, u32)>,
    /// Where the ranges of each /16 begin in `four`.
    index: Vec<u32>,
    /// By the upper half of the address.
    six: Vec<(u64, u32)>,
    /// Addresses of IPv4 that were asked for last, above their systems: few hosts have most of the traffic.
    last: Last,
}

/// Addresses of IPv4 with their systems, each where its hash says.
#[derive(Debug)]
struct Last(Box<[AtomicU64]>);

/// Its places: 64 KiB, which a processor's cache holds.
const LAST_BITS: u32 = 13;

impl Default for Last {
    fn default() -> Self {
        // A place that is 0 is of no address.
        Self((0..1_u32 << LAST_BITS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Last {
    /// The system of an address, which `other` tells when it has not been asked for lately.
    #[inline]
    fn of(&self, address: u32, other: impl FnOnce() -> u32) -> u32 {
        let place = address.wrapping_mul(0x9e37_79b1) >> (32 - LAST_BITS);
        let Some(place) = self.0.get(place as usize) else {
            return other();
        };
        let known = place.load(Relaxed);
        if (known >> 32) as u32 == address && known != 0 {
            return known as u32;
        }
        let system = other();
        place.store(u64::from(address) << 32 | u64::from(system), Relaxed);
        system
    }
}

impl Systems {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(file: &[u8]) -> Result<Self, Wrong> {
        let marker = file
            .windows(MARKER.len())
            .rposition(|window| window == MARKER);
        let about = file
            .get(marker.ok_or(Wrong::Format)? + MARKER.len()..)
            .unwrap_or_default();
        let value = |key: &[u8]| {
            Data(about)
                .find(0, key, 0)
                .ok()
                .flatten()
                .ok_or(Wrong::Format)
        };
        let (nodes, bits) = (value(b"node_count")?, value(b"record_size")?);
        let version = value(b"ip_version")?;
        if ![24, 28, 32].contains(&bits) || ![4, 6].contains(&version) {
            return Err(Wrong::Format);
        }
        let tree = usize::try_from(nodes * bits / 4).map_err(|_| Wrong::Broken)?;
        let tree = file.get(..tree).ok_or(Wrong::Broken)?;
        let data = file.get(tree.len() + 16..).ok_or(Wrong::Broken)?;
        let walk = Walk {
            tree,
            nodes,
            bits,
            data: Data(data),
        };
        let mut all = Self::default();
        let mut seen: HashMap<u64, u32, RandomState> = HashMap::default();
        walk.ranges(version == 6, |six, first, target| {
            let system = match seen.get(&target) {
                Some(system) => *system,
                None => {
                    let system = match target.checked_sub(nodes + 16) {
                        Some(at) => walk.data.find(at as usize, NUMBER, 0)?.unwrap_or(0),
                        // It leads nowhere: no record.
                        None => 0,
                    };
                    let system = system as u32;
                    seen.insert(target, system);
                    system
                }
            };
            if six {
                push(&mut all.six, (first >> 64) as u64, system)
            } else {
                push(&mut all.four, first as u32, system)
            }
        })?;
        if all.is_empty() {
            return Err(Wrong::Empty);
        }
        all.index = (0..=0xffff_u32)
            .map(|upper| all.four.partition_point(|(first, _)| *first < upper << 16) as u32)
            .collect();
        Ok(all)
    }

    /// The system of an address; 0 when there is none.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> u32 {
        match address {
            IpAddr::V4(address) => {
                let address = u32::from(address);
                self.last.of(address, || self.four(address))
            }
            IpAddr::V6(address) => {
                let upper = (u128::from(address) >> 64) as u64;
                let before = self.six.partition_point(|(first, _)| *first <= upper);
                before
                    .checked_sub(1)
                    .and_then(|at| self.six.get(at))
                    .map_or(0, |range| range.1)
            }
        }
    }

    fn four(&self, address: u32) -> u32 {
        let upper = (address >> 16) as usize;
        let place = |at: usize| {
            self.index
                .get(at)
                .map_or(self.four.len(), |place| *place as usize)
        };
        let (begin, end) = (place(upper), place(upper + 1));
        let within = self.four.get(begin..end).unwrap_or_default();
        let before = begin + within.partition_point(|(first, _)| *first <= address);
        before
            .checked_sub(1)
            .and_then(|at| self.four.get(at))
            .map_or(0, |range| range.1)
    }

    /// Ranges that have a system.
    #[must_use]
    pub fn len(&self) -> usize {
        let four = self.four.iter().filter(|(_, system)| *system > 0).count();
        four + self.six.iter().filter(|(_, system)| *system > 0).count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Appends a range, as a part of the last one where both have one system.
fn push<A: PartialEq>(ranges: &mut Vec<(A, u32)>, first: A, system: u32) -> Result<(), Wrong> {
    let full = ranges.len() >= MOST_RANGES;
    match ranges.last_mut() {
        Some(last) if last.1 == system => {}
        // Longer prefixes than half an IPv6 address: the last one has it.
        Some(last) if last.0 == first => last.1 = system,
        _ if full => return Err(Wrong::Broken),
        _ => ranges.push((first, system)),
    }
    Ok(())
}

struct Walk<'a> {
    tree: &'a [u8],
    nodes: u64,
    bits: u64,
    data: Data<'a>,
}

impl Walk<'_> {
    /// One of the two records of a node.
    fn record(&self, node: u64, right: bool) -> Option<u64> {
        let size = self.bits as usize / 4;
        let bytes = self.tree.get(node as usize * size..)?.get(..size)?;
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        Some(match (self.bits, right) {
            (24, false) => number(&bytes[..3]),
            (24, true) => number(&bytes[3..]),
            (28, false) => u64::from(bytes[3] >> 4) << 24 | number(&bytes[..3]),
            (28, true) => u64::from(bytes[3] & 0x0f) << 24 | number(&bytes[4..]),
            (_, false) => number(&bytes[..4]),
            (_, true) => number(&bytes[4..]),
        })
    }

    /// Gives each range of the tree in order: whether it is of IPv6, its first address, and where its record leads.
    fn ranges(
        &self,
        six: bool,
        mut each: impl FnMut(bool, u128, u64) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        let mut budget = 2 * MOST_RANGES;
        // Addresses of IPv4 are the first 2³² of IPv6; elsewhere their part of the tree is only aliased.
        let mut four = None;
        if six {
            let mut node = 0;
            for _ in 0..96 {
                if node < self.nodes {
                    node = self.record(node, false).ok_or(Wrong::Broken)?;
                }
            }
            four = Some(node);
        }
        let bits = if six { 128 } else { 32 };
        let mut stack = vec![(0_u64, 0_u32, 0_u128)];
        while let Some((node, depth, first)) = stack.pop() {
            budget = budget.checked_sub(1).ok_or(Wrong::Broken)?;
            let within_four = !six || (depth >= 96 && first >> 32 == 0);
            if six
                && Some(node) == four
                && node < self.nodes
                && !(depth == 96 && first == 0)
                && !within_four
            {
                each(true, first, self.nodes)?;
                continue;
            }
            if node < self.nodes {
                if depth >= bits {
                    return Err(Wrong::Broken);
                }
                let half = 1_u128 << (bits - depth - 1);
                let (left, right) = (self.record(node, false), self.record(node, true));
                stack.push((right.ok_or(Wrong::Broken)?, depth + 1, first | half));
                stack.push((left.ok_or(Wrong::Broken)?, depth + 1, first));
            } else if within_four {
                each(false, first, node)?;
            } else {
                each(true, first, node)?;
            }
        }
        Ok(())
    }
}

/// The values of a file.
#[derive(Clone, Copy)]
struct Data<'a>(&'a [u8]);

/// A value's head: its kind, its size, and where it goes on.
struct Value {
    kind: u8,
    size: usize,
    at: usize,
}

const POINTER: u8 = 1;
const TEXT: u8 = 2;
const MAP: u8 = 7;
const ARRAY: u8 = 11;

impl<'a> Data<'a> {
    fn bytes(self, at: usize, count: usize) -> Result<&'a [u8], Wrong> {
        let end = at.checked_add(count).ok_or(Wrong::Broken)?;
        self.0.get(at..end).ok_or(Wrong::Broken)
    }

    fn number(self, at: usize, count: usize) -> Result<u64, Wrong> {
        let bytes = self.bytes(at, count)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn value(self, at: usize) -> Result<Value, Wrong> {
        let control = self.bytes(at, 1)?[0];
        let mut at = at + 1;
        let mut kind = control >> 5;
        let size = usize::from(control & 0x1f);
        if kind == POINTER {
            let octets = size >> 3;
            let low = self.number(at, octets + 1)?;
            let base = (size as u64 & 7) << (8 * (octets + 1));
            let target = match octets {
                0 => base + low,
                1 => base + low + 2_048,
                2 => base + low + 526_336,
                _ => low,
            };
            return Ok(Value {
                kind,
                size: usize::try_from(target).map_err(|_| Wrong::Broken)?,
                at: at + octets + 1,
            });
        }
        if kind == 0 {
            kind = self.bytes(at, 1)?[0].saturating_add(7);
            at += 1;
        }
        let (more, base) = match size {
            29 => (1, 29),
            30 => (2, 285),
            31 => (3, 65_821),
            _ => (0, size),
        };
        let size = base + self.number(at, more)? as usize;
        Ok(Value {
            kind,
            size,
            at: at + more,
        })
    }

    /// Where a value ends.
    fn skip(self, at: usize, depth: usize) -> Result<usize, Wrong> {
        if depth > DEEPEST {
            return Err(Wrong::Broken);
        }
        let value = self.value(at)?;
        let inner = match value.kind {
            POINTER => return Ok(value.at),
            MAP => value.size.saturating_mul(2),
            ARRAY => value.size,
            // A boolean is its size.
            14 => 0,
            _ => {
                return self
                    .bytes(value.at, value.size)
                    .map(|_| value.at + value.size);
            }
        };
        if inner > MOST_VALUES {
            return Err(Wrong::Broken);
        }
        (0..inner).try_fold(value.at, |at, _| self.skip(at, depth + 1))
    }

    /// The number that a map holds under a key.
    fn find(self, at: usize, key: &[u8], depth: usize) -> Result<Option<u64>, Wrong> {
        let map = self.value(at)?;
        if map.kind == POINTER && depth == 0 {
            return self.find(map.size, key, 1);
        }
        if map.kind != MAP || map.size > MOST_VALUES {
            return Ok(None);
        }
        let mut at = map.at;
        for _ in 0..map.size {
            let (name, mut value) = (self.value(at)?, self.skip(at, 0)?);
            let name = if name.kind == POINTER {
                self.value(name.size)?
            } else {
                name
            };
            if name.kind == TEXT && self.bytes(name.at, name.size)? == key {
                let mut told = self.value(value)?;
                if told.kind == POINTER {
                    told = self.value(told.size)?;
                }
                value = told.at;
                return match told.kind {
                    5 | 6 | 9 if told.size <= 8 => self.number(value, told.size).map(Some),
                    _ => Ok(None),
                };
            }
            at = self.skip(value, 0)?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
