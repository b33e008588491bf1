use super::*;

/// Writes a file of these networks: address, length of the prefix, and the system.
fn file(version: u8, bits: usize, networks: &[(&str, u32, u32)]) -> Vec<u8> {
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
                    data.extend(NUMBER);
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
    out.extend(MARKER);
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

#[test]
fn each_width_of_a_record_and_each_version_of_ip_is_read() {
    let four: &[(&str, u32, u32)] = &[
        ("198.18.0.0", 15, 64_500),
        ("198.18.7.0", 24, 64_501),
        ("203.0.113.0", 24, 64_502),
    ];
    let six = [four, &[("2001:db8::", 32, 64_503)]].concat();
    for bits in [24, 28, 32] {
        for (version, networks) in [(4, four), (6, &six)] {
            let systems = Systems::read(&file(version, bits, networks)).unwrap();
            for (address, system) in [
                ("198.17.255.255", 0),
                ("198.18.0.0", 64_500),
                ("198.18.7.9", 64_501),
                ("198.18.8.0", 64_500),
                ("198.19.255.255", 64_500),
                ("198.20.0.0", 0),
                ("203.0.113.255", 64_502),
                ("255.255.255.255", 0),
                ("0.0.0.0", 0),
            ] {
                assert_eq!(
                    systems.of(address.parse().unwrap()),
                    system,
                    "{address}, {bits} bits, version {version}"
                );
            }
            let expected = if version == 6 { 64_503 } else { 0 };
            assert_eq!(systems.of("2001:db8:ffff::1".parse().unwrap()), expected);
            assert_eq!(systems.of("2001:db9::".parse().unwrap()), 0);
        }
    }
}

#[test]
fn what_is_no_such_file_is_refused() {
    assert_eq!(Systems::read(b"").unwrap_err(), Wrong::Format);
    assert_eq!(Systems::read(&file(4, 24, &[])).unwrap_err(), Wrong::Empty);
    let whole = file(6, 28, &[("198.18.0.0", 15, 64_500)]);
    assert_eq!(
        Systems::read(&whole[whole.len() - 100..]).unwrap_err(),
        Wrong::Broken
    );
    // A tree that leads back to its root.
    let mut loops = file(4, 24, &[("198.18.0.0", 15, 64_500)]);
    loops[..6].fill(0);
    assert_eq!(Systems::read(&loops).unwrap_err(), Wrong::Broken);
}

proptest::proptest! {
    #[test]
    fn any_cut_and_any_flip_ends(cut in 0_usize..900, flips in proptest::collection::vec((0_usize..900, 0_u8..), 0..6)) {
        let mut bytes = file(6, 24, &[("198.18.0.0", 15, 64_500), ("2001:db8::", 32, 64_503)]);
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut / 3));
        let _ = Systems::read(&bytes);
    }
}
