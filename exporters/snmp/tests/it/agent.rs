//! An agent in memory, for tests and measurements: versions 1 and 2c, GET, GETNEXT and GETBULK.
//!
//! Objects come from a recorded walk (`snmpwalk -On`, or `oid|tag|value` lines as snmprec files have them), or are made
//! up: a device with so many interfaces.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of several programs, none of which uses all of it"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use snmp2::asn1::AsnReader;

use sotp_snmp::codec::{push, push_integer};
use sotp_snmp::oid::{self, Oid};

/// Largest answer that fits an Ethernet frame.
pub const FRAME: usize = 1472;

/// The objects of one device.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    objects: Vec<(Vec<u32>, Vec<u8>)>,
    /// The most octets of an answer; a GETBULK answer is cut to it, another is refused as too big.
    pub largest: usize,
    /// Requests with another community are not answered.
    pub community: Vec<u8>,
    /// Since when sysUpTime goes on from the value recorded; else it stands still.
    pub started: Option<std::time::Instant>,
}

const SYSTEM: [u32; 7] = [1, 3, 6, 1, 2, 1, 1];
/// sysUpTime.0 in front of its value, and the type and length that the value must have to go on.
const UP_TIME: [u8; 12] = [0x06, 8, 0x2b, 6, 1, 2, 1, 1, 3, 0, 0x43, 4];

/// One request as the agent read it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Version number on the wire: 0 or 1.
    pub version: i64,
    /// Community.
    pub community: Vec<u8>,
    /// PDU type.
    pub tag: u8,
    /// Request id.
    pub id: i64,
    /// Error status, or non-repeaters.
    pub second: i64,
    /// Error index, or max-repetitions.
    pub third: i64,
    /// Objects asked for.
    pub oids: Vec<Vec<u32>>,
}

impl Agent {
    /// From objects and their values, encoded with tag and length.
    #[must_use]
    pub fn new(objects: BTreeMap<Oid, Vec<u8>>) -> Self {
        let objects = objects
            .into_iter()
            .map(|(oid, value)| {
                let (mut name, mut pair, mut out) = (Vec::new(), Vec::new(), Vec::new());
                oid::encode(oid.ids(), &mut name);
                push(0x06, &name, &mut pair);
                pair.extend(value);
                push(0x30, &pair, &mut out);
                (oid.ids().to_vec(), out)
            })
            .collect();
        Self {
            objects,
            largest: FRAME,
            community: b"public".to_vec(),
            started: None,
        }
    }

    /// The same with a sysUpTime that goes on from now.
    #[must_use]
    pub fn ticking(self) -> Self {
        Self {
            started: Some(std::time::Instant::now()),
            ..self
        }
    }

    /// Lets sysUpTime go on in a varbind list.
    fn tick(&self, list: &mut [u8]) {
        let Some(started) = self.started else { return };
        let Some(at) = list
            .windows(UP_TIME.len() + 4)
            .position(|part| part.starts_with(&UP_TIME))
        else {
            return;
        };
        let value = &mut list[at + UP_TIME.len()..][..4];
        let recorded = value
            .iter()
            .fold(0u32, |number, octet| (number << 8) | u32::from(*octet));
        let passed = started.elapsed().as_millis() / 10;
        let now = u32::try_from(passed).map_or(recorded, |passed| recorded.wrapping_add(passed));
        value.copy_from_slice(&now.to_be_bytes());
    }

    /// From lines of `oid|tag|value`, tags as in snmprec files: 2, 4, 4x, 6, 64, 64x, 65, 66, 67, 68x, 70.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn from_snmprec(text: &str) -> Result<Self, String> {
        let mut objects = BTreeMap::new();
        for (at, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        {
            let bad = || format!("line {}: expected oid|tag|value", at + 1);
            let mut parts = line.splitn(3, '|');
            let (Some(oid), Some(tag), Some(value)) = (parts.next(), parts.next(), parts.next())
            else {
                return Err(bad());
            };
            objects.insert(
                oid.parse::<Oid>()
                    .map_err(|error| format!("line {}: {error}", at + 1))?,
                encoded(tag, value).ok_or_else(bad)?,
            );
        }
        Ok(Self::new(objects))
    }

