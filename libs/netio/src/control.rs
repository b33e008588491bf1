//! Control messages (ancillary data) of received datagrams: pure byte parsers, no system call.
//!
//! The layout is `struct cmsghdr` of `cmsg(3)`: length with header (one machine word), level and type (four bytes
//! each), then the data, padded to a machine word. Everything is in the byte order of the machine.

use std::net::IpAddr;

use crate::address::{decode_ip, field};
use crate::option::Family;

const WORD: usize = size_of::<usize>();
/// Bytes of `struct cmsghdr`.
const HEADER: usize = WORD + 8;

/// Nanoseconds since 1970-01-01 00:00:00 UTC, of the kernel's `CLOCK_REALTIME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNanos(pub u64);

/// One control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Protocol level (`SOL_SOCKET`, `IPPROTO_IP`, …).
    pub level: i32,
    /// Type within the level (`cmsg_type`).
    pub kind: i32,
    /// The data without header and padding.
    pub data: &'a [u8],
}

/// The control messages in `bytes`. Ends at the first one that is cut short or claims an impossible length.
pub fn items(bytes: &[u8]) -> impl Iterator<Item = Item<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from_ne_bytes(field(rest, 0)?);
        let level = i32::from_ne_bytes(field(rest, WORD)?);
        let kind = i32::from_ne_bytes(field(rest, WORD + 4)?);
        let data = rest.get(HEADER..length)?;
        let next = length.checked_next_multiple_of(WORD)?;
        rest = rest.get(next..).unwrap_or_default();
        Some(Item { level, kind, data })
    })
}

/// Appends one control message with its padding to `to`.
pub fn append(to: &mut Vec<u8>, level: i32, kind: i32, data: &[u8]) {
    to.extend_from_slice(&(HEADER + data.len()).to_ne_bytes());
    to.extend_from_slice(&level.to_ne_bytes());
    to.extend_from_slice(&kind.to_ne_bytes());
    to.extend_from_slice(data);
    to.resize(to.len().next_multiple_of(WORD), 0);
}

/// What one datagram to send asks of the kernel beside its destination (`ip(7)`, `ipv6(7)`). Nothing but the mark needs a
/// privilege.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Outgoing {
    /// Time to live or hop limit.
    pub hop_limit: Option<u8>,
    /// Type of service or traffic class: DSCP in the upper six bits.
    pub traffic_class: Option<u8>,
    /// Address to send from; of another family than the socket it is left out.
    pub source: Option<IpAddr>,
    /// Index of the interface to send by; 0 for any.
    pub interface: u32,
    /// Firewall mark (`SO_MARK`), which rules of routing and filters match. The kernel refuses the datagram without `CAP_NET_ADMIN`, or
    /// `CAP_NET_RAW` since Linux 5.17.
    pub mark: Option<u32>,
}

impl Outgoing {
    /// Appends its control messages for a socket of `family`.
    pub fn append(&self, to: &mut Vec<u8>, family: Family) {
        let (level, hop_limit, class) = match family {
            Family::V4 => (libc::IPPROTO_IP, libc::IP_TTL, libc::IP_TOS),
            Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, libc::IPV6_TCLASS),
        };
        for (kind, value) in [(hop_limit, self.hop_limit), (class, self.traffic_class)] {
            if let Some(value) = value {
                append(to, level, kind, &i32::from(value).to_ne_bytes());
            }
        }
        if let Some(mark) = self.mark {
            append(to, libc::SOL_SOCKET, libc::SO_MARK, &mark.to_ne_bytes());
        }
        if self.source.is_none() && self.interface == 0 {
            return;
        }
        match family {
            // `struct in_pktinfo`: interface, source, and a field that is read by nobody.
            Family::V4 => {
                let source = match self.source {
                    Some(IpAddr::V4(source)) => source.octets(),
                    _ => [0; 4],
                };
                let mut info = [0; 12];
                info[..4].copy_from_slice(&self.interface.to_ne_bytes());
                info[4..8].copy_from_slice(&source);
                append(to, level, libc::IP_PKTINFO, &info);
            }
            // `struct in6_pktinfo`: source, interface.
            Family::V6 => {
                let source = match self.source {
                    Some(IpAddr::V6(source)) => source.octets(),
                    _ => [0; 16],
                };
                let mut info = [0; 20];
                info[..16].copy_from_slice(&source);
                info[16..].copy_from_slice(&self.interface.to_ne_bytes());
                append(to, level, libc::IPV6_PKTINFO, &info);
            }
        }
    }
}

