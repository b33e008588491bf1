//! One request to a target that is not followed, on a socket of its own.
//!
//! The socket is surge-ping's. Its `Pinger` is not used: it reads packets without their control messages, in which alone an unprivileged
//! socket gives the hop limit and the kernel's stamp of the reply.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use netio::control::{Outgoing, UnixNanos};
use netio::option::{self, Family, TransmitStamps};
use netio::receive::{Queue, ReceiveBatch};
use netio::send::SendBatch;
use surge_ping::{AsyncSocket, Config, ICMP};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::page::Outcome;
use crate::config::Module;
use crate::echo::{self, HEADER_BYTES, Mode};

/// Bytes of the largest IPv4 header, which raw sockets give.
const IP_HEADER: usize = 60;

/// Sends one request and waits for its answer until `deadline`.
pub(super) async fn echo(
    to: SocketAddr,
    mode: Mode,
    module: &Module,
    size: usize,
    deadline: Instant,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let address = to.ip();
    let family = match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    };
    let socket = open(family, mode, module)?;
    let (identifier, sequence) = (fastrand::u16(..), fastrand::u16(..));
    let payload: Vec<u8> = (0..size).map(|at| at as u8).collect();
    let request = echo::plain_request(family, identifier, sequence, &payload);
    let out = Outgoing {
        hop_limit: module.ttl,
        ..Outgoing::default()
    };
    let mut batch = SendBatch::new();
    batch.push(
        to,
        |bytes| bytes.extend_from_slice(&request),
        |control| out.append(control, family),
    );
    outcome.setup = began.elapsed();

    let (sent, sent_at) = (Instant::now(), SystemTime::now());
    batch.send(socket.as_fd(), 0).context("send")?;
    let mut received = ReceiveBatch::new(IP_HEADER + HEADER_BYTES + size + 1);
    let wait = async {
        loop {
            socket.readable().await?;
            let read = socket.try_io(Interest::READABLE, || {
                match received.receive(socket.as_fd(), Queue::Data)? {
                    0 => Err(ErrorKind::WouldBlock.into()),
                    count => Ok(count),
                }
            });
            match read {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                other => other.context("receive")?,
            };
            for datagram in received.datagrams() {
                let from = datagram.address.map(|from| from.ip());
                let Some(reply) = echo::decode_reply(family, mode, datagram.payload) else {
                    continue;
                };
                let ours = mode == Mode::Unprivileged || reply.identifier == identifier;
                if ours && from == Some(address) && reply.sequence == sequence {
                    ensure!(
                        reply.payload == payload,
                        "a reply with another content or length than was sent"
                    );
                    return Ok((datagram.control, sent.elapsed()));
                }
            }
        }
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let Ok(answer) = tokio::time::timeout(left, wait).await else {
        bail!("no reply in time");
    };
    let (control, elapsed) = answer?;
    outcome.hop_limit = control.hop_limit;
    outcome.rtt = between(sent_at, control.stamp).map_or(elapsed, |rtt| rtt.min(elapsed));
    outcome.success = true;
    Ok(())
}

/// From the call that sends to the kernel's stamp; `None` when there is none or the clock was set back between.
fn between(sent: SystemTime, stamp: Option<UnixNanos>) -> Option<Duration> {
    let received = UNIX_EPOCH + Duration::from_nanos(stamp?.0);
    received.duration_since(sent).ok()
}

/// The socket as the runtime waits for it: a datagram socket to it, whatever the protocol.
fn open(family: Family, mode: Mode, module: &Module) -> anyhow::Result<UdpSocket> {
    let kind = match family {
        Family::V4 => ICMP::V4,
        Family::V6 => ICMP::V6,
    };
    let wanted = match mode {
        Mode::Unprivileged => socket2::Type::DGRAM,
        Mode::Raw => socket2::Type::RAW,
    };
    let mut config = Config::builder().kind(kind).sock_type_hint(wanted);
    if let Some(source) = module.source {
        ensure!(
            source.is_ipv4() == (family == Family::V4),
            "source_ip_address {source} is of another family than the target"
        );
        config = config.bind(SocketAddr::new(source, 0));
    }
    let socket = AsyncSocket::new(&config.build()).context("open an ICMP socket")?;
    if socket.get_type() != wanted {
        bail!("the kernel refused a socket of the configured mode");
    }
    // A descriptor of our own: the runtime wakes one reader for it, and that is not surge-ping's.
    let descriptor = netio::duplicate(socket.get_native_sock())?;
    drop(socket);
    let borrowed = descriptor.as_fd();
    option::report_hop_limit_and_class(borrowed, family).context("hop limit")?;
    // Without a stamp the time of reading counts.
    let _ = option::report_timestamps(borrowed, TransmitStamps::default())
        .or_else(|_| option::report_receive_timestamps(borrowed));
    if mode == Mode::Raw {
        option::only_echo_replies(borrowed, family).context("filter")?;
    }
    if module.dont_fragment {
        option::dont_fragment(borrowed, family).context("dont_fragment")?;
    }
    Ok(UdpSocket::from_std(descriptor.into())?)
}
