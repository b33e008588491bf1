//! The sockets and the thread that empties them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use netio::option;
use netio::receive::{Queue, ReceiveBatch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::collector::Collector;

mod lanes;

use lanes::Lanes;

/// Longest datagram: what UDP carries.
const LONGEST: usize = 65_535;
/// Longest sleep without a datagram: until somebody asks to stop.
const NAP_MS: u16 = 200;
/// How long datagrams gather at least once one has come: a wake-up for many costs a fraction of one for each, and what is worked with is then
/// still in the processor's cache. A million flows a second fill a sixteenth of the usual buffer meanwhile.
const GATHER: Duration = Duration::from_millis(5);
/// The same at most, when little comes.
const GATHER_LONGEST: Duration = Duration::from_millis(10);
/// The same with a buffer smaller than [`ROOMY`] octets.
const GATHER_SHORTLY: Duration = Duration::from_millis(1);
/// Octets of a buffer, as the kernel counts them, that holds what comes meanwhile.
const ROOMY: u32 = 4 << 20;

/// One socket with what the kernel told of it.
#[derive(Debug)]
pub struct Listener {
    socket: UdpSocket,
    /// Where it is bound.
    pub address: SocketAddr,
    /// Datagrams that the kernel dropped for want of buffer space.
    dropped: AtomicU64,
    /// Datagrams longer than a datagram can be read.
    pub truncated: AtomicU64,
}

impl Listener {
    /// The socket of the service manager that is bound to `address` already, else a new one. What waits in the former was sent before the
    /// service began.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(address: SocketAddr, buffer: u32, passed: &mut Vec<Socket>) -> io::Result<Self> {
        let bound = |socket: &Socket| {
            let own = socket.local_addr().ok().and_then(|own| own.as_socket());
            own == Some(address) && socket.r#type().ok() == Some(Type::DGRAM)
        };
        match passed.iter().position(bound) {
            Some(at) => Self::ready(passed.swap_remove(at)),
            None => Self::bind(address, buffer),
        }
    }

    /// Binds a socket; an IPv6 wildcard takes IPv4 too.
    ///
    /// # Errors
    /// The kernel's.
    pub fn bind(address: SocketAddr, buffer: u32) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        option::receive_buffer(socket.as_fd(), buffer)?;
        socket.bind(&address.into())?;
        Self::ready(socket)
    }

    fn ready(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket: UdpSocket = socket.into();
        Ok(Self {
            address: socket.local_addr()?,
            socket,
            dropped: AtomicU64::new(0),
            truncated: AtomicU64::new(0),
        })
    }

    /// Datagrams that the kernel dropped so far, octets that wait, and where it begins to drop.
    #[must_use]
    pub fn memory(&self) -> (u64, u32, u32) {
        let Ok(memory) = option::memory(self.socket.as_fd()) else {
            return (self.dropped.load(Relaxed), 0, 0);
        };
        // The kernel's count wraps at 2³²: the upper part is kept here.
        let last = self.dropped.load(Relaxed);
        let step = u64::from(memory.dropped.wrapping_sub(last as u32));
        let dropped = self.dropped.fetch_add(step, Relaxed) + step;
        (dropped, memory.receive_bytes, memory.receive_limit_bytes)
    }
}

impl Listener {
    /// Whether so large a part of its buffer is in use.
    fn fills(&self, part: u32) -> bool {
        let (_, waiting, room) = self.memory();
        waiting > room / part
    }

    /// Takes a batch of what waits into `batch`; how many datagrams it has.
    fn take(&self, batch: &mut ReceiveBatch) -> usize {
        // An error is that of an ICMP message about something we never sent; the next call goes on.
        let taken = (0..TURN).find_map(|_| batch.receive(self.socket.as_fd(), Queue::Data).ok());
        taken.unwrap_or(0)
    }
}

/// How often the collector ticks.
const TICK: Duration = Duration::from_secs(1);
/// Batches taken from one socket before the others have their turn.
const TURN: usize = 16;
/// A buffer of which more than this part is in use is emptied into the lanes.
const ALARMING: u32 = 2;
/// Fewest and most octets of all lanes together; between them they are twice the buffers as the kernel counts them, so that one sender's lane
/// has room for all that a buffer holds.
const LANES_BYTES: std::ops::RangeInclusive<usize> = 8 << 20..=64 << 20;

