//! The first bytes of a packet: Ethernet, VLAN tags, MPLS, IPv4, IPv6 and the ports behind them.
//!
//! Sampled headers come by sFlow (raw packet header, sFlow v5 section 5.3) and by IPFIX dataLinkFrameSection (IE 315). They are cut anywhere;
//! what is not there stays unsaid.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::read::Reader;

/// Most VLAN tags and MPLS labels that are looked through.
const MOST_TAGS: usize = 8;
/// Most IPv6 extension headers that are looked through.
const MOST_EXTENSIONS: usize = 8;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Source address.
    pub(crate) source: IpAddr,
    /// Destination address.
    pub(crate) destination: IpAddr,
    /// Protocol behind IP and its extensions.
    pub(crate) protocol: u8,
    /// Ports, 0 where there are none or they are cut off.
    pub(crate) ports: (u16, u16),
    /// Octets on layer 3 by the IP header.
    pub(crate) bytes: u32,
}

/// A frame that begins with an Ethernet header.
pub(crate) fn ethernet(frame: &[u8]) -> Option<Packet> {
    let mut reader = Reader(frame);
    reader.take(12)?;
    let mut kind = reader.u16()?;
    for _ in 0..MOST_TAGS {
        match kind {
            // 802.1Q, 802.1ad and the two that came before it.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                reader.u16()?;
                kind = reader.u16()?;
            }
            0x8847 | 0x8848 => return mpls(reader),
            // PPPoE session: six bytes, then the PPP protocol.
            0x8864 => {
                reader.take(6)?;
                kind = match reader.u16()? {
                    0x0021 => IPV4,
                    0x0057 => IPV6,
                    _ => return None,
                };
            }
            IPV4 | IPV6 => return ip(reader.0),
            _ => return None,
        }
    }
    None
}

/// Labels up to the bottom of the stack (RFC 3032); then IP, or Ethernet behind a control word (RFC 4448).
fn mpls(mut reader: Reader<'_>) -> Option<Packet> {
    for _ in 0..MOST_TAGS {
        let label = reader.u32()?;
        if label & 0x100 != 0 {
            return match reader.0.first()? >> 4 {
                4 | 6 => ip(reader.0),
                0 => ethernet(reader.0.get(4..)?),
                _ => None,
            };
        }
    }
    None
}

/// A packet that begins with its IP header, by its version.
pub(crate) fn ip(packet: &[u8]) -> Option<Packet> {
    match packet.first()? >> 4 {
        4 => ipv4(packet),
        6 => ipv6(packet),
        _ => None,
    }
}

fn ipv4(packet: &[u8]) -> Option<Packet> {
    let header = packet.get(..20)?;
    let length = usize::from(header[0] & 0x0f) * 4;
    let later_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
    let address =
        |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    let behind = packet.get(length.max(20)..).unwrap_or_default();
    Some(Packet {
        source: IpAddr::V4(address(12)),
        destination: IpAddr::V4(address(16)),
        protocol: header[9],
        ports: if later_fragment {
            (0, 0)
        } else {
            ports(header[9], behind)
        },
        bytes: u32::from(u16::from_be_bytes([header[2], header[3]])),
    })
}

fn ipv6(packet: &[u8]) -> Option<Packet> {
    let header = packet.get(..40)?;
    let address = |at: usize| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&header[at..at + 16]);
        Ipv6Addr::from(bytes)
    };
    let (mut protocol, mut rest, mut later_fragment) = (header[6], &packet[40..], false);
    for _ in 0..MOST_EXTENSIONS {
        let Some(&[next, length]) = rest.get(..2) else {
            break;
        };
        let length = match protocol {
            // Hop-by-hop, routing, destination options (RFC 8200): length in eights beyond the first.
            0 | 43 | 60 => (usize::from(length) + 1) * 8,
            44 => {
                let offset = rest
                    .get(2..4)
                    .map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
                later_fragment |= offset >> 3 != 0;
                8
            }
            // Authentication header (RFC 4302): in fours, less two.
            51 => (usize::from(length) + 2) * 4,
            _ => break,
        };
        protocol = next;
        rest = rest.get(length..).unwrap_or_default();
    }
    Some(Packet {
        source: IpAddr::V6(address(8)),
        destination: IpAddr::V6(address(24)),
        protocol,
        ports: if later_fragment {
            (0, 0)
        } else {
            ports(protocol, rest)
        },
        bytes: u32::from(u16::from_be_bytes([header[4], header[5]])) + 40,
    })
}

/// TCP, UDP, DCCP, SCTP and UDP-Lite begin with two ports.
fn ports(protocol: u8, behind: &[u8]) -> (u16, u16) {
    let mut reader = Reader(behind);
    match protocol {
        6 | 17 | 33 | 132 | 136 => {
            let source = reader.u16().unwrap_or(0);
            (source, reader.u16().unwrap_or(0))
        }
        _ => (0, 0),
    }
}
