//! The subcommand: sends the datagrams of a capture to a collector.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;

use crate::capture;
use crate::decode;

/// Most exporters of a capture that get a socket of their own.
const MOST_SOCKETS: usize = 512;

/// Sends the flows of captures (pcap, pcapng) to a collector over UDP, in their order and at the pace they were captured at.
///
/// They come from an address of this machine; each address and port of the capture keeps a port of its own. Datagrams that are none of NetFlow,
/// IPFIX or sFlow are left out.
#[derive(Debug, Parser)]
#[command(name = "sotp-netflow replay", version)]
struct Args {
    /// The captures.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where to.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2055")]
    to: SocketAddr,
    /// So many times faster than it was; 0 is as fast as it goes.
    #[arg(long, value_name = "TIMES", default_value_t = 1.0)]
    speed: f64,
}

/// Runs it with the arguments behind `replay`.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    super::run("sotp-netflow replay", args, replay)
}

fn replay(args: &Args) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.speed >= 0.0 && args.speed.is_finite(),
        "--speed: expected 0 or more"
    );
    let mut sockets: HashMap<SocketAddr, UdpSocket> = HashMap::new();
    let (mut sent, mut others) = (0_u64, 0_u64);
    for path in &args.files {
        let bytes = super::read(path)?;
        let mut datagrams = Vec::new();
        capture::datagrams(&bytes, |datagram| datagrams.push(datagram))
            .with_context(|| path.display().to_string())?;
        let (begin, first) = (
            Instant::now(),
            datagrams.first().map_or(0.0, |first| first.unix_seconds),
        );
        for datagram in datagrams {
            if decode::session(datagram.payload).is_err() {
                others += 1;
                continue;
            }
            if args.speed > 0.0 {
                let after = ((datagram.unix_seconds - first) / args.speed).clamp(0.0, 86_400.0);
                std::thread::sleep(
                    (begin + Duration::from_secs_f64(after))
                        .saturating_duration_since(Instant::now()),
                );
            }
            let known = if sockets.len() < MOST_SOCKETS || sockets.contains_key(&datagram.from) {
                datagram.from
            } else {
                args.to
            };
            let socket = match sockets.entry(known) {
                std::collections::hash_map::Entry::Occupied(socket) => socket.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => {
                    let own: SocketAddr = if args.to.is_ipv4() {
                        ([0, 0, 0, 0], 0).into()
                    } else {
                        ([0_u16; 8], 0).into()
                    };
                    place.insert(UdpSocket::bind(own)?)
                }
            };
            socket
                .send_to(datagram.payload, args.to)
                .with_context(|| format!("send to {}", args.to))?;
            sent += 1;
        }
    }
    println!(
        "{sent} datagrams sent to {}, {others} are no flows",
        args.to
    );
    Ok(())
}
