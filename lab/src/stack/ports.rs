//! Ports on the user's own loopback.

use std::net::{Ipv4Addr, TcpListener};

/// Ports tried after the wanted one before giving up.
const TRIES: u16 = 100;

/// A free port: the wanted one, or the next above it that is free and not in `taken`.
///
/// # Errors
/// None of the hundred above it is free.
pub(crate) fn free(wanted: u16, taken: &[u16]) -> std::io::Result<u16> {
    bind(wanted, taken).map(|(_, port)| port)
}

/// A listener on 127.0.0.1 at the wanted port, or at the next above it that is free and not in `taken`.
///
/// # Errors
/// None of the hundred above it is free.
pub(crate) fn bind(wanted: u16, taken: &[u16]) -> std::io::Result<(TcpListener, u16)> {
    let mut last = None;
    for port in wanted..=wanted.saturating_add(TRIES) {
        if taken.contains(&port) {
            continue;
        }
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok((listener, port)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_gives_the_next_free_one() {
        // Below the ports that outgoing connections are given.
        let (held, port) = bind(20_000 + fastrand::u16(..10_000), &[]).unwrap();
        let next = free(port, &[port + 1]).unwrap();
        assert!(next > port + 1, "{next} after {port}");
        drop(held);
        assert_eq!(free(port, &[]).unwrap(), port);
    }
}
