//! The user-based security model of version 3 (RFC 3414, RFC 3826, RFC 7860), for engines that we ask and for [our own](own).
//!
//! Values are read from the octets that the engine wrote, by the same reader as those of every other message, and what is wrong is told
//! from the Reports by which an engine says so.

mod keys;
mod message;
pub mod own;

use std::time::Instant;

use snmp2::asn1::AsnReader;

use crate::codec::{self, Operation, push, push_integer};
use crate::config::{Auth, Credentials, SecurityLevel};
use crate::reason::Reason;
use keys::Keys;
use message::{Clock, Parts, Scoped, seal};

/// How far an answer's clock may lie behind the engine's (RFC 3414 §2.2.3).
const WINDOW: i64 = 150;
/// msgMaxSize that we announce.
const LARGEST: i64 = 65_507;

/// An engine as it is known: its identity, its clock and the keys localised to it.
#[derive(Clone)]
pub struct Peer {
    engine: Vec<u8>,
    boots: i64,
    time: i64,
    learnt: Instant,
    level: u8,
    user: Vec<u8>,
    context: Vec<u8>,
    keys: Keys,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Peer")
            .field("engine", &self.engine)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// Why no peer can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keys cannot be made: {0}")]
pub struct KeyError(String);

impl Peer {
    /// Localises the keys of `auth` to an engine. Costs some milliseconds: a megabyte is hashed for each password (RFC 3414 §A.2).
    ///
    /// # Errors
    /// A password is missing, or the engine gave no identity.
    pub fn new(
        auth: &Auth,
        credentials: &Credentials,
        context: &str,
        engine: &[u8],
    ) -> Result<Self, KeyError> {
        if engine.is_empty() {
            return Err(KeyError("the engine has no identity".to_owned()));
        }
        let level = level_of(auth, credentials)?;
        Ok(Self {
            engine: engine.to_vec(),
            boots: 0,
            time: 0,
            learnt: Instant::now(),
            level,
            user: credentials.username.reveal().to_vec(),
            context: context.as_bytes().to_vec(),
            keys: Keys::new(auth, credentials, level, engine),
        })
    }

    /// The engine's identity.
    #[must_use]
    pub fn engine(&self) -> &[u8] {
        &self.engine
    }

    /// Sets the engine's clock.
    pub fn set_clock(&mut self, boots: i64, time: i64, now: Instant) {
        (self.boots, self.time, self.learnt) = (boots, time, now);
    }

    /// The engine's clock as it must be now.
    #[must_use]
    pub fn clock(&self, now: Instant) -> (i64, i64) {
        let passed =
            i64::try_from(now.saturating_duration_since(self.learnt).as_secs()).unwrap_or(0);
        (self.boots, (self.time + passed).min(i64::from(i32::MAX)))
    }

    /// The same user without privacy.
    #[must_use]
    pub fn without_privacy(&self) -> Self {
        Self {
            level: AUTH,
            ..self.clone()
        }
    }

    /// A request as a message.
    ///
    /// # Errors
    /// The keys do not fit the cipher.
    pub fn encode(
        &self,
        operation: Operation,
        id: i32,
        oids: &[&[u32]],
        now: Instant,
    ) -> Result<Vec<u8>, KeyError> {
        let (boots, time) = self.clock(now);
        let scoped = Scoped {
            context_engine: self.engine.clone(),
            context: self.context.clone(),
            pdu: codec::pdu(operation, id, &codec::varbinds(oids)),
        };
        let clock = Clock {
            engine: &self.engine,
            boots,
            time,
        };
        let flags = self.level | REPORTABLE;
        seal(&self.keys, &clock, &self.user, id.into(), &scoped, flags)
            .ok_or_else(|| KeyError("they do not fit the protocols".to_owned()))
    }

