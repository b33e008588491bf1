//! Sampling rates, learnt from options.

use super::*;

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

/// A relay tells in options of whom a domain is; what they say of another domain is of no concern to this one.
#[test]
fn the_exporter_of_options_is_that_of_records_that_name_none() {
    let options = Bytes::default()
        .u16(300)
        .u16(2)
        .u16(1)
        .u16(149)
        .u16(4)
        .u16(130)
        .u16(4)
        .set(3);
    let told = |domain: u32, last: u8| {
        Bytes::default()
            .u32(domain)
            .bytes(&[192, 0, 2, last])
            .set(300)
    };
    let own = Bytes::default()
        .u16(257)
        .u16(2)
        .u16(130)
        .u16(4)
        .u16(1)
        .u16(4)
        .set(2);
    let named = Bytes::default().bytes(&[192, 0, 2, 9]).u32(5).set(257);
    let mut session = Session::default();
    let sets = [
        options,
        told(8, 1),
        template().set(2),
        record(1).set(256),
        told(7, 2),
        record(2).set(256),
        own,
        named,
    ];
    let (flows, ..) = read_all(&mut session, &ipfix(0, &sets));
    let exporters: Vec<_> = flows.iter().map(|flow| flow.exporter).collect();
    let address = |last: u8| Some([192, 0, 2, last].into());
    assert_eq!(exporters, [None, address(2), address(9)]);
    // It outlives a restart.
    let mut later = Session::default();
    session.restorable().into_session(&mut later);
    let (flows, ..) = read_all(&mut later, &ipfix(1, &[record(3).set(256)]));
    assert_eq!(flows[0].exporter, address(2));
}

/// Options that name the interface as the one that sends: its rate is that of nobody else.
#[test]
fn a_rate_of_an_output_interface_is_not_that_of_the_domain() {
    let options = Bytes::default()
        .u16(300)
        .u16(2)
        .u16(1)
        .u16(14)
        .u16(4)
        .u16(34)
        .u16(4);
    let told = Bytes::default().u32(9).u32(64).set(300);
    let sets = [options.set(3), told, template().set(2), record(10).set(256)];
    let (flows, ..) = read_all(&mut Session::default(), &ipfix(0, &sets));
    assert_eq!(
        (flows[0].input, flows[0].output, flows[0].rate.origin),
        (4, 9, Origin::Assumed)
    );
}
