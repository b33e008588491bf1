//! Records of a packet.

use netflow_parser::NetflowPacket;
use netflow_parser::variable_versions::{ipfix, v9};

/// How many it has; templates and options are none.
pub fn count(packet: &NetflowPacket) -> u64 {
    let records: usize = match std::hint::black_box(packet) {
        NetflowPacket::V5(packet) => packet.flowsets.len(),
        NetflowPacket::V9(packet) => packet
            .flowsets
            .iter()
            .map(|set| match &set.body {
                v9::FlowSetBody::Data(data) => data.fields.len(),
                _ => 0,
            })
            .sum(),
        NetflowPacket::IPFix(packet) => packet
            .flowsets
            .iter()
            .map(|set| match &set.body {
                ipfix::FlowSetBody::Data(data) => data.fields.len(),
                _ => 0,
            })
            .sum(),
        _ => 0,
    };
    records as u64
}
