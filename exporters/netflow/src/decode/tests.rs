//! Packets written by hand from the layouts of the documents, and what is true of any bytes at all.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::flow::{Direction, Origin, Span};

/// Appends numbers in network order.
#[derive(Default, Clone)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }
    fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
    /// As a set with this id.
    fn set(self, id: u16) -> Self {
        let length = u16::try_from(self.0.len() + 4).unwrap();
        Self::default().u16(id).u16(length).bytes(&self.0)
    }
}

fn v9(sequence: u32, sets: &[Bytes]) -> Vec<u8> {
    let head = Bytes::default()
        .u16(9)
        .u16(1)
        .u32(5_000)
        .u32(1_700_000_000)
        .u32(sequence)
        .u32(7);
    sets.iter().fold(head, |all, set| all.bytes(&set.0)).0
}

fn ipfix(sequence: u32, sets: &[Bytes]) -> Vec<u8> {
    let body: Vec<u8> = sets.iter().flat_map(|set| set.0.clone()).collect();
    let length = u16::try_from(body.len() + 16).unwrap();
    Bytes::default()
        .u16(10)
        .u16(length)
        .u32(1_700_000_000)
        .u32(sequence)
        .u32(7)
        .bytes(&body)
        .0
}

/// Template 256: source, destination, ports, protocol, octets (4), packets (4), input, output.
fn template() -> Bytes {
    let fields = [
        (8, 4),
        (12, 4),
        (7, 2),
        (11, 2),
        (4, 1),
        (1, 4),
        (2, 4),
        (10, 2),
        (14, 2),
    ];
    let head = Bytes::default()
        .u16(256)
        .u16(u16::try_from(fields.len()).unwrap());
    fields
        .iter()
        .fold(head, |all, (field, length)| all.u16(*field).u16(*length))
}

fn record(bytes: u32) -> Bytes {
    Bytes::default()
        .bytes(&[198, 18, 0, 1])
        .bytes(&[198, 19, 0, 2])
        .u16(50_000)
        .u16(443)
        .u8(6)
        .u32(bytes)
        .u32(3)
        .u16(4)
        .u16(9)
}

fn flow(bytes: u64) -> Flow {
    Flow {
        source: Some([198, 18, 0, 1].into()),
        destination: Some([198, 19, 0, 2].into()),
        source_port: 50_000,
        destination_port: 443,
        protocol: 6,
        input: 4,
        output: 9,
        bytes,
        packets: 3,
        ..Flow::default()
    }
}

/// So many records under a template that comes with them.
pub(super) fn v9_records(count: u16) -> Vec<u8> {
    let records = Bytes::default().bytes(&record(1_500).0.repeat(count.into()));
    v9(1, &[template().set(0), records.set(256)])
}

/// The same in IPFIX, with a field of variable length.
pub(super) fn ipfix_records(count: u16) -> Vec<u8> {
    let template = Bytes::default()
        .u16(256)
        .u16(3)
        .u16(8)
        .u16(4)
        .u16(82)
        .u16(65_535)
        .u16(1)
        .u16(4);
    let record = Bytes::default()
        .bytes(&[198, 18, 0, 1])
        .u8(3)
        .bytes(b"ge0")
        .u32(1_500);
    let records = Bytes::default().bytes(&record.0.repeat(count.into()));
    ipfix(1, &[template.set(2), records.set(256)])
}

/// The same in NetFlow v5.
pub(super) fn v5_records(count: u16) -> Vec<u8> {
    let head = Bytes::default()
        .u16(5)
        .u16(count)
        .u32(5_000)
        .u32(1_700_000_000)
        .u32(0)
        .u32(42)
        .u32(0);
    head.bytes(&[1; 48].repeat(count.into())).0
}

