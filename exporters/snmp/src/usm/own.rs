//! Our own engine, the authoritative one of informs (RFC 3414 §1.5.1): it says who it is and what time it is, and answers.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use snmp2::asn1::AsnReader;

use super::keys::Keys;
use super::message::{Clock, Parts, Scoped, seal, security, wrapped};
use super::{
    AUTH, DECRYPTION_ERRORS, Header, KeyError, NOT_IN_WINDOWS, PRIV, REPORT, REPORTABLE,
    UNKNOWN_ENGINES, UNKNOWN_USERS, UNSUPPORTED_LEVELS, WINDOW, WRONG_DIGESTS, level_of,
};
use crate::codec::{push, push_integer};
use crate::config::{Auth, Credentials};
use crate::reason::Reason;

/// Seconds that are taken off the time of day to number our starts: 2020-01-01, so that 31 bits last until 2088.
const EPOCH: u64 = 1_577_836_800;
/// Length of an identity in octets (SnmpEngineID, RFC 3411 §5).
const IDENTITY: std::ops::RangeInclusive<usize> = 5..=32;
/// usmStats (RFC 3414 §5).
const STATISTICS: [u32; 9] = [1, 3, 6, 1, 6, 3, 15, 1, 1];

/// The identity of an engine, as a flag gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineId(pub Vec<u8>);

/// Who we are to those that send informs.
#[derive(Debug, Clone)]
pub struct Engine {
    identity: Vec<u8>,
    boots: i64,
    started: Instant,
}

impl Engine {
    /// An engine that has just started. Its number of starts is taken from the time of day, so that it rises with each start and
    /// nothing need be kept.
    #[must_use]
    pub fn new(identity: Vec<u8>) -> Self {
        let day = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(EPOCH, |since| since.as_secs());
        Self {
            identity,
            boots: i64::try_from(day.saturating_sub(EPOCH))
                .unwrap_or(0)
                .clamp(1, i64::from(i32::MAX) - 1),
            started: Instant::now(),
        }
    }

    /// An engine with an identity that nobody else has.
    #[must_use]
    pub fn random() -> Self {
        let random: [u8; 12] = std::array::from_fn(|_| fastrand::u8(..));
        // The first bit says that RFC 3411 made the form, 5 that octets of our own choice follow; no enterprise number.
        Self::new([&[0x80, 0, 0, 0, 5], random.as_slice()].concat())
    }

    /// An engine with this identity, as hexadecimal digits.
    ///
    /// # Errors
    /// The text is no identity.
    pub fn named(text: &str) -> Result<EngineId, String> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let octets: Option<Vec<u8>> = (digits.is_ascii() && digits.len().is_multiple_of(2))
            .then(|| {
                (0..digits.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
                    .collect()
            })
            .flatten();
        octets
            .filter(|octets| IDENTITY.contains(&octets.len()))
            .map(EngineId)
            .ok_or_else(|| {
                format!("`{text}`: expected 10 to 64 hexadecimal digits, two for each octet")
            })
    }

    /// The identity.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    fn clock(&self) -> Clock<'_> {
        Clock {
            engine: &self.identity,
            boots: self.boots,
            time: self.time(),
        }
    }

    fn time(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::from(i32::MAX))
    }
}

/// The keys of one of our users for our own engine.
#[derive(Clone)]
pub struct Own {
    level: u8,
    user: Vec<u8>,
    keys: Keys,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Own")
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// What a message to our engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A PDU, from a user that is who it says and at our time.
    Pdu(Scoped),
    /// Refused; the report to send, where the sender asks for one.
    Refused(Reason, Option<Vec<u8>>),
}

impl Own {
    /// Localises the keys of `auth` to our engine.
    ///
    /// # Errors
    /// A password is missing.
    pub fn new(auth: &Auth, credentials: &Credentials, engine: &Engine) -> Result<Self, KeyError> {
        let level = level_of(auth, credentials)?;
        Ok(Self {
            level,
            user: credentials.username.reveal().to_vec(),
            keys: Keys::new(auth, credentials, level, &engine.identity),
        })
    }

