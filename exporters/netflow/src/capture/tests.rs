use super::*;

fn frame(payload: &[u8], tagged: bool) -> Vec<u8> {
    let mut out = vec![0; 12];
    if tagged {
        out.extend([0x81, 0, 0, 7]);
    }
    let length = u8::try_from(28 + payload.len()).unwrap();
    out.extend([8, 0, 0x45, 0, 0, length, 0, 0, 0, 0, 64, 17, 0, 0]);
    out.extend([
        198,
        18,
        0,
        1,
        198,
        18,
        0,
        2,
        0x13,
        0x88,
        8,
        7,
        0,
        length - 20,
        0,
        0,
    ]);
    out.extend(payload);
    out
}

fn number(value: u32, big: bool) -> [u8; 4] {
    if big {
        value.to_be_bytes()
    } else {
        value.to_le_bytes()
    }
}

fn pcap_of(frames: &[Vec<u8>], big: bool) -> Vec<u8> {
    let numbers = |values: &[u32]| {
        values
            .iter()
            .flat_map(|value| number(*value, big))
            .collect::<Vec<_>>()
    };
    let mut out = numbers(&[0xa1b2_c3d4, 0, 0, 0, 65_535, 1]);
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        out.extend(numbers(&[1_700_000_000, 250_000, length, length]));
        out.extend(frame);
    }
    out
}

fn pcapng_of(frames: &[Vec<u8>], big: bool) -> Vec<u8> {
    let numbers = |values: &[u32]| {
        values
            .iter()
            .flat_map(|value| number(*value, big))
            .collect::<Vec<_>>()
    };
    let block = |kind: u32, mut body: Vec<u8>| {
        body.resize(body.len().next_multiple_of(4), 0);
        let length = u32::try_from(body.len() + 12).unwrap();
        [numbers(&[kind, length]), body, numbers(&[length])].concat()
    };
    let half = |value: u16| {
        if big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let mut out = block(0x0a0d_0d0a, numbers(&[0x1a2b_3c4d, 0, u32::MAX, u32::MAX]));
    // Ethernet, nanoseconds.
    let options = [half(9), half(1), [9, 0], [0, 0], half(0), half(0)].concat();
    out.extend(block(
        1,
        [half(1).to_vec(), vec![0, 0, 0, 0, 0, 0], options].concat(),
    ));
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        let time = 1_700_000_000_250_000_000_u64;
        let mut body = numbers(&[0, (time >> 32) as u32, time as u32, length, length]);
        body.extend(frame);
        out.extend(block(6, body));
    }
    out
}

#[test]
fn both_formats_in_both_orders_give_the_same_datagrams() {
    let frames = [frame(b"one", false), frame(b"second", true), vec![0; 60]];
    for big in [false, true] {
        for file in [pcap_of(&frames, big), pcapng_of(&frames, big)] {
            let mut seen = Vec::new();
            let held = datagrams(&file, |datagram| seen.push(datagram)).unwrap();
            let payloads: Vec<_> = seen.iter().map(|datagram| datagram.payload).collect();
            assert_eq!(payloads, [&b"one"[..], b"second"], "big endian: {big}");
            assert_eq!(seen[0].from, "198.18.0.1:5000".parse().unwrap());
            assert_eq!(seen[0].to, "198.18.0.2:2055".parse().unwrap());
            assert!((seen[0].unix_seconds - 1_700_000_000.25).abs() < 1e-3);
            assert_eq!((held.frames, held.others, held.cut), (3, 1, false));
        }
    }
}

#[test]
fn fragments_and_frames_captured_in_part_are_counted() {
    let mut fragment = frame(b"one", false);
    fragment[20] = 0x20;
    let mut short = frame(b"second", false);
    short.pop();
    let held = datagrams(&pcap_of(&[fragment, short], true), |_| {
        panic!("no whole datagram")
    })
    .unwrap();
    assert_eq!((held.frames, held.parts), (2, 2));
}

proptest::proptest! {
    #[test]
    fn any_cut_and_any_flip_ends(cut in 0_usize..300, flips in proptest::collection::vec((0_usize..300, 0_u8..), 0..8), ng: bool) {
        let frames = [frame(b"one", false), frame(b"second", true)];
        let mut file = if ng { pcapng_of(&frames, false) } else { pcap_of(&frames, false) };
        for (at, value) in flips {
            if let Some(byte) = file.get_mut(at) {
                *byte = value;
            }
        }
        file.truncate(cut.max(4));
        let _ = datagrams(&file, |_| {});
    }
}
