//! SNMP messages: versions 1 and 2c (RFC 1157, RFC 1901, RFC 3416), and the PDU that version 3 wraps.
//!
//! Reading goes through the reader of `snmp2`; its varbind iterator ends silently at the first value it does not
//! know, so varbinds are read one by one here and a malformed one is an error.

use snmp2::asn1::AsnReader;

use crate::oid;
use crate::value::{self, Raw};

/// What is asked of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Exactly these instances.
    Get,
    /// The instance behind each.
    GetNext,
    /// The instance behind each of the first objects, and several behind each of the others (RFC 3416 §4.2.3).
    GetBulk {
        /// How many objects are the first ones.
        non_repeaters: u32,
        /// How many instances behind each of the others.
        max_repetitions: u32,
    },
}

impl Operation {
    fn tag(self) -> u8 {
        match self {
            Self::Get => 0xa0,
            Self::GetNext => 0xa1,
            Self::GetBulk { .. } => 0xa5,
        }
    }
}

/// What kind of PDU came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer to a request.
    Response,
    /// A version-3 engine reports why it did not answer (RFC 3412 §7.1).
    Report,
}

/// A message or a value that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The structure is malformed or cut off.
    #[error("malformed message: {0}")]
    Structure(String),
    /// An object identifier is malformed.
    #[error("malformed varbind: {0}")]
    Oid(#[from] oid::OidError),
    /// A value is malformed.
    #[error("malformed value: {0}")]
    Value(#[from] value::ValueError),
    /// It is no response.
    #[error("unexpected message type 0x{0:02x}")]
    Kind(u8),
}

impl From<snmp2::Error> for Error {
    fn from(error: snmp2::Error) -> Self {
        Self::Structure(error.to_string())
    }
}

/// Appends a length (X.690 §8.1.3).
pub fn push_length(len: usize, out: &mut Vec<u8>) {
    if len < 0x80 {
        out.push(len as u8);
    } else if len < 0x100 {
        out.extend([0x81, len as u8]);
    } else if len < 0x1_0000 {
        out.extend([0x82, (len >> 8) as u8, len as u8]);
    } else {
        out.extend([0x83, (len >> 16) as u8, (len >> 8) as u8, len as u8]);
    }
}

/// Appends an element of type `tag`.
pub fn push(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    push_length(content.len(), out);
    out.extend_from_slice(content);
}

/// Appends an INTEGER.
pub fn push_integer(number: i64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let mut start = 0;
    while start < 7
        && ((bytes[start] == 0 && bytes[start + 1] < 0x80)
            || (bytes[start] == 0xff && bytes[start + 1] >= 0x80))
    {
        start += 1;
    }
    push(0x02, &bytes[start..], out);
}

/// The content octets of a varbind list that names `oids` with the value NULL.
#[must_use]
pub fn varbinds(oids: &[&[u32]]) -> Vec<u8> {
    let mut list = Vec::with_capacity(oids.len() * 24);
    let (mut name, mut one) = (Vec::with_capacity(32), Vec::with_capacity(40));
    for ids in oids {
        name.clear();
        one.clear();
        oid::encode(ids, &mut name);
        push(0x06, &name, &mut one);
        one.extend([0x05, 0]);
        push(0x30, &one, &mut list);
    }
    list
}

/// One PDU with the given varbind list content.
#[must_use]
pub fn pdu(operation: Operation, id: i32, varbinds: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(varbinds.len() + 24);
    push_integer(id.into(), &mut content);
    let (second, third) = match operation {
        Operation::GetBulk {
            non_repeaters,
            max_repetitions,
        } => (non_repeaters, max_repetitions),
        Operation::Get | Operation::GetNext => (0, 0),
    };
    push_integer(second.into(), &mut content);
    push_integer(third.into(), &mut content);
    push(0x30, varbinds, &mut content);
    let mut out = Vec::with_capacity(content.len() + 8);
    push(operation.tag(), &content, &mut out);
    out
}

/// A whole version 1 or 2c message.
#[must_use]
pub fn message(
    version: u8,
    community: &[u8],
    operation: Operation,
    id: i32,
    oids: &[&[u32]],
) -> Vec<u8> {
    let mut content = Vec::with_capacity(64 + oids.len() * 24);
    push_integer(if version == 1 { 0 } else { 1 }, &mut content);
    push(0x04, community, &mut content);
    content.extend(pdu(operation, id, &varbinds(oids)));
    let mut out = Vec::with_capacity(content.len() + 8);
    push(0x30, &content, &mut out);
    out
}

/// A PDU that came.
#[derive(Clone, Debug)]
pub struct Pdu<'a> {
    /// Response or Report.
    pub kind: Kind,
    /// Request id.
    pub id: i32,
    /// Error status (RFC 3416 §3).
    pub status: i64,
    /// Error index, counted from 1.
    pub index: i64,
    /// The content octets of the varbind list.
    pub varbinds: &'a [u8],
}

