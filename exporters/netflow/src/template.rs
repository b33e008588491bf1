//! A template, compiled once into the steps that take a record apart.
//!
//! Information elements: <https://www.iana.org/assignments/ipfix/ipfix.xhtml>; NetFlow v9 field types are the same numbers up to 127
//! (RFC 3954 section 8). A field that nothing here asks for costs nothing in a record of fixed length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::flow::{Direction, Flow};
use read::{Reader, number};

pub(crate) mod packet;
pub(crate) mod read;

/// Length that stands for "told in the record" (RFC 7011 section 7).
pub(crate) const VARIABLE: u16 = 65_535;
/// Enterprise number of reversed elements (RFC 5103).
const REVERSE: u32 = 29_305;

/// What a step puts into the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Skip,
    Bytes,
    Packets,
    OutBytes,
    OutPackets,
    TotalBytes,
    TotalPackets,
    ReverseBytes,
    ReversePackets,
    Protocol,
    SourcePort,
    DestinationPort,
    IcmpType,
    Source4,
    Destination4,
    Source6,
    Destination6,
    Input,
    Output,
    Direction,
    SamplerId,
    Interval,
    PacketInterval,
    PacketSpace,
    SampleSize,
    Population,
    Probability,
    Frame,
    FrameBytes,
    Packet,
}

impl Field {
    /// Of an information element; `enterprise` is 0 for those of IANA.
    pub(crate) fn of(element: u16, enterprise: u32) -> Self {
        match (enterprise, element) {
            (0, 1) => Self::Bytes,
            (0, 2) => Self::Packets,
            (0, 23) => Self::OutBytes,
            (0, 24) => Self::OutPackets,
            (0, 85) => Self::TotalBytes,
            (0, 86) => Self::TotalPackets,
            (REVERSE, 1) => Self::ReverseBytes,
            (REVERSE, 2) => Self::ReversePackets,
            (0, 4) => Self::Protocol,
            (0, 7) => Self::SourcePort,
            (0, 11) => Self::DestinationPort,
            (0, 32 | 139) => Self::IcmpType,
            (0, 8) => Self::Source4,
            (0, 12) => Self::Destination4,
            (0, 27) => Self::Source6,
            (0, 28) => Self::Destination6,
            (0, 10) => Self::Input,
            (0, 14) => Self::Output,
            (0, 61) => Self::Direction,
            (0, 48 | 302) => Self::SamplerId,
            (0, 34 | 50) => Self::Interval,
            (0, 305) => Self::PacketInterval,
            (0, 306) => Self::PacketSpace,
            (0, 309) => Self::SampleSize,
            (0, 310) => Self::Population,
            (0, 311) => Self::Probability,
            (0, 312) => Self::FrameBytes,
            (0, 313) => Self::Packet,
            (0, 315) => Self::Frame,
            _ => Self::Skip,
        }
    }

    /// Of a NetFlow v9 options scope (RFC 3954 section 6.1).
    pub(crate) fn of_v9_scope(kind: u16) -> Self {
        if kind == 2 { Self::Input } else { Self::Skip }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    field: Field,
    /// Octets, or [`VARIABLE`].
    length: u16,
    /// Octets from the start of the record, in a record of fixed length.
    offset: u16,
}

/// A compiled template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    steps: Vec<Step>,
    /// Octets of a record; with fields of variable length, the fewest it can have.
    length: usize,
    variable: bool,
    /// Its records are about the exporter, not flows.
    pub(crate) options: bool,
}

