//! No record costs an allocation: a datagram of many costs as many as one of one.

use std::time::Instant;

use super::tests::{ipfix_records, v5_records, v9_records};
use crate::flow::Flow;
use crate::session::Session;
use crate::totals::spread::Accounting;
use crate::totals::{Device, Known, TopBounds};

#[test]
fn decoding_and_counting_a_record_allocates_nothing() {
    let now = Instant::now();
    for (version, records) in [
        ("v5", v5_records as fn(u16) -> Vec<u8>),
        ("v9", v9_records),
        ("ipfix", ipfix_records),
    ] {
        let mut session = Session::default();
        let bounds = TopBounds {
            rows: 10,
            keys: 1_000,
            hold: std::time::Duration::from_secs(60),
        };
        let mut device = Device::new(bounds, Accounting::Spread, now);
        let mut read = |datagram: &[u8]| {
            let counted = allocation_counter::measure(|| {
                super::read(datagram, &mut session, now, &mut |flow: &Flow| {
                    device.add(flow, &Known::default(), false, now);
                });
                device.settle(now);
            });
            counted.count_total
        };
        let (few, many) = (records(1), records(20));
        // The template, and the keys.
        read(&many);
        read(&few);
        assert_eq!(
            (read(&few), read(&many)),
            (read(&few), read(&few)),
            "{version}"
        );
    }
}
