//! Which algorithms are offered, and which of the agreed ones are weak.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, compression, kex, mac};
use serde::{Deserialize, Serialize};

/// How old the algorithms may be that a device is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// What is not known to be weak.
    #[default]
    Default,
    /// Also SHA-1 in key exchange, host keys and MACs, and AES in CBC mode.
    Compat,
    /// Also Diffie-Hellman in group 1, 3DES and DSA.
    Ancient,
}

/// A weak algorithm that was agreed upon, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weakness {
    /// Key exchange with SHA-1 or group 1.
    Kex,
    /// Host key signed with SHA-1, or DSA.
    HostKey,
    /// CBC mode or 3DES.
    Cipher,
    /// MAC with SHA-1.
    Mac,
}

impl Weakness {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Kex, Self::HostKey, Self::Cipher, Self::Mac];

    /// Its name, fit for a label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kex => "kex",
            Self::HostKey => "host_key",
            Self::Cipher => "cipher",
            Self::Mac => "mac",
        }
    }
}

const KEX: [kex::Name; 9] = [
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G14_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_GEX_SHA256,
];
const KEX_COMPAT: [kex::Name; 2] = [kex::DH_G14_SHA1, kex::DH_GEX_SHA1];
const KEX_ANCIENT: [kex::Name; 1] = [kex::DH_G1_SHA1];
const KEX_EXTENSIONS: [kex::Name; 2] = [
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

// AES in GCM first: servers without strict key exchange are open to CVE-2023-48795 with ChaCha20, and processors have it built in.
const CIPHERS: [cipher::Name; 6] = [
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];
const CIPHERS_COMPAT: [cipher::Name; 3] = [
    cipher::AES_256_CBC,
    cipher::AES_192_CBC,
    cipher::AES_128_CBC,
];
const CIPHERS_ANCIENT: [cipher::Name; 1] = [cipher::TRIPLE_DES_CBC];

const MACS: [mac::Name; 4] = [
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512,
    mac::HMAC_SHA256,
];
const MACS_COMPAT: [mac::Name; 2] = [mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

const KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

impl Profile {
    /// What is offered, host key algorithms of `known` keys before the others.
    pub(crate) fn preferred(self, known: &[Algorithm]) -> Preferred {
        let compat = self != Self::Default;
        let ancient = self == Self::Ancient;
        let mut kex = KEX.to_vec();
        let mut cipher = CIPHERS.to_vec();
        let mut mac = MACS.to_vec();
        let mut key = KEYS.to_vec();
        if compat {
            kex.extend(KEX_COMPAT);
            cipher.extend(CIPHERS_COMPAT);
            mac.extend(MACS_COMPAT);
            key.push(Algorithm::Rsa { hash: None });
        }
        if ancient {
            kex.extend(KEX_ANCIENT);
            cipher.extend(CIPHERS_ANCIENT);
            key.push(Algorithm::Dsa);
        }
        kex.extend(KEX_EXTENSIONS);
        // A device shows the key that we know rather than another one of its keys, which we would have to refuse.
        key.sort_by_key(|algorithm| !known.iter().any(|known| same_key(known, algorithm)));
        Preferred {
            kex: Cow::Owned(kex),
            key: Cow::Owned(key),
            cipher: Cow::Owned(cipher),
            mac: Cow::Owned(mac),
            compression: Cow::Owned(vec![compression::NONE]),
            ..Preferred::DEFAULT
        }
    }
}

/// Whether a key of algorithm `known` can sign with `algorithm`: one RSA key signs with each hash.
fn same_key(known: &Algorithm, algorithm: &Algorithm) -> bool {
    known == algorithm
        || (matches!(known, Algorithm::Rsa { .. }) && matches!(algorithm, Algorithm::Rsa { .. }))
}

/// What is weak in what was agreed upon.
pub(crate) fn weaknesses(names: &russh::Names) -> Vec<Weakness> {
    let mut found = Vec::new();
    if KEX_COMPAT.contains(&names.kex) || KEX_ANCIENT.contains(&names.kex) {
        found.push(Weakness::Kex);
    }
    if matches!(names.key, Algorithm::Dsa | Algorithm::Rsa { hash: None }) {
        found.push(Weakness::HostKey);
    }
    if CIPHERS_COMPAT.contains(&names.cipher) || CIPHERS_ANCIENT.contains(&names.cipher) {
        found.push(Weakness::Cipher);
    }
    // An AEAD cipher brings its own; what was agreed upon beside it is not used.
    let own = [
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_GCM,
        cipher::AES_128_GCM,
    ];
    let sha1 = |mac: &mac::Name| MACS_COMPAT.contains(mac);
    if !own.contains(&names.cipher) && (sha1(&names.client_mac) || sha1(&names.server_mac)) {
        found.push(Weakness::Mac);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_weak_is_offered_unless_asked_for() {
        let offered = Profile::Default.preferred(&[]);
        assert!(
            !offered
                .kex
                .iter()
                .any(|name| name.as_ref().contains("sha1"))
        );
        assert!(
            !offered
                .mac
                .iter()
                .any(|name| name.as_ref().contains("sha1"))
        );
        assert!(
            !offered
                .cipher
                .iter()
                .any(|name| name.as_ref().contains("cbc"))
        );
        assert!(!offered.key.contains(&Algorithm::Rsa { hash: None }));
        let compat = Profile::Compat.preferred(&[]);
        assert!(compat.kex.contains(&kex::DH_G14_SHA1) && !compat.kex.contains(&kex::DH_G1_SHA1));
        let ancient = Profile::Ancient.preferred(&[]);
        assert!(ancient.kex.contains(&kex::DH_G1_SHA1) && ancient.key.contains(&Algorithm::Dsa));
    }

    #[test]
    fn cipher_that_strict_key_exchange_protects_comes_behind_those_that_need_none() {
        let offered = Profile::Default.preferred(&[]).cipher;
        let place = |name| offered.iter().position(|own| *own == name).unwrap();
        assert!(place(cipher::AES_256_GCM) < place(cipher::CHACHA20_POLY1305));
        assert!(place(cipher::AES_128_GCM) < place(cipher::CHACHA20_POLY1305));
    }

    #[test]
    fn algorithms_of_known_keys_come_first() {
        let known = [Algorithm::Rsa { hash: None }];
        let offered = Profile::Default.preferred(&known);
        assert!(
            offered.key[..2]
                .iter()
                .all(|key| matches!(key, Algorithm::Rsa { .. }))
        );
        assert_eq!(offered.key[2], Algorithm::Ed25519);
    }
}