    /// Reads a message that is for our engine.
    #[must_use]
    pub fn receive(&self, message: &[u8], engine: &Engine) -> Received {
        let (Some(header), Some(parts)) = (Header::read(message), Parts::read(message)) else {
            return Received::Refused(Reason::Decode, None);
        };
        let refused = |reason, object| Received::Refused(reason, report(message, engine, object));
        let wanted = AUTH | PRIV;
        if header.user != self.user {
            return refused(Reason::UnknownUser, UNKNOWN_USERS);
        }
        if header.flags & wanted != self.level || parts.encrypted != (self.level & PRIV != 0) {
            return refused(Reason::SecurityLevel, UNSUPPORTED_LEVELS);
        }
        if self.level & AUTH != 0 {
            if !parts.signed(&self.keys, message) {
                return refused(Reason::WrongDigest, WRONG_DIGESTS);
            }
            let off = (header.time - engine.time()).abs();
            if header.boots != engine.boots || off > WINDOW {
                // Signed, so that the sender may set its clock by it.
                let report = (header.flags & REPORTABLE != 0)
                    .then(|| {
                        let scoped = Scoped {
                            context_engine: engine.identity.clone(),
                            context: Vec::new(),
                            pdu: pdu(REPORT, 0, &statistic(NOT_IN_WINDOWS)),
                        };
                        self.sealed(engine, number(message)?, &scoped, AUTH)
                    })
                    .flatten();
                return Received::Refused(Reason::NotInWindow, report);
            }
        }
        match parts.open(&self.keys, message, header.boots, header.time) {
            Some(scoped) => Received::Pdu(scoped),
            None if parts.encrypted => refused(Reason::Decrypt, DECRYPTION_ERRORS),
            None => Received::Refused(Reason::Decode, None),
        }
    }

    /// The answer to an inform (RFC 3416 §4.2.7): what it said, as a response, in its context.
    #[must_use]
    pub fn acknowledge(&self, message: &[u8], inform: &Scoped, engine: &Engine) -> Option<Vec<u8>> {
        let body = AsnReader::from_bytes(&inform.pdu).read_raw(0xa6).ok()?;
        let mut body = AsnReader::from_bytes(body);
        let id = body.read_asn_integer().ok()?;
        body.read_asn_integer().ok()?;
        body.read_asn_integer().ok()?;
        let list = body.read_raw(0x30).ok()?;
        let answer = Scoped {
            pdu: pdu(0xa2, id, list),
            ..inform.clone()
        };
        self.sealed(engine, number(message)?, &answer, self.level)
    }

    fn sealed(&self, engine: &Engine, id: i64, scoped: &Scoped, level: u8) -> Option<Vec<u8>> {
        seal(&self.keys, &engine.clock(), &self.user, id, scoped, level)
    }
}

fn pdu(tag: u8, id: i64, list: &[u8]) -> Vec<u8> {
    let (mut content, mut out) = (Vec::new(), Vec::new());
    for number in [id, 0, 0] {
        push_integer(number, &mut content);
    }
    push(0x30, list, &mut content);
    push(tag, &content, &mut out);
    out
}

/// The report that tells an unknown sender who we are (RFC 3414 §4), or why it is refused; nothing for a message that asks for none.
#[must_use]
pub fn report(message: &[u8], engine: &Engine, object: u32) -> Option<Vec<u8>> {
    let header = Header::read(message)?;
    (header.flags & REPORTABLE != 0).then_some(())?;
    let scoped = Scoped {
        context_engine: engine.identity.clone(),
        context: Vec::new(),
        pdu: pdu(REPORT, 0, &statistic(object)),
    };
    let usm = security(&engine.clock(), &header.user, &[], &[]);
    Some(wrapped(number(message)?, 0, &usm, &scoped.encoded()))
}

