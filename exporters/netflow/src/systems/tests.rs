use super::*;

mod file;

use file::file;

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

/// The system of an address by the tree itself, a bit at a time.
fn by_tree(file: &[u8], bits: u64, nodes: u64, address: u32) -> u32 {
    let tree = (nodes * bits / 4) as usize;
    let data = Data(&file[tree + 16..]);
    let walk = Walk {
        tree: &file[..tree],
        nodes,
        bits,
        data,
    };
    let mut node = 0;
    for bit in (0..32).rev() {
        if node < nodes {
            node = walk.record(node, address >> bit & 1 == 1).unwrap();
        }
    }
    let found = node.checked_sub(nodes + 16);
    let number = found.and_then(|at| data.find(at as usize, NUMBER, 0).unwrap());
    number.unwrap_or(0) as u32
}

/// A million addresses, most of them near the ends of networks, and each of them asked for while others have taken its place of the last ones.
#[test]
fn every_address_has_the_system_that_the_tree_says() {
    let mut random = 1_u64;
    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 32) as u32
    };
    let networks: Vec<(std::net::Ipv4Addr, u32, u32)> = (0..2_000)
        .map(|at| {
            let length = next() % 25 + 8;
            let first = next() & u32::MAX << (32 - length);
            (first.into(), length, 64_500 + at % 700)
        })
        .collect();
    let texts: Vec<(String, u32, u32)> = networks
        .iter()
        .map(|(first, length, system)| (first.to_string(), *length, *system))
        .collect();
    let list: Vec<(&str, u32, u32)> = texts
        .iter()
        .map(|(first, length, system)| (first.as_str(), *length, *system))
        .collect();
    let bytes = file(4, 28, &list);
    let at = bytes
        .windows(MARKER.len())
        .rposition(|window| window == MARKER);
    let about = Data(&bytes[at.unwrap() + MARKER.len()..]);
    let nodes = about.find(0, b"node_count", 0).unwrap().unwrap();
    let systems = Systems::read(&bytes).unwrap();
    let mut found = 0;
    for at in 0..1_000_000_u32 {
        let address = match at % 4 {
            0 => next(),
            1 => u32::from(networks[next() as usize % networks.len()].0),
            2 => u32::from(networks[next() as usize % networks.len()].0).wrapping_sub(1),
            _ => {
                let (first, length, _) = networks[next() as usize % networks.len()];
                u32::from(first) | u32::MAX.checked_shr(length).unwrap_or(0)
            }
        };
        let truth = by_tree(&bytes, 28, nodes, address);
        assert_eq!(
            systems.of(IpAddr::V4(address.into())),
            truth,
            "{address:#x}"
        );
        found += u32::from(truth > 0);
    }
    assert!((200_000..999_000).contains(&found), "{found}");
    assert_eq!(
        systems.of("0.0.0.0".parse().unwrap()),
        by_tree(&bytes, 28, nodes, 0)
    );
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
