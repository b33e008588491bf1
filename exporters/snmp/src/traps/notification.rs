//! Notifications: traps of version 1 (RFC 1157 §4.1.6), traps and informs of version 2 (RFC 3416 §4.2.6).

use std::fmt::Write as _;

use snmp2::asn1::AsnReader;

use crate::codec::{self, Varbinds, push, push_integer};
use crate::oid::{self, Dotted};
use crate::samples::text;
use crate::value::Raw;

const TRAP_OID: [u32; 11] = [1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];
const STANDARD: [u32; 9] = [1, 3, 6, 1, 6, 3, 1, 1, 5];
const STANDARD_NAMES: [&str; 6] = [
    "coldStart",
    "warmStart",
    "linkDown",
    "linkUp",
    "authenticationFailure",
    "egpNeighborLoss",
];
/// Values of a notification that are read.
const MOST_VALUES: usize = 64;
/// Characters of one value that are kept.
const LONGEST_VALUE: usize = 256;

/// What a trap or inform says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// snmpTrapOID; for version 1 that of RFC 3584 §3.1.
    pub trap: Vec<u32>,
    /// Whether it must be acknowledged.
    pub inform: bool,
    /// Object and value of every further varbind.
    pub values: Vec<(Vec<u32>, String)>,
}

impl Notification {
    /// The name of a standard trap, else its object identifier.
    #[must_use]
    pub fn name(&self) -> String {
        match self.trap.split_at_checked(STANDARD.len()) {
            Some((start, [number @ 1..=6])) if start == STANDARD => {
                STANDARD_NAMES[*number as usize - 1].to_owned()
            }
            _ => Dotted(&self.trap).to_string(),
        }
    }

    /// Every value, for a log line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.values {
            let _ = write!(
                out,
                "{}{}={value}",
                if out.is_empty() { "" } else { " " },
                Dotted(name)
            );
        }
        out
    }
}

/// Reads a PDU from its first octet on; `None` when it is no notification.
#[must_use]
pub fn read(pdu: &[u8]) -> Option<Notification> {
    let mut reader = AsnReader::from_bytes(pdu);
    let tag = reader.peek_byte().ok()?;
    let mut body = AsnReader::from_bytes(reader.read_raw(tag).ok()?);
    match tag {
        0xa4 => {
            let mut enterprise = Vec::new();
            oid::decode(body.read_raw(0x06).ok()?, &mut enterprise).ok()?;
            body.read_raw(0x40).ok()?;
            let (generic, specific) =
                (body.read_asn_integer().ok()?, body.read_asn_integer().ok()?);
            body.read_raw(0x43).ok()?;
            let trap = match u32::try_from(generic).ok()? {
                generic @ 0..=5 => STANDARD.into_iter().chain([generic + 1]).collect(),
                _ => enterprise
                    .into_iter()
                    .chain([0, u32::try_from(specific).ok()?])
                    .collect(),
            };
            Some(Notification {
                trap,
                inform: false,
                values: values(body.read_raw(0x30).ok()?)?,
            })
        }
        0xa6 | 0xa7 => {
            for _ in 0..3 {
                body.read_asn_integer().ok()?;
            }
            let list = body.read_raw(0x30).ok()?;
            let mut trap = Vec::new();
            for varbind in Varbinds::new(list).take(MOST_VALUES) {
                let (name, value) = varbind.ok()?;
                let mut ids = Vec::new();
                oid::decode(name, &mut ids).ok()?;
                if let (true, Raw::Oid(octets)) = (ids == TRAP_OID, value) {
                    oid::decode(octets, &mut trap).ok()?;
                }
            }
            (!trap.is_empty()).then_some(())?;
            Some(Notification {
                trap,
                inform: tag == 0xa6,
                values: values(list)?,
            })
        }
        _ => None,
    }
}

fn values(list: &[u8]) -> Option<Vec<(Vec<u32>, String)>> {
    let mut out = Vec::new();
    for varbind in Varbinds::new(list).take(MOST_VALUES) {
        let (name, value) = varbind.ok()?;
        let mut ids = Vec::new();
        oid::decode(name, &mut ids).ok()?;
        if ids != TRAP_OID {
            out.push((ids, shown(value)));
        }
    }
    Some(out)
}

fn shown(value: Raw<'_>) -> String {
    let mut text = match value {
        Raw::Integer(number) => number.to_string(),
        Raw::Unsigned(number) | Raw::Counter64(number) => number.to_string(),
        Raw::Octets(octets)
            if octets.iter().all(|byte| !byte.is_ascii_control())
                && std::str::from_utf8(octets).is_ok() =>
        {
            text::valid_utf8(octets)
        }
        Raw::Octets(octets) => text::hex(octets),
        Raw::Oid(octets) => {
            let mut ids = Vec::new();
            let _ = oid::decode(octets, &mut ids);
            Dotted(&ids).to_string()
        }
        Raw::Ip(address) => address.to_string(),
        Raw::Float(number) => number.to_string(),
        Raw::Double(number) => number.to_string(),
        Raw::Null | Raw::Missing | Raw::EndOfMibView => String::new(),
    };
    if let Some((end, _)) = text.char_indices().nth(LONGEST_VALUE) {
        text.truncate(end);
    }
    text
}

/// The answer to an inform: the same message as a response (RFC 3416 §4.2.7).
pub(super) fn acknowledge(message: &[u8]) -> Option<Vec<u8>> {
    let codec::Message::Community {
        version,
        community,
        pdu,
    } = codec::read_message(message).ok()?
    else {
        return None;
    };
    let mut body = AsnReader::from_bytes(AsnReader::from_bytes(pdu).read_raw(0xa6).ok()?);
    let id = body.read_asn_integer().ok()?;
    body.read_asn_integer().ok()?;
    body.read_asn_integer().ok()?;
    let list = body.read_raw(0x30).ok()?;
    let (mut content, mut inner, mut out) = (Vec::new(), Vec::new(), Vec::new());
    push_integer(i64::from(version) - 1, &mut content);
    push(0x04, community, &mut content);
    for number in [id, 0, 0] {
        push_integer(number, &mut inner);
    }
    push(0x30, list, &mut inner);
    push(0xa2, &inner, &mut content);
    push(0x30, &content, &mut out);
    Some(out)
}

/// Reads any octets as a notification; for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    let _ = read(bytes);
    let _ = acknowledge(bytes);
    crate::usm::own::fuzz(bytes);
    if let Ok(codec::Message::Community { pdu, .. }) = codec::read_message(bytes) {
        let _ = read(pdu);
    }
}
