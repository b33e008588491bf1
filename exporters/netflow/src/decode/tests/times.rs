//! When a flow was.

use super::*;

/// One field each of the ways to tell when a flow was, exported at 1,700,000,000 s and uptime 5,000 ms: it began 3 s before and ended 1 s before.
#[test]
fn when_a_flow_was_is_told_in_seven_ways() {
    const EXPORT: u64 = 1_700_000_000;
    let ntp = |seconds: u64| (EXPORT - seconds + 2_208_988_800) << 32;
    let ways: [(&str, &[(u16, u64)]); 9] = [
        ("uptime", &[(22, 2_000), (21, 4_000)]),
        ("seconds", &[(150, EXPORT - 3), (151, EXPORT - 1)]),
        (
            "milliseconds",
            &[(152, (EXPORT - 3) * 1_000), (153, (EXPORT - 1) * 1_000)],
        ),
        ("microseconds", &[(154, ntp(3)), (155, ntp(1))]),
        ("nanoseconds", &[(156, ntp(3)), (157, ntp(1))]),
        ("ago", &[(158, 3_000_000), (159, 1_000_000)]),
        (
            "end and duration",
            &[(153, (EXPORT - 1) * 1_000), (161, 2_000)],
        ),
        (
            "end and duration in microseconds",
            &[(153, (EXPORT - 1) * 1_000), (162, 2_000_000)],
        ),
        ("uptime that wrapped", &[(22, 0xffff_fc18), (21, 1_000)]),
    ];
    for (way, fields) in ways {
        let template = fields.iter().fold(
            Bytes::default().u16(256).u16(fields.len() as u16 + 1),
            |all, (field, _)| all.u16(*field).u16(8),
        );
        let record = fields
            .iter()
            .fold(Bytes::default(), |all, (_, value)| all.u64(*value))
            .u64(7);
        let sets = [template.u16(1).u16(8).set(0), record.set(256)];
        let mut datagram = v9(0, &sets);
        let expected = if way == "uptime that wrapped" {
            // Of 2,000 ms: it began a second before the wrap and ended a second behind it.
            datagram[4..8].copy_from_slice(&2_000_u32.to_be_bytes());
            Span::new(3_000, 1_000)
        } else {
            Span::new(3_000, 1_000)
        };
        let (flows, ..) = read_all(&mut Session::default(), &datagram);
        assert_eq!(flows[0].span, Some(expected), "{way}");
    }
}

/// IPFIX has no uptime in its header: the exporter tells when it started, in the record or in options, or the end is taken for the export.
#[test]
fn uptimes_in_ipfix_count_from_the_start_of_the_exporter() {
    let init = (1_700_000_000 - 5) * 1_000;
    let options = Bytes::default()
        .u16(300)
        .u16(2)
        .u16(1)
        .u16(149)
        .u16(4)
        .u16(160)
        .u16(8);
    let template = Bytes::default()
        .u16(256)
        .u16(3)
        .u16(22)
        .u16(4)
        .u16(21)
        .u16(4)
        .u16(1)
        .u16(8);
    let record = Bytes::default().u32(2_000).u32(4_000).u64(7);
    let mut session = Session::default();
    let (flows, ..) = read_all(
        &mut session,
        &ipfix(0, &[template.set(2), record.clone().set(256)]),
    );
    assert_eq!(flows[0].span, Some(Span::new(2_000, 0)));
    let told = Bytes::default().u32(7).u64(init).set(300);
    read_all(&mut session, &ipfix(1, &[options.set(3), told]));
    let (flows, ..) = read_all(&mut session, &ipfix(2, &[record.set(256)]));
    assert_eq!(flows[0].span, Some(Span::new(3_000, 1_000)));
}

#[test]
fn a_flow_that_ends_minutes_after_its_export_counts_as_of_the_export() {
    let template = Bytes::default()
        .u16(256)
        .u16(3)
        .u16(152)
        .u16(8)
        .u16(153)
        .u16(8)
        .u16(1)
        .u16(8);
    let record = |seconds: u64| {
        Bytes::default()
            .u64(1_700_000_000_000)
            .u64((1_700_000_000 + seconds) * 1_000)
            .u64(7)
    };
    let records = [record(200).0, record(400).0].concat();
    let (flows, _, told, _) = read_all(
        &mut Session::default(),
        &ipfix(
            0,
            &[template.set(2), Bytes::default().bytes(&records).set(256)],
        ),
    );
    assert_eq!(
        (
            flows[0].span.unwrap().end_ms,
            flows[1].span.unwrap().end_ms,
            told.ahead
        ),
        (0, 0, 1)
    );
}