    /// Reads an answer. The clock follows what the engine says in an authenticated message.
    pub fn decode(&mut self, message: &[u8], now: Instant) -> Heard {
        let Some(header) = Header::read(message) else {
            return Heard::Nothing(Reason::Decode);
        };
        if let Some(report) = header.report(message) {
            return self.heard_report(&header, report, message, now);
        }
        let level = self.level;
        if header.flags & level != level || header.engine != self.engine {
            return Heard::Nothing(Reason::SecurityLevel);
        }
        let (boots, time) = (header.boots, header.time);
        let Some(parts) = Parts::read(message) else {
            return Heard::Nothing(Reason::Decode);
        };
        if header.user != self.user {
            return Heard::Nothing(Reason::UnknownUser);
        }
        if level & PRIV != 0 && !parts.encrypted {
            return Heard::Nothing(Reason::SecurityLevel);
        }
        if level & AUTH != 0 {
            if !parts.signed(&self.keys, message) {
                return Heard::Nothing(Reason::BadReplyDigest);
            }
            let (known, projected) = self.clock(now);
            if boots < known || (boots == known && time < projected - WINDOW) {
                return Heard::Nothing(Reason::NotInWindow);
            }
            if boots > known || time > projected {
                self.set_clock(boots, time, now);
            }
        }
        match parts.open(&self.keys, message, boots, time) {
            Some(scoped) => Heard::Pdu(scoped.pdu),
            None if parts.encrypted => Heard::Nothing(Reason::Decrypt),
            None => Heard::Nothing(Reason::Decode),
        }
    }

