//! The other side and the truth: a responder behind a TUN device, and a tap that sees each packet with the kernel's
//! stamp.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use netio::receive::{Queue, ReceiveBatch};
use netio::tun::Tun;

/// How long the responder holds each answer.
const HOLD: Duration = Duration::from_micros(900);

/// Runs `ip` with these arguments.
pub(crate) fn ip(arguments: &str) -> anyhow::Result<()> {
    let status = Command::new("ip").args(arguments.split(' ')).status()?;
    ensure!(status.success(), "ip {arguments}");
    Ok(())
}

/// What the responder did and the tap saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) dropped: u64,
    pub(crate) doubled: u64,
    /// The last round trip of each address in nanoseconds, by the tap.
    pub(crate) last: HashMap<[u8; 4], u64>,
}

pub(crate) struct Rig {
    stop: Arc<AtomicBool>,
    counts: Arc<[AtomicU64; 2]>,
    responder: JoinHandle<anyhow::Result<()>>,
    tap: JoinHandle<anyhow::Result<HashMap<[u8; 4], u64>>>,
}

impl Rig {
    /// Answers for 198.18.0.0/16: one request in twenty is dropped, one in fifty answered twice.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let tun = Tun::open("rig0").context("/dev/net/tun")?;
        ip("address add 198.19.0.1/32 dev rig0")?;
        ip("link set rig0 txqueuelen 20000 up")?;
        ip("route add 198.18.0.0/16 dev rig0")?;
        /// `ETH_P_ALL` as the kernel takes it, in network order.
        const ALL: i32 = 0x0003_u16.to_be() as i32;
        let socket = socket2::Socket::new(
            socket2::Domain::PACKET,
            socket2::Type::DGRAM,
            Some(ALL.into()),
        )?;
        netio::option::receive_buffer(socket.as_fd(), 64 << 20)?;
        netio::option::report_receive_timestamps(socket.as_fd())?;
        let stop = Arc::new(AtomicBool::new(false));
        let counts: Arc<[AtomicU64; 2]> = Arc::default();
        let responder = std::thread::spawn({
            let (stop, counts) = (Arc::clone(&stop), Arc::clone(&counts));
            move || respond(&tun, &stop, &counts)
        });
        let tap = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || watch(&socket, &stop)
        });
        Ok(Self {
            stop,
            counts,
            responder,
            tap,
        })
    }

    pub(crate) fn end(self) -> anyhow::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let joined = |_| anyhow::anyhow!("a thread of the rig panicked");
        self.responder.join().map_err(joined)??;
        let last = self.tap.join().map_err(joined)??;
        let [dropped, doubled] = [0, 1].map(|at| self.counts[at].load(Ordering::Relaxed));
        Ok(Seen {
            dropped,
            doubled,
            last,
        })
    }
}

/// An ICMP echo of this type without IP options.
fn is_echo(packet: &[u8], kind: u8) -> bool {
    packet.len() >= 28 && packet[0] == 0x45 && packet[9] == 1 && packet[20] == kind
}

fn respond(tun: &Tun, stop: &AtomicBool, counts: &[AtomicU64; 2]) -> anyhow::Result<()> {
    let mut buffer = [0; 2048];
    let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        while let Some((_, packet)) = waiting.pop_front_if(|(when, _)| *when <= Instant::now()) {
            tun.write(&packet)?;
        }
        let length = match tun.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(100));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let request = &buffer[..length];
        if !is_echo(request, 8) {
            continue;
        }
        number += 1;
        // Not in step with the number of targets, so that each is hit.
        let (lost, twice) = (number.is_multiple_of(20), number.is_multiple_of(49));
        if lost {
            counts[0].fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let mut reply = request.to_vec();
        reply[12..16].copy_from_slice(&request[16..20]);
        reply[16..20].copy_from_slice(&request[12..16]);
        reply[20] = 0;
        // The checksum of the same message with type 0 instead of 8 (RFC 1624).
        let sum = u32::from(u16::from_be_bytes([request[22], request[23]])) + 0x0800;
        let sum = ((sum & 0xffff) + (sum >> 16)) as u16;
        reply[22..24].copy_from_slice(&sum.to_be_bytes());
        let when = Instant::now() + HOLD;
        if twice {
            counts[1].fetch_add(1, Ordering::Relaxed);
            waiting.push_back((when, reply.clone()));
        }
        waiting.push_back((when, reply));
    }
    Ok(())
}

fn watch(socket: &socket2::Socket, stop: &AtomicBool) -> anyhow::Result<HashMap<[u8; 4], u64>> {
    let mut batch = ReceiveBatch::new(128);
    let mut sent: HashMap<([u8; 4], [u8; 2]), u64> = HashMap::new();
    let mut last = HashMap::new();
    loop {
        if batch.receive(socket.as_fd(), Queue::Data)? == 0 {
            if stop.load(Ordering::Relaxed) {
                return Ok(last);
            }
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        for datagram in batch.datagrams() {
            let (packet, Some(stamp)) = (datagram.payload, datagram.control.stamp) else {
                continue;
            };
            let at = |start: usize| packet[start..start + 4].try_into().unwrap_or_default();
            let number = |packet: &[u8]| [packet[26], packet[27]];
            if is_echo(packet, 8) {
                sent.insert((at(16), number(packet)), stamp.0);
            } else if is_echo(packet, 0)
                && let Some(began) = sent.remove(&(at(12), number(packet)))
            {
                last.insert(at(12), stamp.0.saturating_sub(began));
            }
        }
    }
}
