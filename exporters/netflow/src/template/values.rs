//! The values of one record, and what they say: the flow, its rate, and when it was.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::packet;
use super::slot::{self, Groups, Time};
use crate::flow::{Direction, Flow, Span};

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// How many slots there may be: a power of two, so that none need be looked for beyond.
pub(super) const PLACES: usize = slot::COUNT.next_power_of_two();

/// Octets that a record is looked at in: from [`super::LEAD`] before it on, so many that a number can end anywhere in the first `8 * PLACES`.
pub(super) const WINDOW: usize = 8 * PLACES + 8;

/// Where in its window the number of each slot begins to be loaded, and the bits that are left of the eight octets there; no bit where a record
/// has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    ends: [u16; PLACES],
    masks: [u64; PLACES],
}

impl Default for Places {
    fn default() -> Self {
        Self {
            ends: [0; PLACES],
            masks: [0; PLACES],
        }
    }
}

impl Places {
    /// The number of so many octets, at least one, that ends at this octet of its record.
    pub(super) fn put(&mut self, slot: u8, end: u16, octets: u16) {
        let slot = usize::from(slot) % PLACES;
        self.ends[slot] = end;
        self.masks[slot] = u64::MAX >> (64 - 8 * octets.min(8));
    }

    /// The number that [`put`] copies.
    pub(super) fn put_apart(&mut self, slot: u8, octets: u16) {
        self.put(slot, 8 * u16::from(slot), octets);
    }
}

/// Copies eight octets to where the number of a slot stands in a window of copies.
#[inline]
pub(super) fn put(window: &mut [u8; WINDOW], slot: u8, eight: [u8; 8]) {
    let at = 8 * (usize::from(slot) % PLACES);
    window[at..at + 8].copy_from_slice(&eight);
}

/// Times of the datagram that a record came in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    /// When it was sent, milliseconds since 1970 by the exporter's clock.
    pub(crate) export_ms: u64,
    /// The same since the exporter started, where its header says so.
    pub(crate) uptime_ms: Option<u32>,
    /// When the exporter started, milliseconds since 1970, where it told by its options (IE 160).
    pub(crate) init_ms: Option<u64>,
}

/// What the fields of one record said; zero is unsaid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    window: &'a [u8; WINDOW],
    places: &'a Places,
    /// The packet that it holds, from its Ethernet header on.
    pub(super) frame: Option<&'a [u8]>,
    /// The packet that it holds, from its IP header on.
    pub(super) packet: Option<&'a [u8]>,
}

impl<'a> Values<'a> {
    /// Of a record that holds no packet.
    #[inline]
    pub(super) fn new(window: &'a [u8; WINDOW], places: &'a Places) -> Self {
        Self {
            window,
            places,
            frame: None,
            packet: None,
        }
    }
}

