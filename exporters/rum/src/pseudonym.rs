//! Users without their names: a keyed hash, so that faults of one person can be counted and nobody can be looked up by guessing.

use sha2::{Digest as _, Sha256};

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// Hexadecimal digits that are shown.
const DIGITS: usize = 16;

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let hash = |pad: u8, message: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(block.map(|byte| byte ^ pad));
        hash.update(message);
        <[u8; 32]>::from(hash.finalize())
    };
    hash(0x5C, &hash(0x36, message))
}

/// The pseudonym of a user; empty for nobody.
pub(crate) fn pseudonym(key: &[u8], user: &str) -> String {
    if user.is_empty() {
        return String::new();
    }
    let hash = hmac(key, user.as_bytes());
    hash[..DIGITS / 2]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 2 and 6.
    #[test]
    fn the_hash_is_that_of_the_standard() {
        assert_eq!(
            pseudonym(b"Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e"
        );
        let text = "Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(pseudonym(&[0xAA; 131], text), "60e431591ee0b67f");
        assert_eq!(pseudonym(b"k", ""), "");
    }
}
