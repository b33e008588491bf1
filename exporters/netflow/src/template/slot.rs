//! Which fields are asked for, and the place of each among the values of a record.

use super::{Field, VARIABLE};

/// Enterprise number of reversed elements (RFC 5103).
const REVERSE: u32 = 29_305;

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Skip,
    /// A number of up to eight octets; of a longer one the last eight count.
    Number(u8),
    /// Two numbers, the upper half of an address and the lower.
    Address6(u8, u8),
    /// A frame that begins with its Ethernet header (IE 315).
    Frame,
    /// A packet that begins with its IP header (IE 313).
    Packet,
}

impl What {
    /// The slots of its numbers.
    pub(super) fn slots(self) -> [Option<u8>; 2] {
        match self {
            Self::Number(slot) => [Some(slot), None],
            Self::Address6(high, low) => [Some(high), Some(low)],
            Self::Skip | Self::Frame | Self::Packet => [None, None],
        }
    }
}

macro_rules! slots {
    ($($name:ident),+ $(,)?) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "numbered once, here")]
        enum Number { $($name),+ , COUNT }
        $(pub(crate) const $name: u8 = Number::$name as u8;)+
        /// How many there are.
        pub(crate) const COUNT: usize = Number::COUNT as usize;
    };
}
slots!(
    BYTES,
    PACKETS,
    OUT_BYTES,
    OUT_PACKETS,
    TOTAL_BYTES,
    TOTAL_PACKETS,
    LAYER2_BYTES,
    INITIATOR_BYTES,
    INITIATOR_PACKETS,
    RESPONDER_BYTES,
    RESPONDER_PACKETS,
    REVERSE_BYTES,
    REVERSE_PACKETS,
    PROTOCOL,
    TOS,
    TCP_FLAGS,
    SOURCE_PORT,
    DESTINATION_PORT,
    ICMP,
    SOURCE4,
    DESTINATION4,
    SOURCE6,
    SOURCE6_LOW,
    DESTINATION6,
    DESTINATION6_LOW,
    INPUT,
    OUTPUT,
    DIRECTION,
    SOURCE_AS,
    DESTINATION_AS,
    SAMPLER,
    INTERVAL,
    PACKET_INTERVAL,
    PACKET_SPACE,
    SAMPLE_SIZE,
    POPULATION,
    PROBABILITY,
    FIRST,
    LAST,
    START_S,
    END_S,
    START_MS,
    END_MS,
    START_NTP,
    END_NTP,
    START_AGO_US,
    END_AGO_US,
    INIT_MS,
    DURATION_MS,
    DURATION_US,
    OBSERVED_MS,
    ACTIVE_TIMEOUT,
    FRAME_BYTES,
    EXPORTER4,
    EXPORTER6,
    EXPORTER6_LOW,
    DOMAIN,
);

/// Groups of values, so that what no record of a template has is not looked for in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Groups {
    /// Counters of octets or packets: without any, its records are events, such as of NAT (IE 230), and no flows.
    pub(crate) counters: bool,
    /// Octets since the last record of the flow (IE 1, 23): then those since its beginning are no others.
    pub(crate) delta_bytes: bool,
    /// The same of packets (IE 2, 24).
    pub(crate) delta_packets: bool,
    /// A sampling rate.
    pub(crate) rate: bool,
    /// A sampler id (IE 48, 302).
    pub(crate) sampler: bool,
    /// The direction of its measurement (IE 61).
    pub(crate) direction: bool,
    /// Counters of the other direction.
    pub(crate) reverse: bool,
    /// The exporter's address (IE 130, 131).
    pub(crate) exporter: bool,
    /// An address of IPv6.
    pub(crate) six: bool,
    /// Type and code of ICMP.
    pub(crate) icmp: bool,
    /// A packet, or a frame with one.
    pub(crate) packet: bool,
    /// How long a flow lasted.
    pub(crate) duration: bool,
    /// Octets of IE 311, which is a float.
    pub(crate) probability_octets: u16,
    /// When a flow began and ended.
    pub(crate) time: Time,
}

/// How a template tells when its flows began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub(crate) enum Time {
    /// It does not.
    #[default]
    None,
    /// When it was observed alone (IE 323).
    Observed,
    /// Seconds (IE 150, 151).
    Seconds,
    /// Milliseconds since the exporter started (IE 21, 22).
    Uptime,
    /// Microseconds before the export (IE 158, 159).
    Ago,
    /// NTP's format (IE 154 to 157).
    Ntp,
    /// Milliseconds (IE 152, 153).
    Milliseconds,
}

impl Groups {
    /// Whether records say octets and packets since the last one and otherwise nothing but what most say.
    pub(crate) fn is_plain(&self) -> bool {
        let more = self.rate || self.reverse || self.exporter || self.icmp || self.duration;
        self.delta_bytes && self.delta_packets && !more && !self.packet
    }

