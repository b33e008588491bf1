//! A host of user space behind a TUN device, which answers as it is told and keeps count: the truth of a test.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netio::tun::Tun;

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Answer,
    Drop,
    /// Answers two times.
    Twice,
    /// Answers with a changed byte.
    Corrupt,
    /// Answers without the last byte.
    Cut,
    /// Answers half a second later.
    Late,
    /// Answers from another address.
    Elsewhere,
    /// Host unreachable, with the whole request quoted.
    Unreachable,
    /// Host unreachable, with eight bytes of the request quoted.
    UnreachableBare,
    /// Time exceeded on the way, with the whole request quoted.
    Expired,
    /// Answers once the next request to the address has been answered; what is not answered so is a `Drop`.
    Overtaken,
    /// Answers requests with any identifier but the first that it saw, as if something on the way remembered that one wrongly.
    Stuck,
    /// Answers, and a moment later answers with an error too.
    AnswerThenUnreachable,
}

/// How often each act was done to a destination, by its last byte.
pub(crate) type Truth = HashMap<(u8, Act), u64>;

/// Answers for 198.18.50.0/24.
pub(crate) struct Responder {
    stop: Arc<AtomicBool>,
    truth: Arc<Mutex<Truth>>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Starts on a device; `rule` says what becomes of request number `n` (from 0) to the address ending in `last`.
    pub(crate) fn start(tun: Tun, rule: impl Fn(u8, u64) -> Act + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let truth = Arc::new(Mutex::new(Truth::new()));
        let thread = std::thread::spawn({
            let (stop, truth) = (Arc::clone(&stop), Arc::clone(&truth));
            move || serve(&tun, &rule, &stop, &truth)
        });
        Self {
            stop,
            truth,
            thread: Some(thread),
        }
    }

    /// What was done so far.
    pub(crate) fn truth(&self) -> Truth {
        self.truth.lock().unwrap().clone()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(tun: &Tun, rule: &dyn Fn(u8, u64) -> Act, stop: &AtomicBool, truth: &Mutex<Truth>) {
    let mut buffer = [0; 2048];
    let mut seen: HashMap<u8, u64> = HashMap::new();
    let mut later: Vec<(Instant, Vec<u8>)> = Vec::new();
    let mut held: HashMap<u8, Vec<u8>> = HashMap::new();
    let mut identifiers: HashMap<u8, [u8; 2]> = HashMap::new();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        later.retain(|(when, packet)| {
            let wait = *when > now;
            if !wait {
                tun.write(packet).unwrap();
            }
            wait
        });
        let length = match tun.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(500));
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let request = &buffer[..length];
        // IPv4 without options, ICMP, echo request; the kernel sends other things of its own.
        if length < 28 || request[0] != 0x45 || request[9] != 1 || request[20] != 8 {
            continue;
        }
        let last = request[19];
        let number = seen.entry(last).or_default();
        let mut act = rule(last, *number);
        *number += 1;
        if act == Act::Stuck {
            let identifier = [request[24], request[25]];
            let first = *identifiers.entry(last).or_insert(identifier);
            act = if identifier == first {
                Act::Drop
            } else {
                Act::Answer
            };
        }
        let mut truth = truth.lock().unwrap();
        if act == Act::Overtaken {
            let before = held.insert(last, reply(request));
            assert!(before.is_none(), "one is held at a time");
            *truth.entry((last, Act::Drop)).or_default() += 1;
            continue;
        }
        for (after, packet) in packets(act, request) {
            later.push((Instant::now() + after, packet));
        }
        *truth.entry((last, act)).or_default() += 1;
        if let Some(packet) = held.remove(&last) {
            later.push((Instant::now(), packet));
            *truth.entry((last, Act::Drop)).or_default() -= 1;
            *truth.entry((last, Act::Overtaken)).or_default() += 1;
        }
    }
}