    fn heard_report(
        &mut self,
        header: &Header,
        report: u32,
        message: &[u8],
        now: Instant,
    ) -> Heard {
        match report {
            UNKNOWN_ENGINES => Heard::Engine(header.engine.clone(), header.boots, header.time),
            NOT_IN_WINDOWS => {
                // The clock is taken from an authenticated report only (RFC 3414 §3.2.7).
                if header.engine != self.engine || header.flags & AUTH == 0 {
                    return Heard::Nothing(Reason::NotInWindow);
                }
                if !Parts::read(message).is_some_and(|parts| parts.signed(&self.keys, message)) {
                    return Heard::Nothing(Reason::BadReplyDigest);
                }
                self.set_clock(header.boots, header.time, now);
                Heard::Clock
            }
            UNSUPPORTED_LEVELS => Heard::Refused(Reason::SecurityLevel),
            UNKNOWN_USERS => Heard::Refused(Reason::UnknownUser),
            WRONG_DIGESTS => Heard::Refused(Reason::WrongDigest),
            DECRYPTION_ERRORS => Heard::Refused(Reason::Decrypt),
            UNKNOWN_CONTEXTS => Heard::Refused(Reason::UnknownContext),
            _ => Heard::Nothing(Reason::Decode),
        }
    }
}

/// The level of `auth`, as the flags of a message say it.
fn level_of(auth: &Auth, credentials: &Credentials) -> Result<u8, KeyError> {
    let level = match auth.security_level {
        SecurityLevel::NoAuthNoPriv => 0,
        SecurityLevel::AuthNoPriv => AUTH,
        SecurityLevel::AuthPriv => AUTH | PRIV,
    };
    for (needed, password, key) in [
        (AUTH, &credentials.password, "password"),
        (PRIV, &credentials.priv_password, "priv_password"),
    ] {
        if level & needed != 0 && password.is_empty() {
            return Err(KeyError(format!("{key} is missing")));
        }
    }
    Ok(level)
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A PDU in plain encoding.
    Pdu(Vec<u8>),
    /// The engine is another one: its identity and clock.
    Engine(Vec<u8>, i64, i64),
    /// The clock was wrong and is right now.
    Clock,
    /// The engine says why it refuses.
    Refused(Reason),
    /// Nothing that counts; why.
    Nothing(Reason),
}

const AUTH: u8 = 1;
const PRIV: u8 = 2;
/// msgFlags: the sender takes reports (RFC 3412 §6.4). A trap has it not, so that nobody makes us answer it.
const REPORTABLE: u8 = 4;
const REPORT: u8 = 0xa8;

// The last but one sub-identifier of usmStats objects (RFC 3414 §5), and snmpUnknownContexts (RFC 3413 §4.1.2) as 100.
const UNSUPPORTED_LEVELS: u32 = 1;
const NOT_IN_WINDOWS: u32 = 2;
const UNKNOWN_USERS: u32 = 3;
const UNKNOWN_ENGINES: u32 = 4;
const WRONG_DIGESTS: u32 = 5;
const DECRYPTION_ERRORS: u32 = 6;
const UNKNOWN_CONTEXTS: u32 = 100;

/// The header of a version-3 message, and where its PDU stands when that is not encrypted.
#[derive(Clone, Debug)]
struct Header {
    flags: u8,
    engine: Vec<u8>,
    user: Vec<u8>,
    boots: i64,
    time: i64,
    plain: Option<std::ops::Range<usize>>,
}

impl Header {
    fn read(message: &[u8]) -> Option<Self> {
        let content = AsnReader::from_bytes(message).read_raw(0x30).ok()?;
        let mut reader = AsnReader::from_bytes(content);
        (reader.read_asn_integer().ok()? == 3).then_some(())?;
        let mut global = AsnReader::from_bytes(reader.read_raw(0x30).ok()?);
        global.read_asn_integer().ok()?;
        global.read_asn_integer().ok()?;
        let flags = *global.read_asn_octetstring().ok()?.first()?;
        let parameters = reader.read_asn_octetstring().ok()?;
        let mut parameters =
            AsnReader::from_bytes(AsnReader::from_bytes(parameters).read_raw(0x30).ok()?);
        let engine = parameters.read_asn_octetstring().ok()?.to_vec();
        let (boots, time) = (
            parameters.read_asn_integer().ok()?,
            parameters.read_asn_integer().ok()?,
        );
        let user = parameters.read_asn_octetstring().ok()?.to_vec();
        let clock = 0..=i64::from(i32::MAX);
        (clock.contains(&boots) && clock.contains(&time) && engine.len() <= 64).then_some(())?;
        let plain = if reader.peek_byte().ok()? == 0x30 {
            let scoped = reader.read_raw(0x30).ok()?;
            let mut inner = AsnReader::from_bytes(scoped);
            inner.read_asn_octetstring().ok()?;
            inner.read_asn_octetstring().ok()?;
            let end = message.len() - trailing(message)? - reader.bytes_left();
            Some(end - inner.bytes_left()..end)
        } else {
            None
        };
        Some(Self {
            flags,
            engine,
            user,
            boots,
            time,
            plain,
        })
    }

