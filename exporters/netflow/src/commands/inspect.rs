//! The subcommand: what exporters send and what is wrong with it.

use std::ffi::OsString;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Parser;

use crate::capture;
use crate::inspect::Inspection;

/// Prints what exporters send and what is wrong with it: templates that are missing, sampling that nobody tells, clocks that are off, loss.
///
/// Reads captures (pcap, pcapng), or listens for a while where an exporter sends to.
#[derive(Debug, Parser)]
#[command(name = "sotp-netflow inspect", version)]
struct Args {
    /// Captures; UDP of any port in them is looked at.
    #[arg(required_unless_present = "listen", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Listen here instead, such as [::]:2055.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "files")]
    listen: Option<SocketAddr>,
    /// For so many seconds.
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 70, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it with the arguments behind `inspect`.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    super::run("sotp-netflow inspect", args, inspect)
}

fn inspect(args: &Args) -> anyhow::Result<()> {
    let mut seen = Inspection::default();
    for path in &args.files {
        let bytes = super::read(path)?;
        let held = capture::datagrams(&bytes, |datagram| {
            seen.datagram(datagram.from, datagram.payload, datagram.unix_seconds);
        })
        .with_context(|| path.display().to_string())?;
        if held.parts > 0 {
            eprintln!(
                "{}: {} fragments or cut frames are not read",
                path.display(),
                held.parts
            );
        }
        if held.cut {
            eprintln!("{}: ends within a frame", path.display());
        }
    }
    if let Some(address) = args.listen {
        listen(address, Duration::from_secs(args.seconds), &mut seen)?;
    }
    seen.finish();
    if args.json {
        println!("{}", seen.json());
    } else if seen.is_empty() {
        println!("nothing was sent");
    } else {
        print!("{}", seen.text());
    }
    Ok(())
}

fn listen(address: SocketAddr, length: Duration, seen: &mut Inspection) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(address).with_context(|| format!("listen {address}"))?;
    let end = Instant::now() + length;
    let mut buffer = vec![0; 65_535];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        // An error is the end of the wait, or an ICMP message about what we never sent.
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            seen.datagram(from, &buffer[..length], now.as_secs_f64());
        }
    }
}
