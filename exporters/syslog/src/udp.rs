//! Datagrams: batched receive on threads of their own, so that nothing else delays them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
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
    leaving: AtomicBool,
    running: AtomicBool,
}

/// Says that a receiver runs, as long as it lives.
struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Receive buffers from this size on hold more than what comes in the longer pause.
const ROOMY: u64 = 4 << 20;

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
        socket.bind(&address.into())?;
        Self::adopt(socket.into(), buffer)
    }

    /// Takes a socket that is bound already.
    ///
    /// # Errors
    /// When it is not bound.
    pub fn adopt(socket: UdpSocket, buffer: u32) -> io::Result<Self> {
        let address = socket.local_addr()?;
        socket.set_nonblocking(true)?;
        option::report_receive_timestamps(socket.as_fd())?;
        let listener = Self {
            socket,
            address,
            dropped: AtomicU64::new(0),
            level: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
            running: AtomicBool::new(false),
        };
        listener.set_buffer(buffer)?;
        Ok(listener)
    }

    /// Asks for another receive buffer.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_buffer(&self, bytes: u32) -> io::Result<()> {
        option::receive_buffer(self.socket.as_fd(), bytes)?;
        self.measure();
        Ok(())
    }

    /// Tells the receiver to end and leave what the kernel holds to another process.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Waits until the receiver has ended.
    pub async fn left(&self) {
        for _ in 0..2_000 {
            if !self.running.load(Ordering::Acquire) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// A further descriptor of the socket.
    ///
    /// # Errors
    /// The kernel's.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
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
        self.running.store(true, Ordering::Release);
        let running = Running(&self.running);
        // A short sleep lets a batch fill; the kernel's buffer holds it meanwhile.
        let fill = if self.limit.load(Ordering::Relaxed) >= ROOMY {
            Duration::from_millis(2)
        } else {
            Duration::from_micros(500)
        };
        loop {
            let stopping = stop.load(Ordering::Acquire);
            if self.leaving.load(Ordering::Acquire) && lane.is_empty() {
                drop(running);
                while !stop.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                return Ok(());
            }
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
                std::thread::sleep(fill);
                let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
                let _ = poll(&mut fds, PollTimeout::from(50u8));
            }
        }
    }
}
