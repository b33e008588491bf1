//! Templates: their order, their bounds, sets that wait for them.

use std::time::Duration;

use super::*;

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

proptest! {
    /// Records that are loaded from where they are give what the same records give that are walked through, since a field of variable length
    /// (of no octets) ends them: wherever a number stands, however near to the end of its set, and in records of any length.
    #[test]
    fn records_of_fixed_length_are_read_as_those_that_are_walked_through(
        fields in proptest::collection::vec((
            prop::sample::select(vec![1_u16, 2, 4, 5, 6, 7, 8, 10, 11, 12, 14, 16, 17, 21, 22, 27, 28, 32, 34, 48, 61, 85, 130, 150, 151, 152, 153, 161, 210, 231, 232]),
            prop::sample::select(vec![1_u16, 2, 3, 4, 4, 4, 8, 9, 16, 200]),
        ), 1..24),
        bytes in proptest::collection::vec(any::<u8>(), 0..6_000),
    ) {
        let define = |set: u16, id: u16, more: &[(u16, u16)]| {
            let all: Vec<_> = fields.iter().chain(more).collect();
            let head = Bytes::default().u16(id).u16(all.len() as u16);
            all.iter().fold(head, |out, (element, length)| out.u16(*element).u16(*length)).set(set)
        };
        let length: usize = fields.iter().map(|(_, length)| usize::from(*length)).sum();
        let records: Vec<&[u8]> = bytes.chunks_exact(length).collect();
        let fixed = Bytes::default().bytes(&records.concat()).set(256);
        let walked = Bytes::default().bytes(&records.iter().flat_map(|record| [record, &[0][..]].concat()).collect::<Vec<u8>>()).set(257);
        let both = ipfix(0, &[define(2, 256, &[]), define(2, 257, &[(82, 65_535)])]);
        let mut session = Session::default();
        read_all(&mut session, &both);
        let (one, _, told, _) = read_all(&mut session, &ipfix(0, &[fixed]));
        let (other, _, told_other, _) = read_all(&mut session, &ipfix(0, &[walked]));
        prop_assert_eq!(one, other);
        prop_assert_eq!((told.events, told.biflows), (told_other.events, told_other.biflows));
    }
}
