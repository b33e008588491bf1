//! NetFlow v5.

use super::*;

#[test]
fn netflow_5_is_read_by_its_fixed_places() {
    let record = Bytes::default()
        .bytes(&[198, 18, 0, 1, 198, 19, 0, 2, 0, 0, 0, 0])
        .u16(4)
        .u16(9)
        .u32(3)
        .u32(1_500)
        .u32(100)
        .u32(200)
        .u16(50_000)
        .u16(443)
        .bytes(&[0, 0x1b, 6, 0])
        .u16(64_512)
        .u16(64_513)
        .bytes(&[24, 24, 0, 0]);
    let head = Bytes::default()
        .u16(5)
        .u16(1)
        .u32(5_000)
        .u32(1_700_000_000)
        .u32(0)
        .u32(42)
        .u16(0x0102);
    let datagram = head.clone().u16(0x4000 | 100).bytes(&record.0).0;
    let (flows, head_read, told, malformed) = read_all(&mut Session::default(), &datagram);
    let expected = Flow {
        rate: crate::flow::Rate {
            one_in: 100,
            origin: Origin::Header,
        },
        tcp_flags: 0x1b,
        source_as: 64_512,
        destination_as: 64_513,
        // The header is of uptime 5,000.
        span: Some(Span::new(4_900, 4_800)),
        ..flow(1_500)
    };
    assert_eq!(flows, [expected]);
    assert_eq!((told.flows, malformed), (1, None));
    let head_read = head_read.unwrap();
    assert_eq!(
        (head_read.sequence, head_read.units, head_read.domain),
        (42, Some(1), 0x0102)
    );
    assert_eq!(session(&datagram), Ok((Protocol::NetFlow5, 0x0102)));
    assert_eq!(number(&datagram), Some(42));
}

#[test]
fn netflow_5_that_counts_more_than_it_holds_gives_no_record() {
    let datagram = Bytes::default()
        .u16(5)
        .u16(30)
        .u32(0)
        .u32(0)
        .u32(0)
        .u32(0)
        .u16(0)
        .u16(0)
        .bytes(&[0; 48])
        .0;
    let (flows, _, _, malformed) = read_all(&mut Session::default(), &datagram);
    assert_eq!((flows.len(), malformed), (0, Some(Malformed::Count)));
}
