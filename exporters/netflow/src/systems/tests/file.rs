//! A file in MaxMind's format, as small as it can be.

use std::collections::HashMap;
use std::net::IpAddr;

/// Writes a file of these networks: address, length of the prefix, and the system.
pub(crate) fn file(version: u8, bits: usize, networks: &[(&str, u32, u32)]) -> Vec<u8> {
    // Nodes with two records each: a node, nothing, or data.
    let mut nodes: Vec<[Target; 2]> = vec![[Target::Nothing; 2]];
    for (address, length, system) in networks {
        let (value, width) = match address.parse::<IpAddr>().unwrap() {
            IpAddr::V4(address) if version == 4 => (u128::from(u32::from(address)) << 96, *length),
            IpAddr::V4(address) => (u128::from(u32::from(address)), 96 + length),
            IpAddr::V6(address) => (u128::from(address), *length),
        };
        let mut node = 0;
        for depth in 0..width {
            let right = (value >> (127 - depth) & 1) as usize;
            if depth + 1 == width {
                nodes[node][right] = Target::Data(*system);
                break;
            }
            node = match nodes[node][right] {
                Target::Node(next) => next,
                other => {
                    nodes.push([other; 2]);
                    let next = nodes.len() - 1;
                    nodes[node][right] = Target::Node(next);
                    next
                }
            };
        }
    }
    let (mut data, mut places) = (Vec::new(), HashMap::new());
    let mut out = Vec::new();
    for node in &nodes {
        let record = |target: Target| match target {
            Target::Node(next) => next,
            Target::Nothing => nodes.len(),
            Target::Data(system) => {
                let at = *places.entry(system).or_insert_with(|| {
                    let at = data.len();
                    // {"autonomous_system_organization": "x", "autonomous_system_number": SYSTEM}, the text first, to be skipped.
                    data.push(0xe2);
                    data.extend([0x5d, 1]);
                    data.extend(b"autonomous_system_organization");
                    data.extend([0x41, b'x', 0x58]);
                    data.extend(b"autonomous_system_number");
                    data.push(0xc4);
                    data.extend(system.to_be_bytes());
                    at
                });
                nodes.len() + 16 + at
            }
        };
        let records = node.map(record);
        let pair = records.map(|record| u32::try_from(record).unwrap().to_be_bytes());
        match bits {
            24 => out.extend([&pair[0][1..], &pair[1][1..]].concat()),
            28 => {
                let middle = pair[0][0] << 4 | pair[1][0];
                out.extend([&pair[0][1..], &[middle], &pair[1][1..]].concat());
            }
            _ => out.extend(pair.concat()),
        }
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    out.push(0xe3);
    for (key, value) in [
        ("node_count", nodes.len()),
        ("record_size", bits),
        ("ip_version", version.into()),
    ] {
        out.push(0x40 | u8::try_from(key.len()).unwrap());
        out.extend(key.as_bytes());
        out.push(0xc4);
        out.extend(u32::try_from(value).unwrap().to_be_bytes());
    }
    out
}

#[derive(Clone, Copy)]
enum Target {
    Nothing,
    Node(usize),
    Data(u32),
}
