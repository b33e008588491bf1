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
            .expose(0, |key, _| keys.push(IpAddr::from(key)));
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

/// A record of IPFIX: template 300 with the exporter's address (IE 130), source, destination and octets.
fn relayed_record(sequence: u32, records: &[([u8; 4], u32)]) -> Vec<u8> {
    let template = [
        1, 44, 0, 4, 0, 130, 0, 4, 0, 8, 0, 4, 0, 12, 0, 4, 0, 1, 0, 4,
    ];
    let set = |id: u16, content: &[u8]| {
        let length = content.len() as u16 + 4;
        [&id.to_be_bytes()[..], &length.to_be_bytes(), content].concat()
    };
    let record = |(exporter, octets): &([u8; 4], u32)| {
        let ends = [198, 18, 0, 1, 198, 18, 0, 9];
        [&exporter[..], &ends, &octets.to_be_bytes()].concat()
    };
    let data: Vec<u8> = records.iter().flat_map(record).collect();
    let body = [set(2, &template), set(300, &data)].concat();
    let head = numbers(&[
        10 << 16 | (body.len() as u32 + 16),
        1_700_000_000,
        sequence,
        1,
    ]);
    [head, body].concat()
}

fn three() -> Collector {
    let text = "devices:\n  - {name: relay, address: 192.0.2.9, flow: {}}\n  - {name: r1, address: 192.0.2.1, flow: {}}\n  - {name: r2, address: 192.0.2.2, flow: {}}\n";
    let inventory = Inventory::parse(text, std::path::Path::new("inventory.yaml")).unwrap();
    let mut collector = Collector::new(Knowledge::nothing(), TOP, Accounting::Arrival);
    collector.follow(Arc::new(inventory));
    collector
}

fn octets(collector: &Collector) -> [u64; 3] {
    ["relay", "r1", "r2"].map(|name| collector.exporters[name].traffic.all().bytes)
}

/// Over UDP anybody may name any exporter: only one that is configured as a relay is believed.
#[test]
fn what_a_relay_passes_on_counts_at_the_exporter_that_it_names() {
    let records = [
        ([192, 0, 2, 1], 10),
        ([192, 0, 2, 2], 200),
        ([192, 0, 2, 9], 3_000),
        ([192, 0, 2, 77], 40_000),
        ([192, 0, 2, 1], 500_000),
    ];
    let from = SocketAddr::from(([192, 0, 2, 9], 2_055));
    let now = Instant::now();
    let mut collector = three();
    collector.datagram(from, &relayed_record(0, &records), now, 1_700_000_000.0);
    assert_eq!(octets(&collector), [543_210, 0, 0], "no relay");

    let mut collector = three();
    let relays = ["192.0.2.9/32".parse().unwrap()];
    collector.configure(Knowledge {
        relays: relays.into(),
        ..Knowledge::nothing()
    });
    collector.datagram(from, &relayed_record(0, &records), now, 1_700_000_000.0);
    assert_eq!(octets(&collector), [3_000, 500_010, 200]);
    // One that is no device's is a stranger, by the address that the relay names.
    let (strangers, known) = &collector.strangers;
    assert_eq!((*strangers, known.len()), (1, 1));
    assert!(known.contains_key(&IpAddr::from([192, 0, 2, 77])));
    assert!(collector.exporters["r1"].health.last.is_some());
    // The numbers are the relay's.
    collector.datagram(from, &relayed_record(7, &records), now, 1_700_000_000.0);
    for sequence in 2..80 {
        collector.datagram(from, &relayed_record(sequence * 5 + 2, &records), now, 0.0);
    }
    let sessions = collector.sessions();
    assert_eq!(
        (
            sessions["relay"].0.lost_records,
            sessions["r1"].0.lost_records
        ),
        (2, 0)
    );
}

#[test]
fn the_agent_of_sflow_is_believed_behind_a_relay() {
    let from = SocketAddr::from(([192, 0, 2, 9], 6_343));
    let now = Instant::now();
    // Its agent is 192.0.2.1; two packets of an octet, each one of seven.
    let (datagram, _) = datagram(Protocol::Sflow, 1, (0, 1_000), 2);
    let mut collector = three();
    collector.datagram(from, &datagram, now, 0.0);
    assert_eq!(octets(&collector)[1], 0);
    let mut collector = three();
    let relays = ["192.0.2.0/28".parse().unwrap()];
    collector.configure(Knowledge {
        relays: relays.into(),
        ..Knowledge::nothing()
    });
    collector.datagram(from, &datagram, now, 0.0);
    let all = octets(&collector);
    assert!(all[0] == 0 && all[1] > 0, "{all:?}");
}