/// Empties the sockets into the collector until `stop` is set. Each second the collector ticks.
///
/// # Errors
/// The kernel's, of waiting; one datagram's error ends nothing.
pub fn run(
    listeners: &[Listener],
    collector: &Mutex<Collector>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let rooms = listeners
        .iter()
        .map(|listener| listener.memory().2 as usize);
    let lanes = 2 * rooms.sum::<usize>();
    let lanes = lanes.clamp(*LANES_BYTES.start(), *LANES_BYTES.end());
    let mut intake = Intake::new(listeners, collector, lanes);
    let mut ticked = Instant::now();
    let roomy = listeners
        .iter()
        .all(|listener| listener.memory().2 >= ROOMY);
    let mut gather = if roomy { GATHER } else { GATHER_SHORTLY };
    while !stop.load(Relaxed) {
        let mut waits: Vec<PollFd<'_>> = listeners
            .iter()
            .map(|listener| PollFd::new(listener.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        let wait = if intake.lanes.is_empty() { NAP_MS } else { 0 };
        match poll(&mut waits, PollTimeout::from(wait)) {
            Ok(1..) if intake.lanes.is_empty() => {
                std::thread::sleep(gather);
                if roomy {
                    let filled = listeners.iter().any(|listener| listener.fills(16));
                    gather = if filled {
                        GATHER
                    } else {
                        (gather * 2).min(GATHER_LONGEST)
                    };
                }
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Until there is nothing left or it is time for a tick.
        while intake.round() && ticked.elapsed() < TICK {}
        if ticked.elapsed() >= TICK {
            ticked = Instant::now();
            lock(collector).tick(ticked);
        }
    }
    while !intake.lanes.is_empty() {
        intake.count_waiting();
    }
    lock(collector).flush();
    Ok(())
}

/// What takes datagrams.
struct Intake<'a> {
    listeners: &'a [Listener],
    collector: &'a Mutex<Collector>,
    batch: ReceiveBatch,
    lanes: Lanes,
}

impl<'a> Intake<'a> {
    fn new(listeners: &'a [Listener], collector: &'a Mutex<Collector>, lanes: usize) -> Self {
        Self {
            listeners,
            collector,
            batch: ReceiveBatch::new(LONGEST),
            lanes: Lanes::new(lanes),
        }
    }

    /// Each socket has its turn; whether there may be more. While a buffer fills, all that waits goes to the lanes first.
    fn round(&mut self) -> bool {
        let listeners = self.listeners;
        let alarmed = !self.lanes.is_empty() || listeners.iter().any(|one| one.fills(ALARMING));
        if !alarmed {
            let turn = |left, listener| self.drain(listener) | left;
            return listeners.iter().fold(false, turn);
        }
        for listener in listeners {
            self.set_aside(listener);
        }
        self.count_waiting();
        true
    }

    /// Counts what waits, as much as a turn has; whether there may be more.
    fn drain(&mut self, listener: &Listener) -> bool {
        for _ in 0..TURN {
            let count = listener.take(&mut self.batch);
            if count == 0 {
                return false;
            }
            let (now, unix) = (Instant::now(), unix_now());
            let mut collector = lock(self.collector);
            for datagram in self.batch.datagrams() {
                if datagram.truncated {
                    listener.truncated.fetch_add(1, Relaxed);
                } else if let Some(from) = datagram.address {
                    collector.datagram(from, datagram.payload, now, unix);
                }
            }
            drop(collector);
            if count < netio::BATCH {
                return false;
            }
        }
        true
    }

    /// Takes all that waits out of the buffer, to the lanes; what finds no room in its own is counted at its device.
    fn set_aside(&mut self, listener: &Listener) {
        // More than a buffer holds; who sends without an end does not keep the lanes from being counted.
        for _ in 0..TURN * TURN {
            let count = listener.take(&mut self.batch);
            let mut collector = lock(self.collector);
            for datagram in self.batch.datagrams().take(count) {
                if datagram.truncated {
                    listener.truncated.fetch_add(1, Relaxed);
                } else if let Some(from) = datagram.address {
                    if !collector.knows(from) {
                        // Costs a counter, and less than a lane.
                        collector.datagram(from, datagram.payload, Instant::now(), unix_now());
                    } else if !self.lanes.push(from, datagram.payload) {
                        collector.overrun(from);
                    }
                }
            }
            if count < netio::BATCH {
                return;
            }
        }
    }

    /// Counts some of what waits in the lanes.
    fn count_waiting(&mut self) {
        let (now, unix) = (Instant::now(), unix_now());
        let mut collector = lock(self.collector);
        for _ in 0..TURN * netio::BATCH {
            let Some((from, datagram)) = self.lanes.next() else {
                return;
            };
            collector.datagram(from, &datagram, now, unix);
        }
    }
}

fn unix_now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// The collector; one that panicked while it held it left whole datagrams behind, since each is counted by itself.
pub fn lock(collector: &Mutex<Collector>) -> std::sync::MutexGuard<'_, Collector> {
    collector.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread; it ends when the guard is dropped.
///
/// # Errors
/// The kernel's.
pub fn start(listeners: Arc<[Listener]>, collector: Arc<Mutex<Collector>>) -> io::Result<Running> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let thread = std::thread::Builder::new()
        .name("intake".to_owned())
        .spawn(move || {
            if let Err(error) = run(&listeners, &collector, &asked) {
                tracing::error!(error = %error, "flows are no longer taken");
            }
        })?;
    Ok(Running {
        stop,
        thread: Some(thread),
    })
}

/// The running thread.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    /// Whether the thread has ended by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread
            .as_ref()
            .is_none_or(std::thread::JoinHandle::is_finished)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