/// The packets that come back, each after some time.
fn packets(act: Act, request: &[u8]) -> Vec<(Duration, Vec<u8>)> {
    let answer = reply(request);
    let soon = |packet| (Duration::ZERO, packet);
    match act {
        Act::Drop | Act::Overtaken | Act::Stuck => Vec::new(),
        Act::Answer => vec![soon(answer)],
        Act::Twice => vec![soon(answer.clone()), soon(answer)],
        Act::Corrupt => {
            let mut packet = answer;
            *packet.last_mut().unwrap() ^= 0x40;
            vec![soon(finish(packet))]
        }
        Act::Cut => {
            let mut packet = answer;
            packet.pop();
            vec![soon(finish(packet))]
        }
        Act::Late => vec![(Duration::from_millis(500), answer)],
        Act::Elsewhere => {
            let mut packet = answer;
            packet[15] = 250;
            vec![soon(finish(packet))]
        }
        Act::Unreachable => vec![soon(error([3, 1], request, request.len()))],
        Act::UnreachableBare => vec![soon(error([3, 1], request, 28))],
        Act::Expired => vec![soon(error([11, 0], request, request.len()))],
        Act::AnswerThenUnreachable => {
            vec![
                soon(answer),
                (Duration::from_millis(50), error([3, 1], request, 28)),
            ]
        }
    }
}

/// A router with two equal ways to 198.18.50.9, which spreads flows over them by what Paris traceroute keeps the same: identifier and
/// checksum. Flows take turns, so that any two neighbouring ones go different ways.
pub(crate) struct Spreader {
    stop: Arc<AtomicBool>,
    flows: Arc<Mutex<HashMap<[u8; 4], u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Spreader {
    pub(crate) fn start(tun: Tun) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flows = Arc::new(Mutex::new(HashMap::new()));
        let thread = std::thread::spawn({
            let (stop, flows) = (Arc::clone(&stop), Arc::clone(&flows));
            move || {
                let mut buffer = [0; 2048];
                while !stop.load(Ordering::Relaxed) {
                    match tun.read(&mut buffer) {
                        Ok(length) => {
                            if let Some(packet) = forwarded(&buffer[..length], &flows) {
                                tun.write(&packet).unwrap();
                            }
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            std::thread::sleep(Duration::from_micros(500));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
        Self {
            stop,
            flows,
            thread: Some(thread),
        }
    }

    /// How many flows there were so far.
    pub(crate) fn flows(&self) -> usize {
        self.flows.lock().unwrap().len()
    }
}

impl Drop for Spreader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What comes back for a packet: an error of the first router or of the second one, which is another on each way, or the answer.
fn forwarded(request: &[u8], flows: &Mutex<HashMap<[u8; 4], u8>>) -> Option<Vec<u8>> {
    if request.len() < 28 || request[0] != 0x45 || request[9] != 1 || request[20] != 8 {
        return None;
    }
    let router = match request[8] {
        1 => 1,
        2 => {
            let mut flows = flows.lock().unwrap();
            let next = 2 + (flows.len() % 2) as u8;
            let key = [request[22], request[23], request[24], request[25]];
            *flows.entry(key).or_insert(next)
        }
        _ => return Some(reply(request)),
    };
    let mut packet = error([11, 0], request, request.len());
    packet[15] = router;
    Some(finish(packet))
}

fn reply(request: &[u8]) -> Vec<u8> {
    let mut packet = request.to_vec();
    packet[12..16].copy_from_slice(&request[16..20]);
    packet[16..20].copy_from_slice(&request[12..16]);
    packet[20] = 0;
    finish(packet)
}

/// An ICMP error of this type and code from the router 198.18.50.254, with so many bytes of the request.
fn error([kind, code]: [u8; 2], request: &[u8], quoted: usize) -> Vec<u8> {
    let mut packet = request[..20].to_vec();
    packet[12..16].copy_from_slice(&[198, 18, 50, 254]);
    packet[16..20].copy_from_slice(&request[12..16]);
    packet.extend_from_slice(&[kind, code, 0, 0, 0, 0, 0, 0]);
    packet.extend_from_slice(&request[..quoted]);
    finish(packet)
}

/// Sets length and checksums.
fn finish(mut packet: Vec<u8>) -> Vec<u8> {
    let length = packet.len() as u16;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    for (range, at) in [(0..20, 10), (20..packet.len(), 22)] {
        packet[at..at + 2].fill(0);
        let sum = checksum(&packet[range]);
        packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
