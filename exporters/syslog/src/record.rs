//! A received message as it stands in the queue: what was received, from whom, by what way.
//!
//! `version 1 | transport | flags | length of the key | key | source address (16) | source port (2) | bytes`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The way a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Transport {
    /// UDP (RFC 5426).
    Udp,
    /// TCP (RFC 6587).
    Tcp,
    /// TLS (RFC 5425).
    Tls,
    /// A Unix socket.
    Unix,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Tls, Self::Unix];

    /// The name used in metadata and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["udp", "tcp", "tls", "unix"][self as usize]
    }
}

/// The message was longer than the limit and is cut.
pub const TRUNCATED: u8 = 1;
/// The sender fell silent, or went away, in the middle of the message.
pub const UNFINISHED: u8 = 2;

const VERSION: u8 = 1;
const FIXED: usize = 4 + 16 + 2;

/// A message with where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    /// The way it came.
    pub transport: Transport,
    /// [`TRUNCATED`], [`UNFINISHED`].
    pub flags: u8,
    /// The device of the inventory, empty when it is not known.
    pub device: &'a str,
    /// The sender's address; the unspecified address for a Unix socket.
    pub source: SocketAddr,
    /// What was received.
    pub bytes: &'a [u8],
}

/// Most bytes that the record adds to the message.
pub const OVERHEAD: usize = FIXED + 255;

impl<'a> Received<'a> {
    /// Appends the record.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let device = &self.device.as_bytes()[..self.device.len().min(255)];
        into.reserve(FIXED + device.len() + self.bytes.len());
        into.extend_from_slice(&[
            VERSION,
            self.transport as u8,
            self.flags,
            device.len() as u8,
        ]);
        into.extend_from_slice(device);
        let ip = match self.source.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        into.extend_from_slice(&ip.octets());
        into.extend_from_slice(&self.source.port().to_le_bytes());
        into.extend_from_slice(self.bytes);
    }

    /// Reads a record; none when it is of another version or cut short.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, transport, flags, length], rest) = bytes.split_first_chunk::<4>()?;
        let (device, rest) = rest.split_at_checked(length as usize)?;
        let (ip, rest) = rest.split_first_chunk::<16>()?;
        let (port, bytes) = rest.split_first_chunk::<2>()?;
        if version != VERSION {
            return None;
        }
        let ip = Ipv6Addr::from(*ip);
        Some(Self {
            transport: *Transport::ALL.get(transport as usize)?,
            flags,
            device: std::str::from_utf8(device).ok()?,
            source: SocketAddr::new(ip.to_canonical(), u16::from_le_bytes(*port)),
            bytes,
        })
    }
}

/// The device of a record, empty when it is not known.
#[must_use]
pub fn device(record: &[u8]) -> &str {
    Received::decode(record).map_or("", |r| r.device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for source in ["192.0.2.1:514", "[2001:db8::1]:6514"] {
            let received = Received {
                transport: Transport::Tls,
                flags: TRUNCATED,
                device: "r1",
                source: source.parse().unwrap(),
                bytes: b"<13>x",
            };
            let mut bytes = Vec::new();
            received.encode(&mut bytes);
            assert_eq!(Received::decode(&bytes), Some(received));
            for cut in 0..bytes.len() - 5 {
                assert_eq!(Received::decode(&bytes[..cut]), None);
            }
        }
    }
}
