//! What no program can do without: the system calls alone, in batches, with both stamps of the kernel, on the loopback network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::ensure;
use netio::option::{self, Family, TransmitStamps};
use netio::receive::{Queue, ReceiveBatch};
use netio::send::SendBatch;
use socket2::{Domain, Protocol, Socket, Type};

use crate::service::cpu_millis;

/// Addresses that are asked in turn.
const ADDRESSES: u32 = 50_000;

/// How many requests are made before each pause.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) requests: u32,
    pub(crate) pause: Duration,
}

/// Milliseconds of processor time per 1,000 pings of a loop that makes so many thousands of them, without rest or with pauses, and looks at
/// nothing; the mean of both families or IPv4 alone.
pub(crate) fn millis(thousands: u32, both: bool, pace: Option<Pace>) -> anyhow::Result<f64> {
    let v4 = loop_of(Family::V4, thousands * 1_000, pace)?;
    if both {
        Ok((v4 + loop_of(Family::V6, thousands * 1_000, pace)?) / 2.0)
    } else {
        Ok(v4)
    }
}

fn loop_of(family: Family, pings: u32, pace: Option<Pace>) -> anyhow::Result<f64> {
    let (domain, protocol, kind) = match family {
        Family::V4 => (Domain::IPV4, Protocol::ICMPV4, 8),
        Family::V6 => (Domain::IPV6, Protocol::ICMPV6, 128),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    option::receive_buffer(socket.as_fd(), 64 << 20)?;
    option::report_errors(socket.as_fd(), family)?;
    option::report_hop_limit_and_class(socket.as_fd(), family)?;
    let stamps = TransmitStamps {
        enabled: true,
        ..TransmitStamps::default()
    };
    option::report_timestamps(socket.as_fd(), stamps)?;
    let address = |number: u32| -> IpAddr {
        match family {
            Family::V4 => Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + number).into(),
            Family::V6 => {
                let prefix = u128::from(Ipv6Addr::new(0xfd00, 0x5074, 0, 0, 0, 0, 0, 0));
                Ipv6Addr::from(prefix + u128::from(number)).into()
            }
        }
    };
    let message = |number: u32| {
        let mut message = [0; 64];
        message[0] = kind;
        message[6..8].copy_from_slice(&(number as u16).to_be_bytes());
        message
    };
    let (mut out, mut replies, mut entries) = (
        SendBatch::new(),
        ReceiveBatch::new(256),
        ReceiveBatch::new(256),
    );
    let (mut answered, mut stamped) = (0, 0);
    let before = cpu_millis(std::process::id())?;
    let mut next = Instant::now();
    for number in 0..pings {
        if let Some(pace) = pace.filter(|pace| number.is_multiple_of(pace.requests)) {
            next += pace.pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        let to = SocketAddr::new(address(number % ADDRESSES), 0);
        out.push(
            to,
            |bytes| bytes.extend_from_slice(&message(number)),
            |_| {},
        );
        let last = pace.map_or(pings, |pace| pace.requests);
        if out.is_full() || (number + 1).is_multiple_of(last) || number + 1 == pings {
            let mut first = 0;
            while first < out.len() {
                first += out.send(socket.as_fd(), first)?;
            }
            out.clear();
            answered += replies.receive(socket.as_fd(), Queue::Data)?;
            stamped += entries.receive(socket.as_fd(), Queue::Error)?;
        }
    }
    let spent = cpu_millis(std::process::id())? - before;
    ensure!(
        answered == pings as usize && stamped > pings as usize * 99 / 100,
        "{answered} answers and {stamped} stamps of {pings}"
    );
    Ok(spent / f64::from(pings) * 1e3)
}