impl Template {
    /// Compiles fields in their order on the wire. A template whose records could be empty is none: a set of it would never end.
    pub(crate) fn new(
        fields: impl IntoIterator<Item = (Field, u16)>,
        options: bool,
    ) -> Option<Self> {
        let (mut steps, mut length, mut variable) = (Vec::new(), 0_usize, false);
        for (field, octets) in fields {
            steps.push(Step {
                field,
                length: octets,
                offset: u16::try_from(length).ok()?,
            });
            variable |= octets == VARIABLE;
            length += if octets == VARIABLE {
                1
            } else {
                usize::from(octets)
            };
        }
        if length == 0 || length > usize::from(u16::MAX) {
            return None;
        }
        if !variable {
            steps.retain(|step| step.field != Field::Skip && step.length > 0);
            steps.shrink_to_fit();
        }
        Some(Self {
            steps,
            length,
            variable,
            options,
        })
    }

    /// Octets that it holds, with its place in a table.
    pub(crate) fn bytes(&self) -> usize {
        self.steps.len() * std::mem::size_of::<Step>() + 128
    }

    /// Takes the records of a set apart; what is shorter than a record at its end is padding. Answers how many there were, or that one
    /// did not fit.
    pub(crate) fn records(&self, set: &[u8], mut each: impl FnMut(&Record)) -> (u32, bool) {
        let mut count = 0;
        if !self.variable {
            for bytes in set.chunks_exact(self.length) {
                let mut record = Record::default();
                for step in &self.steps {
                    let at = usize::from(step.offset);
                    record.put(step.field, &bytes[at..at + usize::from(step.length)]);
                }
                each(&record);
                count += 1;
            }
            return (count, true);
        }
        let mut reader = Reader(set);
        while reader.left() >= self.length {
            let Some(record) = self.walk(&mut reader) else {
                return (count, false);
            };
            each(&record);
            count += 1;
        }
        (count, true)
    }

    fn walk(&self, reader: &mut Reader<'_>) -> Option<Record> {
        let mut record = Record::default();
        for step in &self.steps {
            let length = match step.length {
                VARIABLE => match reader.u8()? {
                    255 => usize::from(reader.u16()?),
                    short => usize::from(short),
                },
                fixed => usize::from(fixed),
            };
            record.put(step.field, reader.take(length)?);
        }
        Some(record)
    }
}

/// What the fields of one record said; zero is unsaid.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Record {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    ports: (u16, u16),
    protocol: u8,
    pub(crate) input: u32,
    output: u32,
    direction: Option<Direction>,
    bytes: u64,
    packets: u64,
    out: (u64, u64),
    total: (u64, u64),
    reverse: (u64, u64),
    frame_bytes: u64,
    pub(crate) sampler: Option<u64>,
    interval: u64,
    packet_interval: u64,
    packet_space: u64,
    sample_size: u64,
    population: u64,
    probability: f64,
}

impl Record {
    fn put(&mut self, field: Field, bytes: &[u8]) {
        match field {
            Field::Skip => {}
            Field::Bytes => self.bytes = number(bytes),
            Field::Packets => self.packets = number(bytes),
            Field::OutBytes => self.out.0 = number(bytes),
            Field::OutPackets => self.out.1 = number(bytes),
            Field::TotalBytes => self.total.0 = number(bytes),
            Field::TotalPackets => self.total.1 = number(bytes),
            Field::ReverseBytes => self.reverse.0 = number(bytes),
            Field::ReversePackets => self.reverse.1 = number(bytes),
            Field::Protocol => self.protocol = number(bytes) as u8,
            Field::SourcePort => self.ports.0 = number(bytes) as u16,
            Field::DestinationPort => self.ports.1 = number(bytes) as u16,
            Field::IcmpType => {
                if self.ports.1 == 0 {
                    self.ports.1 = number(bytes) as u16;
                }
            }
            Field::Source4 => self.source = v4(bytes).or(self.source),
            Field::Destination4 => self.destination = v4(bytes).or(self.destination),
            Field::Source6 => self.source = v6(bytes).or(self.source),
            Field::Destination6 => self.destination = v6(bytes).or(self.destination),
            Field::Input => self.input = number(bytes) as u32,
            Field::Output => self.output = number(bytes) as u32,
            Field::Direction => {
                self.direction = match number(bytes) {
                    0 => Some(Direction::Ingress),
                    1 => Some(Direction::Egress),
                    _ => None,
                }
            }
            Field::SamplerId => self.sampler = Some(number(bytes)),
            Field::Interval => self.interval = number(bytes),
            Field::PacketInterval => self.packet_interval = number(bytes),
            Field::PacketSpace => self.packet_space = number(bytes),
            Field::SampleSize => self.sample_size = number(bytes),
            Field::Population => self.population = number(bytes),
            Field::Probability => self.probability = float(bytes),
            Field::FrameBytes => self.frame_bytes = number(bytes),
            Field::Frame => self.packet(packet::ethernet(bytes)),
            Field::Packet => self.packet(packet::ip(bytes)),
        }
    }

