//! The parts of a version-3 message (RFC 3412 §6), opened and sealed.

use std::ops::Range;

use snmp2::asn1::AsnReader;

use super::keys::Keys;
use super::{AUTH, LARGEST, PRIV};
use crate::codec::{push, push_integer};

/// The engine whose keys a message is sealed with, and what time it is there.
pub(super) struct Clock<'a> {
    pub(super) engine: &'a [u8],
    pub(super) boots: i64,
    pub(super) time: i64,
}

/// A PDU and the context that it is for (RFC 3412 §6.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scoped {
    pub(super) context_engine: Vec<u8>,
    pub(super) context: Vec<u8>,
    /// The PDU.
    pub pdu: Vec<u8>,
}

impl Scoped {
    /// From the content of its sequence.
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let mut reader = AsnReader::from_bytes(content);
        let context_engine = reader.read_asn_octetstring().ok()?.to_vec();
        let context = reader.read_asn_octetstring().ok()?.to_vec();
        let left = reader.bytes_left();
        Some(Self {
            context_engine,
            context,
            pdu: content[content.len() - left..].to_vec(),
        })
    }

    pub(super) fn encoded(&self) -> Vec<u8> {
        let (mut content, mut out) = (Vec::new(), Vec::new());
        push(0x04, &self.context_engine, &mut content);
        push(0x04, &self.context, &mut content);
        content.extend_from_slice(&self.pdu);
        push(0x30, &content, &mut out);
        out
    }
}

/// Where the parts of a message stand that are not read by [`Header`].
pub(super) struct Parts {
    pub(super) digest: Range<usize>,
    salt: Vec<u8>,
    /// The content of the encrypted string, or of the sequence of the scoped PDU.
    data: Range<usize>,
    pub(super) encrypted: bool,
}

impl Parts {
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let range = |part: &[u8]| {
            let at = part.as_ptr() as usize - message.as_ptr() as usize;
            at..at + part.len()
        };
        let mut reader = AsnReader::from_bytes(AsnReader::from_bytes(message).read_raw(0x30).ok()?);
        reader.read_asn_integer().ok()?;
        reader.read_raw(0x30).ok()?;
        let usm = reader.read_asn_octetstring().ok()?;
        let mut usm = AsnReader::from_bytes(AsnReader::from_bytes(usm).read_raw(0x30).ok()?);
        usm.read_asn_octetstring().ok()?;
        usm.read_asn_integer().ok()?;
        usm.read_asn_integer().ok()?;
        usm.read_asn_octetstring().ok()?;
        let digest = range(usm.read_asn_octetstring().ok()?);
        let salt = usm.read_asn_octetstring().ok()?.to_vec();
        let encrypted = reader.peek_byte().ok()? == 0x04;
        let data = if encrypted {
            reader.read_asn_octetstring().ok()?
        } else {
            reader.read_raw(0x30).ok()?
        };
        Some(Self {
            digest,
            salt,
            data: range(data),
            encrypted,
        })
    }

    /// Whether the digest is that of the message.
    pub(super) fn signed(&self, keys: &Keys, message: &[u8]) -> bool {
        let mut blank = message.to_vec();
        blank[self.digest.clone()].fill(0);
        keys.signed(&blank, &message[self.digest.clone()])
    }

    /// What the message carries, decrypted with the clock that its header says.
    pub(super) fn open(
        &self,
        keys: &Keys,
        message: &[u8],
        boots: i64,
        time: i64,
    ) -> Option<Scoped> {
        let data = &message[self.data.clone()];
        if !self.encrypted {
            return Scoped::read(data);
        }
        let plain = keys.decrypt(data, &self.salt, boots, time)?;
        Scoped::read(AsnReader::from_bytes(&plain).read_raw(0x30).ok()?)
    }
}

/// msgSecurityParameters (RFC 3414 §2.4).
pub(super) fn security(clock: &Clock<'_>, user: &[u8], digest: &[u8], salt: &[u8]) -> Vec<u8> {
    let (mut content, mut out) = (Vec::new(), Vec::new());
    push(0x04, clock.engine, &mut content);
    push_integer(clock.boots, &mut content);
    push_integer(clock.time, &mut content);
    for octets in [user, digest, salt] {
        push(0x04, octets, &mut content);
    }
    push(0x30, &content, &mut out);
    out
}

/// A message (RFC 3412 §6) of what it is made of; `data` with tag and length.
pub(super) fn wrapped(id: i64, flags: u8, usm: &[u8], data: &[u8]) -> Vec<u8> {
    let (mut global, mut content, mut out) = (Vec::new(), Vec::new(), Vec::new());
    push_integer(id, &mut global);
    push_integer(LARGEST, &mut global);
    push(0x04, &[flags], &mut global);
    push_integer(3, &mut global);
    push_integer(3, &mut content);
    push(0x30, &global, &mut content);
    push(0x04, usm, &mut content);
    content.extend_from_slice(data);
    push(0x30, &content, &mut out);
    out
}

/// A message with this number, signed and encrypted as `flags` say. `None` when the keys do not fit.
pub(super) fn seal(
    keys: &Keys,
    clock: &Clock<'_>,
    user: &[u8],
    id: i64,
    scoped: &Scoped,
    flags: u8,
) -> Option<Vec<u8>> {
    let (mut data, mut salt) = (scoped.encoded(), Vec::new());
    if flags & PRIV != 0 {
        let (encrypted, with) = keys.encrypt(&data, clock.boots, clock.time)?;
        data.clear();
        push(0x04, &encrypted, &mut data);
        salt = with;
    }
    let signed = flags & AUTH != 0;
    let digest = vec![0; if signed { keys.digest_length() } else { 0 }];
    let usm = security(clock, user, &digest, &salt);
    let mut message = wrapped(id, flags, &usm, &data);
    if signed {
        let at = Parts::read(&message)?.digest;
        let signature = keys.sign(&message)?;
        message[at].copy_from_slice(&signature);
    }
    Some(message)
}