/// Reads a PDU from its first octet on.
///
/// # Errors
/// Malformed, or neither a Response nor a Report.
pub fn read_pdu(bytes: &[u8]) -> Result<Pdu<'_>, Error> {
    let mut reader = AsnReader::from_bytes(bytes);
    let tag = reader.peek_byte()?;
    let kind = match tag {
        0xa2 => Kind::Response,
        0xa8 => Kind::Report,
        other => return Err(Error::Kind(other)),
    };
    let mut body = AsnReader::from_bytes(reader.read_raw(tag)?);
    let id = i32::try_from(body.read_asn_integer()?)
        .map_err(|_| Error::Structure("request id out of range".to_owned()))?;
    let (status, index) = (body.read_asn_integer()?, body.read_asn_integer()?);
    Ok(Pdu {
        kind,
        id,
        status,
        index,
        varbinds: body.read_raw(0x30)?,
    })
}

/// The outermost layer of a message.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// Version 1 or 2c.
    Community {
        /// 1 or 2.
        version: u8,
        /// The community.
        community: &'a [u8],
        /// The PDU, from its first octet on.
        pdu: &'a [u8],
    },
    /// Version 3: what the header says, and the octets behind the version.
    V3 {
        /// msgID, which equals the request id of what we asked.
        id: i64,
    },
}

/// Reads the outermost layer.
///
/// # Errors
/// It is no SNMP message.
pub fn read_message(bytes: &[u8]) -> Result<Message<'_>, Error> {
    let content = AsnReader::from_bytes(bytes).read_raw(0x30)?;
    let mut reader = AsnReader::from_bytes(content);
    match reader.read_asn_integer()? {
        version @ (0 | 1) => {
            let community = reader.read_asn_octetstring()?;
            let pdu = &content[content.len() - reader.bytes_left()..];
            Ok(Message::Community {
                version: version as u8 + 1,
                community,
                pdu,
            })
        }
        3 => {
            let mut header = AsnReader::from_bytes(reader.read_raw(0x30)?);
            Ok(Message::V3 {
                id: header.read_asn_integer()?,
            })
        }
        other => Err(Error::Structure(format!("SNMP version number {other}"))),
    }
}

/// The id that a message carries: the request id, or msgID of version 3. For matching before anything else is read.
#[must_use]
pub fn id_of(bytes: &[u8]) -> Option<i32> {
    match read_message(bytes).ok()? {
        Message::Community { pdu, .. } => read_pdu(pdu).ok().map(|pdu| pdu.id),
        Message::V3 { id } => i32::try_from(id).ok(),
    }
}

/// The varbinds of a list, one by one; the first malformed one is an error and the last item.
#[derive(Clone, Debug)]
pub struct Varbinds<'a> {
    reader: AsnReader<'a>,
}

impl<'a> Varbinds<'a> {
    /// Over the content octets of a varbind list.
    #[must_use]
    pub fn new(list: &'a [u8]) -> Self {
        Self {
            reader: AsnReader::from_bytes(list),
        }
    }

    fn read(&mut self) -> Result<(&'a [u8], Raw<'a>), Error> {
        let (name, value) = self.read_named()?;
        Ok((name, value?))
    }

    fn read_named(&mut self) -> Result<Named<'a>, Error> {
        let mut pair = AsnReader::from_bytes(self.reader.read_raw(0x30)?);
        let name = pair.read_raw(0x06)?;
        Ok((name, read_value(&mut pair)))
    }

    /// The next varbind when at least its name can be read; what follows one whose value cannot be read is still to come.
    pub fn next_named(&mut self) -> Option<Result<Named<'a>, Error>> {
        if self.reader.bytes_left() == 0 {
            return None;
        }
        let item = self.read_named();
        if item.is_err() {
            self.reader = AsnReader::from_bytes(&[]);
        }
        Some(item)
    }
}

