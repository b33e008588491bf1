//! An echo request over the kernel's unprivileged ICMP socket (RFC 792).

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

/// Sends one echo request from this network namespace and waits for its reply; the time it took.
pub(crate) fn echo(address: Ipv4Addr, patience: Duration) -> io::Result<Duration> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4))?;
    socket.connect(&SocketAddr::from((address, 0)).into())?;
    socket.set_read_timeout(Some(patience))?;
    // The kernel writes identifier and checksum of such a socket.
    let mut request = [0_u8; 64];
    request[0] = ECHO_REQUEST;
    request[7] = 1;
    let sent = Instant::now();
    socket.send(&request)?;
    let mut reply = [0_u8; 128];
    loop {
        let length = (&socket).read(&mut reply)?;
        if length >= 8 && reply[0] == ECHO_REPLY {
            return Ok(sent.elapsed());
        }
        if sent.elapsed() > patience {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}
