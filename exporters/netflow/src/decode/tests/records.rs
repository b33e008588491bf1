//! Records of NetFlow v9 and IPFIX.

use super::*;

#[test]
fn netflow_9_records_are_read_by_their_template() {
    let records = Bytes::default()
        .bytes(&record(1_500).0)
        .bytes(&record(60).0)
        .bytes(&[0, 0]);
    let datagram = v9(1, &[template().set(0), records.set(256)]);
    let (flows, head, _, malformed) = read_all(&mut Session::default(), &datagram);
    assert_eq!(flows, [flow(1_500), flow(60)]);
    assert_eq!((head.unwrap().units, malformed), (Some(1), None));
}

#[test]
fn an_unknown_set_does_not_cost_the_others_of_its_datagram() {
    let datagram = ipfix(
        0,
        &[
            Bytes::default().u32(1).set(300),
            template().set(2),
            record(9).set(256),
        ],
    );
    let (flows, ..) = read_all(&mut Session::default(), &datagram);
    assert_eq!(flows, [flow(9)]);
}

/// Of an ASA: counters of the initiator and of the responder (NSEL); of a NAT device: events without any.
#[test]
fn counters_of_both_ends_are_two_flows_and_events_are_none() {
    let both = Bytes::default()
        .u16(256)
        .u16(3)
        .u16(8)
        .u16(4)
        .u16(231)
        .u16(4)
        .u16(232)
        .u16(4);
    let event = Bytes::default()
        .u16(257)
        .u16(2)
        .u16(230)
        .u16(1)
        .u16(8)
        .u16(4);
    let records = Bytes::default()
        .bytes(&[198, 18, 0, 1])
        .u32(100)
        .u32(40)
        .set(256);
    let events = Bytes::default()
        .u8(4)
        .bytes(&[198, 18, 0, 1])
        .u8(5)
        .bytes(&[198, 18, 0, 1])
        .set(257);
    let (flows, _, told, _) = read_all(
        &mut Session::default(),
        &v9(0, &[both.set(0), event.set(0), records, events]),
    );
    let bytes: Vec<_> = flows.iter().map(|flow| flow.bytes).collect();
    assert_eq!((bytes, told.events, told.biflows), (vec![100, 40], 2, 1));
}

/// Beside its own octets a record tells those of the whole connection; they count once.
#[test]
fn responder_octets_beside_octets_are_not_counted_again() {
    let template = Bytes::default()
        .u16(256)
        .u16(3)
        .u16(1)
        .u16(4)
        .u16(231)
        .u16(4)
        .u16(232)
        .u16(4);
    let record = Bytes::default().u32(70).u32(100).u32(40).set(256);
    let (flows, ..) = read_all(&mut Session::default(), &v9(0, &[template.set(0), record]));
    assert_eq!(
        flows.iter().map(|flow| flow.bytes).collect::<Vec<_>>(),
        [70]
    );
}

/// NetStream of H3C has fields of variable length in version 9; Palo Alto fills the datagram up with zeros.
#[test]
fn version_9_has_variable_lengths_and_a_tail_of_zeros() {
    let template = Bytes::default()
        .u16(256)
        .u16(2)
        .u16(82)
        .u16(65_535)
        .u16(1)
        .u16(4);
    let record = Bytes::default().u8(2).bytes(b"ge").u32(9).set(256);
    let zeros = Bytes::default().bytes(&[0; 64]);
    let (flows, _, told, malformed) = read_all(
        &mut Session::default(),
        &v9(0, &[template.set(0), record, zeros]),
    );
    assert_eq!((flows.len(), flows[0].bytes), (1, 9));
    assert_eq!((told.cut_records, malformed), (0, None));
}

#[test]
fn fields_of_variable_length_come_in_all_three_forms() {
    // interfaceName (82) variable, octets, then a variable field of an enterprise.
    let template = Bytes::default()
        .u16(256)
        .u16(3)
        .u16(82)
        .u16(65_535)
        .u16(1)
        .u16(8)
        .u16(0x8000 | 5)
        .u16(65_535)
        .u32(35_632);
    let short = Bytes::default().u8(3).bytes(b"ge0").u64(10).u8(0);
    let long = Bytes::default()
        .u8(255)
        .u16(300)
        .bytes(&[b'x'; 300])
        .u64(20)
        .u8(1)
        .u8(7);
    let empty = Bytes::default().u8(0).u64(30).u8(255).u16(0);
    let records = Bytes::default()
        .bytes(&short.0)
        .bytes(&long.0)
        .bytes(&empty.0);
    let datagram = ipfix(0, &[template.set(2), records.set(256)]);
    let (flows, head, told, _) = read_all(&mut Session::default(), &datagram);
    assert_eq!(
        flows.iter().map(|flow| flow.bytes).collect::<Vec<_>>(),
        [10, 20, 30]
    );
    assert_eq!((head.unwrap().units, told.cut_records), (Some(3), 0));
}