impl Values<'_> {
    #[inline]
    fn get(&self, slot: u8) -> u64 {
        let slot = usize::from(slot) % PLACES;
        let at = usize::from(self.places.ends[slot]) % (8 * PLACES);
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.window[at..at + 8]);
        u64::from_be_bytes(eight) & self.places.masks[slot]
    }

    fn either(&self, slots: &[u8]) -> u64 {
        let said = slots.iter().map(|slot| self.get(*slot));
        said.into_iter().find(|value| *value > 0).unwrap_or(0)
    }

    /// ifIndex of the interface that an options record is about, named as one that receives packets or as one that sends them; 0 for none.
    pub(crate) fn interface(&self) -> u32 {
        self.either(&[slot::INPUT, slot::OUTPUT]) as u32
    }

    /// The sampler that measured, where the template names one.
    pub(crate) fn sampler(&self, has: &Groups) -> Option<u64> {
        has.sampler.then(|| self.get(slot::SAMPLER))
    }

    /// When the exporter started, milliseconds since 1970.
    pub(crate) fn init_ms(&self) -> Option<u64> {
        Some(self.get(slot::INIT_MS)).filter(|init| *init > 0)
    }

    /// Seconds after which the exporter tells of a flow that goes on.
    pub(crate) fn active_timeout(&self) -> Option<u32> {
        Some(self.get(slot::ACTIVE_TIMEOUT) as u32).filter(|seconds| *seconds > 0)
    }

    /// The rate that the record states, rounded to the nearest whole; `None` where it states none.
    #[inline]
    pub(crate) fn rate(&self, has: &Groups) -> Option<u32> {
        if !has.rate {
            return None;
        }
        self.stated_rate(has)
    }

    fn stated_rate(&self, has: &Groups) -> Option<u32> {
        let ratio =
            |whole: u64, part: u64| (part > 0).then(|| whole.saturating_add(part / 2) / part);
        let interval = self.get(slot::PACKET_INTERVAL);
        let (sample, population) = (self.get(slot::SAMPLE_SIZE), self.get(slot::POPULATION));
        let probability = match has.probability_octets {
            8 => f64::from_bits(self.get(slot::PROBABILITY)),
            4 => f64::from(f32::from_bits(self.get(slot::PROBABILITY) as u32)),
            _ => 0.0,
        };
        let rate = if self.get(slot::INTERVAL) > 0 {
            Some(self.get(slot::INTERVAL))
        } else if interval > 0 {
            ratio(
                interval.saturating_add(self.get(slot::PACKET_SPACE)),
                interval,
            )
        } else if sample > 0 && population > 0 {
            ratio(population, sample)
        } else if probability > 0.0 && probability <= 1.0 {
            Some((1.0 / probability).round() as u64)
        } else {
            None
        };
        let rate = rate.and_then(|rate| u32::try_from(rate).ok());
        rate.filter(|rate| *rate > 0)
    }

    /// Writes what the records of most templates say into a flow, see [`Groups::is_plain`]; its rate and exporter stay as they are.
    #[inline(always)]
    pub(crate) fn plain(&self, has: &Groups, clock: &Clock, flow: &mut Flow) {
        flow.source = self.address(has, slot::SOURCE4, slot::SOURCE6, slot::SOURCE6_LOW);
        let (six, low) = (slot::DESTINATION6, slot::DESTINATION6_LOW);
        flow.destination = self.address(has, slot::DESTINATION4, six, low);
        flow.source_port = self.get(slot::SOURCE_PORT) as u16;
        flow.destination_port = self.get(slot::DESTINATION_PORT) as u16;
        flow.protocol = self.get(slot::PROTOCOL) as u8;
        flow.tos = self.get(slot::TOS) as u8;
        flow.tcp_flags = self.get(slot::TCP_FLAGS) as u8;
        flow.input = self.get(slot::INPUT) as u32;
        flow.output = self.get(slot::OUTPUT) as u32;
        flow.source_as = self.get(slot::SOURCE_AS) as u32;
        flow.destination_as = self.get(slot::DESTINATION_AS) as u32;
        flow.bytes = self.get(slot::BYTES);
        flow.packets = self.get(slot::PACKETS);
        flow.span = self.span(has, clock);
        flow.direction = match (has.direction, self.get(slot::DIRECTION)) {
            (true, 0) => Some(Direction::Ingress),
            (true, 1) => Some(Direction::Egress),
            _ => None,
        };
        if flow.bytes == 0 {
            flow.bytes = self.get(slot::OUT_BYTES);
        }
        if flow.packets == 0 {
            flow.packets = self.get(slot::OUT_PACKETS);
        }
    }

    /// The flow, without its rate.
    #[inline]
    pub(crate) fn flow(&self, has: &Groups, clock: &Clock) -> Flow {
        let mut flow = Flow::default();
        self.plain(has, clock, &mut flow);
        if has.exporter {
            flow.exporter = self.exporter(has);
        }
        if has.icmp && flow.destination_port == 0 {
            flow.destination_port = self.get(slot::ICMP) as u16;
        }
        if let Some(packet) = self.inner() {
            flow.source = Some(packet.source);
            flow.destination = Some(packet.destination);
            flow.protocol = packet.protocol;
            (flow.source_port, flow.destination_port) = packet.ports;
            if flow.bytes == 0 {
                flow.bytes = u64::from(packet.bytes);
            }
        }
        if flow.bytes == 0 && !has.delta_bytes {
            use slot::{FRAME_BYTES, INITIATOR_BYTES, LAYER2_BYTES, TOTAL_BYTES};
            flow.bytes = self.either(&[TOTAL_BYTES, LAYER2_BYTES, INITIATOR_BYTES, FRAME_BYTES]);
        }
        if flow.packets == 0 && !has.delta_packets {
            flow.packets = self.either(&[slot::TOTAL_PACKETS, slot::INITIATOR_PACKETS]);
            if flow.packets == 0 && (self.frame.is_some() || self.packet.is_some()) {
                flow.packets = 1;
            }
        }
        flow
    }

    /// The exporter that it names (IE 130, 131).
    pub(crate) fn exporter(&self, has: &Groups) -> Option<IpAddr> {
        self.address(has, slot::EXPORTER4, slot::EXPORTER6, slot::EXPORTER6_LOW)
    }

    /// The observation domain that an options record is about (IE 149); 0 when it does not say.
    pub(crate) fn domain(&self) -> u32 {
        self.get(slot::DOMAIN) as u32
    }

    /// The flow back, where the exporter tells both in one record (RFC 5103, or counters of the responder).
    #[inline]
    pub(crate) fn back(&self, has: &Groups, flow: &Flow) -> Option<Flow> {
        if !has.reverse {
            return None;
        }
        self.reversed(has, flow)
    }

    fn reversed(&self, has: &Groups, flow: &Flow) -> Option<Flow> {
        // Responder's counters belong to initiator's; beside others they tell of the whole connection once more.
        let responder = |slot: u8| match has.delta_bytes {
            true => 0,
            false => self.get(slot),
        };
        let bytes = self
            .get(slot::REVERSE_BYTES)
            .max(responder(slot::RESPONDER_BYTES));
        let packets = self
            .get(slot::REVERSE_PACKETS)
            .max(responder(slot::RESPONDER_PACKETS));
        (bytes > 0 || packets > 0).then_some(Flow {
            source: flow.destination,
            destination: flow.source,
            source_port: flow.destination_port,
            destination_port: flow.source_port,
            source_as: flow.destination_as,
            destination_as: flow.source_as,
            input: flow.output,
            output: flow.input,
            bytes,
            packets,
            ..*flow
        })
    }

    fn inner(&self) -> Option<packet::Packet> {
        match (self.frame, self.packet) {
            (Some(frame), _) => packet::ethernet(frame),
            (None, Some(packet)) => packet::ip(packet),
            (None, None) => None,
        }
    }

    /// Exporters that use one template for both families leave the other one zero.
    #[inline]
    fn address(&self, has: &Groups, four: u8, high: u8, low: u8) -> Option<IpAddr> {
        if has.six {
            let (high, low) = (self.get(high), self.get(low));
            if high | low != 0 {
                let address = u128::from(high) << 64 | u128::from(low);
                return Some(IpAddr::V6(Ipv6Addr::from(address)));
            }
        }
        let four = self.get(four) as u32;
        (four != 0).then(|| IpAddr::V4(Ipv4Addr::from(four)))
    }

    /// How long before the export the flow began and ended; `None` where the record does not tell, or nonsense.
    #[inline]
    fn span(&self, has: &Groups, clock: &Clock) -> Option<Span> {
        // All in milliseconds before the export; negative is after it.
        let ago = |unix_ms: u64| (clock.export_ms as i64).wrapping_sub(unix_ms as i64);
        let (start, end) = match has.time {
            Time::None => return None,
            Time::Observed => {
                let at = ago(self.get(slot::OBSERVED_MS));
                (at, at)
            }
            Time::Seconds => {
                let (start, end) = (self.get(slot::START_S), self.get(slot::END_S));
                (ago(start.wrapping_mul(1_000)), ago(end.wrapping_mul(1_000)))
            }
            Time::Uptime => self.uptime(clock),
            Time::Ago => (
                (self.get(slot::START_AGO_US) / 1_000) as i64,
                (self.get(slot::END_AGO_US) / 1_000) as i64,
            ),
            Time::Ntp => {
                let unix_ms = |ntp: u64| {
                    let seconds = (ntp >> 32).wrapping_sub(NTP_EPOCH);
                    seconds.wrapping_mul(1_000) + (((ntp & 0xffff_ffff) * 1_000) >> 32)
                };
                (
                    ago(unix_ms(self.get(slot::START_NTP))),
                    ago(unix_ms(self.get(slot::END_NTP))),
                )
            }
            Time::Milliseconds => (ago(self.get(slot::START_MS)), ago(self.get(slot::END_MS))),
        };
        if has.duration {
            let duration = match (self.get(slot::DURATION_MS), self.get(slot::DURATION_US)) {
                (0, us) => us / 1_000,
                (ms, _) => ms,
            };
            if duration > 0 {
                return Some(Span::new(end.saturating_add_unsigned(duration), end));
            }
        }
        Some(Span::new(start, end))
    }

    /// By the uptime of the header; IPFIX has none, there it counts from when the exporter started, else from the end of the flow.
    fn uptime(&self, clock: &Clock) -> (i64, i64) {
        let (first, last) = (self.get(slot::FIRST) as u32, self.get(slot::LAST) as u32);
        // Uptimes wrap after 49.7 days, each for itself.
        let duration = i64::from(last.wrapping_sub(first).cast_signed()).max(0);
        let end = match (clock.uptime_ms, self.init_ms().or(clock.init_ms)) {
            (Some(uptime), _) => i64::from(uptime.wrapping_sub(last).cast_signed()),
            (None, Some(init)) => {
                let uptime = clock.export_ms.wrapping_sub(init) as u32;
                i64::from(uptime.wrapping_sub(last).cast_signed())
            }
            (None, None) => 0,
        };
        (end + duration, end)
    }
}
