//! A flow as goflow2 tells it: its `FlowMessage`, in protobuf, with its length before it.
//!
//! Field numbers: <https://github.com/netsampler/goflow2/blob/main/pb/flow.proto>. Counters are as measured, and `sampling_rate` says what they
//! stand for. Times are by our clock, so that an exporter whose clock is off tells of no other day.

use std::net::IpAddr;

use super::Exported;
use crate::decode::Protocol;

/// Appends a number as a varint.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field that is a number; zero is not told in proto3.
fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        varint(out, u64::from(field << 3));
        varint(out, value);
    }
}

fn address(out: &mut Vec<u8>, field: u32, address: IpAddr) {
    let mut bytes = |octets: &[u8]| {
        varint(out, u64::from(field << 3 | 2));
        varint(out, octets.len() as u64);
        out.extend_from_slice(octets);
    };
    match address {
        IpAddr::V4(address) => bytes(&address.octets()),
        IpAddr::V6(address) => bytes(&address.octets()),
    }
}

/// Appends the message, behind its length; `scratch` is reused memory.
pub fn append(out: &mut Vec<u8>, scratch: &mut Vec<u8>, told: &Exported) {
    scratch.clear();
    body(scratch, told);
    varint(out, scratch.len() as u64);
    out.extend_from_slice(scratch);
}

fn body(out: &mut Vec<u8>, told: &Exported) {
    let (flow, from) = (&told.flow, &told.from);
    let kind = match from.protocol {
        Protocol::Sflow => 1,
        Protocol::NetFlow5 => 2,
        Protocol::NetFlow9 => 3,
        Protocol::Ipfix => 4,
    };
    let (start, end) = told.times_ns();
    number(out, 1, kind);
    number(out, 3, u64::from(flow.rate.one_in));
    number(out, 4, u64::from(from.sequence));
    if let Some(source) = flow.source {
        address(out, 6, source);
    }
    if let Some(destination) = flow.destination {
        address(out, 7, destination);
    }
    number(out, 9, flow.bytes);
    number(out, 10, flow.packets);
    address(out, 11, from.exporter);
    number(out, 14, u64::from(told.systems.0));
    number(out, 15, u64::from(told.systems.1));
    number(out, 18, u64::from(flow.input));
    number(out, 19, u64::from(flow.output));
    number(out, 20, u64::from(flow.protocol));
    number(out, 21, u64::from(flow.source_port));
    number(out, 22, u64::from(flow.destination_port));
    number(out, 23, u64::from(flow.tos));
    number(out, 26, u64::from(flow.tcp_flags));
    let kind = match flow.source.or(flow.destination) {
        Some(IpAddr::V4(_)) => 0x0800,
        Some(IpAddr::V6(_)) => 0x86dd,
        None => 0,
    };
    number(out, 30, kind);
    if matches!(flow.protocol, 1 | 58) {
        number(out, 31, u64::from(flow.destination_port >> 8));
        number(out, 32, u64::from(flow.destination_port & 0xff));
    }
    number(out, 70, u64::from(from.domain));
    number(out, 110, from.received_ns);
    number(out, 111, start);
    number(out, 112, end);
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::super::tests::exported;
    use super::*;

    /// As goflow2's schema has it, read by prost.
    #[derive(Clone, PartialEq, prost::Message)]
    struct FlowMessage {
        #[prost(int32, tag = "1")]
        kind: i32,
        #[prost(uint64, tag = "3")]
        sampling_rate: u64,
        #[prost(uint32, tag = "4")]
        sequence_num: u32,
        #[prost(bytes = "vec", tag = "6")]
        src_addr: Vec<u8>,
        #[prost(bytes = "vec", tag = "7")]
        dst_addr: Vec<u8>,
        #[prost(uint64, tag = "9")]
        bytes: u64,
        #[prost(uint64, tag = "10")]
        packets: u64,
        #[prost(bytes = "vec", tag = "11")]
        sampler_address: Vec<u8>,
        #[prost(uint32, tag = "14")]
        src_as: u32,
        #[prost(uint32, tag = "15")]
        dst_as: u32,
        #[prost(uint32, tag = "18")]
        in_if: u32,
        #[prost(uint32, tag = "19")]
        out_if: u32,
        #[prost(uint32, tag = "20")]
        proto: u32,
        #[prost(uint32, tag = "21")]
        src_port: u32,
        #[prost(uint32, tag = "22")]
        dst_port: u32,
        #[prost(uint32, tag = "23")]
        ip_tos: u32,
        #[prost(uint32, tag = "26")]
        tcp_flags: u32,
        #[prost(uint32, tag = "30")]
        etype: u32,
        #[prost(uint32, tag = "31")]
        icmp_type: u32,
        #[prost(uint32, tag = "32")]
        icmp_code: u32,
        #[prost(uint32, tag = "70")]
        observation_domain_id: u32,
        #[prost(uint64, tag = "110")]
        time_received_ns: u64,
        #[prost(uint64, tag = "111")]
        time_flow_start_ns: u64,
        #[prost(uint64, tag = "112")]
        time_flow_end_ns: u64,
    }

    #[test]
    fn two_messages_one_behind_the_other_are_read_by_goflow2s_schema() {
        let (mut out, mut scratch) = (Vec::new(), Vec::new());
        let four = exported(1_500);
        let mut six = exported(u64::MAX);
        six.flow.source = Some("2001:db8::1".parse().unwrap());
        six.flow.protocol = 58;
        six.flow.destination_port = 128 << 8 | 3;
        six.from.protocol = Protocol::Sflow;
        append(&mut out, &mut scratch, &four);
        append(&mut out, &mut scratch, &six);
        let mut rest = &*out;
        let first = FlowMessage::decode_length_delimited(&mut rest).unwrap();
        let second = FlowMessage::decode_length_delimited(&mut rest).unwrap();
        assert!(rest.is_empty());
        let expected = FlowMessage {
            kind: 4,
            sampling_rate: 1,
            sequence_num: 42,
            src_addr: vec![198, 18, 0, 1],
            dst_addr: vec![198, 19, 0, 2],
            bytes: 1_500,
            packets: 3,
            sampler_address: vec![192, 0, 2, 1],
            src_as: 64_512,
            dst_as: 64_513,
            in_if: 4,
            out_if: 9,
            proto: 6,
            src_port: 50_000,
            dst_port: 443,
            ip_tos: 0,
            tcp_flags: 0x1b,
            etype: 0x0800,
            icmp_type: 0,
            icmp_code: 0,
            observation_domain_id: 7,
            time_received_ns: 1_700_000_000_000_000_000,
            time_flow_start_ns: 1_699_999_997_000_000_000,
            time_flow_end_ns: 1_699_999_999_000_000_000,
        };
        assert_eq!(first, expected);
        assert_eq!(
            (second.kind, second.etype, second.bytes),
            (1, 0x86dd, u64::MAX)
        );
        assert_eq!(
            (second.icmp_type, second.icmp_code, second.src_addr.len()),
            (128, 3, 16)
        );
    }
}
