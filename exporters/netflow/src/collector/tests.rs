use proptest::prelude::*;

use super::*;

const TOP: TopBounds = TopBounds {
    rows: 10,
    keys: 1_000,
    hold: Duration::from_secs(60),
};

/// A collector with one exporter, `r1` at 192.0.2.1.
fn collector(accounting: Accounting) -> Collector {
    let text = "devices:\n  - {name: r1, address: 192.0.2.1, flow: {}}\n";
    let inventory = Inventory::parse(text, std::path::Path::new("inventory.yaml")).unwrap();
    let mut collector = Collector::new(Knowledge::nothing(), TOP, accounting);
    collector.follow(Arc::new(inventory));
    collector
}

const FROM: ([u8; 4], u16) = ([192, 0, 2, 1], 2_055);

fn numbers(values: &[u32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect()
}

/// Datagram number `at` of an exporter that began `uptime` ago, with `records` records of an octet each to 198.18.0.9; and by how much the
/// sequence grows.
fn datagram(
    protocol: Protocol,
    sequence: u32,
    (at, uptime): (u32, u32),
    records: u32,
) -> (Vec<u8>, u32) {
    let set = |id: u16, content: &[u8]| {
        let length = content.len() as u16 + 4;
        [&id.to_be_bytes()[..], &length.to_be_bytes(), content].concat()
    };
    // Template 256: destination and octets.
    let template: &[u8] = &[1, 0, 0, 2, 0, 12, 0, 4, 0, 1, 0, 4];
    let one = [198, 18, 0, 9, 0, 0, 0, 1];
    let data = set(256, &one.repeat(records as usize));
    let seconds = 1_700_000_000 + at;
    match protocol {
        Protocol::NetFlow5 => {
            let head = [
                numbers(&[5 << 16 | records, uptime, seconds, 0, sequence, 0]),
                Vec::new(),
            ]
            .concat();
            let mut record = [0; 48];
            record[4..8].copy_from_slice(&[198, 18, 0, 9]);
            record[23] = 1;
            // It was as long ago as its uptime says.
            record[24..28].copy_from_slice(&uptime.to_be_bytes());
            record[28..32].copy_from_slice(&uptime.to_be_bytes());
            ([head, record.repeat(records as usize)].concat(), records)
        }
        Protocol::NetFlow9 => {
            let head = numbers(&[9 << 16 | 1, uptime, seconds, sequence, 1]);
            ([head, set(0, template), data].concat(), 1)
        }
        Protocol::Ipfix => {
            let body = [set(2, template), data].concat();
            let head = numbers(&[10 << 16 | (body.len() as u32 + 16), seconds, sequence, 1]);
            ([head, body].concat(), records)
        }
        Protocol::Sflow => {
            // A sampled IPv4 packet (format 3) of an octet for each.
            let packet = numbers(&[1, 17, 0xc612_0001, 0xc612_0009, 53, 53, 0, 0]);
            let flow = [
                numbers(&[1, 7, 1, 0, 0, 1, 2, 1, 3, packet.len() as u32]),
                packet,
            ]
            .concat();
            let sample = [numbers(&[1, flow.len() as u32]), flow].concat();
            let head = numbers(&[5, 1, 0xc000_0201, 0, sequence, uptime, records]);
            ([head, sample.repeat(records as usize)].concat(), 1)
        }
    }
}

/// What came of a relay that drops, doubles, reorders: octets counted, loss in its unit, duplicates, restarts.
fn relayed(protocol: Protocol, arriving: &[Vec<u8>]) -> (u64, u64, u64, u64) {
    let mut collector = collector(Accounting::Arrival);
    let now = Instant::now();
    for datagram in arriving {
        collector.datagram(SocketAddr::from(FROM), datagram, now, 1_700_000_000.0);
    }
    let (counters, _) = collector.sessions()["r1"];
    let lost = match protocol {
        Protocol::NetFlow5 | Protocol::Ipfix => {
            assert_eq!(counters.lost_datagrams, 0);
            counters.lost_records
        }
        _ => {
            assert_eq!(counters.lost_records, 0);
            counters.lost_datagrams
        }
    };
    let bytes = collector.exporters["r1"].traffic.all().bytes;
    (bytes, lost, counters.duplicates, counters.restarts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Loss is exact in the unit that each protocol counts, what comes twice counts once, and a restart in the middle is no loss.
    #[test]
    fn loss_is_exact_behind_a_relay_that_drops_doubles_reorders_and_an_exporter_that_restarts(
        which in 0_usize..4,
        fates in proptest::collection::vec((0_u8..10, 0_usize..15, 1_u32..6), 100..250),
        restart in any::<bool>(),
    ) {
        let protocol = Protocol::ALL[which];
        let mut arriving = Vec::new();
        let (mut bytes, mut lost, mut doubled) = (0, 0, 0);
        // The two lives of the exporter, each with a tail that lets what is missing be known as lost.
        for life in 0..=u32::from(restart) {
            let mut sequence = 0;
            let mut order = Vec::new();
            let tail = fates.len() + 70;
            for at in 0..tail {
                let (fate, moved, records) = fates.get(at).copied().unwrap_or((9, 0, 1));
                // The first and the tail arrive in order.
                let (fate, moved) = if at == 0 { (9, 0) } else { (fate, moved) };
                let uptime = 1_000_000 - life * 900_000 + at as u32 * 10;
                let (datagram, grown) = datagram(protocol, sequence, (at as u32 + life * 10_000, uptime), records);
                sequence += grown;
                let place = if at < fates.len() { at + moved } else { at + 20 };
                match fate {
                    0 => lost += u64::from(grown),
                    1 => {
                        doubled += 1;
                        bytes += u64::from(records);
                        order.extend([(place, at, datagram.clone()), (place + 3, at, datagram)]);
                    }
                    _ => {
                        bytes += u64::from(records);
                        order.push((place, at, datagram));
                    }
                }
            }
            order.sort_by_key(|(place, at, _)| (*place, *at));
            arriving.extend(order.into_iter().map(|(_, _, datagram)| datagram));
        }
        prop_assert_eq!(relayed(protocol, &arriving), (bytes, lost, doubled, u64::from(restart)), "{:?}", protocol);
    }
}

/// Somebody who was never heard of sends a thousand times as much as anybody: at the next second it has a series.
#[test]
fn a_new_heavy_destination_has_a_series_after_a_second() {
    let mut collector = collector(Accounting::Spread);
    let begin = Instant::now();
    let from = SocketAddr::from(FROM);
    let v5 = |sequence: u32, host: u8, octets: u32| {
        let (mut datagram, _) = datagram(Protocol::NetFlow5, sequence, (0, 1_000), 1);
        datagram[24 + 7] = host;
        datagram[24 + 20..24 + 24].copy_from_slice(&octets.to_be_bytes());
        datagram
    };
    let mut now = begin;
    for round in 0..50_u32 {
        for host in 0..40 {
            collector.datagram(
                from,
                &v5(round * 40 + host, host as u8, 1_000 + host),
                now,
                0.0,
            );
        }
        now += Duration::from_secs(1);
        collector.tick(now);
    }
    let exposed = |collector: &mut Collector| {
        let exporter = collector.exporters.get_mut("r1").unwrap();
        let mut keys = Vec::new();
        exporter
            .traffic
            .destinations
            .expose(|key, _| keys.push(IpAddr::from(key)));
        keys
    };
    let attacked = IpAddr::from([198, 18, 0, 200]);
    assert!(!exposed(&mut collector).contains(&attacked));
    collector.datagram(from, &v5(2_000, 200, 50_000_000), now, 0.0);
    collector.tick(now + Duration::from_secs(1));
    assert!(exposed(&mut collector).contains(&attacked));
}

/// Sets of NetFlow 9 without a template, and templates of many fields, from ever another port in the name of a device.
#[test]
fn what_is_sent_in_the_name_of_a_device_holds_a_bounded_amount() {
    let inventory = Inventory::parse(
        "devices:\n  - {name: r1, address: 192.0.2.1, flow: {}}\n  - {name: r2, address: 192.0.2.2, flow: {}}\n",
        std::path::Path::new("inventory.yaml"),
    );
    let mut collector = Collector::new(Knowledge::nothing(), TOP, Accounting::Spread);
    collector.follow(Arc::new(inventory.unwrap()));
    let head = |sequence: u32| {
        let mut head = vec![0, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        head.extend(sequence.to_be_bytes());
        head.extend([0, 0, 0, 1]);
        head
    };
    let set = |id: u16, content: &[u8]| {
        let mut set = id.to_be_bytes().to_vec();
        set.extend((content.len() as u16 + 4).to_be_bytes());
        set.extend(content);
        set
    };
    // A template of 4,000 fields, each of one octet that is looked at.
    let template = |id: u16| {
        let mut fields = id.to_be_bytes().to_vec();
        fields.extend(4_000_u16.to_be_bytes());
        fields.extend([0, 4, 0, 1].repeat(4_000));
        set(0, &fields)
    };
    let mut now = Instant::now();
    for port in 1..=40 {
        for sequence in 0..10 {
            let datagram = match sequence % 2 {
                0 => [head(sequence), set(400, &[0; 60_000])].concat(),
                _ => [head(sequence), template(256 + sequence as u16)].concat(),
            };
            let from = SocketAddr::from(([192, 0, 2, 1], port));
            collector.datagram(from, &datagram, now, 0.0);
        }
    }
    let real = |collector: &Collector| Held::of(&collector.streams).all;
    assert!(
        (MOST_BYTES_EACH / 2..=MOST_BYTES_EACH).contains(&real(&collector)),
        "{}",
        real(&collector)
    );
    assert_eq!(collector.held.all, real(&collector));
    let (ended, levels) = collector.sessions()["r1"];
    assert!(ended.dropped_sets > 0 && levels.waiting_bytes > 0);
    // Another exporter has its own room.
    let other = SocketAddr::from(([192, 0, 2, 2], 1));
    let datagram = [head(1), set(400, &[0; 60_000])].concat();
    collector.datagram(other, &datagram, now, 0.0);
    assert_eq!(collector.sessions()["r2"].1.waiting_bytes, 60_008);
    // What waits is given up although nobody sends any more.
    now += crate::session::LONGEST_WAIT;
    collector.tick(now);
    assert_eq!(collector.sessions()["r1"].1.waiting_bytes, 0);
    assert_eq!(collector.held.all, real(&collector));
}