    /// A device with `interfaces` interfaces: system group, ifTable and ifXTable in full.
    #[must_use]
    pub fn with_interfaces(interfaces: u32) -> Self {
        Self::with_interfaces_later(interfaces, 0)
    }

    /// The same `later`: its ifTableLastChange has moved and its interfaces have counted on.
    #[must_use]
    pub fn with_interfaces_later(interfaces: u32, later: u32) -> Self {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "1.3.6.1.2.1.1.1.0|4|A device of {interfaces} interfaces\n1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.8072.3.2.10\n\
             1.3.6.1.2.1.1.3.0|67|123456789\n1.3.6.1.2.1.1.5.0|4|device\n1.3.6.1.2.1.2.1.0|2|{interfaces}\n1.3.6.1.2.1.31.1.5.0|67|{}",
            4711 + later
        );
        for index in 1..=interfaces {
            let (upper, lower) = (index >> 8, index & 0xff);
            let name = format!("GigabitEthernet{}/0/{}", index / 48, index % 48);
            for (column, value) in [
                (1, format!("2|{index}")),
                (2, format!("4|{name}")),
                (3, "2|6".to_owned()),
                (4, "2|1500".to_owned()),
                (5, "66|1000000000".to_owned()),
                (6, format!("4x|0000c612{upper:02x}{lower:02x}")),
                (7, "2|1".to_owned()),
                (8, format!("2|{}", 1 + index % 2)),
                (9, format!("67|{}", index * 100)),
            ] {
                let _ = writeln!(text, "1.3.6.1.2.1.2.2.1.{column}.{index}|{value}");
            }
            // The 32-bit counters are the low half of their 64-bit twins (RFC 2863 §3.1.6).
            let wide = |column: u32| {
                (1u64 << 31)
                    + u64::from(index) * 65_537
                    + u64::from(column)
                    + u64::from(later) * 100_000
            };
            let low = |column: u32| wide(column) & 0xffff_ffff;
            for column in 10..=20 {
                let value = match column {
                    10 => low(6),
                    11 => low(7),
                    16 => low(10),
                    17 => low(11),
                    _ => u64::from(index.wrapping_mul(2_654_435) ^ column),
                };
                let _ = writeln!(text, "1.3.6.1.2.1.2.2.1.{column}.{index}|65|{value}");
            }
            let _ = writeln!(
                text,
                "1.3.6.1.2.1.2.2.1.21.{index}|66|0\n1.3.6.1.2.1.2.2.1.22.{index}|6|0.0"
            );
            let _ = writeln!(
                text,
                "1.3.6.1.2.1.31.1.1.1.1.{index}|4|Gi{}/0/{}",
                index / 48,
                index % 48
            );
            for (column, twin) in [(2, 8), (3, 9), (4, 12), (5, 13)] {
                let _ = writeln!(
                    text,
                    "1.3.6.1.2.1.31.1.1.1.{column}.{index}|65|{}",
                    low(twin)
                );
            }
            for column in 6u32..=13 {
                let _ = writeln!(
                    text,
                    "1.3.6.1.2.1.31.1.1.1.{column}.{index}|70|{}",
                    wide(column)
                );
            }
            for (column, value) in [
                (14, "2|1"),
                (15, "66|1000"),
                (16, "2|2"),
                (17, "2|1"),
                (19, "67|0"),
            ] {
                let _ = writeln!(text, "1.3.6.1.2.1.31.1.1.1.{column}.{index}|{value}");
            }
            let _ = writeln!(text, "1.3.6.1.2.1.31.1.1.1.18.{index}|4|to rack {index}");
        }
        Self::from_snmprec(&text).unwrap_or_default()
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The answer to a message; `None` when it deserves none.
    #[must_use]
    pub fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let request = read(message)?;
        (request.community == self.community).then(|| self.respond(&request))
    }

    /// The answer to a request.
    #[must_use]
    pub fn respond(&self, request: &Request) -> Vec<u8> {
        let v1 = request.version == 0;
        let mut list = Vec::with_capacity(FRAME);
        match request.tag {
            0xa5 => self.bulk(request, &mut list),
            tag => {
                for (at, oid) in request.oids.iter().enumerate() {
                    let found = if tag == 0xa0 {
                        self.objects
                            .binary_search_by(|(name, _)| name.as_slice().cmp(oid))
                            .ok()
                    } else {
                        Some(self.behind(oid)).filter(|next| *next < self.objects.len())
                    };
                    match found {
                        Some(found) => list.extend_from_slice(&self.objects[found].1),
                        None if v1 => {
                            return response(request, 2, at as i64 + 1, &echo(&request.oids));
                        }
                        None => exception(oid, if tag == 0xa0 { 0x81 } else { 0x82 }, &mut list),
                    }
                }
            }
        }
        if list.len() + 40 + request.community.len() > self.largest {
            return response(request, 1, 0, &[]);
        }
        if request.oids.iter().any(|oid| oid.starts_with(&SYSTEM)) {
            self.tick(&mut list);
        }
        response(request, 0, 0, &list)
    }

    fn behind(&self, oid: &[u32]) -> usize {
        self.objects
            .partition_point(|(name, _)| name.as_slice() <= oid)
    }

    fn bulk(&self, request: &Request, list: &mut Vec<u8>) {
        let room = self.largest.saturating_sub(40 + request.community.len());
        let plain = usize::try_from(request.second)
            .unwrap_or(0)
            .min(request.oids.len());
        for oid in &request.oids[..plain] {
            match self.objects.get(self.behind(oid)) {
                Some((_, object)) => list.extend_from_slice(object),
                None => exception(oid, 0x82, list),
            }
        }
        let mut next: Vec<usize> = request.oids[plain..]
            .iter()
            .map(|oid| self.behind(oid))
            .collect();
        for _ in 0..request.third.clamp(0, 10_000) {
            if next.iter().all(|at| *at >= self.objects.len()) {
                if let Some(oid) = request.oids.get(plain).filter(|_| list.is_empty()) {
                    exception(oid, 0x82, list);
                } else if let Some((last, _)) =
                    self.objects.last().filter(|_| list.len() + 40 < room)
                {
                    exception(last, 0x82, list);
                }
                return;
            }
            for (at, oid) in next.iter_mut().zip(&request.oids[plain..]) {
                match self.objects.get(*at) {
                    Some((_, object)) if list.len() + object.len() > room => return,
                    Some((_, object)) => list.extend_from_slice(object),
                    None => exception(oid, 0x82, list),
                }
                *at += 1;
            }
        }
    }
}

