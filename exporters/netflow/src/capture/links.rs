//! Every kind of link that captures of flows come with: the same datagram behind the header of each.

use super::*;

/// An IP packet with "flow" from port 5000 to 2055.
fn packet(six: bool) -> Vec<u8> {
    let udp = [0x13, 0x88, 8, 7, 0, 12, 0, 0, b'f', b'l', b'o', b'w'];
    let mut out = if six {
        let mut out = vec![0x60, 0, 0, 0, 0, 12, 17, 64];
        out.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        out.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        out
    } else {
        // With an option, so that its header is longer than usual.
        let mut out = vec![0x46, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0];
        out.extend([198, 18, 0, 1, 198, 18, 0, 2, 1, 1, 1, 0]);
        out
    };
    out.extend(udp);
    out
}

fn file(link: u32, frame: &[u8]) -> Vec<u8> {
    let length = frame.len() as u32;
    let numbers = [
        0xa1b2_c3d4,
        0x0002_0004,
        0,
        0,
        65_535,
        link,
        1_700_000_000,
        0,
        length,
        length,
    ];
    let mut out: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
    out.extend(frame);
    out
}

#[test]
fn a_datagram_is_found_behind_the_header_of_every_kind_of_link() {
    for six in [false, true] {
        let kind: [u8; 2] = if six { [0x86, 0xdd] } else { [8, 0] };
        let ip = packet(six);
        let behind = |head: &[&[u8]]| [head.concat(), ip.clone()].concat();
        let family: u8 = if six { 30 } else { 2 };
        let frames: [(u32, &str, Vec<u8>); 13] = [
            (1, "Ethernet", behind(&[&[0; 12], &kind])),
            (
                1,
                "with a VLAN",
                behind(&[&[0; 12], &[0x81, 0, 0, 7], &kind]),
            ),
            (
                1,
                "with two",
                behind(&[&[0; 12], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8], &kind]),
            ),
            (113, "Linux cooked", behind(&[&[0; 14], &kind])),
            (
                113,
                "with a VLAN",
                behind(&[&[0; 14], &[0x81, 0, 0, 7], &kind]),
            ),
            (276, "Linux cooked, version 2", behind(&[&kind, &[0; 18]])),
            (0, "BSD loopback", behind(&[&[family, 0, 0, 0]])),
            (108, "OpenBSD loopback", behind(&[&[0, 0, 0, family]])),
            (12, "raw", ip.clone()),
            (14, "raw, of OpenBSD", ip.clone()),
            (101, "raw", ip.clone()),
            (if six { 229 } else { 228 }, "IPv4 or IPv6", ip.clone()),
            (
                1,
                "padded",
                [behind(&[&[0; 12], &kind]), vec![0; 9]].concat(),
            ),
        ];
        for (link, name, frame) in frames {
            let mut seen = Vec::new();
            let bytes = file(link, &frame);
            let held = datagrams(&bytes, |datagram| {
                seen.push((datagram.from, datagram.to.port(), datagram.payload.to_vec()));
            });
            let from = if six {
                "[2001:db8::1]:5000"
            } else {
                "198.18.0.1:5000"
            };
            let expected = [(from.parse().unwrap(), 2_055, b"flow".to_vec())];
            assert_eq!(seen, expected, "{link} {name}, IPv6: {six}");
            assert_eq!(held.unwrap().others, 0);
        }
        // A kind that is not known, and one that is another protocol.
        for (link, frame) in [(105, ip.clone()), (1, behind(&[&[0; 12], &[8, 6]]))] {
            let held = datagrams(&file(link, &frame), |_| panic!("no datagram"));
            assert_eq!(held.unwrap().others, 1);
        }
    }
}
