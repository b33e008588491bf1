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
    /// Type of service.
    pub tos: u8,
    /// TCP flags seen, the lower eight.
    pub tcp_flags: u8,
    /// Autonomous system of the source; 0 when not said.
    pub source_as: u32,
    /// Autonomous system of the destination; 0 when not said.
    pub destination_as: u32,
    /// When it was, where the exporter says so.
    pub span: Option<Span>,
    /// Octets on layer 3.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets on the wire for each that was measured, and how that is known.
    pub rate: Rate,
    /// The exporter that measured it, where the record says so (IE 130, 131) or the agent of sFlow: another one than the sender behind a relay.
    pub exporter: Option<IpAddr>,
}

/// When a flow was, as time before its export: so the exporter's clock need not be ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Milliseconds from its first packet to the export.
    pub start_ms: u32,
    /// Milliseconds from its last packet to the export; never more than `start_ms`.
    pub end_ms: u32,
    /// It claimed to end more than [`FARTHEST_AHEAD_MS`] after its export.
    pub ahead: bool,
}

/// How far after its export a flow may claim to end before its times count as wrong: clocks are coarse.
pub const FARTHEST_AHEAD_MS: i64 = 300_000;
/// A flow that claims to have begun or ended longer ago was not timed by this clock.
const FARTHEST_BACK_MS: i64 = 86_400_000;

impl Span {
    /// From milliseconds before the export, negative after it; a time that cannot be is taken for the export itself.
    #[inline]
    #[must_use]
    pub fn new(start_ms: i64, end_ms: i64) -> Self {
        let sane = |ms: i64| {
            if ms > FARTHEST_BACK_MS {
                0
            } else {
                ms.max(0) as u32
            }
        };
        let end = sane(end_ms);
        Self {
            start_ms: sane(start_ms).max(end),
            end_ms: end,
            ahead: end_ms < -FARTHEST_AHEAD_MS,
        }
    }
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
    #[inline]
    #[must_use]
    pub fn scaled_bytes(&self) -> u64 {
        self.bytes.saturating_mul(u64::from(self.rate.one_in))
    }

    /// Packets on the wire, by the sampling rate.
    #[inline]
    #[must_use]
    pub fn scaled_packets(&self) -> u64 {
        self.packets.saturating_mul(u64::from(self.rate.one_in))
    }
}