/// Reads a version 1 or 2c request.
#[must_use]
pub fn read(message: &[u8]) -> Option<Request> {
    let mut reader = AsnReader::from_bytes(AsnReader::from_bytes(message).read_raw(0x30).ok()?);
    let version = reader.read_asn_integer().ok()?;
    let community = reader.read_asn_octetstring().ok()?.to_vec();
    let tag = reader.peek_byte().ok()?;
    let mut body = AsnReader::from_bytes(reader.read_raw(tag).ok()?);
    let (id, second, third) = (
        body.read_asn_integer().ok()?,
        body.read_asn_integer().ok()?,
        body.read_asn_integer().ok()?,
    );
    let mut list = AsnReader::from_bytes(body.read_raw(0x30).ok()?);
    let mut oids = Vec::new();
    while list.bytes_left() > 0 {
        let mut ids = Vec::new();
        oid::decode(
            AsnReader::from_bytes(list.read_raw(0x30).ok()?)
                .read_raw(0x06)
                .ok()?,
            &mut ids,
        )
        .ok()?;
        oids.push(ids);
    }
    Some(Request {
        version,
        community,
        tag,
        id,
        second,
        third,
        oids,
    })
}

/// A response with this error status and varbind list.
#[must_use]
pub fn response(request: &Request, status: i64, index: i64, varbinds: &[u8]) -> Vec<u8> {
    let mut pdu = Vec::with_capacity(varbinds.len() + 24);
    push_integer(request.id, &mut pdu);
    push_integer(status, &mut pdu);
    push_integer(index, &mut pdu);
    push(0x30, varbinds, &mut pdu);
    let mut content = Vec::with_capacity(pdu.len() + 32);
    push_integer(request.version, &mut content);
    push(0x04, &request.community, &mut content);
    push(0xa2, &pdu, &mut content);
    let mut out = Vec::with_capacity(content.len() + 8);
    push(0x30, &content, &mut out);
    out
}

