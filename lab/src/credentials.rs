//! The user names, passwords and communities of one lab: made when it starts, kept in its state folder only.

use std::fs::File;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

/// Letters and digits that are hard to mistake for another; 32 of them, so that five random bits choose one.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The credentials of every router of one lab.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    /// Login by SSH, and the user of SNMPv3.
    pub(crate) user: String,
    /// Login by SSH.
    pub(crate) password: String,
    /// SNMPv2c, read-only.
    pub(crate) snmp_community: String,
    /// SNMPv3 authentication, SHA.
    pub(crate) snmp_auth_password: String,
    /// SNMPv3 privacy, AES-128.
    pub(crate) snmp_privacy_password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Fresh ones from the kernel's random source.
    pub(crate) fn generate() -> io::Result<Self> {
        Ok(Self {
            user: "netops".to_owned(),
            password: word()?,
            snmp_community: word()?,
            snmp_auth_password: word()?,
            snmp_privacy_password: word()?,
        })
    }
}

/// Twenty characters: a hundred random bits.
pub(crate) fn word() -> io::Result<String> {
    let mut random = [0_u8; 20];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_labs_never_share_a_password_and_none_shows_in_debug() {
        let (one, other) = (
            Credentials::generate().unwrap(),
            Credentials::generate().unwrap(),
        );
        assert_ne!(one.password, other.password);
        assert_eq!(one.password.len(), 20);
        assert!(!format!("{one:?}").contains(&one.password));
    }
}
