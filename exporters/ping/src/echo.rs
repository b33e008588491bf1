//! Echo requests to bytes, and replies and quoted requests from bytes (RFC 792, RFC 4443). No system call here.
//!
//! An unprivileged socket has no identifier of its own choice: the kernel writes one and gives back only replies
//! that carry it. What tells requests apart is therefore in the payload:
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | token of this process, random |
//! | 8–11 | number of the target |
//! | 12–15 | generation of that number |
//! | 16–19 | sequence number, of which the ICMP header carries the low 16 bits |
//! | 20– | filler that depends on the position alone |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use netio::option::{self, Family};
use surge_ping::{Icmpv4Packet, Icmpv6Packet};

/// Bytes of the ICMP echo header.
pub const HEADER_BYTES: usize = 8;
/// Bytes at the start of the payload that name the request; no request is smaller.
pub const TAG_BYTES: usize = 20;
/// Bytes of headers a looped packet may have before its payload: Ethernet with two VLAN tags, IPv6 with options.
const LOOPED_HEADERS: usize = 160;

/// Random per process; nobody who has not seen a request can make a reply to it.
pub type Token = [u8; 8];

/// Which request a payload belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Number of the target.
    pub target: u32,
    /// Which user of that number.
    pub generation: u32,
    /// Sequence number within the target.
    pub sequence: u32,
}

/// How the kernel hands out what a socket receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `SOCK_DGRAM`: the kernel owns the identifier and the checksum; no privilege.
    Unprivileged,
    /// `SOCK_RAW`: needs `CAP_NET_RAW`; IPv4 replies come with their IP header.
    Raw,
}

impl Mode {
    /// As the configuration and the series name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unprivileged => "unprivileged",
            Self::Raw => "raw",
        }
    }

    fn socket_type(self) -> socket2::Type {
        match self {
            Self::Unprivileged => socket2::Type::DGRAM,
            Self::Raw => socket2::Type::RAW,
        }
    }
}

/// Where a request to `address` goes that leaves by the interface of this number: the kernel wants a link-local address of IPv6 with its
/// scope (RFC 4007), and takes it from no control message.
#[must_use]
pub fn destination(address: IpAddr, interface: u32) -> SocketAddr {
    match address {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            SocketAddrV6::new(ip, 0, 0, interface).into()
        }
        ip => SocketAddr::new(ip, 0),
    }
}

/// A link-local address of IPv6 as it is written with its zone, such as `fe80::1%eth0`.
#[must_use]
pub fn zoned(text: &str) -> Option<(Ipv6Addr, &str)> {
    let (address, zone) = text.split_once('%')?;
    let address = address.parse::<Ipv6Addr>().ok()?;
    (address.is_unicast_link_local() && !zone.is_empty()).then_some((address, zone))
}

/// The number of the interface `name`. While it is missing, no interface has the number: requests are refused, and not sent elsewhere.
#[must_use]
pub fn interface(name: &str) -> u32 {
    option::interface_index(name).unwrap_or(i32::MAX as u32)
}

/// Appends an echo request of `HEADER_BYTES + size` bytes; `size` below [`TAG_BYTES`] is taken as that.
pub fn encode_request(
    to: &mut Vec<u8>,
    family: Family,
    identifier: u16,
    token: Token,
    tag: Tag,
    size: usize,
) {
    let start = to.len();
    to.extend_from_slice(&[request_type(family), 0, 0, 0]);
    to.extend_from_slice(&identifier.to_be_bytes());
    to.extend_from_slice(&(tag.sequence as u16).to_be_bytes());
    to.extend_from_slice(&token);
    for part in [tag.target, tag.generation, tag.sequence] {
        to.extend_from_slice(&part.to_be_bytes());
    }
    for start in (TAG_BYTES..size).step_by(PERIOD) {
        to.extend_from_slice(&FILLER[..PERIOD.min(size - start)]);
    }
    seal(&mut to[start..], family);
}

/// An echo request that carries `payload` and nothing of ours.
pub fn plain_request(family: Family, identifier: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![request_type(family), 0, 0, 0];
    message.extend_from_slice(&identifier.to_be_bytes());
    message.extend_from_slice(&sequence.to_be_bytes());
    message.extend_from_slice(payload);
    seal(&mut message, family);
    message
}

fn request_type(family: Family) -> u8 {
    match family {
        Family::V4 => 8,
        Family::V6 => 128,
    }
}

