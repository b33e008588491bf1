//! Datagrams: batched receive on threads of their own, so that nothing else delays them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use netio::option;
use netio::receive::{Queue, ReceiveBatch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::intake::{Intake, Lane, now};
use crate::record::{TRUNCATED, Transport};

/// Longest UDP payload.
const LONGEST: usize = 65_535;
/// Messages appended together at most.
const TOGETHER: usize = 2_048;

/// A bound UDP socket and what the kernel says of it.
pub struct Listener {
    socket: UdpSocket,
    address: SocketAddr,
    dropped: AtomicU64,
    level: AtomicU64,
    limit: AtomicU64,
}

impl Listener {
    /// Binds a socket that may share its address with others.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn bind(address: SocketAddr, buffer: u32) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        option::receive_buffer(socket.as_fd(), buffer)?;
        option::report_receive_timestamps(socket.as_fd())?;
        socket.bind(&address.into())?;
        Self::adopt(socket.into())
    }

    /// Takes a socket that is bound already.
    ///
    /// # Errors
    /// When it is not bound.
    pub fn adopt(socket: UdpSocket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let listener = Self {
            socket,
            address,
            dropped: AtomicU64::new(0),
            level: AtomicU64::new(0),
            limit: AtomicU64::new(0),
        };
        listener.measure();
        Ok(listener)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks the kernel for the level of the buffer and the datagrams dropped so far (`SO_MEMINFO`).
    pub fn measure(&self) {
        if let Ok(memory) = option::memory(self.socket.as_fd()) {
            // The kernel's count wraps at 2³²: keep the upper part.
            let last = self.dropped.load(Ordering::Relaxed);
            let step = memory.dropped.wrapping_sub(last as u32);
            self.dropped.fetch_add(u64::from(step), Ordering::Relaxed);
            self.level
                .store(u64::from(memory.receive_bytes), Ordering::Relaxed);
            self.limit
                .store(u64::from(memory.receive_limit_bytes), Ordering::Relaxed);
        }
    }

    /// Datagrams that the kernel dropped, bytes in its buffer, and where it begins to drop.
    #[must_use]
    pub fn kernel(&self) -> (u64, u64, u64) {
        self.measure();
        (
            self.dropped.load(Ordering::Relaxed),
            self.level.load(Ordering::Relaxed),
            self.limit.load(Ordering::Relaxed),
        )
    }

    /// Receives until `stop` is set, then takes what the kernel still has.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn run(&self, intake: Arc<Intake>, stop: &AtomicBool) -> io::Result<()> {
        let mut batch = ReceiveBatch::new(LONGEST);
        let mut lane = Lane::new(intake);
        loop {
            let stopping = stop.load(Ordering::Acquire);
            let mut waiting = false;
            while lane.len() < TOGETHER {
                let count = match batch.receive(self.socket.as_fd(), Queue::Data) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    // An ICMP error about something this socket never sent.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                    Err(error) => return Err(error),
                };
                for datagram in batch.datagrams() {
                    let stamp = datagram.control.stamp.map_or_else(now, |s| s.0);
                    let source = datagram.address.unwrap_or(self.address);
                    let flags = if datagram.truncated { TRUNCATED } else { 0 };
                    lane.push(datagram.payload, source, Transport::Udp, stamp, flags);
                }
                if count < netio::BATCH {
                    waiting = true;
                    break;
                }
            }
            let all = lane.flush();
            if stopping && waiting && all {
                return Ok(());
            }
            if !all {
                // Blocking was chosen for datagrams: the kernel's buffer is the room there is.
                std::thread::sleep(Duration::from_millis(5));
            } else if waiting {
                // A short sleep lets a batch fill; the kernel's buffer holds it meanwhile.
                std::thread::sleep(Duration::from_micros(500));
                let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
                let _ = poll(&mut fds, PollTimeout::from(200u8));
            }
        }
    }
}
