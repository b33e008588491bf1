//! What the service holds when many exporters send much, when somebody floods it, and how soon it tells of somebody new.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use netio::send::SendBatch;
use testkit::{Figures, Goal};

use crate::load::{FIXED, Kind, Load, flush, set};
use crate::path::{ONE, Side, number};

/// Exporters, and templates of each.
const EXPORTERS: u8 = 200;
const TEMPLATES: u16 = 50;
/// Conversations that are told apart within one window.
const KEYS: u32 = 1_000_000;
/// Records of a datagram: of 28 octets, so that many fit.
const RECORDS: u32 = 48;

/// Measures all three.
pub(crate) fn measure(figures: &mut Figures, service: &Path, seconds: f64) {
    crowd(figures, service);
    for flood in [Flood::Templates, Flood::Keys] {
        flooded(figures, service, flood, seconds);
    }
    newcomer(figures, service);
}

/// A header of version 9 of source 7, and sets.
fn v9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let head = [9 << 16 | 1, 1_000_000, 1_700_000_000, sequence, 7_u32];
    let head: Vec<u8> = head.iter().flat_map(|word| word.to_be_bytes()).collect();
    [head, sets.concat()].concat()
}

/// The template of 22 fields under another id.
fn template(id: u16) -> Vec<u8> {
    let mut body = [id, FIXED.len() as u16].map(u16::to_be_bytes).concat();
    for (element, length) in FIXED {
        body.extend(element.to_be_bytes());
        body.extend(length.to_be_bytes());
    }
    set(0, &body)
}

