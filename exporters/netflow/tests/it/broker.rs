//! A strict double of one Kafka broker with one topic: it takes what a real one takes, and panics at the first thing that none would take.
//!
//! Requests and record batches by <https://kafka.apache.org/protocol>: `ApiVersions` 0 to 3, `Metadata` 1, `Produce` 3.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Longest record batch, as brokers have it by default (`message.max.bytes`).
const LONGEST_BATCH: usize = 1_048_588;
/// The topic.
pub(crate) const TOPIC: &str = "flows";
/// Its partitions.
pub(crate) const PARTITIONS: i32 = 3;

#[derive(Default)]
struct State {
    /// Partition and value of each record that was stored.
    records: Vec<(i32, Vec<u8>)>,
    /// Errors that the next requests to produce are answered with; nothing is stored then.
    errors: Vec<i16>,
    /// What a client did that no broker takes.
    wrong: Vec<String>,
    /// Batches are neither looked at nor kept.
    discards: bool,
}

/// The running broker; its threads end with the test.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Broker {
    /// Begins at this address; with port 0 at a free one.
    pub(crate) fn start(address: SocketAddr) -> Self {
        Self::with(address, State::default())
    }

    /// One that takes every batch and forgets it.
    #[allow(dead_code, reason = "the benchmark has it")]
    pub(crate) fn discarding(address: SocketAddr) -> Self {
        let discards = true;
        Self::with(
            address,
            State {
                discards,
                ..State::default()
            },
        )
    }

    fn with(address: SocketAddr, state: State) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, address, &state));
            }
        });
        Self { address, state }
    }

    /// Answers the next requests to produce with these errors.
    pub(crate) fn fail(&self, errors: &[i16]) {
        self.state.lock().unwrap().errors.extend(errors);
    }

    /// Errors that nobody was answered with yet.
    pub(crate) fn errors_left(&self) -> usize {
        self.state.lock().unwrap().errors.len()
    }

    /// Partition and value of each record; fails where a client did what no broker takes.
    pub(crate) fn records(&self) -> Vec<(i32, Vec<u8>)> {
        let state = self.state.lock().unwrap();
        assert_eq!(state.wrong, Vec::<String>::new());
        state.records.clone()
    }
}

fn serve(mut stream: TcpStream, own: SocketAddr, state: &Mutex<State>) {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        if stream.read_exact(&mut request).is_err() {
            return;
        }
        match answer(&mut In(&request), own, state) {
            Ok(answer) => {
                let length = u32::try_from(answer.len()).unwrap().to_be_bytes();
                if stream.write_all(&[&length[..], &answer].concat()).is_err() {
                    return;
                }
            }
            Err(wrong) => {
                state.lock().unwrap().wrong.push(wrong);
                return;
            }
        }
    }
}

/// What is left of a request.
struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("too short")?;
        self.0 = rest;
        Ok(taken)
    }
    fn number(&mut self, octets: usize) -> Result<i64, String> {
        let bytes = self.take(octets)?;
        let first = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        Ok(bytes
            .iter()
            .fold(first, |value, byte| value << 8 | i64::from(*byte)))
    }
    fn text(&mut self) -> Result<Option<String>, String> {
        let length = self.number(2)?;
        if length < 0 {
            return Ok(None);
        }
        let bytes = self.take(length as usize)?;
        Ok(Some(
            String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())?,
        ))
    }
    /// A varint in zigzag.
    fn varint(&mut self) -> Result<i64, String> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err("a varint without an end".to_owned())
    }
}

fn expect(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text.as_bytes());
}

