//! One request to a target that is not followed, by surge-ping's `Pinger` on a socket of its own.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use netio::option::{self, Family};
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence};

use super::page::Outcome;
use crate::config::Module;
use crate::echo::Mode;

/// Sends one request and waits for its answer until `deadline`.
pub(super) async fn echo(
    address: IpAddr,
    mode: Mode,
    module: &Module,
    size: usize,
    deadline: Instant,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let client = open(address, mode, module)?;
    let mut pinger = client
        .pinger(address, PingIdentifier(fastrand::u16(..)))
        .await;
    outcome.setup = began.elapsed();
    pinger.timeout(deadline.saturating_duration_since(Instant::now()));
    let payload: Vec<u8> = (0..size).map(|at| at as u8).collect();
    let (packet, rtt) = pinger
        .ping(PingSequence(fastrand::u16(..)), &payload)
        .await?;
    answered(&packet, rtt, outcome)
}

fn answered(packet: &IcmpPacket, rtt: Duration, outcome: &mut Outcome) -> anyhow::Result<()> {
    // On raw sockets an ICMP error about the request is taken for its answer.
    match packet {
        IcmpPacket::V4(packet) => {
            let (kind, code) = (packet.get_icmp_type().0, packet.get_icmp_code().0);
            ensure!(kind == 0, "ICMP type {kind} code {code} instead of a reply");
            outcome.hop_limit = packet.get_ttl();
        }
        IcmpPacket::V6(packet) => {
            let (kind, code) = (packet.get_icmpv6_type().0, packet.get_icmpv6_code().0);
            ensure!(
                kind == 129,
                "ICMPv6 type {kind} code {code} instead of a reply"
            );
        }
    }
    outcome.rtt = rtt;
    outcome.success = true;
    Ok(())
}

fn open(address: IpAddr, mode: Mode, module: &Module) -> anyhow::Result<Client> {
    let (kind, family) = match address {
        IpAddr::V4(_) => (ICMP::V4, Family::V4),
        IpAddr::V6(_) => (ICMP::V6, Family::V6),
    };
    let wanted = match mode {
        Mode::Unprivileged => socket2::Type::DGRAM,
        Mode::Raw => socket2::Type::RAW,
    };
    let mut config = Config::builder().kind(kind).sock_type_hint(wanted);
    if let Some(source) = module.source {
        ensure!(
            source.is_ipv4() == address.is_ipv4(),
            "source_ip_address {source} is of another family than {address}"
        );
        config = config.bind(SocketAddr::new(source, 0));
    }
    if let Some(ttl) = module.ttl {
        config = config.ttl(ttl.into());
    }
    let client = Client::new(&config.build()).context("open an ICMP socket")?;
    let socket = client.get_socket();
    if socket.get_type() != wanted {
        bail!("the kernel refused a socket of the configured mode");
    }
    if module.dont_fragment {
        // The option belongs to the open file, which both descriptors share.
        let descriptor = netio::duplicate(socket.get_native_sock())?;
        option::dont_fragment(descriptor.as_fd(), family).context("dont_fragment")?;
    }
    Ok(client)
}
