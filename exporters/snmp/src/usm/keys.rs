//! Keys localised to an engine, and what is done with them (RFC 3414 §6, §8 and §A.2; RFC 3826; RFC 7860).

use aes::{Aes128, Aes192, Aes256};
use cfb_mode::cipher::{AsyncStreamCipher, BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use hmac::{Hmac, Mac};
use sha2_of_snmp::digest::Digest;

use super::{AUTH, PRIV};
use crate::config::{Auth, AuthProtocol, Credentials, PrivProtocol};

/// Octets of a password that are hashed to a key.
const STRETCHED: usize = 1 << 20;
/// Octets of a block of DES.
const BLOCK: usize = 8;

macro_rules! with_hash {
    ($protocol:expr, $call:ident($($argument:expr),*)) => {
        match $protocol {
            AuthProtocol::Md5 => $call::<md5::Md5>($($argument),*),
            AuthProtocol::Sha => $call::<sha1::Sha1>($($argument),*),
            AuthProtocol::Sha224 => $call::<sha2_of_snmp::Sha224>($($argument),*),
            AuthProtocol::Sha256 => $call::<sha2_of_snmp::Sha256>($($argument),*),
            AuthProtocol::Sha384 => $call::<sha2_of_snmp::Sha384>($($argument),*),
            AuthProtocol::Sha512 => $call::<sha2_of_snmp::Sha512>($($argument),*),
        }
    };
}

/// The keys of one user.
#[derive(Clone)]
pub(super) struct Keys {
    digest: AuthProtocol,
    cipher: PrivProtocol,
    auth: Vec<u8>,
    privacy: Vec<u8>,
}

impl Keys {
    pub(super) fn new(auth: &Auth, credentials: &Credentials, level: u8, engine: &[u8]) -> Self {
        let protocol = auth.auth_protocol;
        let localised = |password: &[u8]| with_hash!(protocol, localised(password, engine));
        let mut keys = Self {
            digest: protocol,
            cipher: auth.priv_protocol,
            auth: Vec::new(),
            privacy: Vec::new(),
        };
        if level & AUTH != 0 {
            keys.auth = localised(credentials.password.reveal());
        }
        if level & PRIV != 0 {
            let mut key = localised(credentials.priv_password.reveal());
            // One more round is enough for every pair of protocols.
            let more = match auth.priv_protocol {
                PrivProtocol::Aes192C | PrivProtocol::Aes256C => localised(&key),
                _ => with_hash!(protocol, hashed(&key)),
            };
            key.extend(more);
            keys.privacy = key;
        }
        keys
    }

    /// For a user without any.
    pub(super) fn none() -> Self {
        Self {
            digest: AuthProtocol::Md5,
            cipher: PrivProtocol::Des,
            auth: Vec::new(),
            privacy: Vec::new(),
        }
    }

    /// How much of the HMAC a message carries.
    pub(super) fn digest_length(&self) -> usize {
        match self.digest {
            AuthProtocol::Md5 | AuthProtocol::Sha => 12,
            AuthProtocol::Sha224 => 16,
            AuthProtocol::Sha256 => 24,
            AuthProtocol::Sha384 => 32,
            AuthProtocol::Sha512 => 48,
        }
    }

    /// The digest of a message in which the place of the digest holds zeros.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut whole = hmac(self.digest, &self.auth, message);
        whole.truncate(self.digest_length());
        (whole.len() == self.digest_length()).then_some(whole)
    }

    /// Whether `digest` is that of the message, compared in a time that does not tell where they differ.
    pub(super) fn signed(&self, message: &[u8], digest: &[u8]) -> bool {
        self.sign(message).is_some_and(|own| {
            own.len() == digest.len()
                && own
                    .iter()
                    .zip(digest)
                    .fold(0, |sum, (one, other)| sum | (one ^ other))
                    == 0
        })
    }

    /// Gives the octets and the salt that goes with them.
    pub(super) fn encrypt(
        &self,
        plain: &[u8],
        boots: i64,
        time: i64,
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut data = plain.to_vec();
        let salt: [u8; BLOCK] = std::array::from_fn(|_| fastrand::u8(..));
        let (key, iv) = (&self.privacy, self.iv(&salt, boots, time)?);
        match self.cipher {
            PrivProtocol::Des => {
                data.resize(data.len().next_multiple_of(BLOCK), 0);
                let mut cipher =
                    cbc::Encryptor::<des::Des>::new_from_slices(key.get(..BLOCK)?, &iv).ok()?;
                for block in data.chunks_exact_mut(BLOCK) {
                    cipher.encrypt_block_mut(block.into());
                }
            }
            PrivProtocol::Aes => {
                cfb_mode::Encryptor::<Aes128>::new_from_slices(key.get(..16)?, &iv)
                    .ok()?
                    .encrypt(&mut data);
            }

            PrivProtocol::Aes192 | PrivProtocol::Aes192C => {
                cfb_mode::Encryptor::<Aes192>::new_from_slices(key.get(..24)?, &iv)
                    .ok()?
                    .encrypt(&mut data);
            }
            PrivProtocol::Aes256 | PrivProtocol::Aes256C => {
                cfb_mode::Encryptor::<Aes256>::new_from_slices(key.get(..32)?, &iv)
                    .ok()?
                    .encrypt(&mut data);
            }
        }
        Some((data, salt.to_vec()))
    }

    /// `None` when length or salt cannot be.
    pub(super) fn decrypt(
        &self,
        data: &[u8],
        salt: &[u8],
        boots: i64,
        time: i64,
    ) -> Option<Vec<u8>> {
        let mut data = data.to_vec();
        let (key, iv) = (&self.privacy, self.iv(salt, boots, time)?);
        match self.cipher {
            PrivProtocol::Des => {
                data.len().is_multiple_of(BLOCK).then_some(())?;
                let mut cipher =
                    cbc::Decryptor::<des::Des>::new_from_slices(key.get(..BLOCK)?, &iv).ok()?;
                for block in data.chunks_exact_mut(BLOCK) {
                    cipher.decrypt_block_mut(block.into());
                }
            }
            PrivProtocol::Aes => {
                cfb_mode::Decryptor::<Aes128>::new_from_slices(key.get(..16)?, &iv)
                    .ok()?
                    .decrypt(&mut data);
            }

            PrivProtocol::Aes192 | PrivProtocol::Aes192C => {
                cfb_mode::Decryptor::<Aes192>::new_from_slices(key.get(..24)?, &iv)
                    .ok()?
                    .decrypt(&mut data);
            }
            PrivProtocol::Aes256 | PrivProtocol::Aes256C => {
                cfb_mode::Decryptor::<Aes256>::new_from_slices(key.get(..32)?, &iv)
                    .ok()?
                    .decrypt(&mut data);
            }
        }
        Some(data)
    }

    /// The first block: the salt with the second half of the key (DES), or the clock and the salt (AES).
    fn iv(&self, salt: &[u8], boots: i64, time: i64) -> Option<Vec<u8>> {
        (salt.len() == BLOCK).then_some(())?;
        if self.cipher == PrivProtocol::Des {
            let half = self.privacy.get(BLOCK..2 * BLOCK)?;
            return Some(
                half.iter()
                    .zip(salt)
                    .map(|(one, other)| one ^ other)
                    .collect(),
            );
        }
        let clock = |number: i64| u32::try_from(number).ok().map(u32::to_be_bytes);
        Some([&clock(boots)?[..], &clock(time)?, salt].concat())
    }
}