    pub(super) fn add(&mut self, field: &Field, what: What) {
        let slot = match what {
            What::Number(slot) => slot,
            What::Address6(slot, _) => slot,
            What::Frame | What::Packet => {
                (self.counters, self.packet) = (true, true);
                return;
            }
            _ => return,
        };
        match slot {
            BYTES..=RESPONDER_PACKETS => self.counters = true,
            REVERSE_BYTES | REVERSE_PACKETS => self.reverse = true,
            SAMPLER => self.sampler = true,
            DIRECTION => self.direction = true,
            EXPORTER4 => self.exporter = true,
            EXPORTER6 => (self.exporter, self.six) = (true, true),
            SOURCE6 | DESTINATION6 => self.six = true,
            ICMP => self.icmp = true,
            DURATION_MS | DURATION_US => self.duration = true,
            INTERVAL..=POPULATION => self.rate = true,
            PROBABILITY => (self.rate, self.probability_octets) = (true, field.length),
            _ => {}
        }
        self.delta_bytes |= matches!(slot, BYTES | OUT_BYTES);
        self.delta_packets |= matches!(slot, PACKETS | OUT_PACKETS);
        self.reverse |= matches!(slot, RESPONDER_BYTES | RESPONDER_PACKETS);
        let time = match slot {
            OBSERVED_MS => Time::Observed,
            END_S => Time::Seconds,
            LAST => Time::Uptime,
            END_AGO_US => Time::Ago,
            END_NTP => Time::Ntp,
            END_MS => Time::Milliseconds,
            _ => Time::None,
        };
        self.time = self.time.max(time);
    }
}

/// What becomes of a field of this element and length.
pub(super) fn what(field: &Field) -> What {
    let slot = match (field.enterprise, field.element) {
        (0, 1) => BYTES,
        (0, 2) => PACKETS,
        (0, 23) => OUT_BYTES,
        (0, 24) => OUT_PACKETS,
        (0, 85) => TOTAL_BYTES,
        (0, 86) => TOTAL_PACKETS,
        (0, 352) => LAYER2_BYTES,
        (0, 231) => INITIATOR_BYTES,
        (0, 232) => RESPONDER_BYTES,
        (0, 298) => INITIATOR_PACKETS,
        (0, 299) => RESPONDER_PACKETS,
        (REVERSE, 1 | 85) => REVERSE_BYTES,
        (REVERSE, 2 | 86) => REVERSE_PACKETS,
        (0, 4) => PROTOCOL,
        (0, 5) => TOS,
        (0, 6) => TCP_FLAGS,
        (0, 7) => SOURCE_PORT,
        (0, 11) => DESTINATION_PORT,
        (0, 32 | 139) => ICMP,
        (0, 8) => return address(field, 4, What::Number(SOURCE4)),
        (0, 12) => return address(field, 4, What::Number(DESTINATION4)),
        (0, 27) => return address(field, 16, What::Address6(SOURCE6, SOURCE6_LOW)),
        (0, 28) => return address(field, 16, What::Address6(DESTINATION6, DESTINATION6_LOW)),
        (0, 130) => return address(field, 4, What::Number(EXPORTER4)),
        (0, 131) => return address(field, 16, What::Address6(EXPORTER6, EXPORTER6_LOW)),
        (0, 149) => DOMAIN,
        (0, 10) => INPUT,
        (0, 14) => OUTPUT,
        (0, 61) => DIRECTION,
        (0, 16) => SOURCE_AS,
        (0, 17) => DESTINATION_AS,
        (0, 48 | 302) => SAMPLER,
        (0, 34 | 50) => INTERVAL,
        (0, 305) => PACKET_INTERVAL,
        (0, 306) => PACKET_SPACE,
        (0, 309) => SAMPLE_SIZE,
        (0, 310) => POPULATION,
        (0, 311) => PROBABILITY,
        (0, 22) => FIRST,
        (0, 21) => LAST,
        (0, 150) => START_S,
        (0, 151) => END_S,
        (0, 152) => START_MS,
        (0, 153) => END_MS,
        (0, 154 | 156) => START_NTP,
        (0, 155 | 157) => END_NTP,
        (0, 158) => START_AGO_US,
        (0, 159) => END_AGO_US,
        (0, 160) => INIT_MS,
        (0, 161) => DURATION_MS,
        (0, 162) => DURATION_US,
        (0, 323) => OBSERVED_MS,
        (0, 36) => ACTIVE_TIMEOUT,
        (0, 312) => FRAME_BYTES,
        (0, 313) => return What::Packet,
        (0, 315) => return What::Frame,
        _ => return What::Skip,
    };
    What::Number(slot)
}

/// An address of another length than its own is none.
fn address(field: &Field, octets: u16, what: What) -> What {
    if field.length == octets || field.length == VARIABLE {
        what
    } else {
        What::Skip
    }
}