/// The content octets of a name, and the value if it can be read.
pub type Named<'a> = (&'a [u8], Result<Raw<'a>, Error>);

fn read_value<'a>(pair: &mut AsnReader<'a>) -> Result<Raw<'a>, Error> {
    let tag = pair.peek_byte()?;
    let content = pair.read_raw(tag)?;
    Ok(value::read(tag, content)?)
}

impl<'a> Iterator for Varbinds<'a> {
    /// The content octets of the name, and the value.
    type Item = Result<(&'a [u8], Raw<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.bytes_left() == 0 {
            return None;
        }
        let item = self.read();
        if item.is_err() {
            self.reader = AsnReader::from_bytes(&[]);
        }
        Some(item)
    }
}

/// Reads any octets as a response; for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    let _ = id_of(bytes);
    if let Ok(Message::Community { pdu, .. }) = read_message(bytes)
        && let Ok(pdu) = read_pdu(pdu)
    {
        let mut ids = Vec::new();
        for (name, _) in Varbinds::new(pdu.varbinds).flatten() {
            ids.clear();
            let _ = oid::decode(name, &mut ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn response(varbinds: &[u8]) -> Vec<u8> {
        let (mut pdu, mut content, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for number in [77, 0, 0] {
            push_integer(number, &mut pdu);
        }
        push(0x30, varbinds, &mut pdu);
        push_integer(1, &mut content);
        push(0x04, b"public", &mut content);
        push(0xa2, &pdu, &mut content);
        push(0x30, &content, &mut out);
        out
    }

    #[test]
    fn snmp2_reads_what_we_write() {
        let bytes = message(
            2,
            b"public",
            Operation::GetBulk {
                non_repeaters: 1,
                max_repetitions: 25,
            },
            1_234_567,
            &[&[1, 3, 6, 1, 2, 1, 2], &[1, 3, 6, 1, 2, 1, 31]],
        );
        let pdu = snmp2::Pdu::from_bytes(&bytes).unwrap();
        assert_eq!(
            (pdu.req_id, pdu.error_status, pdu.error_index),
            (1_234_567, 1, 25)
        );
        let names: Vec<String> = pdu
            .varbinds
            .clone()
            .map(|(name, _)| name.to_string())
            .collect();
        assert_eq!(
            (pdu.community, names),
            (
                &b"public"[..],
                vec!["1.3.6.1.2.1.2".to_owned(), "1.3.6.1.2.1.31".to_owned()]
            )
        );
    }

    #[test]
    fn an_unreadable_varbind_is_an_error_and_not_an_end() {
        let good = [0x30, 6, 0x06, 1, 0x2b, 0x02, 1, 5];
        let strange = [0x30, 6, 0x06, 1, 0x2b, 0x4f, 1, 5];
        let bytes = response(&[&good[..], &strange, &good].concat());
        let Message::Community { pdu, .. } = read_message(&bytes).unwrap() else {
            unreachable!("version 2c")
        };
        let read: Vec<_> = Varbinds::new(read_pdu(pdu).unwrap().varbinds).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], Ok((&[0x2b][..], Raw::Integer(5))));
        assert_eq!(read[1], Err(Error::Value(value::ValueError::Type(0x4f))));
        assert_eq!(snmp2::Pdu::from_bytes(&bytes).unwrap().varbinds.count(), 1);
    }

    proptest! {
        #[test]
        fn integers_are_read_back(number: i64) {
            let mut out = Vec::new();
            push_integer(number, &mut out);
            prop_assert_eq!(AsnReader::from_bytes(&out).read_asn_integer().unwrap(), number);
        }

        #[test]
        fn no_octets_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..60, flip: u8) {
            fuzz(&bytes);
            let mut message = response(&[0x30, 6, 0x06, 1, 0x2b, 0x02, 1, 5]);
            let at = at % message.len();
            message[at] ^= flip;
            fuzz(&message);
            fuzz(&message[..at]);
        }
    }
}