    fn packet(&mut self, packet: Option<packet::Packet>) {
        let Some(packet) = packet else { return };
        self.source = Some(packet.source);
        self.destination = Some(packet.destination);
        self.protocol = packet.protocol;
        self.ports = packet.ports;
        if self.bytes == 0 {
            self.bytes = u64::from(packet.bytes);
        }
        if self.packets == 0 {
            self.packets = 1;
        }
    }

    /// The rate that the record states, rounded to the nearest whole; `None` where it states none.
    pub(crate) fn rate(&self) -> Option<u32> {
        let ratio =
            |whole: u64, part: u64| (part > 0).then(|| (whole.saturating_add(part / 2)) / part);
        let rate = if self.interval > 0 {
            Some(self.interval)
        } else if self.packet_interval > 0 {
            ratio(
                self.packet_interval.saturating_add(self.packet_space),
                self.packet_interval,
            )
        } else if self.sample_size > 0 && self.population > 0 {
            ratio(self.population, self.sample_size)
        } else if self.probability > 0.0 && self.probability <= 1.0 {
            Some((1.0 / self.probability).round() as u64)
        } else {
            None
        };
        rate.and_then(|rate| u32::try_from(rate).ok())
            .filter(|rate| *rate > 0)
    }

    /// The flow, and the one back where the exporter tells both in one record (RFC 5103); rates are not known yet.
    pub(crate) fn flows(&self) -> (Flow, Option<Flow>) {
        let either = |first: u64, second: u64| if first > 0 { first } else { second };
        let bytes = either(
            self.bytes,
            either(self.out.0, either(self.total.0, self.frame_bytes)),
        );
        let flow = Flow {
            source: self.source,
            destination: self.destination,
            source_port: self.ports.0,
            destination_port: self.ports.1,
            protocol: self.protocol,
            input: self.input,
            output: self.output,
            direction: self.direction,
            bytes,
            packets: either(self.packets, either(self.out.1, self.total.1)),
            ..Flow::default()
        };
        let back = (self.reverse.1 > 0 || self.reverse.0 > 0).then_some(Flow {
            source: flow.destination,
            destination: flow.source,
            source_port: flow.destination_port,
            destination_port: flow.source_port,
            input: flow.output,
            output: flow.input,
            bytes: self.reverse.0,
            packets: self.reverse.1,
            ..flow
        });
        (flow, back)
    }
}

fn v4(bytes: &[u8]) -> Option<IpAddr> {
    let bytes: [u8; 4] = bytes.try_into().ok()?;
    // Exporters that use one template for both families leave the other one zero.
    (bytes != [0; 4]).then(|| IpAddr::V4(Ipv4Addr::from(bytes)))
}

fn v6(bytes: &[u8]) -> Option<IpAddr> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    (bytes != [0; 16]).then(|| IpAddr::V6(Ipv6Addr::from(bytes)))
}

fn float(bytes: &[u8]) -> f64 {
    if let Ok(eight) = <[u8; 8]>::try_from(bytes) {
        f64::from_be_bytes(eight)
    } else if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        f64::from(f32::from_be_bytes(four))
    } else {
        0.0
    }
}
