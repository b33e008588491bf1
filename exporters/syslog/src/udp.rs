//! Datagrams: batched receive on threads of their own, so that nothing else delays them.
//!
//! Senders share a socket and its buffer until one of them is heavy. That one is given a connected socket, whose buffer
//! is its own: however much it sends, what others sent finds room. An address that is heavy from ever new ports is given
//! one of a few sockets kept for that.

mod by_address;
mod heavy;
mod measured;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netio::receive::{Queue, ReceiveBatch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::framing;
use crate::handover::leaving::Leaving;
use crate::intake::{Batch, Intake, now};
use crate::record::{TRUNCATED, Transport};
use by_address::ByAddress;
use heavy::{Found, HeavySenders};
use measured::{Level, MeasuredSocket};

/// Longest UDP payload.
const LONGEST: usize = 65_535;
/// Messages appended together, and taken from one socket before the next has its turn.
const TOGETHER: usize = 2_048;
/// Heavy senders that have a socket of their own.
const OWN: usize = 8;
/// A sender that was silent for so long gives its socket to another one.
const SILENT: Duration = Duration::from_secs(600);
/// Bytes of buffer that a datagram of a common length takes.
const TAKES: u64 = 1_280;
/// Datagrams per second that the buffer must have room for while a batch fills.
const FLOOD: u64 = 400_000;
/// Receiving is preferred to everything else that the process does, where it may (`setpriority(2)`).
const NICE: i32 = -10;

/// What the kernel says of a listener's sockets.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    /// Datagrams dropped so far, by all of them.
    pub dropped: u64,
    /// Bytes in the buffer that is nearest to its limit.
    pub bytes: u64,
    /// That limit.
    pub limit: u64,
    /// Heavy senders with a socket of their own.
    pub own: usize,
}

/// A bound UDP socket, with those of its heavy senders.
pub struct Listener {
    shared: Arc<MeasuredSocket>,
    own: Mutex<Vec<Arc<MeasuredSocket>>>,
    by_address: Mutex<ByAddress>,
    /// Drops of sockets that are closed.
    before: AtomicU64,
    address: SocketAddr,
    buffer: AtomicU32,
    several: AtomicBool,
    /// How it ends for another process.
    pub leaving: Leaving,
}

