//! The user-based security model of version 3 (RFC 3414, RFC 3826, RFC 7860), on the codec of `snmp2`.
//!
//! Keys, digests and ciphers are those of `snmp2`. The header is read here, since `snmp2` hides the Reports by which an engine says
//! what is wrong, and clocks are kept here, since `snmp2` never advances them.
//!
//! Of an encrypted message `snmp2` verifies what it is, and [`own`] opens it: the values are read from the octets that the engine wrote,
//! by the same reader as those of every other message.

pub mod own;

use std::time::Instant;

use snmp2::asn1::AsnReader;
use snmp2::v3::{
    Auth as Level, AuthErrorKind, AuthProtocol as Digest, Cipher, KeyExtension, Security,
};
use snmp2::{MessageType, Pdu, Varbinds};

use crate::codec::{self, Operation, push, push_integer};
use crate::config::{Auth, AuthProtocol, Credentials, PrivProtocol, SecurityLevel};
use crate::reason::Reason;

/// How far an answer's clock may lie behind the engine's (RFC 3414 §2.2.3).
const WINDOW: i64 = 150;
/// msgMaxSize that we announce.
const LARGEST: i64 = 65_507;

/// An engine as it is known: its identity, its clock and the keys localised to it.
#[derive(Clone, Debug)]
pub struct Peer {
    engine: Vec<u8>,
    boots: i64,
    time: i64,
    learnt: Instant,
    level: u8,
    keys: Security,
    /// Where answers are encrypted.
    opener: Option<own::Opener>,
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
        let needs = |level: SecurityLevel| {
            auth.security_level == level || auth.security_level == SecurityLevel::AuthPriv
        };
        if needs(SecurityLevel::AuthNoPriv) && credentials.password.is_empty() {
            return Err(KeyError("password is missing".to_owned()));
        }
        if needs(SecurityLevel::AuthPriv) && credentials.priv_password.is_empty() {
            return Err(KeyError("priv_password is missing".to_owned()));
        }
        let (cipher, extension) = cipher(auth.priv_protocol);
        let level = match auth.security_level {
            SecurityLevel::NoAuthNoPriv => Level::NoAuthNoPriv,
            SecurityLevel::AuthNoPriv => Level::AuthNoPriv,
            SecurityLevel::AuthPriv => Level::AuthPriv {
                cipher,
                privacy_password: credentials.priv_password.reveal().to_vec(),
            },
        };
        let keys = Security::new(credentials.username.reveal(), credentials.password.reveal())
            .with_auth_protocol(digest(auth.auth_protocol))
            .with_auth(level)
            .with_key_extension_method(extension)
            .with_context_name(context)
            .with_engine_id(engine)
            .map_err(|error| KeyError(error.to_string()))?;
        let level = match auth.security_level {
            SecurityLevel::NoAuthNoPriv => 0,
            SecurityLevel::AuthNoPriv => AUTH,
            SecurityLevel::AuthPriv => AUTH | PRIV,
        };
        Ok(Self {
            engine: engine.to_vec(),
            boots: 0,
            time: 0,
            learnt: Instant::now(),
            level,
            keys,
            opener: (level & PRIV != 0).then(|| own::Opener::new(auth, credentials, engine)),
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

    fn at(&self, boots: i64, time: i64) -> Security {
        self.keys.clone().with_engine_boots_and_time(boots, time)
    }

    /// The same user without privacy. Costs as much as [`Self::new`].
    #[must_use]
    pub fn without_privacy(&self) -> Option<Self> {
        let mut keys = self.keys.clone().with_auth(Level::AuthNoPriv);
        keys.reset_engine_id();
        let keys = keys.with_engine_id(&self.engine).ok()?;
        Some(Self {
            level: AUTH,
            keys,
            opener: None,
            ..self.clone()
        })
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
        let security = self.at(boots, time);
        let template = template();
        let mut blank = Security::new(b"", b"")
            .with_auth(Level::NoAuthNoPriv)
            .with_engine_id(b"sotp")?;
        let mut pdu = Pdu::from_bytes_with_security(&template, Some(&mut blank))?;
        let list = codec::varbinds(oids);
        pdu.req_id = id;
        pdu.error_status = 0;
        pdu.error_index = if let Operation::GetBulk(repetitions) = operation {
            repetitions
        } else {
            0
        };
        pdu.message_type = match operation {
            Operation::Get => MessageType::GetRequest,
            Operation::GetNext => MessageType::GetNextRequest,
            Operation::GetBulk(_) => MessageType::GetBulkRequest,
        };
        pdu.varbinds = Varbinds::from_bytes(&list);
        pdu.to_bytes_with_security(Some(&security))
            .map_err(KeyError::from)
    }

    /// Reads an answer. The clock follows what the engine says in an authenticated message.
    pub fn decode(&mut self, mut message: Vec<u8>, now: Instant) -> Heard {
        let Some(header) = Header::read(&message) else {
            return Heard::Nothing(Reason::Decode);
        };
        if let Some(report) = header.report(&message) {
            return self.heard_report(&header, report, &mut message, now);
        }
        let level = self.level;
        if header.flags & level != level || header.engine != self.engine {
            return Heard::Nothing(Reason::SecurityLevel);
        }
        let plain = header.plain.clone();
        let (boots, time) = (header.boots, header.time);
        // Before the message is verified, which changes it.
        let opened = match (&plain, &self.opener) {
            (Some(_), _) => None,
            (None, Some(opener)) => opener.pdu(&message, boots, time),
            (None, None) => return Heard::Nothing(Reason::SecurityLevel),
        };
        if let Err(reason) = self.check(&mut message, boots, time) {
            return Heard::Nothing(reason);
        }
        if level & AUTH != 0 {
            let (known, projected) = self.clock(now);
            if boots < known || (boots == known && time < projected - WINDOW) {
                return Heard::Nothing(Reason::NotInWindow);
            }
            if boots > known || time > projected {
                self.set_clock(boots, time, now);
            }
        }
        match plain.map(|range| message[range].to_vec()).or(opened) {
            Some(pdu) => Heard::Pdu(pdu),
            None => Heard::Nothing(Reason::Decrypt),
        }
    }

    /// Checks user, level and digest.
    fn check(&self, message: &mut [u8], boots: i64, time: i64) -> Result<(), Reason> {
        let mut security = self.at(boots, time);
        Pdu::from_bytes_with_security(message, Some(&mut security))
            .map(|_| ())
            .map_err(|error| match error {
                snmp2::Error::AuthFailure(
                    AuthErrorKind::SignatureMismatch | AuthErrorKind::NotAuthenticated,
                ) => Reason::BadReplyDigest,
                snmp2::Error::AuthFailure(AuthErrorKind::UsernameMismatch) => Reason::UnknownUser,
                snmp2::Error::AuthFailure(AuthErrorKind::ReplyNotEncrypted) => {
                    Reason::SecurityLevel
                }
                snmp2::Error::AuthFailure(
                    AuthErrorKind::PrivLengthMismatch | AuthErrorKind::PayloadLengthMismatch,
                ) => Reason::Decrypt,
                _ => Reason::Decode,
            })
    }

    fn heard_report(
        &mut self,
        header: &Header,
        report: u32,
        message: &mut [u8],
        now: Instant,
    ) -> Heard {
        match report {
            UNKNOWN_ENGINES => Heard::Engine(header.engine.clone(), header.boots, header.time),
            NOT_IN_WINDOWS => {
                // The clock is taken from an authenticated report only (RFC 3414 §3.2.7).
                if header.engine != self.engine || header.flags & AUTH == 0 {
                    return Heard::Nothing(Reason::NotInWindow);
                }
                let (boots, time) = (header.boots, header.time);
                match self.verify(message, boots, time) {
                    Ok(()) => {
                        self.set_clock(boots, time, now);
                        Heard::Clock
                    }
                    Err(reason) => Heard::Nothing(reason),
                }
            }
            UNSUPPORTED_LEVELS => Heard::Refused(Reason::SecurityLevel),
            UNKNOWN_USERS => Heard::Refused(Reason::UnknownUser),
            WRONG_DIGESTS => Heard::Refused(Reason::WrongDigest),
            DECRYPTION_ERRORS => Heard::Refused(Reason::Decrypt),
            UNKNOWN_CONTEXTS => Heard::Refused(Reason::UnknownContext),
            _ => Heard::Nothing(Reason::Decode),
        }
    }

    /// Checks the digest of a message that is not encrypted although our user encrypts.
    fn verify(&self, message: &mut [u8], boots: i64, time: i64) -> Result<(), Reason> {
        match self.check(message, boots, time) {
            Ok(()) | Err(Reason::SecurityLevel) => Ok(()),
            Err(reason) => Err(reason),
        }
    }
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

impl From<snmp2::Error> for KeyError {
    fn from(error: snmp2::Error) -> Self {
        Self(error.to_string())
    }
}

fn digest(protocol: AuthProtocol) -> Digest {
    match protocol {
        AuthProtocol::Md5 => Digest::Md5,
        AuthProtocol::Sha => Digest::Sha1,
        AuthProtocol::Sha224 => Digest::Sha224,
        AuthProtocol::Sha256 => Digest::Sha256,
        AuthProtocol::Sha384 => Digest::Sha384,
        AuthProtocol::Sha512 => Digest::Sha512,
    }
}

fn cipher(protocol: PrivProtocol) -> (Cipher, KeyExtension) {
    match protocol {
        PrivProtocol::Des => (Cipher::Des, KeyExtension::Blumenthal),
        PrivProtocol::Aes => (Cipher::Aes128, KeyExtension::Blumenthal),
        PrivProtocol::Aes192 => (Cipher::Aes192, KeyExtension::Blumenthal),
        PrivProtocol::Aes256 => (Cipher::Aes256, KeyExtension::Blumenthal),
        PrivProtocol::Aes192C => (Cipher::Aes192, KeyExtension::Reeder),
        PrivProtocol::Aes256C => (Cipher::Aes256, KeyExtension::Reeder),
    }
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

fn template() -> Vec<u8> {
    let mut content = Vec::new();
    for _ in 0..3 {
        push_integer(0, &mut content);
    }
    push(0x30, &[], &mut content);
    let mut pdu = Vec::new();
    push(0xa2, &content, &mut pdu);
    unsecured(0, b"sotp", &pdu)
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
    let keys = Security::new(b"user", b"password")
        .with_auth(Level::NoAuthNoPriv)
        .with_engine_id(b"sotp");
    if let Ok(keys) = keys {
        let mut peer = Peer {
            engine: b"sotp".to_vec(),
            boots: 1,
            time: 1,
            learnt: Instant::now(),
            level: 0,
            keys,
            opener: None,
        };
        let _ = peer.decode(bytes.to_vec(), Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Credential;

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
            assert!(matches!(peer.decode(answer, now), Heard::Pdu(_)), "{gap}");
        }
    }
}