/// A password's key for one engine: the hash of a megabyte of it, hashed again around the engine's identity.
fn localised<D: Digest>(password: &[u8], engine: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    // Blocks that end where the password does, so that the hash is fed seldom.
    let block = password.repeat(8192_usize.div_ceil(password.len()));
    let mut hash = D::new();
    let mut left = STRETCHED;
    while left > 0 {
        let part = left.min(block.len());
        hash.update(&block[..part]);
        left -= part;
    }
    let key = hash.finalize();
    let mut around = D::new();
    around.update(&key);
    around.update(engine);
    around.update(&key);
    around.finalize().to_vec()
}

fn hashed<D: Digest>(key: &[u8]) -> Vec<u8> {
    D::digest(key).to_vec()
}

fn hmac(protocol: AuthProtocol, key: &[u8], message: &[u8]) -> Vec<u8> {
    macro_rules! of {
        ($hash:ty) => {
            <Hmac<$hash> as Mac>::new_from_slice(key)
                .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
                .unwrap_or_default()
        };
    }
    match protocol {
        AuthProtocol::Md5 => of!(md5::Md5),
        AuthProtocol::Sha => of!(sha1::Sha1),
        AuthProtocol::Sha224 => of!(sha2_of_snmp::Sha224),
        AuthProtocol::Sha256 => of!(sha2_of_snmp::Sha256),
        AuthProtocol::Sha384 => of!(sha2_of_snmp::Sha384),
        AuthProtocol::Sha512 => of!(sha2_of_snmp::Sha512),
    }
}