#[test]
fn a_biflow_is_two_flows() {
    let template = Bytes::default()
        .u16(256)
        .u16(4)
        .u16(8)
        .u16(4)
        .u16(1)
        .u16(4)
        .u16(0x8000 | 1)
        .u16(4)
        .u32(29_305)
        .u16(0x8000 | 2)
        .u16(4)
        .u32(29_305);
    let record = Bytes::default()
        .bytes(&[198, 18, 0, 1])
        .u32(100)
        .u32(7)
        .u32(1)
        .set(256);
    let (flows, head, ..) = read_all(
        &mut Session::default(),
        &ipfix(0, &[template.set(2), record]),
    );
    assert_eq!(
        flows
            .iter()
            .map(|flow| (flow.source.is_some(), flow.bytes))
            .collect::<Vec<_>>(),
        [(true, 100), (false, 7)]
    );
    assert_eq!(head.unwrap().units, Some(1));
}

#[test]
fn a_set_longer_than_its_datagram_ends_the_reading_with_what_came_before() {
    let mut datagram = v9(0, &[template().set(0), record(5).set(256)]);
    datagram.extend([1, 0, 1, 0]);
    let (flows, _, _, malformed) = read_all(&mut Session::default(), &datagram);
    assert_eq!((flows, malformed), (vec![flow(5)], Some(Malformed::Set)));
}

#[test]
fn a_frame_in_ipfix_is_read_through_vlan_and_mpls() {
    let ip = Bytes::default()
        .u8(0x45)
        .u8(0)
        .u16(1_400)
        .u32(0)
        .bytes(&[64, 17, 0, 0])
        .bytes(&[198, 18, 0, 1, 198, 19, 0, 2])
        .u16(1_000)
        .u16(53);
    let frame = Bytes::default()
        .bytes(&[0; 12])
        .u16(0x8100)
        .u16(5)
        .u16(0x8847)
        .u32(0x0001_0140)
        .bytes(&ip.0);
    let template = Bytes::default().u16(256).u16(1).u16(315).u16(65_535);
    let record = Bytes::default()
        .u8(u8::try_from(frame.0.len()).unwrap())
        .bytes(&frame.0)
        .set(256);
    let (flows, ..) = read_all(
        &mut Session::default(),
        &ipfix(0, &[template.set(2), record]),
    );
    let flow = flows[0];
    assert_eq!(
        (
            flow.source_port,
            flow.destination_port,
            flow.protocol,
            flow.bytes,
            flow.packets
        ),
        (1_000, 53, 17, 1_400, 1)
    );
}

/// Of a Barracuda firewall: octets since the last record, which are none, beside those since the flow began, which were told of before.
#[test]
fn octets_since_the_beginning_do_not_count_beside_those_since_the_last_record() {
    let fields = [(8_u16, 4_u16), (1, 8), (2, 8), (85, 8), (86, 8)];
    let define = |id: u16, fields: &[(u16, u16)]| {
        let head = Bytes::default().u16(id).u16(fields.len() as u16);
        let all = fields.iter();
        all.fold(head, |out, (element, length)| {
            out.u16(*element).u16(*length)
        })
        .set(2)
    };
    let source = Bytes::default().bytes(&[198, 18, 0, 1]);
    let both = source.clone().u64(0).u64(0).u64(65).u64(1).set(256);
    let totals = source.u64(65).u64(1).set(257);
    let sets = [
        define(256, &fields),
        define(257, &[fields[0], fields[3], fields[4]]),
        both,
        totals,
    ];
    let (flows, ..) = read_all(&mut Session::default(), &ipfix(0, &sets));
    let counted: Vec<_> = flows
        .iter()
        .map(|flow| (flow.bytes, flow.packets))
        .collect();
    assert_eq!(counted, [(0, 0), (65, 1)]);
}

/// Two octets of padding that the header does not count; what the datagram does not hold is none all the same.
#[test]
fn a_header_that_is_short_by_the_padding_of_its_last_set_costs_no_records() {
    let padded = Bytes::default().bytes(&record(9).0).bytes(&[0, 0]).set(256);
    let whole = ipfix(0, &[template().set(2), padded]);
    for (length, cut, flows, malformed) in [
        (whole.len() - 2, 0, 1, None),
        (whole.len(), 0, 1, None),
        (whole.len() - 2, 1, 0, Some(Malformed::Set)),
    ] {
        let mut datagram = whole.clone();
        datagram[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        datagram.truncate(whole.len() - cut);
        let told = read_all(&mut Session::default(), &datagram);
        assert_eq!((told.0.len(), told.3), (flows, malformed), "{length} {cut}");
    }
}
