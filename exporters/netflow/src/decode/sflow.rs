//! sFlow v5 (<https://sflow.org/sflow_version_5.txt>), taken apart by the crate `sflow-parser`; sampled headers are read by our own.

use std::net::IpAddr;

use sflow_parser::models::record_flows::{HeaderProtocol, SampledHeader};
use sflow_parser::models::{Address, FlowData, FlowRecord, SFlowDatagram, SampleData};

use super::{Counts, Head, Malformed};
use crate::flow::{Direction, Flow, Origin, Rate, Span};
use crate::template::packet::{self, Packet};

/// Interface values that name no interface: unknown, or the device itself.
const LOCAL: [u32; 2] = [0x3fff_ffff, 0xffff_ffff];

/// Reads a datagram; `each` gets one flow of one packet for every sampled packet.
pub(super) fn read(
    datagram: &[u8],
    each: &mut impl FnMut(&Flow),
) -> Result<(Head, Counts), Malformed> {
    let parsed = sflow_parser::parse_datagram(datagram).map_err(|_| Malformed::Sflow)?;
    let mut told = Counts::default();
    let agent = match parsed.agent_address {
        Address::IPv4(address) => Some(IpAddr::V4(address)),
        Address::IPv6(address) => Some(IpAddr::V6(address)),
        Address::Unknown => None,
    };
    for record in &parsed.samples {
        let sample = match &record.sample_data {
            SampleData::FlowSample(sample) => Sample {
                source: sample.source_id.index(),
                rate: sample.sampling_rate,
                input: interface(u32::from(sample.input.format()), sample.input.value()),
                output: interface(u32::from(sample.output.format()), sample.output.value()),
                records: &sample.flow_records,
            },
            SampleData::FlowSampleExpanded(sample) => Sample {
                source: sample.source_id.source_id_index,
                rate: sample.sampling_rate,
                input: interface(sample.input.format, sample.input.value),
                output: interface(sample.output.format, sample.output.value),
                records: &sample.flow_records,
            },
            SampleData::CountersSample(_) | SampleData::CountersSampleExpanded(_) => {
                told.counter_samples += 1;
                continue;
            }
            _ => continue,
        };
        match sample.flow() {
            Some(flow) => {
                told.flows += 1;
                each(&Flow {
                    exporter: agent,
                    ..flow
                });
            }
            None => told.cut_records += 1,
        }
    }
    Ok((head(&parsed), told))
}

fn head(parsed: &SFlowDatagram) -> Head {
    Head {
        version: 0,
        domain: parsed.sub_agent_id,
        sequence: parsed.sequence_number,
        export_seconds: None,
        uptime_ms: Some(parsed.uptime),
        units: Some(1),
    }
}

/// The ifIndex; 0 for packets that were dropped, went to many interfaces, or began or ended in the device.
fn interface(format: u32, value: u32) -> u32 {
    if format == 0 && !LOCAL.contains(&value) {
        value
    } else {
        0
    }
}

struct Sample<'a> {
    source: u32,
    rate: u32,
    input: u32,
    output: u32,
    records: &'a [FlowRecord],
}

impl Sample<'_> {
    /// The flow of one packet; `None` when no record tells what it was.
    fn flow(&self) -> Option<Flow> {
        let mut bare = None;
        let mut told = None;
        let mut systems = (0, 0);
        for record in self.records {
            match &record.flow_data {
                FlowData::SampledHeader(header) => {
                    told = told.or_else(|| sampled(header));
                    bare = bare.or(Some(header.frame_length));
                }
                FlowData::SampledIpv4(ip) => {
                    told = told.or(Some(Packet {
                        source: ip.src_ip.into(),
                        destination: ip.dst_ip.into(),
                        protocol: ip.protocol as u8,
                        ports: (ip.src_port as u16, ip.dst_port as u16),
                        bytes: ip.length,
                    }));
                }
                FlowData::SampledIpv6(ip) => {
                    told = told.or(Some(Packet {
                        source: ip.src_ip.into(),
                        destination: ip.dst_ip.into(),
                        protocol: ip.protocol as u8,
                        ports: (ip.src_port as u16, ip.dst_port as u16),
                        bytes: ip.length,
                    }));
                }
                FlowData::SampledEthernet(frame) => bare = bare.or(Some(frame.length)),
                FlowData::ExtendedGateway(gateway) => {
                    let path = gateway
                        .dst_as_path
                        .last()
                        .and_then(|segment| segment.path.last());
                    // The path is that to the destination; one of our own has none.
                    systems = (gateway.src_as, path.copied().unwrap_or(gateway.as_number));
                }
                _ => {}
            }
        }
        let direction = match self.source {
            0 => None,
            source if source == self.input => Some(Direction::Ingress),
            source if source == self.output => Some(Direction::Egress),
            _ => None,
        };
        let flow = Flow {
            input: self.input,
            output: self.output,
            direction,
            source_as: systems.0,
            destination_as: systems.1,
            span: Some(Span::default()),
            packets: 1,
            rate: Rate {
                one_in: self.rate.max(1),
                origin: Origin::Record,
            },
            ..Flow::default()
        };
        match (told, bare) {
            (Some(packet), _) => Some(Flow {
                source: Some(packet.source),
                destination: Some(packet.destination),
                source_port: packet.ports.0,
                destination_port: packet.ports.1,
                protocol: packet.protocol,
                bytes: u64::from(packet.bytes),
                ..flow
            }),
            // Not IP: the frame without its Ethernet header.
            (None, Some(length)) => Some(Flow {
                bytes: u64::from(length.saturating_sub(14)),
                ..flow
            }),
            (None, None) => None,
        }
    }
}

fn sampled(header: &SampledHeader) -> Option<Packet> {
    match header.protocol {
        HeaderProtocol::EthernetIso88023 => packet::ethernet(&header.header),
        HeaderProtocol::Ipv4 | HeaderProtocol::Ipv6 => packet::ip(&header.header),
        _ => None,
    }
}