fn read_all(
    session: &mut Session,
    datagram: &[u8],
) -> (Vec<Flow>, Option<Head>, Counts, Option<Malformed>) {
    let mut flows = Vec::new();
    let (head, told, malformed) = read(datagram, session, Instant::now(), &mut |flow| {
        flows.push(*flow);
    });
    (flows, head, told, malformed)
}

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
fn a_set_that_comes_before_its_template_is_read_when_the_template_comes() {
    let mut session = Session::default();
    let early = ipfix(0, &[record(1_500).set(256)]);
    let (flows, head, _, _) = read_all(&mut session, &early);
    assert_eq!(
        (flows.len(), head.unwrap().units),
        (0, None),
        "its records cannot be counted yet"
    );
    let (flows, _, told, _) = read_all(&mut session, &ipfix(1, &[template().set(2)]));
    assert_eq!((flows, told.replayed_sets), (vec![flow(1_500)], 1));
    assert_eq!(session.waiting_bytes(), 0);
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

#[test]
fn sets_wait_a_bounded_while_in_a_bounded_room() {
    let mut session = Session::default();
    let begin = Instant::now();
    let content = vec![0; 60_000];
    for _ in 0..40 {
        session.keep(300, &content, begin);
    }
    assert!(session.waiting_bytes() <= crate::session::MOST_WAITING_BYTES);
    assert_eq!(session.kept_sets + session.dropped_sets, 40);
    session.keep(
        301,
        &content,
        begin + crate::session::LONGEST_WAIT + Duration::from_secs(1),
    );
    assert_eq!(
        (session.waiting_bytes(), session.dropped_sets),
        (60_008, 40)
    );
}

#[test]
fn a_template_whose_records_could_be_empty_is_refused() {
    let mut session = Session::default();
    let none = Bytes::default().u16(256).u16(0).set(0);
    let empty = Bytes::default().u16(257).u16(1).u16(8).u16(0).set(0);
    let (_, _, told, _) = read_all(
        &mut session,
        &v9(0, &[none, empty, Bytes::default().bytes(&[0; 32]).set(257)]),
    );
    assert_eq!((told.bad_templates, session.templates()), (2, 0));
}

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

/// The template may change between two sets of one datagram, and its withdrawal over UDP changes nothing.
#[test]
fn the_last_definition_counts_from_its_place_on() {
    let short = Bytes::default().u16(256).u16(1).u16(1).u16(2);
    let long = Bytes::default().u16(256).u16(1).u16(1).u16(4);
    let withdrawal = Bytes::default().u16(256).u16(0);
    let sets = [
        short.clone().set(2),
        Bytes::default().u16(1).u16(2).set(256),
        long.set(2),
        Bytes::default().u32(3).set(256),
        withdrawal.set(2),
        Bytes::default().u32(4).set(256),
        short.set(2),
        Bytes::default().u16(5).set(256),
    ];
    let (flows, head, told, _) = read_all(&mut Session::default(), &ipfix(0, &sets));
    let bytes: Vec<_> = flows.iter().map(|flow| flow.bytes).collect();
    assert_eq!((bytes, told.withdrawals), (vec![1, 2, 3, 4, 5], 1));
    assert_eq!(head.unwrap().units, Some(5));
}

/// pmacct's exporters on one machine: templates from one port, data from another.
#[test]
fn a_template_of_another_port_is_adopted_only_where_all_agree() {
    let mut data = Session::default();
    read_all(&mut data, &ipfix(0, &[record(9).set(256)]));
    let known = |set: Bytes| {
        let mut session = Session::default();
        read_all(&mut session, &ipfix(0, &[set]));
        session
    };
    let (one, same) = (known(template().set(2)), known(template().set(2)));
    let other = known(Bytes::default().u16(256).u16(1).u16(1).u16(4).set(2));
    let mut flows = Vec::new();
    let mut adopt = |session: &mut Session, others: &[&Session]| {
        adopt(session, others, Instant::now(), &mut |flow: &Flow| {
            flows.push(*flow);
        })
        .replayed_sets
    };
    assert_eq!(adopt(&mut data, &[&one, &other]), 0);
    assert_eq!(adopt(&mut data, &[&one, &same]), 1);
    assert_eq!(flows, [flow(9)]);
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
fn a_rate_is_learned_from_options_by_sampler_by_interface_and_for_the_domain() {
    // Data template 256 with samplerId; options template 300: scope interface, samplerId, 305 and 306.
    let data = Bytes::default()
        .u16(256)
        .u16(3)
        .u16(10)
        .u16(2)
        .u16(48)
        .u16(1)
        .u16(1)
        .u16(4);
    let options = Bytes::default()
        .u16(300)
        .u16(3)
        .u16(1)
        .u16(302)
        .u16(1)
        .u16(305)
        .u16(4)
        .u16(306)
        .u16(4);
    let told = Bytes::default().u8(5).u32(1).u32(999);
    let record = |sampler: u8| Bytes::default().u16(4).u8(sampler).u32(100).set(256);
    let mut session = Session::default();
    let begin = ipfix(
        0,
        &[
            options.set(3),
            told.set(300),
            data.set(2),
            record(5),
            record(6),
        ],
    );
    let (flows, head, ..) = read_all(&mut session, &begin);
    let rates: Vec<_> = flows
        .iter()
        .map(|flow| (flow.rate.one_in, flow.rate.origin))
        .collect();
    assert_eq!(
        rates,
        [(1_000, Origin::Options), (1, Origin::Assumed)],
        "1 of 1 and 999, and nothing for another sampler"
    );
    assert_eq!(head.unwrap().units, Some(3), "records of options count");
}

#[test]
fn netflow_9_options_name_an_interface_in_their_scope() {
    let options = Bytes::default()
        .u16(300)
        .u16(4)
        .u16(4)
        .u16(2)
        .u16(4)
        .u16(34)
        .u16(4);
    let told = Bytes::default().u32(4).u32(64).set(300);
    let mut session = Session::default();
    let datagram = v9(
        0,
        &[options.set(1), told, template().set(0), record(10).set(256)],
    );
    let (flows, ..) = read_all(&mut session, &datagram);
    assert_eq!(
        (flows[0].rate.one_in, flows[0].rate.origin),
        (64, Origin::Options)
    );
}

/// A rate of interface 9 alone, and records that were measured there: on their way in or out.
#[test]
fn the_rate_of_an_interface_is_that_of_where_it_was_measured() {
    let options = Bytes::default()
        .u16(300)
        .u16(4)
        .u16(4)
        .u16(2)
        .u16(4)
        .u16(34)
        .u16(4);
    let told = Bytes::default().u32(9).u32(64).set(300);
    let data = Bytes::default()
        .u16(256)
        .u16(4)
        .u16(10)
        .u16(2)
        .u16(14)
        .u16(2)
        .u16(61)
        .u16(1)
        .u16(1)
        .u16(4);
    let record = |input: u16, output: u16, direction: u8| {
        Bytes::default()
            .u16(input)
            .u16(output)
            .u8(direction)
            .u32(100)
            .0
    };
    let records = [
        record(9, 4, 0),
        record(4, 9, 1),
        record(4, 9, 0),
        record(9, 4, 1),
    ]
    .concat();
    let sets = [
        options.set(1),
        told,
        data.set(0),
        Bytes::default().bytes(&records).set(256),
    ];
    let (flows, ..) = read_all(&mut Session::default(), &v9(0, &sets));
    let rates: Vec<_> = flows.iter().map(|flow| flow.rate.one_in).collect();
    assert_eq!(rates, [64, 64, 1, 1]);
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

fn shapes() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![
        Just(v9(0, &[template().set(0), record(5).set(256)])),
        Just(ipfix(0, &[template().set(2), record(5).set(256)])),
        Just(
            Bytes::default()
                .u16(5)
                .u16(1)
                .u32(0)
                .u32(0)
                .u32(0)
                .u32(0)
                .u32(0)
                .bytes(&[1; 48])
                .0
        ),
        Just(
            Bytes::default()
                .u32(5)
                .u32(1)
                .u32(0)
                .u32(0)
                .u32(0)
                .u32(0)
                .u32(1)
                .u32(1)
                .u32(8)
                .u64(0)
                .0
        ),
    ];
    (
        whole,
        proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut datagram, flips, cut)| {
            for (at, value) in flips {
                let at = at.index(datagram.len());
                datagram[at] = value;
            }
            datagram.truncate(cut.index(datagram.len()) + 1);
            datagram
        })
}

proptest! {
    #[test]
    fn any_cut_and_any_flip_gives_flows_or_a_reason_and_ends(first in shapes(), second in shapes()) {
        let mut session = Session::default();
        for datagram in [first, second] {
            let (flows, _, told, _) = read_all(&mut session, &datagram);
            prop_assert_eq!(flows.len(), told.flows as usize);
            prop_assert!(flows.len() <= datagram.len() + crate::session::MOST_WAITING_BYTES);
        }
    }

    #[test]
    fn what_is_written_by_a_template_is_read_back(values in proptest::collection::vec(any::<u32>(), 1..20)) {
        let records = values.iter().fold(Bytes::default(), |all, value| all.bytes(&record(*value).0));
        let (flows, ..) = read_all(&mut Session::default(), &ipfix(0, &[template().set(2), records.set(256)]));
        let expected: Vec<_> = values.iter().map(|value| flow(u64::from(*value))).collect();
        prop_assert_eq!(flows, expected);
    }
}