/// Lines that are added, taken away or put into another order give no counter another name.
#[test]
fn counters_keep_their_names_over_a_reload() {
    let knowledge = |applications: &[&str], networks: &[(&str, &str)]| {
        let named = networks
            .iter()
            .map(|(prefix, name)| crate::networks::Named {
                prefix: prefix.parse().unwrap(),
                name: (*name).to_owned(),
            });
        let named: Vec<_> = named.collect();
        let table = crate::applications::Applications::new(applications.iter().copied()).unwrap();
        Knowledge {
            applications: Arc::new(table),
            networks: Arc::new(crate::networks::Networks::new(&named).unwrap()),
            ..Knowledge::nothing()
        }
    };
    let from = SocketAddr::from(([192, 0, 2, 1], 2_055));
    let now = Instant::now();
    let mut collector = three();
    let tell = |collector: &mut Collector, sequence| {
        let (datagram, _) = datagram(Protocol::NetFlow5, sequence, (0, 1_000), 1);
        collector.datagram(from, &datagram, now, 1_700_000_000.0);
        let traffic = &collector.exporters["r1"].traffic;
        let known = collector.knowledge();
        let (applications, _) = traffic.services.applications();
        let mut names: Vec<String> = applications
            .iter()
            .map(|(application, _)| known.applications.name(*application).to_owned())
            .collect();
        for ((from, to), _) in traffic.networks.sorted() {
            let name = |network: Option<crate::networks::Network>| {
                network.map_or("other", |network| known.networks.name(network))
            };
            names.push(format!("{} to {}", name(from), name(to)));
        }
        names
    };
    collector.configure(knowledge(
        &["7/tcp first", "443/tcp mine", "443/udp mine"],
        &[("2001:db8::/32", "elsewhere"), ("0.0.0.0/0", "here")],
    ));
    let before = tell(&mut collector, 0);
    assert!(!before.is_empty());
    collector.configure(knowledge(
        &[
            "443/udp mine",
            "443/tcp mine",
            "9/tcp second",
            "7/tcp first",
        ],
        &[("0.0.0.0/0", "here"), ("2001:db9::/32", "farther")],
    ));
    assert_eq!(tell(&mut collector, 1), before);
}

/// Two routers carry the same packet: the interfaces of both have it, everything else has it once, and sinks are told.
#[test]
fn a_flow_of_two_exporters_counts_once_and_at_every_interface() {
    let mut collector = three();
    collector.duplicates = Duplicates::new(Policy::OneExporter, &[], 1_000);
    let selection = crate::sinks::Selection {
        one_in: 1,
        only: Vec::new(),
    };
    let (sink, mut blocks) = Sink::new("test", selection, (10, 100));
    collector.sinks = vec![sink];
    let now = Instant::now();
    for exporter in [1, 2] {
        let from = SocketAddr::from(([192, 0, 2, exporter], 2_055));
        let (datagram, _) = datagram(Protocol::NetFlow5, 0, (0, 1_000), 1);
        collector.datagram(from, &datagram, now, 1_700_000_000.0);
    }
    assert_eq!(octets(&collector), [0, 1, 0]);
    let interface = |name: &str| {
        let traffic = &collector.exporters[name].traffic;
        let sorted = traffic.interfaces.sorted();
        (
            sorted[0].1.bytes,
            traffic.suppressed().bytes,
            traffic.raw_bytes(),
        )
    };
    assert_eq!((interface("r1"), interface("r2")), ((1, 0, 1), (1, 1, 0)));
    let second = &collector.exporters["r2"].traffic;
    assert_eq!(second.services.protocols(), []);
    assert_eq!(second.sources.running().total, 0);
    collector.flush();
    let told = blocks.try_recv().unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|told| (&*told.from.device, told.duplicate, told.from.protocol))
        .collect();
    let v5 = Protocol::NetFlow5;
    assert_eq!(told, [("r1", false, v5), ("r2", true, v5)]);
}