    /// The object of a Report that is not encrypted.
    fn report(&self, message: &[u8]) -> Option<u32> {
        let pdu = message.get(self.plain.clone()?)?;
        (*pdu.first()? == REPORT).then_some(())?;
        let pdu = codec::read_pdu(pdu).ok()?;
        let (name, _) = codec::Varbinds::new(pdu.varbinds).next()?.ok()?;
        let mut ids = Vec::new();
        crate::oid::decode(name, &mut ids).ok()?;
        match ids.as_slice() {
            [1, 3, 6, 1, 6, 3, 15, 1, 1, object, ..] => Some(*object),
            [1, 3, 6, 1, 6, 3, 12, 1, 4 | 5, ..] => Some(UNKNOWN_CONTEXTS),
            _ => Some(0),
        }
    }
}

/// Octets behind the outermost sequence.
fn trailing(message: &[u8]) -> Option<usize> {
    let mut reader = AsnReader::from_bytes(message);
    reader.read_raw(0x30).ok()?;
    Some(reader.bytes_left())
}

/// The message that asks an engine who it is (RFC 3414 §4).
#[must_use]
pub fn discovery(id: i32) -> Vec<u8> {
    unsecured(id, b"", &codec::pdu(Operation::Get, id, &[]))
}

/// What an engine answers to [`discovery`]: identity, boots, time.
#[must_use]
pub fn discovered(message: &[u8]) -> Option<(Vec<u8>, i64, i64)> {
    let header = Header::read(message)?;
    header.report(message)?;
    (!header.engine.is_empty()).then_some((header.engine, header.boots, header.time))
}

fn unsecured(id: i32, engine: &[u8], pdu: &[u8]) -> Vec<u8> {
    let (mut global, mut usm, mut parameters, mut scoped, mut content, mut out) =
        <(Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>)>::default();
    push_integer(id.into(), &mut global);
    push_integer(LARGEST, &mut global);
    push(0x04, &[4], &mut global);
    push_integer(3, &mut global);
    push(0x04, engine, &mut usm);
    push_integer(0, &mut usm);
    push_integer(0, &mut usm);
    for _ in 0..3 {
        push(0x04, &[], &mut usm);
    }
    push(0x30, &usm, &mut parameters);
    push(0x04, engine, &mut scoped);
    push(0x04, &[], &mut scoped);
    scoped.extend_from_slice(pdu);
    push_integer(3, &mut content);
    push(0x30, &global, &mut content);
    push(0x04, &parameters, &mut content);
    push(0x30, &scoped, &mut content);
    push(0x30, &content, &mut out);
    out
}

/// Reads any octets as an answer of an engine; for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    let _ = discovered(bytes);
    let mut peer = Peer {
        engine: b"sotp".to_vec(),
        boots: 1,
        time: 1,
        learnt: Instant::now(),
        level: 0,
        user: b"user".to_vec(),
        context: Vec::new(),
        keys: Keys::none(),
    };
    let _ = peer.decode(bytes, Instant::now());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{AuthProtocol, Credential, PrivProtocol};

    #[test]
    fn an_engine_that_was_last_asked_long_ago_gets_the_time_that_it_has_now() {
        let auth = Auth {
            version: 3,
            security_level: SecurityLevel::AuthPriv,
            auth_protocol: AuthProtocol::Sha256,
            priv_protocol: PrivProtocol::Aes,
            context_name: String::new(),
            credentials: Credentials {
                community: Credential::default(),
                username: Credential::literal("user"),
                password: Credential::literal("password"),
                priv_password: Credential::literal("privacy1"),
            },
            targets: std::collections::BTreeMap::new(),
            only_for: None,
        };
        let learnt = Instant::now();
        let mut peer = Peer::new(&auth, &auth.credentials, "", b"engine").unwrap();
        let mut device = peer.clone();
        peer.set_clock(7, 1000, learnt);
        // Every five minutes, twice the window of RFC 3414 and more; and once a day.
        for gap in [10, 300, 600, 86_400] {
            let now = learnt + Duration::from_secs(gap);
            let time = 1000 + i64::try_from(gap).unwrap();
            let request = peer
                .encode(Operation::Get, 5, &[&[1, 3, 6, 1]], now)
                .unwrap();
            let header = Header::read(&request).unwrap();
            assert_eq!((header.boots, header.time), (7, time));
            // What the engine sends at that moment is taken, not held for late.
            device.set_clock(7, time, now);
            let answer = device
                .encode(Operation::Get, 5, &[&[1, 3, 6, 1]], now)
                .unwrap();
            assert!(matches!(peer.decode(&answer, now), Heard::Pdu(_)), "{gap}");
        }
        // Some engines never count their starts.
        peer.set_clock(0, 0, learnt);
        device.set_clock(0, 0, learnt);
        let answer = device
            .encode(Operation::Get, 5, &[&[1, 3, 6, 1]], learnt)
            .unwrap();
        assert!(matches!(peer.decode(&answer, learnt), Heard::Pdu(_)));
    }
}