/// Writes the checksum. The kernel overwrites it on unprivileged sockets and always for IPv6, whose sum covers the addresses.
fn seal(message: &mut [u8], family: Family) {
    if family == Family::V4 {
        let sum = checksum(message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// After how many bytes the filler repeats.
const PERIOD: usize = 256;

/// One period of the filler, which at each position is the low eight bits of that position, from the end of the tag on.
const FILLER: [u8; PERIOD] = {
    let mut filler = [0; PERIOD];
    let mut at = 0;
    while at < PERIOD {
        filler[at] = (TAG_BYTES + at) as u8;
        at += 1;
    }
    filler
};

/// The Internet checksum (RFC 1071).
fn checksum(message: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = message.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A received echo reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    /// Identifier of the ICMP header.
    pub identifier: u16,
    /// Sequence number of the ICMP header.
    pub sequence: u16,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// Reads an echo reply as a socket of `mode` gives it; `None` when it is none.
pub fn decode_reply(family: Family, mode: Mode, bytes: &[u8]) -> Option<Reply<'_>> {
    let message = match (family, mode) {
        (Family::V4, Mode::Raw) => {
            let header = usize::from(*bytes.first()? & 0x0f) * 4;
            bytes.get(header.max(20)..)?
        }
        _ => bytes,
    };
    let sequence = match family {
        Family::V4 => {
            let nobody = Ipv4Addr::UNSPECIFIED;
            let packet = Icmpv4Packet::decode(bytes, mode.socket_type(), nobody, nobody).ok()?;
            (packet.get_icmp_type().0 == 0).then(|| packet.get_sequence().into_u16())?
        }
        Family::V6 => {
            let packet = Icmpv6Packet::decode(bytes, Ipv6Addr::UNSPECIFIED).ok()?;
            (packet.get_icmpv6_type().0 == 129).then(|| packet.get_sequence().into_u16())?
        }
    };
    let (header, payload) = message.split_first_chunk::<HEADER_BYTES>()?;
    let &[_, _, _, _, high, low, _, _] = header;
    Some(Reply {
        identifier: u16::from_be_bytes([high, low]),
        sequence,
        payload,
    })
}

/// A request of ours as an ICMP error quotes it. Routers must quote eight bytes of it and may quote no more
/// (RFC 792), so the tag can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Identifier of the ICMP header.
    pub identifier: u16,
    /// Sequence number of the ICMP header.
    pub sequence: u16,
    /// The tag, when it was quoted and bears our token.
    pub tag: Option<Tag>,
}

/// Reads a quoted echo request; `None` when the quote is of something else.
pub fn decode_quote(family: Family, token: Token, bytes: &[u8]) -> Option<Quote> {
    let expected = request_type(family);
    let &[kind, _code, _, _, id_high, id_low, high, low] = bytes.first_chunk::<HEADER_BYTES>()?;
    (kind == expected).then(|| Quote {
        identifier: u16::from_be_bytes([id_high, id_low]),
        sequence: u16::from_be_bytes([high, low]),
        tag: bytes
            .get(HEADER_BYTES..)
            .and_then(|payload| decode_tag(token, payload)),
    })
}

/// Finds our tag in a packet that came back with its transmit timestamp, behind headers of unknown length. Answers that length too.
pub fn find_tag(token: Token, packet: &[u8]) -> Option<(usize, Tag)> {
    let searched = packet.get(..packet.len().min(LOOPED_HEADERS + token.len()))?;
    let at = searched
        .windows(token.len())
        .position(|window| window == token)?;
    Some((at, decode_tag(token, packet.get(at..)?)?))
}

/// Reads the tag at the start of a payload; `None` when it is cut short or bears another token.
pub fn decode_tag(token: Token, payload: &[u8]) -> Option<Tag> {
    let tag: &[u8; TAG_BYTES] = payload.first_chunk()?;
    let word = |at: usize| {
        let bytes = tag.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    };
    (tag[..8] == token).then_some(())?;
    Some(Tag {
        target: word(8)?,
        generation: word(12)?,
        sequence: word(16)?,
    })
}

/// The payload is `size` bytes long and its filler is what was sent.
pub fn is_whole(payload: &[u8], size: usize) -> bool {
    let filler = payload.get(TAG_BYTES..).unwrap_or_default();
    payload.len() == size.max(TAG_BYTES)
        && filler.chunks(PERIOD).all(|part| FILLER.starts_with(part))
}

#[cfg(test)]
mod tests;
