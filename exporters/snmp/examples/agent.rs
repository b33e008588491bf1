//! An SNMP agent in memory on a UDP port: `agent 127.0.0.1:1161 FILE.snmprec`, or `agent 127.0.0.1:1161 interfaces:50 [DELAY_MS]`.

use std::time::Duration;

use agent::{Agent, serve};
use anyhow::Context as _;

#[path = "../tests/it/agent.rs"]
mod agent;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (address, source) = (
        args.next().context("expected an address")?,
        args.next().context("expected a file or interfaces:COUNT")?,
    );
    let delay = args
        .next()
        .map_or(Ok(0.0), |text| text.parse::<f64>())
        .context("expected milliseconds")?;
    let agent = match source.strip_prefix("interfaces:") {
        Some(count) => Agent::with_interfaces(count.parse().context("expected a count")?),
        None => {
            Agent::from_snmprec(&std::fs::read_to_string(&source)?).map_err(anyhow::Error::msg)?
        }
    };
    let socket = std::net::UdpSocket::bind(&address)?;
    println!("{} objects on {}", agent.len(), socket.local_addr()?);
    serve(
        &socket,
        &agent.ticking(),
        Duration::from_secs_f64(delay / 1e3),
    );
    Ok(())
}
