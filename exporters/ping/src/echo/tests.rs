use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TOKEN: Token = *b"\x01token\x02\x03";

fn tags() -> impl Strategy<Value = Tag> {
    (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(target, generation, sequence)| Tag {
        target,
        generation,
        sequence,
    })
}

fn families() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::V4), Just(Family::V6)]
}

/// What a host makes of a request: the type of a reply, the rest unchanged.
fn reply_to(family: Family, mode: Mode, request: &[u8], options: usize) -> Vec<u8> {
    let mut message = request.to_vec();
    message[0] = match family {
        Family::V4 => 0,
        Family::V6 => 129,
    };
    if (family, mode) == (Family::V4, Mode::Raw) {
        let header = 20 + 4 * options;
        let mut packet = vec![0; header];
        packet[0] = 0x40 | (header / 4) as u8;
        let total = (header + message.len()) as u16;
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[8..10].copy_from_slice(&[64, 1]);
        packet.extend_from_slice(&message);
        return packet;
    }
    message
}

proptest! {
    #[test]
    fn a_reply_names_its_request(
        family in families(),
        raw: bool,
        options in 0_usize..=10,
        tag in tags(),
        size in TAG_BYTES..2000,
    ) {
        let mode = if raw { Mode::Raw } else { Mode::Unprivileged };
        let mut request = Vec::new();
        encode_request(&mut request, family, 7, TOKEN, tag, size);
        prop_assert_eq!(request.len(), HEADER_BYTES + size);
        let bytes = reply_to(family, mode, &request, options);
        let reply = decode_reply(family, mode, &bytes).unwrap();
        prop_assert_eq!(reply.sequence, tag.sequence as u16);
        prop_assert_eq!(decode_tag(TOKEN, reply.payload), Some(tag));
        prop_assert!(is_whole(reply.payload, size));
    }

    #[test]
    fn a_changed_or_cut_filler_is_seen(tag in tags(), size in TAG_BYTES + 1..200, at: prop::sample::Index, flip in 1_u8..) {
        let mut request = Vec::new();
        encode_request(&mut request, Family::V4, 7, TOKEN, tag, size);
        let payload = &mut request[HEADER_BYTES..];
        prop_assert!(!is_whole(&payload[..size - 1], size));
        let at = TAG_BYTES + at.index(size - TAG_BYTES);
        payload[at] ^= flip;
        prop_assert!(!is_whole(payload, size));
    }

    #[test]
    fn the_checksum_of_a_request_is_right(tag in tags(), size in TAG_BYTES..200) {
        let mut request = Vec::new();
        encode_request(&mut request, Family::V4, 7, TOKEN, tag, size);
        prop_assert_eq!(checksum(&request), 0);
    }

    #[test]
    fn a_looped_packet_is_found_behind_any_headers(tag in tags(), headers in vec(any::<u8>(), 0..=150)) {
        let mut packet = headers;
        encode_request(&mut packet, Family::V4, 7, TOKEN, tag, 56);
        prop_assert_eq!(find_tag(TOKEN, &packet).map(|found| found.1), Some(tag));
    }

    #[test]
    fn a_quote_names_its_request_as_far_as_it_goes(family in families(), tag in tags(), kept in 0_usize..64) {
        let mut request = Vec::new();
        encode_request(&mut request, family, 7, TOKEN, tag, 56);
        let quote = decode_quote(family, TOKEN, &request[..kept]);
        if kept < HEADER_BYTES {
            prop_assert_eq!(quote, None);
        } else {
            let whole = kept >= HEADER_BYTES + TAG_BYTES;
            let expected = Quote { identifier: 7, sequence: tag.sequence as u16, tag: whole.then_some(tag) };
            prop_assert_eq!(quote, Some(expected));
        }
    }

    #[test]
    fn any_bytes_decode_or_do_not(family in families(), raw: bool, bytes in vec(any::<u8>(), 0..200)) {
        let mode = if raw { Mode::Raw } else { Mode::Unprivileged };
        let _ = decode_reply(family, mode, &bytes);
        let _ = decode_quote(family, TOKEN, &bytes);
        prop_assert_eq!(find_tag(TOKEN, &bytes), None);
    }

    /// Bytes that begin like real messages reach deeper than random ones.
    #[test]
    fn nearly_right_bytes_decode_or_do_not(
        family in families(),
        raw: bool,
        kind in prop_oneof![Just(0_u8), Just(3), Just(11), Just(1), Just(129), Just(128), Just(8)],
        first in 0x40_u8..=0x6f,
        bytes in vec(any::<u8>(), 0..120),
    ) {
        let mode = if raw { Mode::Raw } else { Mode::Unprivileged };
        let mut packet = bytes;
        if let Some(byte) = packet.first_mut() {
            *byte = if (family, mode) == (Family::V4, Mode::Raw) { first } else { kind };
        }
        if let Some(byte) = packet.get_mut(usize::from(first & 0xf) * 4) {
            *byte = kind;
        }
        let _ = decode_reply(family, mode, &packet);
    }
}

#[test]
fn an_echo_request_or_an_error_is_no_reply() {
    let tag = Tag {
        target: 1,
        generation: 1,
        sequence: 1,
    };
    for family in [Family::V4, Family::V6] {
        let mut request = Vec::new();
        encode_request(&mut request, family, 7, TOKEN, tag, 56);
        assert_eq!(decode_reply(family, Mode::Unprivileged, &request), None);
        let unreachable = match family {
            Family::V4 => 3,
            Family::V6 => 1,
        };
        request[0] = unreachable;
        assert_eq!(decode_reply(family, Mode::Unprivileged, &request), None);
    }
}

#[test]
fn another_token_is_not_ours() {
    let tag = Tag {
        target: 1,
        generation: 1,
        sequence: 1,
    };
    let mut request = Vec::new();
    encode_request(&mut request, Family::V4, 7, *b"stranger", tag, 56);
    assert_eq!(decode_tag(TOKEN, &request[HEADER_BYTES..]), None);
    assert_eq!(find_tag(TOKEN, &request), None);
    let quote = decode_quote(Family::V4, TOKEN, &request).unwrap();
    assert_eq!(quote.tag, None);
}