/// The report for a message that is for another engine or for none: who we are.
#[must_use]
pub fn introduction(message: &[u8], engine: &Engine) -> Option<Vec<u8>> {
    report(message, engine, UNKNOWN_ENGINES)
}

/// The report for a user that we do not know.
#[must_use]
pub fn stranger(message: &[u8], engine: &Engine) -> Option<Vec<u8>> {
    report(message, engine, UNKNOWN_USERS)
}

/// Who a message is for and from, before anything is checked; an empty engine asks who we are.
#[must_use]
pub fn addressed(message: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    Header::read(message).map(|header| (header.engine, header.user))
}

fn statistic(object: u32) -> Vec<u8> {
    let ids: Vec<u32> = STATISTICS.into_iter().chain([object, 0]).collect();
    let (mut name, mut one, mut list) = (Vec::new(), Vec::new(), Vec::new());
    crate::oid::encode(&ids, &mut name);
    push(0x06, &name, &mut one);
    push(0x41, &[1], &mut one);
    push(0x30, &one, &mut list);
    list
}

/// msgID.
fn number(message: &[u8]) -> Option<i64> {
    let content = AsnReader::from_bytes(message).read_raw(0x30).ok()?;
    let mut reader = AsnReader::from_bytes(content);
    reader.read_asn_integer().ok()?;
    let mut global = AsnReader::from_bytes(reader.read_raw(0x30).ok()?);
    global.read_asn_integer().ok()
}

/// Reads any octets as a message to our engine; for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    let engine = Engine::new(b"sotp-engine".to_vec());
    let _ = introduction(bytes, &engine);
    let _ = addressed(bytes);
    let plain = Own {
        level: 0,
        user: b"user".to_vec(),
        keys: Keys::none(),
    };
    if let Received::Pdu(scoped) = plain.receive(bytes, &engine) {
        let _ = plain.acknowledge(bytes, &scoped, &engine);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::*;
    use crate::config::{Options, parse};
    use crate::usm::{Heard, Peer};

    #[test]
    fn what_an_engine_seals_is_read_as_it_was_written() {
        // Counter32 40000 in two octets, as some agents write it: it is no negative number.
        let varbind = b"\x30\x0c\x06\x06\x2b\x06\x01\x02\x01\x01\x41\x02\x9c\x40";
        let pdu = pdu(0xa2, 7, varbind);
        for (digest, cipher) in [
            ("MD5", "DES"),
            ("SHA", "AES"),
            ("SHA", "AES256"),
            ("SHA224", "AES192C"),
            ("SHA256", "AES192"),
            ("SHA512", "AES256C"),
        ] {
            let text = format!(
                "auths: {{a: {{version: 3, username: u, security_level: authPriv, auth_protocol: {digest}, password: authpassword, \
                 priv_protocol: {cipher}, priv_password: privpassword}}}}\nmodules: {{m: {{}}}}\n"
            );
            let config = parse(&text, Path::new("t.yml"), Options::default()).unwrap();
            let auth = &config.auths["a"];
            let engine = Engine::random();
            let own = Own::new(auth, &auth.credentials, &engine).unwrap();
            let scoped = Scoped {
                context_engine: engine.identity.clone(),
                context: Vec::new(),
                pdu: pdu.clone(),
            };
            let message = own.sealed(&engine, 1, &scoped, own.level).unwrap();
            let mut peer = Peer::new(auth, &auth.credentials, "", &engine.identity).unwrap();
            let mut forged = message.clone();
            if let Some(last) = forged.last_mut() {
                *last ^= 1;
            }
            assert_eq!(
                peer.decode(&message, Instant::now()),
                Heard::Pdu(pdu.clone()),
                "{digest} {cipher}"
            );
            assert_eq!(
                peer.decode(&forged, Instant::now()),
                Heard::Nothing(Reason::BadReplyDigest),
                "{digest} {cipher}"
            );
        }
    }
}
