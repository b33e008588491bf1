//! A steady, low-rate stream of TCP and UDP, so that interfaces count and flows are there to export.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// The port of the receiving side, TCP and UDP.
pub(crate) const PORT: u16 = 5201;
/// Between two bursts.
const TICK: Duration = Duration::from_millis(100);
/// Life of one TCP connection; a new one is a new flow.
const CONNECTION: Duration = Duration::from_secs(20);
/// How long a write or a connect may hang while the network is broken.
const PATIENCE: Duration = Duration::from_secs(3);
/// Payload of a UDP datagram, bytes.
const DATAGRAM: usize = 500;
/// Most connections received at once.
const CONNECTIONS_MAX: usize = 64;

/// Flags of `sotp-lab traffic`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
    /// Receive and discard, on TCP and UDP port 5201.
    Receive,
    /// Send to a receiver, half of the rate by TCP and half by UDP, until ended.
    Send {
        /// The receiver's address.
        #[arg(long)]
        to: Ipv4Addr,
        /// Rate in 1,000 bits a second.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        kbit_per_second: u32,
    },
}

/// Runs one side until the process ends.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match args.role {
        Role::Receive => receive(),
        Role::Send {
            to,
            kbit_per_second,
        } => send(SocketAddr::from((to, PORT)), kbit_per_second),
    }
}

fn receive() -> anyhow::Result<()> {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let udp = UdpSocket::bind(any).context("bind UDP")?;
    let tcp = TcpListener::bind(any).context("bind TCP")?;
    std::thread::spawn(move || {
        let mut buffer = [0_u8; 2048];
        loop {
            if udp.recv(&mut buffer).is_err() {
                sleep(TICK);
            }
        }
    });
    let open = Arc::new(AtomicUsize::new(0));
    for stream in tcp.incoming() {
        let Ok(mut stream) = stream else {
            sleep(TICK);
            continue;
        };
        if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let open = Arc::clone(&open);
        std::thread::spawn(move || {
            let _ = stream.set_read_timeout(Some(CONNECTION));
            let mut buffer = [0_u8; 16 << 10];
            while matches!(stream.read(&mut buffer), Ok(1..)) {}
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
    Ok(())
}

fn send(to: SocketAddr, kbit_per_second: u32) -> anyhow::Result<()> {
    // Bytes of one protocol in one tick: half of kbit/s × 1000 / 8 / 10.
    let bytes = usize::try_from(kbit_per_second * 1_000 / 8 / 10 / 2)?.max(64);
    let udp = UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
    std::thread::spawn(move || {
        let datagram = [0x55_u8; DATAGRAM];
        loop {
            for _ in 0..bytes.div_ceil(DATAGRAM) {
                // A network without a route loses it, as a broken network does.
                let _ = udp.send_to(&datagram, to);
            }
            sleep(TICK);
        }
    });
    let burst = vec![0xaa_u8; bytes];
    loop {
        let begun = Instant::now();
        if let Ok(mut stream) = TcpStream::connect_timeout(&to, PATIENCE) {
            let _ = stream.set_write_timeout(Some(PATIENCE));
            while begun.elapsed() < CONNECTION && stream.write_all(&burst).is_ok() {
                sleep(TICK);
            }
        }
        sleep(TICK);
    }
}
