//! Which process answers for which device.

use std::fmt;

/// Most shards.
const MAX_SHARDS: u16 = 1024;

/// One of `of` processes that share the devices, by rendezvous hashing (Thaler and Ravishankar, 1998).
///
/// Every device belongs to exactly one shard. When `of` grows by one, only devices that the new shard
/// takes change their owner, about one in `of + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u16,
    of: u16,
}

/// A shard that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "shard {index} of {of} cannot be; expected of from 1 to {MAX_SHARDS} and shard from 0 to of - 1"
)]
pub struct InvalidShard {
    index: u16,
    of: u16,
}

impl Default for Shard {
    /// The only shard: it owns every device.
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.index, self.of)
    }
}

impl Shard {
    /// Shard `index`, counted from 0, of `of`.
    ///
    /// # Errors
    /// When `of` is 0 or above 1024, or `index` is not below `of`.
    pub fn new(index: u16, of: u16) -> Result<Self, InvalidShard> {
        if index < of && of <= MAX_SHARDS {
            Ok(Self { index, of })
        } else {
            Err(InvalidShard { index, of })
        }
    }

    /// How many shards there are.
    #[must_use]
    pub fn count(self) -> u16 {
        self.of
    }

    /// Whether this shard answers for the device called `name`.
    #[must_use]
    pub fn owns(self, name: &str) -> bool {
        self.of == 1 || owner(name, self.of) == self.index
    }
}

/// The shard with the highest score for `name`; on a tie, the lowest.
fn owner(name: &str, of: u16) -> u16 {
    let hash = fnv1a(name.as_bytes());
    let score = |shard: u16| mix(hash ^ mix(u64::from(shard) + 1));
    (0..of)
        .max_by_key(|shard| (score(*shard), u16::MAX - shard))
        .unwrap_or(0)
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo): the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finaliser of splitmix64: every bit of the input changes every bit of the output.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
