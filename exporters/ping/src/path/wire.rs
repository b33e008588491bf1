//! The requests of a trace as bytes, and what comes back (RFC 792, RFC 4443). No system call here.
//!
//! | bytes of the payload | what |
//! |---|---|
//! | 0–7 | token of this process, random |
//! | 8–9 | ones' complement of the sequence number: the checksum is the same whatever the number is |
//! | 10–11 | number of the flow: the checksum of each is another |
//! | 12– | zeros |

use netio::control::{Origin, QueueEntry};
use netio::option::Family;

use super::trace::Answer;
use crate::echo::{HEADER_BYTES, Token};

/// Least bytes after the ICMP header.
pub const MIN_PAYLOAD: usize = 12;

/// Appends an echo request with `size` bytes of payload. The kernel of an unprivileged socket writes identifier and checksum.
pub fn encode(
    to: &mut Vec<u8>,
    family: Family,
    token: Token,
    flow: u16,
    sequence: u16,
    size: usize,
) {
    let kind: u8 = match family {
        Family::V4 => 8,
        Family::V6 => 128,
    };
    to.extend_from_slice(&[kind, 0, 0, 0, 0, 0]);
    to.extend_from_slice(&sequence.to_be_bytes());
    to.extend_from_slice(&token);
    to.extend_from_slice(&(!sequence).to_be_bytes());
    to.extend_from_slice(&flow.to_be_bytes());
    to.resize(to.len() + size.saturating_sub(MIN_PAYLOAD), 0);
}

/// The sequence number of a reply to a request of ours; `None` when it is none.
pub fn reply(family: Family, token: Token, bytes: &[u8]) -> Option<u16> {
    let expected = match family {
        Family::V4 => 0,
        Family::V6 => 129,
    };
    let (header, payload) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [kind, 0, _, _, _, _, high, low] = *header else {
        return None;
    };
    let sequence = u16::from_be_bytes([high, low]);
    let ours = payload.get(..8)? == token && *payload.get(8..10)? == (!sequence).to_be_bytes();
    (kind == expected && ours).then_some(sequence)
}

/// The sequence number of a request of ours that an ICMP error quotes; `None` when it quotes another one. Routers must quote eight bytes
/// and may quote no more, so that the token may be missing, but not be another.
pub fn quoted(family: Family, token: Token, bytes: &[u8]) -> Option<u16> {
    let expected = match family {
        Family::V4 => 8,
        Family::V6 => 128,
    };
    let (header, payload) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [kind, 0, _, _, _, _, high, low] = *header else {
        return None;
    };
    let ours = payload
        .iter()
        .zip(&token)
        .all(|(found, ours)| found == ours);
    (kind == expected && ours).then(|| u16::from_be_bytes([high, low]))
}

/// What an entry of the error queue says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Somebody on the way answered.
    Answer(Answer),
    /// It is longer than this many bytes, which is all that fits.
    TooBig(u32),
    /// This host did not send it.
    NotSent,
    /// Nothing that ends it.
    Nothing,
}

/// Reads an entry of the error queue.
pub fn told(entry: &QueueEntry) -> Notice {
    let by = |answer: fn(std::net::IpAddr) -> Answer| match entry.offender {
        Some(offender) => Notice::Answer(answer(offender)),
        None => Notice::Nothing,
    };
    match (entry.origin, entry.kind, entry.code) {
        (Origin::Icmp, 3, 4) | (Origin::Icmp6, 2, _) => Notice::TooBig(entry.info),
        (Origin::Icmp, 11, 0) | (Origin::Icmp6, 3, 0) => by(Answer::Expired),
        (Origin::Icmp, 3, _) | (Origin::Icmp6, 1, _) => by(Answer::Refused),
        // EMSGSIZE.
        (Origin::Local, ..) if entry.errno == 90 => Notice::TooBig(entry.info),
        (Origin::Local, ..) => Notice::NotSent,
        _ => Notice::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The ones' complement sum (RFC 1071) of a message.
    fn sum(message: &[u8]) -> u16 {
        let mut sum: u32 = message
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    proptest! {
        #[test]
        fn a_flow_has_one_checksum_and_another_flow_another(
            token: Token, one: u16, other: u16, flow in 0_u16..8, size in 0_usize..100,
        ) {
            for family in [Family::V4, Family::V6] {
                let message = |flow, sequence| {
                    let mut bytes = Vec::new();
                    encode(&mut bytes, family, token, flow, sequence, size);
                    bytes
                };
                prop_assert_eq!(message(flow, one).len(), HEADER_BYTES + size.max(MIN_PAYLOAD));
                prop_assert_eq!(sum(&message(flow, one)), sum(&message(flow, other)));
                prop_assert_ne!(sum(&message(flow, one)), sum(&message(flow + 1, one)));
            }
        }

        #[test]
        fn what_is_sent_is_known_again(token: Token, sequence: u16, cut in 8_usize..20, foreign: Token) {
            for (family, kind) in [(Family::V4, 0), (Family::V6, 129)] {
                let mut bytes = Vec::new();
                encode(&mut bytes, family, token, 1, sequence, 40);
                prop_assert_eq!(quoted(family, token, &bytes), Some(sequence));
                prop_assert_eq!(quoted(family, token, &bytes[..cut]), Some(sequence), "a router quotes less");
                prop_assert_eq!(quoted(family, token, &bytes[..7]), None);
                prop_assert_eq!(reply(family, token, &bytes), None, "a request is no reply");
                bytes[0] = kind;
                prop_assert_eq!(reply(family, token, &bytes), Some(sequence));
                prop_assert_eq!(quoted(family, token, &bytes), None, "a reply is no request");
                if foreign != token {
                    prop_assert_eq!(reply(family, foreign, &bytes), None);
                }
            }
        }

        #[test]
        fn no_bytes_panic(token: Token, bytes: Vec<u8>) {
            for family in [Family::V4, Family::V6] {
                let _ = reply(family, token, &bytes);
                let _ = quoted(family, token, &bytes);
            }
            if let Some(entry) = QueueEntry::decode(&bytes) {
                let _ = told(&entry);
            }
        }
    }
}
