use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::address::{ADDRESS_BYTES, encode};

fn entry_bytes(origin: u8, kind: u8, code: u8, offender: Option<IpAddr>) -> Vec<u8> {
    let mut bytes = 113_u32.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&[origin, kind, code, 0]);
    bytes.extend_from_slice(&1400_u32.to_ne_bytes());
    bytes.extend_from_slice(&7_u32.to_ne_bytes());
    let mut address = [0; ADDRESS_BYTES];
    if let Some(ip) = offender {
        encode((ip, 0).into(), &mut address);
    }
    bytes.extend_from_slice(&address);
    bytes
}

fn timespecs(first: (i64, i64)) -> Vec<u8> {
    let values = [first.0, first.1, 0, 0, 0, 0];
    values
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect()
}

#[test]
fn a_reply_with_everything() {
    let mut bytes = Vec::new();
    append(
        &mut bytes,
        libc::SOL_SOCKET,
        libc::SCM_TIMESTAMPING,
        &timespecs((3, 5)),
    );
    append(
        &mut bytes,
        libc::IPPROTO_IP,
        libc::IP_TTL,
        &61_i32.to_ne_bytes(),
    );
    append(&mut bytes, libc::IPPROTO_IP, libc::IP_TOS, &[0xb8]);
    append(
        &mut bytes,
        libc::SOL_SOCKET,
        libc::SO_RXQ_OVFL,
        &9_u32.to_ne_bytes(),
    );
    append(&mut bytes, libc::SOL_SOCKET, 9999, b"unknown");
    let expected = Control {
        stamp: Some(UnixNanos(3_000_000_005)),
        hop_limit: Some(61),
        traffic_class: Some(0xb8),
        dropped: Some(9),
        entry: None,
    };
    assert_eq!(Control::decode(&bytes), expected);
}

#[test]
fn an_error_of_a_router() {
    let router = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 254));
    let mut bytes = Vec::new();
    let data = entry_bytes(libc::SO_EE_ORIGIN_ICMP, 3, 1, Some(router));
    append(&mut bytes, libc::IPPROTO_IP, libc::IP_RECVERR, &data);
    let expected = QueueEntry {
        errno: 113,
        origin: Origin::Icmp,
        kind: 3,
        code: 1,
        info: 1400,
        data: 7,
        offender: Some(router),
    };
    assert_eq!(Control::decode(&bytes).entry, Some(expected));
}

#[test]
fn an_entry_without_an_offender() {
    let data = entry_bytes(libc::SO_EE_ORIGIN_TIMESTAMPING, 0, 0, None);
    let entry = QueueEntry::decode(&data).unwrap();
    assert_eq!((entry.origin, entry.offender), (Origin::Timestamp, None));
}

#[test]
fn a_zero_or_impossible_stamp_is_none() {
    for first in [(0, 0), (-1, 5), (1, -5), (1, 1_000_000_000), (i64::MAX, 0)] {
        let mut bytes = Vec::new();
        append(
            &mut bytes,
            libc::SOL_SOCKET,
            libc::SCM_TIMESTAMPING,
            &timespecs(first),
        );
        assert_eq!(Control::decode(&bytes).stamp, None, "{first:?}");
    }
}

proptest! {
    #[test]
    fn what_is_appended_is_walked(
        messages in vec((any::<i32>(), any::<i32>(), vec(any::<u8>(), 0..40)), 0..8)
    ) {
        let mut bytes = Vec::new();
        for (level, kind, data) in &messages {
            append(&mut bytes, *level, *kind, data);
        }
        let walked: Vec<_> =
            items(&bytes).map(|item| (item.level, item.kind, item.data.to_vec())).collect();
        prop_assert_eq!(walked, messages);
    }

    #[test]
    fn a_cut_buffer_gives_a_prefix(
        messages in vec((any::<i32>(), any::<i32>(), vec(any::<u8>(), 0..40)), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        for (level, kind, data) in &messages {
            append(&mut bytes, *level, *kind, data);
        }
        let kept = cut.index(bytes.len());
        let whole: Vec<_> = items(&bytes).collect();
        let part: Vec<_> = items(&bytes[..kept]).collect();
        prop_assert!(part.len() <= whole.len());
        prop_assert_eq!(&part[..], &whole[..part.len()]);
    }

    #[test]
    fn any_bytes_are_walked_to_an_end(bytes in vec(any::<u8>(), 0..512)) {
        prop_assert!(items(&bytes).count() <= bytes.len() / HEADER);
        let _ = Control::decode(&bytes);
        let _ = QueueEntry::decode(&bytes);
    }

    /// Small lengths find the seams that random eight-byte lengths hardly ever hit.
    #[test]
    fn a_wrong_length_never_escapes(length in 0_usize..80, fill in vec(any::<u8>(), 0..64)) {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&fill);
        for item in items(&bytes) {
            prop_assert!(item.data.len() + HEADER <= bytes.len());
        }
        let _ = Control::decode(&bytes);
    }
}

#[test]
fn what_a_request_asks_for_is_laid_out_for_its_family() {
    let of = |outgoing: Outgoing, family| {
        let mut bytes = Vec::new();
        outgoing.append(&mut bytes, family);
        items(&bytes)
            .map(|item| (item.kind, item.data.to_vec()))
            .collect::<Vec<_>>()
    };
    assert!(of(Outgoing::default(), Family::V4).is_empty());
    let v4 = Outgoing {
        hop_limit: Some(9),
        traffic_class: Some(184),
        source: Some([198, 18, 0, 7].into()),
        interface: 3,
        mark: Some(7),
    };
    let info = [&3_u32.to_ne_bytes()[..], &[198, 18, 0, 7], &[0; 4]].concat();
    assert_eq!(
        of(v4, Family::V4),
        [
            (libc::IP_TTL, 9_i32.to_ne_bytes().to_vec()),
            (libc::IP_TOS, 184_i32.to_ne_bytes().to_vec()),
            (libc::SO_MARK, 7_u32.to_ne_bytes().to_vec()),
            (libc::IP_PKTINFO, info),
        ]
    );
    let source: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
    let v6 = Outgoing {
        source: Some(source.into()),
        interface: 3,
        ..Outgoing::default()
    };
    let info = [&source.octets()[..], &3_u32.to_ne_bytes()].concat();
    assert_eq!(of(v6, Family::V6), [(libc::IPV6_PKTINFO, info)]);
}