/// Source, destination, octets, packets, ports, protocol: 28 octets with what fills it up.
const SMALL: [(u16, u16); 8] = [
    (8, 4),
    (12, 4),
    (1, 4),
    (2, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (210, 7),
];

fn small_template() -> Vec<u8> {
    let mut body = [1_000, SMALL.len() as u16].map(u16::to_be_bytes).concat();
    for (element, length) in SMALL {
        body.extend(element.to_be_bytes());
        body.extend(length.to_be_bytes());
    }
    set(0, &body)
}

/// Records whose conversation nobody else has.
fn conversations(first: u32) -> Vec<u8> {
    let mut body = Vec::new();
    for at in first..first + RECORDS {
        body.extend(0x0a00_0000_u32.wrapping_add(at).to_be_bytes());
        body.extend(
            0xc612_0000_u32
                .wrapping_add(at.reverse_bits() >> 12)
                .to_be_bytes(),
        );
        body.extend((40 + at % 1_000).to_be_bytes());
        body.extend(1_u32.to_be_bytes());
        body.extend((at as u16 | 1_024).to_be_bytes());
        body.extend((at.reverse_bits() as u16).to_be_bytes());
        body.extend([6, 0, 0, 0, 0, 0, 0, 0]);
    }
    set(1_000, &body)
}

/// Two hundred exporters with fifty templates each, and a million conversations within a window.
fn crowd(figures: &mut Figures, service: &Path) {
    let devices = (1..=EXPORTERS)
        .map(|at| format!("  - {{name: r{at}, address: 127.0.1.{at}, flow: {{}}}}\n"));
    let side = Side::ours(
        service,
        &format!("devices:\n{}", devices.collect::<String>()),
    );
    let sockets: Vec<UdpSocket> = (1..=EXPORTERS)
        .map(|at| UdpSocket::bind((Ipv4Addr::new(127, 0, 1, at), 0)).unwrap())
        .collect();
    for socket in &sockets {
        for (sequence, ids) in (0..TEMPLATES).collect::<Vec<_>>().chunks(10).enumerate() {
            let mut sets: Vec<Vec<u8>> = ids.iter().map(|at| template(256 + at)).collect();
            sets.push(small_template());
            socket
                .send_to(&v9(sequence as u32, &sets), side.to)
                .unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let (begin, mut sequence) = (Instant::now(), 5);
    for (at, first) in (0..KEYS).step_by(RECORDS as usize).enumerate() {
        let socket = &sockets[at % sockets.len()];
        if at % sockets.len() == 0 && at > 0 {
            sequence += 1;
        }
        socket
            .send_to(&v9(sequence, &[conversations(first)]), side.to)
            .unwrap();
        // Twenty seconds for all of them.
        let due = begin + Duration::from_secs_f64(20.0 * f64::from(first) / f64::from(KEYS));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    std::thread::sleep(Duration::from_millis(1_500));
    let page = side.page();
    figures.add(
        "200 exporters: templates known",
        number(&page, "netflow_templates{"),
        None,
        Some(Goal::Exactly(
            f64::from(EXPORTERS) * f64::from(TEMPLATES + 1),
        )),
    );
    let sent = f64::from(KEYS.div_ceil(RECORDS) * RECORDS);
    let lost = 100.0 * (1.0 - number(&page, "netflow_records_total{") / sent);
    figures.add(
        "200 exporters, a million conversations in a window: lost, percent",
        lost,
        None,
        Some(Goal::AtMost(0.1)),
    );
    figures.add(
        "200 exporters, a million conversations in a window: peak memory, MiB",
        side.peak(),
        None,
        Some(Goal::AtMost(64.0)),
    );
}

#[derive(Clone, Copy)]
enum Flood {
    Templates,
    Keys,
}

/// One device floods while another one sends as always.
fn flooded(figures: &mut Figures, service: &Path, flood: Flood, seconds: f64) {
    let side = Side::ours(
        service,
        "devices: [{name: r1, address: 127.0.0.1, flow: {}}, {name: flood, address: 127.0.2.1, flow: {}}]\n",
    );
    let to = side.to;
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let flooding = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.2.1:0").unwrap();
        let mut batch = SendBatch::new();
        let (mut at, mut sent) = (0_u32, 0_u64);
        socket.send_to(&v9(0, &[small_template()]), to).unwrap();
        while Instant::now() < end {
            let datagram = match flood {
                Flood::Templates => {
                    let sets: Vec<Vec<u8>> = (0..10)
                        .map(|more| template(256 + ((at * 10 + more) % 65_000) as u16))
                        .collect();
                    v9(at + 1, &sets)
                }
                Flood::Keys => v9(at + 1, &[conversations(at.wrapping_mul(RECORDS))]),
            };
            batch.push(to, |out| out.extend(&datagram), |_| {});
            at += 1;
            sent += 1;
            if batch.is_full() {
                flush(&socket, &mut batch);
                std::thread::sleep(Duration::from_millis(4));
            }
        }
        sent
    });
    // Few enough pairs that every one is told apart.
    let load = Load::new(Kind::V9, 2_000, 100);
    let sent = load.send(to, 20_000.0, end - Instant::now());
    let flood_sent = flooding.join().unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    let page = side.page();
    let of = |name: &str, device: &str| number(&page, &format!("{name}{{device=\"{device}\""));
    let (what, counter, at_least) = match flood {
        Flood::Templates => (
            "a flood of templates",
            "netflow_refused_templates_total",
            flood_sent * 9,
        ),
        Flood::Keys => ("a flood of conversations", "netflow_top_error_bytes", 1),
    };
    figures.add(
        &format!("{what}: records of another device that were lost"),
        sent as f64 - of("netflow_records_total", "r1"),
        None,
        Some(Goal::Exactly(0.0)),
    );
    figures.add(
        &format!("{what}: its counter"),
        of(counter, "flood"),
        None,
        Some(Goal::AtLeast(at_least as f64)),
    );
    figures.add(
        &format!("{what}: octets that a row of the other device may lack"),
        of("netflow_top_error_bytes", "r1"),
        None,
        Some(Goal::Exactly(0.0)),
    );
    figures.add(
        &format!("{what}: datagrams a second of it"),
        flood_sent as f64 / seconds,
        None,
        None,
    );
    figures.add(
        &format!("{what}: peak memory, MiB"),
        side.peak(),
        None,
        Some(Goal::AtMost(64.0)),
    );
}

/// Somebody who was never heard of receives a thousand times as much as anybody, while 50,000 flows a second come.
fn newcomer(figures: &mut Figures, service: &Path) {
    let side = Side::ours(service, ONE);
    let to = side.to;
    let sending = std::thread::spawn(move || {
        Load::new(Kind::V9, 5_000, 50_000).send(to, 50_000.0, Duration::from_secs(12))
    });
    std::thread::sleep(Duration::from_secs(5));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut record = Vec::new();
    record.extend([198, 18, 0, 1, 203, 0, 113, 9]);
    record.extend(u32::MAX.to_be_bytes());
    record.extend([0, 0, 4, 0, 4, 0, 1, 187, 6, 0, 0, 0, 0, 0, 0, 0]);
    let records: Vec<u8> = record.repeat(20);
    let datagram = v9(0, &[small_template(), set(1_000, &records)]);
    let address: SocketAddr = to;
    let begin = Instant::now();
    socket.send_to(&datagram, address).unwrap();
    let seen = |page: &str| {
        page.lines().any(|line| {
            line.starts_with("netflow_top_destination_bytes_total")
                && line.contains("\"203.0.113.9\"")
        })
    };
    while !seen(&side.page()) {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "it is never seen"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    figures.add(
        "seconds until a new heavy destination is in /metrics",
        begin.elapsed().as_secs_f64(),
        None,
        Some(Goal::AtMost(2.0)),
    );
    sending.join().unwrap();
}
