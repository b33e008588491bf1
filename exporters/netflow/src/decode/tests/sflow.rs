//! sFlow v5.

use super::*;

#[test]
fn an_sflow_sample_is_a_flow_of_one_packet_with_its_rate() {
    let ip = Bytes::default()
        .u8(0x45)
        .u8(0)
        .u16(1_486)
        .u32(0)
        .bytes(&[64, 6, 0, 0])
        .bytes(&[198, 18, 0, 1, 198, 19, 0, 2])
        .u16(50_000)
        .u16(443);
    let frame = Bytes::default()
        .bytes(&[0; 12])
        .u16(0x0800)
        .bytes(&ip.0)
        .bytes(&[0; 2]);
    let header = Bytes::default()
        .u32(1)
        .u32(1_504)
        .u32(4)
        .u32(u32::try_from(frame.0.len()).unwrap())
        .bytes(&frame.0);
    let records = Bytes::default()
        .u32(1)
        .u32(1)
        .u32(u32::try_from(header.0.len()).unwrap())
        .bytes(&header.0);
    let sample = Bytes::default()
        .u32(1)
        .u32(4)
        .u32(512)
        .u32(1_024)
        .u32(0)
        .u32(4)
        .u32(9)
        .bytes(&records.0);
    let datagram = Bytes::default()
        .u32(5)
        .u32(1)
        .bytes(&[198, 18, 9, 9])
        .u32(0)
        .u32(77)
        .u32(5_000)
        .u32(1)
        .u32(1)
        .u32(u32::try_from(sample.0.len()).unwrap())
        .bytes(&sample.0)
        .0;
    let (flows, head, _, malformed) = read_all(&mut Session::default(), &datagram);
    assert_eq!(malformed, None);
    let expected = Flow {
        bytes: 1_486,
        packets: 1,
        direction: Some(Direction::Ingress),
        span: Some(Span::default()),
        exporter: Some([198, 18, 9, 9].into()),
        rate: crate::flow::Rate {
            one_in: 512,
            origin: Origin::Record,
        },
        ..flow(0)
    };
    assert_eq!(flows, [expected]);
    assert_eq!(head.unwrap().sequence, 77);
    assert_eq!(
        (session(&datagram), number(&datagram)),
        (Ok((Protocol::Sflow, 0xc612_0909 << 32)), Some(77))
    );
}
