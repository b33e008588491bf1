//! One flow record in the form that everything behind the decoder works on.

use std::net::IpAddr;

/// A flow record as it was exported: counters are as measured, before any sampling rate.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Flow {
    /// Source address; `None` for records that carry none (layer 2 alone).
    pub source: Option<IpAddr>,
    /// Destination address.
    pub destination: Option<IpAddr>,
    /// Source port of TCP, UDP and SCTP, else 0.
    pub source_port: u16,
    /// Destination port; ICMP type and code where the exporter puts them there.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// ifIndex of the interface that received the packets; 0 when not said.
    pub input: u32,
    /// ifIndex of the interface that sent them; 0 when not said or dropped.
    pub output: u32,
    /// Where the flow was observed, when the exporter says so.
    pub direction: Option<Direction>,
    /// Octets on layer 3.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets on the wire for each that was measured, and how that is known.
    pub rate: Rate,
}

/// Observation point of a flow (IPFIX flowDirection, IE 61).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Seen on its way in, on [`Flow::input`].
    Ingress,
    /// Seen on its way out, on [`Flow::output`].
    Egress,
}

/// A sampling rate with its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// One packet was measured of so many; at least 1.
    pub one_in: u32,
    /// Who said so.
    pub origin: Origin,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            one_in: 1,
            origin: Origin::Assumed,
        }
    }
}

/// Where a sampling rate was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A field of the record itself, or the sFlow sample.
    Record,
    /// An options record of the exporter.
    Options,
    /// The header (NetFlow v5).
    Header,
    /// Our configuration.
    Configured,
    /// Nobody said anything: 1.
    Assumed,
}

impl Origin {
    /// All of them, each at its own number.
    pub const ALL: [Self; 5] = [
        Self::Record,
        Self::Options,
        Self::Header,
        Self::Configured,
        Self::Assumed,
    ];

    /// As a label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Options => "options",
            Self::Header => "header",
            Self::Configured => "configured",
            Self::Assumed => "assumed",
        }
    }
}

impl Flow {
    /// Octets on the wire, by the sampling rate.
    #[must_use]
    pub fn scaled_bytes(&self) -> u64 {
        self.bytes.saturating_mul(u64::from(self.rate.one_in))
    }

    /// Packets on the wire, by the sampling rate.
    #[must_use]
    pub fn scaled_packets(&self) -> u64 {
        self.packets.saturating_mul(u64::from(self.rate.one_in))
    }
}
