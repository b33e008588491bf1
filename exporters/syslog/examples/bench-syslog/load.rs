//! Numbered messages, sent at a rate, and the counters of which of them arrived.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use netio::send::SendBatch;

/// A message of a Cisco router with its number in place of the router's own count.
pub(crate) fn message(number: u64, into: &mut Vec<u8>) {
    const TEXT: &[u8] = b": r1: *Nov 14 08:30:56.699 UTC: %LINEPROTO-5-UPDOWN: Line protocol on Interface GigabitEthernet0/";
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    into.extend_from_slice(b"<189>");
    into.extend_from_slice(&digits[at..]);
    into.extend_from_slice(TEXT);
    into.push(b'0' + (number % 10) as u8);
    into.extend_from_slice(if number % 20 < 10 {
        b", changed state to up"
    } else {
        b", changed state to down"
    });
}

/// The number of a message, wherever it was written down.
pub(crate) fn number(line: &[u8]) -> Option<u64> {
    let start = line.iter().take(40).position(|b| *b == b'>')? + 1;
    let end = line[start..].iter().take(20).position(|b| *b == b':')? + start;
    std::str::from_utf8(&line[start..end]).ok()?.parse().ok()
}

/// Which numbers arrived, and how many of them more than once.
pub(crate) struct Seen {
    bits: Vec<AtomicU64>,
    unique: AtomicU64,
    doubled: AtomicU64,
    /// Lines that carry no number of ours.
    strange: AtomicU64,
}

impl Seen {
    pub(crate) fn new(most: u64) -> Self {
        let words = usize::try_from(most / 64 + 1).unwrap();
        Self {
            bits: (0..words).map(|_| AtomicU64::new(0)).collect(),
            unique: AtomicU64::new(0),
            doubled: AtomicU64::new(0),
            strange: AtomicU64::new(0),
        }
    }

    pub(crate) fn note(&self, line: &[u8]) {
        let word =
            number(line).and_then(|n| Some((n, self.bits.get(usize::try_from(n / 64).ok()?)?)));
        match word {
            Some((number, word)) => {
                let bit = 1 << (number % 64);
                if word.fetch_or(bit, Relaxed) & bit == 0 {
                    self.unique.fetch_add(1, Relaxed);
                } else {
                    self.doubled.fetch_add(1, Relaxed);
                }
            }
            None => {
                self.strange.fetch_add(1, Relaxed);
            }
        }
    }

    pub(crate) fn unique(&self) -> u64 {
        self.unique.load(Relaxed)
    }

    /// How many of the numbers below `end` arrived.
    pub(crate) fn below(&self, end: u64) -> u64 {
        let whole = usize::try_from(end / 64).unwrap();
        let ones =
            |word: &AtomicU64, mask: u64| u64::from((word.load(Relaxed) & mask).count_ones());
        let full: u64 = self.bits[..whole].iter().map(|w| ones(w, u64::MAX)).sum();
        full + ones(&self.bits[whole], (1 << (end % 64)) - 1)
    }

    pub(crate) fn doubled(&self) -> u64 {
        self.doubled.load(Relaxed)
    }

    pub(crate) fn strange(&self) -> u64 {
        self.strange.load(Relaxed)
    }
}

/// What a sender is told and tells while it sends.
#[derive(Default)]
pub(crate) struct Sending {
    pub(crate) stop: AtomicBool,
    /// Messages that the kernel took so far; they are numbered from 0.
    pub(crate) sent: AtomicU64,
}

/// Sends datagrams at a rate until the time is over or it is stopped; gives how many were sent and the seconds.
pub(crate) fn datagrams(
    to: SocketAddr,
    rate: u64,
    time: Duration,
    sending: &Sending,
) -> (u64, f64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let total = (rate as f64 * time.as_secs_f64()) as u64;
    let (begin, mut sent) = (Instant::now(), 0);
    let mut batch = SendBatch::new();
    // A machine that cannot send this fast must not make the run endless.
    while sent < total && begin.elapsed() < time * 3 && !sending.stop.load(Relaxed) {
        let due = ((begin.elapsed().as_secs_f64() * rate as f64) as u64).min(total);
        while sent < due && !sending.stop.load(Relaxed) {
            batch.clear();
            while sent + (batch.len() as u64) < due && !batch.is_full() {
                let next = sent + batch.len() as u64;
                batch.push(to, |bytes| message(next, bytes), |_| {});
            }
            let mut first = 0;
            while first < batch.len() {
                match batch.send(socket.as_fd(), first) {
                    Ok(count) => first += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        std::thread::sleep(Duration::from_micros(50));
                    }
                    // Nobody listens at the moment: what was sent is sent.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    Err(error) => panic!("sending: {error}"),
                }
            }
            sent += batch.len() as u64;
            sending.sent.store(sent, Relaxed);
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    (sent, begin.elapsed().as_secs_f64())
}