fn echo(oids: &[Vec<u32>]) -> Vec<u8> {
    let names: Vec<&[u32]> = oids.iter().map(Vec::as_slice).collect();
    sotp_snmp::codec::varbinds(&names)
}

fn exception(oid: &[u32], tag: u8, list: &mut Vec<u8>) {
    let (mut name, mut pair) = (Vec::new(), Vec::new());
    oid::encode(oid, &mut name);
    push(0x06, &name, &mut pair);
    pair.extend([tag, 0]);
    push(0x30, &pair, list);
}

fn encoded(tag: &str, value: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (number, hex) = tag
        .strip_suffix('x')
        .map_or((tag, false), |number| (number, true));
    let tag: u8 = number.parse().ok()?;
    if hex {
        let digits = value
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        push(tag, &digits.collect::<Option<Vec<u8>>>()?, &mut out);
        return Some(out);
    }
    match tag {
        2 => push_integer(value.parse().ok()?, &mut out),
        6 => {
            let mut content = Vec::new();
            oid::encode(value.parse::<Oid>().ok()?.ids(), &mut content);
            push(6, &content, &mut out);
        }
        64 => push(
            64,
            &value.parse::<std::net::Ipv4Addr>().ok()?.octets(),
            &mut out,
        ),
        65..=67 | 70 => {
            let number: u64 = value.parse().ok()?;
            let bytes = number.to_be_bytes();
            let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
            let mut content = bytes[start..].to_vec();
            if content[0] & 0x80 != 0 {
                content.insert(0, 0);
            }
            push(tag, &content, &mut out);
        }
        5 => push(5, &[], &mut out),
        _ => push(tag, value.as_bytes(), &mut out),
    }
    Some(out)
}

/// Answers on a socket until it fails. Each answer leaves `delay` after its request came, many at a time.
pub fn serve(socket: &std::net::UdpSocket, agent: &Agent, delay: std::time::Duration) {
    let mut late: std::collections::VecDeque<(std::time::Instant, std::net::SocketAddr, Vec<u8>)> =
        std::collections::VecDeque::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let now = std::time::Instant::now();
        while late.front().is_some_and(|(due, _, _)| *due <= now) {
            if let Some((_, to, answer)) = late.pop_front() {
                let _ = socket.send_to(&answer, to);
            }
        }
        let wait = late.front().map(|(due, _, _)| {
            due.saturating_duration_since(now)
                .max(std::time::Duration::from_micros(20))
        });
        if socket.set_read_timeout(wait).is_err() {
            return;
        }
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                if let Some(answer) = agent.answer(&buffer[..length]) {
                    if delay.is_zero() {
                        let _ = socket.send_to(&answer, from);
                    } else {
                        late.push_back((std::time::Instant::now() + delay, from, answer));
                    }
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::Interrupted
                ) => {}
            Err(_) => return,
        }
    }
}
