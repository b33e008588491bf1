//! One UDP socket and what the kernel says of it.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use netio::option;
use socket2::{Domain, Protocol, Socket, Type};

/// A bound UDP socket, measured.
pub(super) struct MeasuredSocket {
    socket: UdpSocket,
    /// The one sender it is for; none: everybody who has no socket of their own.
    sender: Option<SocketAddr>,
    dropped: AtomicU64,
    level: AtomicU64,
    limit: AtomicU64,
}

/// What the kernel says of a socket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Level {
    /// Datagrams dropped so far.
    pub(super) dropped: u64,
    /// Bytes that wait.
    pub(super) bytes: u64,
    /// Where dropping begins.
    pub(super) limit: u64,
}

impl MeasuredSocket {
    /// Binds a socket that may share its address with others.
    pub(super) fn bind(address: SocketAddr, buffer: u32) -> io::Result<Self> {
        let socket = fresh(address)?;
        socket.bind(&address.into())?;
        Self::adopt(socket.into(), buffer)
    }

    /// Binds a socket for one sender: the kernel prefers a connected socket (`udp(7)`), so that what this sender has
    /// waiting takes nobody else's room. Until it is connected it may receive from others, which is no harm.
    pub(super) fn connect(
        address: SocketAddr,
        sender: SocketAddr,
        buffer: u32,
    ) -> io::Result<Self> {
        let socket = fresh(address)?;
        option::receive_buffer(socket.as_fd(), buffer)?;
        option::report_receive_timestamps(socket.as_fd())?;
        socket.bind(&address.into())?;
        socket.connect(&sender.into())?;
        Self::adopt(socket.into(), buffer)
    }

    /// Takes a socket that is bound already.
    pub(super) fn adopt(socket: UdpSocket, buffer: u32) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        option::report_receive_timestamps(socket.as_fd())?;
        let socket = Self {
            sender: socket.peer_addr().ok(),
            socket,
            dropped: AtomicU64::new(0),
            level: AtomicU64::new(0),
            limit: AtomicU64::new(0),
        };
        socket.set_buffer(buffer)?;
        Ok(socket)
    }

    pub(super) fn set_buffer(&self, bytes: u32) -> io::Result<()> {
        option::receive_buffer(self.socket.as_fd(), bytes)?;
        self.measure();
        Ok(())
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.fd().try_clone_to_owned()
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn sender(&self) -> Option<SocketAddr> {
        self.sender
    }

    /// Where the kernel begins to drop, as it was measured last.
    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Asks the kernel for the level of the buffer and the datagrams dropped so far (`SO_MEMINFO`).
    pub(super) fn measure(&self) -> Level {
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
        Level {
            dropped: self.dropped.load(Ordering::Relaxed),
            bytes: self.level.load(Ordering::Relaxed),
            limit: self.limit(),
        }
    }
}

fn fresh(address: SocketAddr) -> io::Result<Socket> {
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
    Ok(socket)
}