/// Where an entry of the error queue comes from (`SO_EE_ORIGIN_*` of `linux/errqueue.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This host, without a packet (a route that forbids sending, a packet too big for the device).
    Local,
    /// An ICMP error message.
    Icmp,
    /// An ICMPv6 error message.
    Icmp6,
    /// A transmit timestamp, not an error.
    Timestamp,
    /// Anything else, by number.
    Other(u8),
}

/// One entry of the error queue (`struct sock_extended_err`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueEntry {
    /// The `errno` the kernel maps the error to.
    pub errno: u32,
    /// Where it comes from.
    pub origin: Origin,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Depends on the origin: the path MTU in bytes of a "packet too big", the kind of a timestamp.
    pub info: u32,
    /// Depends on the origin: the number of the packet for timestamps with `numbered`.
    pub data: u32,
    /// Who sent the ICMP message.
    pub offender: Option<IpAddr>,
}

impl QueueEntry {
    /// Bytes before the offender's address.
    const FIXED: usize = 16;

    /// Reads `struct sock_extended_err` with the address that follows it; `None` when it is cut short.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let [origin, kind, code, _pad] = field(bytes, 4)?;
        Some(Self {
            errno: u32::from_ne_bytes(field(bytes, 0)?),
            origin: match origin {
                libc::SO_EE_ORIGIN_LOCAL => Origin::Local,
                libc::SO_EE_ORIGIN_ICMP => Origin::Icmp,
                libc::SO_EE_ORIGIN_ICMP6 => Origin::Icmp6,
                libc::SO_EE_ORIGIN_TIMESTAMPING => Origin::Timestamp,
                other => Origin::Other(other),
            },
            kind,
            code,
            info: u32::from_ne_bytes(field(bytes, 8)?),
            data: u32::from_ne_bytes(field(bytes, 12)?),
            offender: decode_ip(bytes.get(Self::FIXED..)?),
        })
    }
}

/// What the control messages of one datagram say. What the kernel did not attach is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Control {
    /// When the kernel took the packet from the device, or gave it to the device in an entry of the error queue.
    pub stamp: Option<UnixNanos>,
    /// Time to live or hop limit of the received packet.
    pub hop_limit: Option<u8>,
    /// Type of service or traffic class of the received packet (DSCP in the upper six bits).
    pub traffic_class: Option<u8>,
    /// Datagrams the socket dropped for want of buffer space since it was opened, wrapping at 2³².
    pub dropped: Option<u32>,
    /// The entry, when the datagram came from the error queue.
    pub entry: Option<QueueEntry>,
}

impl Control {
    /// Reads all control messages of one datagram; unknown ones are passed over.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut control = Self::default();
        for item in items(bytes) {
            match (item.level, item.kind) {
                // SCM_TIMESTAMPING carries three stamps, of which the first is the software one;
                // SCM_TIMESTAMPNS carries that one alone.
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING | libc::SCM_TIMESTAMPNS) => {
                    let seconds = if item.kind == libc::SCM_TIMESTAMPING {
                        3
                    } else {
                        1
                    };
                    control.stamp = stamp(item.data, seconds).or(control.stamp);
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    control.dropped = field(item.data, 0).map(u32::from_ne_bytes);
                }
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    control.hop_limit = octet(item.data);
                }
                (libc::IPPROTO_IP, libc::IP_TOS) | (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    control.traffic_class = octet(item.data);
                }
                (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                    control.entry = QueueEntry::decode(item.data);
                }
                _ => {}
            }
        }
        control
    }
}

/// The first of `count` `struct timespec`, each of two words of eight or, on old ABIs, four bytes. Zero means that
/// the kernel has no stamp.
fn stamp(data: &[u8], count: usize) -> Option<UnixNanos> {
    let (seconds, nanos) = if data.len() >= count * 16 {
        (
            i64::from_ne_bytes(field(data, 0)?),
            i64::from_ne_bytes(field(data, 8)?),
        )
    } else {
        let seconds = i32::from_ne_bytes(field(data, 0)?);
        (seconds.into(), i32::from_ne_bytes(field(data, 4)?).into())
    };
    let seconds = u64::try_from(seconds).ok()?;
    let nanos = u64::try_from(nanos)
        .ok()
        .filter(|&nanos| nanos < 1_000_000_000)?;
    let total = seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    (total > 0).then_some(UnixNanos(total))
}

/// A value from 0 to 255 the kernel sends as a byte (`IP_TOS`) or as an `int`.
fn octet(data: &[u8]) -> Option<u8> {
    match field(data, 0).map(i32::from_ne_bytes) {
        Some(value) => u8::try_from(value).ok(),
        None => data.first().copied(),
    }
}

#[cfg(test)]
mod tests;
