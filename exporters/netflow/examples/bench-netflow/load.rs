//! Datagrams to decode and to send: about 1,400 octets each, of flows between many hosts.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use netio::send::SendBatch;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    V5,
    V9,
    Ipfix,
    IpfixVariable,
    Sflow,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::V9,
        Self::Ipfix,
        Self::IpfixVariable,
        Self::V5,
        Self::Sflow,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V5 => "v5",
            Self::V9 => "v9, 22 fields of 61 octets",
            Self::Ipfix => "IPFIX, 22 fields of 61 octets",
            Self::IpfixVariable => "IPFIX, IPv6, a field of variable length",
            Self::Sflow => "sFlow",
        }
    }

    fn records(self) -> u32 {
        match self {
            Self::V5 => 29,
            Self::V9 | Self::Ipfix => 22,
            Self::IpfixVariable => 14,
            Self::Sflow => 8,
        }
    }
}

/// Fields of the template of fixed length: element and octets, 61 in all.
pub(crate) const FIXED: [(u16, u16); 22] = [
    (8, 4),
    (12, 4),
    (15, 4),
    (10, 4),
    (14, 4),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
    (7, 2),
    (11, 2),
    (6, 1),
    (4, 1),
    (5, 1),
    (16, 4),
    (17, 4),
    (9, 1),
    (13, 1),
    (61, 1),
    (89, 1),
    (48, 1),
    (52, 5),
];
/// Fields of the template with one of variable length: an application's name of an enterprise.
const VARIABLE: [(u16, u16); 17] = [
    (27, 16),
    (28, 16),
    (10, 4),
    (14, 4),
    (2, 8),
    (1, 8),
    (152, 8),
    (153, 8),
    (7, 2),
    (11, 2),
    (6, 2),
    (4, 1),
    (5, 1),
    (16, 4),
    (17, 4),
    (61, 1),
    (0x8000 | 5, 65_535),
];

/// Datagrams of one exporter.
pub(crate) struct Load {
    pub(crate) kind: Kind,
    /// The first one tells the template, where there is one.
    pub(crate) datagrams: Vec<Vec<u8>>,
    /// Records in each of the others.
    pub(crate) records: u32,
}

/// Numbers that follow from their seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A host of `hosts`, the first of them most often.
    pub(crate) fn host(&mut self, hosts: u32) -> u32 {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        // Zipf with exponent 1: the rank is exponential in an even share.
        (f64::from(hosts).powf(share) - 1.0) as u32
    }
}

impl Load {
    pub(crate) fn new(kind: Kind, count: usize, hosts: u32) -> Self {
        let mut random = Random(1);
        let mut datagrams = Vec::new();
        if matches!(kind, Kind::V9 | Kind::Ipfix | Kind::IpfixVariable) {
            datagrams.push(framed(kind, 0, &template(kind)));
        }
        let records = kind.records();
        for at in 0..count as u32 {
            let mut body = Vec::new();
            for _ in 0..records {
                record(kind, &mut random, hosts, &mut body);
            }
            let sequence = match kind {
                Kind::V9 => at + 1,
                Kind::Sflow => at,
                _ => at * records,
            };
            datagrams.push(match kind {
                Kind::V5 | Kind::Sflow => framed(kind, sequence, &body),
                _ => framed(kind, sequence, &set(256, &body)),
            });
        }
        Self {
            kind,
            datagrams,
            records,
        }
    }