fn answer(request: &mut In<'_>, own: SocketAddr, state: &Mutex<State>) -> Result<Vec<u8>, String> {
    let (key, version) = (request.number(2)?, request.number(2)?);
    let mut out = request.take(4)?.to_vec();
    expect(
        request.text()?.as_deref() == Some("sotp-netflow"),
        "another client",
    )?;
    let word = |out: &mut Vec<u8>, value: i32| out.extend(value.to_be_bytes());
    match (key, version) {
        (18, 0..=3) => {
            let all = [(0_i16, 3_i16, 3_i16), (3, 1, 1), (18, 0, 3)];
            out.extend([0, 0]);
            if version == 3 {
                out.push(all.len() as u8 + 1);
            } else {
                word(&mut out, all.len() as i32);
            }
            for (key, low, high) in all {
                [key, low, high]
                    .iter()
                    .for_each(|value| out.extend(value.to_be_bytes()));
                out.extend((version == 3).then_some(0));
            }
            if version > 0 {
                word(&mut out, 0);
            }
            out.extend((version == 3).then_some(0));
        }
        (3, 1) => {
            word(&mut out, 1);
            word(&mut out, 1);
            text(&mut out, &own.ip().to_string());
            word(&mut out, own.port().into());
            out.extend((-1_i16).to_be_bytes());
            word(&mut out, 1);
            word(&mut out, 1);
            out.extend([0, 0]);
            text(&mut out, TOPIC);
            out.push(0);
            word(&mut out, PARTITIONS);
            for partition in 0..PARTITIONS {
                out.extend([0, 0]);
                [partition, 1, 1, 1, 1, 1]
                    .iter()
                    .for_each(|value| word(&mut out, *value));
            }
        }
        (0, 3) => {
            expect(request.text()?.is_none(), "a transaction")?;
            expect(request.number(2)? == -1, "not acknowledged by all replicas")?;
            request.number(4)?;
            expect(request.number(4)? == 1, "more than one topic")?;
            expect(request.text()?.as_deref() == Some(TOPIC), "another topic")?;
            expect(request.number(4)? == 1, "more than one partition")?;
            let partition = request.number(4)? as i32;
            expect((0..PARTITIONS).contains(&partition), "no such partition")?;
            let length = request.number(4)? as usize;
            expect(length <= LONGEST_BATCH, "a batch that is too long")?;
            let bytes = request.take(length)?;
            expect(request.0.is_empty(), "something behind the request")?;
            let mut state = state.lock().unwrap();
            let values = if state.discards {
                Vec::new()
            } else {
                batch(bytes)?
            };
            let error = state.errors.pop().unwrap_or(0);
            if error == 0 {
                let records = values.into_iter().map(|value| (partition, value));
                state.records.extend(records);
            }
            word(&mut out, 1);
            text(&mut out, TOPIC);
            word(&mut out, 1);
            word(&mut out, partition);
            out.extend(error.to_be_bytes());
            [0_i64, -1]
                .iter()
                .for_each(|value| out.extend(value.to_be_bytes()));
            word(&mut out, 0);
        }
        _ => return Err(format!("request {key} of version {version}")),
    }
    Ok(out)
}

/// The values of a batch in the format that began with Kafka 0.11, uncompressed.
fn batch(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut all = In(bytes);
    expect(all.number(8)? == 0, "a base offset")?;
    let length = all.number(4)? as usize;
    expect(length == all.0.len(), "more or less than one batch")?;
    all.number(4)?;
    expect(all.number(1)? == 2, "another format than 2")?;
    let checksum = all.number(4)? as u32;
    expect(checksum == crc32c(all.0), "a checksum that is wrong")?;
    expect(all.number(2)? == 0, "compressed, or of a transaction")?;
    let last = all.number(4)?;
    let (base, most) = (all.number(8)?, all.number(8)?);
    expect(
        base > 1_600_000_000_000 && most >= base,
        "a time that is none",
    )?;
    expect(
        (all.number(8)?, all.number(2)?, all.number(4)?) == (-1, -1, -1),
        "an id",
    )?;
    let count = all.number(4)?;
    expect(count == last + 1, "an offset that is no count")?;
    let mut values = Vec::new();
    for offset in 0..count {
        let length = all.varint()? as usize;
        let mut record = In(all.take(length)?);
        record.number(1)?;
        expect(
            (0..=most - base).contains(&record.varint()?),
            "a time beyond the most",
        )?;
        expect(record.varint()? == offset, "an offset out of order")?;
        expect(record.varint()? == -1, "a key")?;
        let length = record.varint()? as usize;
        values.push(record.take(length)?.to_vec());
        expect(record.varint()? == 0 && record.0.is_empty(), "headers")?;
    }
    expect(all.0.is_empty(), "something behind the records")?;
    Ok(values)
}

/// Castagnoli's.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
    let add = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(u32::MAX, add)
}