impl Listener {
    /// Binds a socket that may share its address with others.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn bind(address: SocketAddr, buffer: u32) -> io::Result<Self> {
        Self::new(MeasuredSocket::bind(address, buffer)?, buffer)
    }

    /// Takes a socket that is bound already.
    ///
    /// # Errors
    /// When it is not bound.
    pub fn adopt(socket: UdpSocket, buffer: u32) -> io::Result<Self> {
        Self::new(MeasuredSocket::adopt(socket, buffer)?, buffer)
    }

    fn new(shared: MeasuredSocket, buffer: u32) -> io::Result<Self> {
        Ok(Self {
            address: shared.address()?,
            shared: Arc::new(shared),
            own: Mutex::default(),
            by_address: Mutex::default(),
            before: AtomicU64::new(0),
            buffer: AtomicU32::new(buffer),
            several: AtomicBool::new(false),
            leaving: Leaving::default(),
        })
    }

    /// Takes a heavy sender's socket from another process.
    ///
    /// # Errors
    /// When it is not bound.
    pub fn adopt_own(&self, socket: UdpSocket) -> io::Result<()> {
        let socket = MeasuredSocket::adopt(socket, self.buffer.load(Ordering::Relaxed))?;
        self.own().push(Arc::new(socket));
        Ok(())
    }

    /// Takes a heavy address's socket from another process.
    ///
    /// # Errors
    /// When it is not bound.
    pub fn adopt_by_address(&self, socket: UdpSocket) -> io::Result<()> {
        let buffer = self.buffer.load(Ordering::Relaxed);
        self.by_address().adopt(socket, buffer)
    }

    /// Keeps sockets for heavy addresses, unless there are some. The socket must be the first on its address.
    pub fn keep_by_address(&self) {
        let mut by_address = self.by_address();
        if by_address.sockets().next().is_none() {
            let buffer = self.buffer.load(Ordering::Relaxed);
            match ByAddress::beside(&self.shared, self.address, buffer) {
                Ok(kept) => *by_address = kept,
                // The address was bound by somebody who does not share it.
                Err(error) => {
                    tracing::debug!(%error, address = %self.address, "heavy addresses cannot have sockets of their own");
                }
            }
        }
    }

    /// Lets the kernel choose among this and further sockets on the same address: none is kept for a heavy address now.
    pub fn share_with_others(&self) {
        self.by_address().end(&self.shared);
    }

    fn own(&self) -> MutexGuard<'_, Vec<Arc<MeasuredSocket>>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_address(&self) -> MutexGuard<'_, ByAddress> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a datagram may have several messages from now on; at first it is one.
    pub fn set_several(&self, several: bool) {
        self.several.store(several, Ordering::Relaxed);
    }

    /// Asks for another receive buffer.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_buffer(&self, bytes: u32) -> io::Result<()> {
        self.buffer.store(bytes, Ordering::Relaxed);
        for socket in self.own().iter() {
            socket.set_buffer(bytes)?;
        }
        for socket in self.by_address().sockets() {
            socket.set_buffer(bytes)?;
        }
        self.shared.set_buffer(bytes)
    }

    /// A further descriptor of the socket that senders share.
    ///
    /// # Errors
    /// The kernel's.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.shared.descriptor()
    }

    /// Further descriptors of the heavy senders' sockets.
    #[must_use]
    pub fn own_descriptors(&self) -> Vec<io::Result<OwnedFd>> {
        self.own()
            .iter()
            .map(|socket| socket.descriptor())
            .collect()
    }

    /// Further descriptors of the sockets kept for heavy addresses, in their order.
    #[must_use]
    pub fn by_address_descriptors(&self) -> Vec<io::Result<OwnedFd>> {
        let by_address = self.by_address();
        by_address
            .sockets()
            .map(|socket| socket.descriptor())
            .collect()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks the kernel for drops and levels.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        let (own, by_address) = (self.own(), self.by_address());
        let mut kernel = Kernel {
            dropped: self.before.load(Ordering::Relaxed),
            bytes: 0,
            limit: 0,
            own: own.len() + by_address.given(),
        };
        let shared = std::iter::once(&self.shared);
        for Level {
            dropped,
            bytes,
            limit,
        } in shared
            .chain(own.iter())
            .chain(by_address.sockets())
            .map(|socket| socket.measure())
        {
            kernel.dropped += dropped;
            // Compared as fractions of their limits.
            let fuller = u128::from(bytes) * u128::from(kernel.limit.max(1))
                > u128::from(kernel.bytes) * u128::from(limit.max(1));
            if kernel.limit == 0 || fuller {
                (kernel.bytes, kernel.limit) = (bytes, limit);
            }
        }
        kernel
    }

    /// Gives heavy senders and addresses a socket of their own, as many as there may be.
    fn separate(&self, heavy: Found, sockets: &mut Vec<(Arc<MeasuredSocket>, Instant)>) {
        let rest = self.separate_senders(&heavy.senders, sockets);
        for source in heavy.addresses.into_iter().chain(rest) {
            self.separate_address(source, sockets);
        }
    }

    /// Gives an address one of the sockets kept for that, if one is free.
    fn separate_address(&self, source: IpAddr, sockets: &[(Arc<MeasuredSocket>, Instant)]) {
        let silent = |socket: &Arc<MeasuredSocket>| {
            let heard = sockets.iter().find(|(other, _)| Arc::ptr_eq(other, socket));
            heard.is_none_or(|(_, heard)| heard.elapsed() > SILENT)
        };
        let mut by_address = self.by_address();
        let before = by_address.given();
        match by_address.give(&self.shared, source, silent) {
            Ok(true) if by_address.given() > before => {
                tracing::info!(%source, address = %self.address, "a heavy address has a socket of its own");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%source, %error, "a heavy address cannot have a socket of its own");
            }
        }
    }

    /// Gives heavy senders a socket of their own; gives the addresses of those for whom there was none.
    fn separate_senders(
        &self,
        heavy: &[SocketAddr],
        sockets: &mut Vec<(Arc<MeasuredSocket>, Instant)>,
    ) -> Vec<IpAddr> {
        for (at, &sender) in heavy.iter().enumerate() {
            let rest = || heavy[at..].iter().map(SocketAddr::ip).collect();
            if sockets
                .iter()
                .any(|(socket, _)| socket.sender() == Some(sender))
            {
                continue;
            }
            let mut own = self.own();
            if own.len() >= OWN {
                let silent = |(socket, heard): &(Arc<MeasuredSocket>, Instant)| {
                    socket.sender().is_some() && heard.elapsed() > SILENT
                };
                let Some(at) = sockets.iter().position(silent) else {
                    return rest();
                };
                let (socket, _) = sockets.remove(at);
                own.retain(|o| !Arc::ptr_eq(o, &socket));
                self.before
                    .fetch_add(socket.measure().dropped, Ordering::Relaxed);
            }
            match MeasuredSocket::connect(self.address, sender, self.buffer.load(Ordering::Relaxed))
            {
                Ok(socket) => {
                    let socket = Arc::new(socket);
                    tracing::info!(%sender, address = %self.address, "a heavy sender has a socket of its own");
                    own.push(socket.clone());
                    sockets.push((socket, Instant::now()));
                }
                // The address was bound by somebody who does not share it: everybody stays in one buffer.
                Err(error) => {
                    tracing::debug!(%sender, %error, "a heavy sender cannot have a socket of its own");
                    return rest();
                }
            }
        }
        Vec::new()
    }

    /// Receives until `stop` is set, then takes what the kernel still has.
    ///
    /// # Errors
    /// When a socket fails.
    pub fn run(&self, intake: Arc<Intake>, stop: &AtomicBool) -> io::Result<()> {
        let mut received = ReceiveBatch::new(LONGEST);
        let mut batch = Batch::new(intake);
        let running = self.leaving.run();
        if let Err(error) = netio::thread::set_nice(NICE) {
            tracing::debug!(%error, "receiving has no priority over other work");
        }
        let begin = Instant::now();
        let mut heavy = HeavySenders::new(begin);
        let mut sockets = vec![(self.shared.clone(), begin)];
        sockets.extend(self.own().iter().map(|socket| (socket.clone(), begin)));
        sockets.extend(
            self.by_address()
                .sockets()
                .map(|socket| (socket.clone(), begin)),
        );
        loop {
            let stopping = stop.load(Ordering::Acquire);
            if self.leaving.is_leaving() && batch.is_empty() {
                drop(running);
                while !stop.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                return Ok(());
            }
            let mut waiting = true;
            let mut all = true;
            for (socket, heard) in &mut sockets {
                let (taken, emptied) = self.take(socket, &mut received, &mut batch, &mut heavy)?;
                waiting &= emptied;
                if taken > 0 {
                    *heard = Instant::now();
                }
                all = batch.flush();
                if !all {
                    break;
                }
            }
            if stopping && waiting && all {
                return Ok(());
            }
            if !all {
                // Blocking was chosen for datagrams: the kernel's buffer is the room there is.
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            let found = heavy.judge(Instant::now());
            self.separate(found, &mut sockets);
            if waiting {
                std::thread::sleep(self.pause());
                let mut fds: Vec<PollFd<'_>> = sockets
                    .iter()
                    .map(|(socket, _)| PollFd::new(socket.fd(), PollFlags::POLLIN))
                    .collect();
                let _ = poll(&mut fds, PollTimeout::from(50u8));
            }
        }
    }

    /// How long a batch may fill: the kernel's buffer holds it meanwhile, and what it holds dies with the process.
    fn pause(&self) -> Duration {
        let micros = self.shared.limit() / TAKES * 1_000_000 / FLOOD;
        Duration::from_micros(micros.clamp(400, 8_000))
    }

    /// Takes what one socket has, up to a bound; gives how much that was and whether it has no more.
    fn take(
        &self,
        socket: &MeasuredSocket,
        received: &mut ReceiveBatch,
        batch: &mut Batch,
        heavy: &mut HeavySenders,
    ) -> io::Result<(usize, bool)> {
        let mut taken = 0;
        while taken < TOGETHER && batch.len() < TOGETHER {
            let count = match received.receive(socket.fd(), Queue::Data) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // An ICMP error about something this socket never sent.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            for datagram in received.datagrams() {
                let stamp = datagram.control.stamp.map_or_else(now, |s| s.0);
                let source = datagram.address.unwrap_or(self.address);
                let most = if self.several.load(Ordering::Relaxed) {
                    framing::TOGETHER
                } else {
                    1
                };
                let mut messages = framing::messages(datagram.payload, most).peekable();
                while let Some(message) = messages.next() {
                    let cut = datagram.truncated && messages.peek().is_none();
                    let flags = if cut { TRUNCATED } else { 0 };
                    batch.push(message, source, Transport::Udp, stamp, flags);
                }
                if socket.sender() != Some(source) {
                    heavy.note(source);
                }
            }
            taken += count;
            if count < netio::BATCH {
                return Ok((taken, true));
            }
        }
        Ok((taken, false))
    }
}