    /// Sends all of them again and again for so long, this many records a second; answers how many records were sent. Numbers go on from
    /// round to round.
    pub(crate) fn send(&self, to: SocketAddr, rate: f64, length: Duration) -> u64 {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let has_template = self.kind != Kind::V5 && self.kind != Kind::Sflow;
        let (begin, mut sent, mut number) = (Instant::now(), 0_u64, 0_u32);
        let mut batch = SendBatch::new();
        let first = usize::from(has_template);
        if has_template {
            socket.send_to(&self.datagrams[0], to).unwrap();
            number = u32::from(self.kind == Kind::V9);
        }
        for datagram in self.datagrams[first..].iter().cycle() {
            let numbered = |out: &mut Vec<u8>| {
                let at = out.len();
                out.extend(datagram);
                self.renumber(&mut out[at..], number);
            };
            batch.push(to, numbered, |_| {});
            number = number.wrapping_add(match self.kind {
                Kind::V9 | Kind::Sflow => 1,
                _ => self.records,
            });
            sent += u64::from(self.records);
            if batch.is_full() {
                flush(&socket, &mut batch);
                let due = begin + Duration::from_secs_f64(sent as f64 / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if begin.elapsed() >= length {
                    break;
                }
            }
        }
        sent
    }

    pub(crate) fn renumber(&self, datagram: &mut [u8], number: u32) {
        let at = match self.kind {
            Kind::V5 | Kind::Sflow => 16,
            Kind::V9 => 12,
            _ => 8,
        };
        datagram[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
}

/// Sends all that a batch holds.
pub(crate) fn flush(socket: &UdpSocket, batch: &mut SendBatch) {
    let mut first = 0;
    while first < batch.len() {
        // A sender that has no room is asked again.
        first += batch.send(socket.as_fd(), first).unwrap_or(0);
    }
    batch.clear();
}

pub(crate) fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u16 + 4;
    [&id.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
}

fn template(kind: Kind) -> Vec<u8> {
    let fields: &[(u16, u16)] = if kind == Kind::IpfixVariable {
        &VARIABLE
    } else {
        &FIXED
    };
    let mut body = [256_u16, fields.len() as u16]
        .map(u16::to_be_bytes)
        .concat();
    for (element, length) in fields {
        body.extend(element.to_be_bytes());
        body.extend(length.to_be_bytes());
        if element & 0x8000 != 0 {
            body.extend(35_632_u32.to_be_bytes());
        }
    }
    set(if kind == Kind::V9 { 0 } else { 2 }, &body)
}

fn framed(kind: Kind, sequence: u32, body: &[u8]) -> Vec<u8> {
    let numbers = |values: &[u32]| {
        values
            .iter()
            .flat_map(|value| value.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    let (uptime, seconds) = (1_000_000, 1_700_000_000);
    let head = match kind {
        Kind::V5 => numbers(&[5 << 16 | kind.records(), uptime, seconds, 0, sequence, 0]),
        Kind::V9 => numbers(&[9 << 16 | 1, uptime, seconds, sequence, 7]),
        Kind::Ipfix | Kind::IpfixVariable => {
            numbers(&[10 << 16 | (body.len() as u32 + 16), seconds, sequence, 7])
        }
        Kind::Sflow => numbers(&[5, 1, 0x7f00_0001, 0, sequence, uptime, kind.records()]),
    };
    [head, body.to_vec()].concat()
}

fn record(kind: Kind, random: &mut Random, hosts: u32, out: &mut Vec<u8>) {
    let source = 0xc612_0000 + random.host(hosts);
    let destination = 0x0a00_0000 + random.host(hosts);
    let (octets, packets) = (
        (random.next() % 100_000) as u32 + 40,
        (random.next() % 100) as u32 + 1,
    );
    let port = [443_u16, 80, 53, 22, 40_000][random.next() as usize % 5];
    let interfaces = [random.next() as u32 % 48 + 1, random.next() as u32 % 48 + 1];
    let (first, last) = (999_000_u32 - random.next() as u32 % 5_000, 999_500_u32);
    let fields: &[(u16, u16)] = match kind {
        Kind::V5 => {
            let mut record = [0_u8; 48];
            record[..4].copy_from_slice(&source.to_be_bytes());
            record[4..8].copy_from_slice(&destination.to_be_bytes());
            record[13] = interfaces[0] as u8;
            record[15] = interfaces[1] as u8;
            for (at, value) in [(16, packets), (20, octets), (24, first), (28, last)] {
                record[at..at + 4].copy_from_slice(&value.to_be_bytes());
            }
            record[32..34].copy_from_slice(&50_000_u16.to_be_bytes());
            record[34..36].copy_from_slice(&port.to_be_bytes());
            record[38] = 6;
            out.extend(record);
            return;
        }
        Kind::Sflow => {
            let mut frame = vec![0; 12];
            frame.extend([8, 0, 0x45, 0, 5, 0xdc, 0, 0, 0, 0, 64, 6, 0, 0]);
            frame.extend(source.to_be_bytes());
            frame.extend(destination.to_be_bytes());
            frame.extend(50_000_u16.to_be_bytes());
            frame.extend(port.to_be_bytes());
            frame.resize(76, 0);
            let words = |values: &[u32]| {
                values
                    .iter()
                    .flat_map(|value| value.to_be_bytes())
                    .collect::<Vec<u8>>()
            };
            let header = [words(&[1, 1_518, 4, frame.len() as u32]), frame].concat();
            let flow = [
                words(&[
                    1,
                    4,
                    1_000,
                    1,
                    0,
                    interfaces[0],
                    interfaces[1],
                    1,
                    1,
                    header.len() as u32,
                ]),
                header,
            ]
            .concat();
            out.extend(words(&[1, flow.len() as u32]));
            out.extend(flow);
            return;
        }
        Kind::IpfixVariable => &VARIABLE,
        Kind::V9 | Kind::Ipfix => &FIXED,
    };
    for (element, length) in fields {
        let value = match element {
            8 => source,
            12 => destination,
            10 => interfaces[0],
            14 => interfaces[1],
            1 => octets,
            2 => packets,
            22 => first,
            21 => last,
            7 => 50_000,
            11 => port.into(),
            4 => 6,
            16 => 64_500 + source % 50,
            17 => 64_500 + destination % 50,
            _ => 0,
        };
        match (element, length) {
            (27 | 28, _) => {
                out.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
                out.extend(if *element == 27 { source } else { destination }.to_be_bytes());
            }
            (152 | 153, _) => out.extend((1_699_999_999_000_u64).to_be_bytes()),
            (_, 65_535) => {
                let name: &[u8] =
                    [&b"web"[..], b"mail", b"", b"telephony"][random.next() as usize % 4];
                out.push(name.len() as u8);
                out.extend(name);
            }
            (_, length) => {
                let value = u64::from(value).to_be_bytes();
                let length = usize::from(*length);
                out.extend(&value[8 - length.min(8)..]);
            }
        }
    }
}
