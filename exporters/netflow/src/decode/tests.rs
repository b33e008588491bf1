//! Packets written by hand from the layouts of the documents, and what is true of any bytes at all.

use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::flow::{Direction, Origin, Span};

mod records;
mod sampling;
mod sflow;
mod templates;
mod times;
mod v5;

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
