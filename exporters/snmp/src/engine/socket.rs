//! The shared UDP sockets.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::runtime::{Handle, Id};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::codec;
use crate::reason::Reason;

/// Sockets of one address family in all: several, so that bursts of many targets find room in several receive buffers.
const SPREAD: usize = 4;
/// Receive buffer asked of the system, which may give less.
const BUFFER: usize = 8 << 20;
/// Answers that one scrape may leave unread before more are dropped.
const INBOX: usize = 512;

/// Something for a scrape.
#[derive(Debug)]
pub enum Arrival {
    /// A datagram and where it came from.
    Datagram(Vec<u8>, SocketAddr),
    /// An ICMP error about the target.
    Unreachable(Reason),
}

#[derive(Debug)]
struct Line {
    target: SocketAddr,
    inbox: mpsc::Sender<Arrival>,
}

#[derive(Debug, Default)]
struct Routes {
    lines: HashMap<u64, Line>,
    ids: HashMap<i32, u64>,
    next: u64,
}

/// The sockets that are read in one runtime.
#[derive(Debug)]
struct Local {
    runtime: Id,
    v4: Vec<Arc<UdpSocket>>,
    v6: Vec<Arc<UdpSocket>>,
}

impl Local {
    fn of(&self, target: SocketAddr) -> &[Arc<UdpSocket>] {
        if target.is_ipv4() { &self.v4 } else { &self.v6 }
    }
}

/// Every socket, and which scrape waits for what.
#[derive(Debug)]
pub struct Sockets {
    all: Vec<Local>,
    routes: Arc<Mutex<Routes>>,
    stray: Arc<[AtomicU64; 3]>,
}

/// One scrape's line to its target. Dropping it frees its ids.
#[derive(Debug)]
pub(super) struct Open {
    routes: Arc<Mutex<Routes>>,
    number: u64,
    ids: Vec<i32>,
    target: SocketAddr,
    socket: Arc<UdpSocket>,
    /// What came.
    pub(super) inbox: mpsc::Receiver<Arrival>,
}

impl Sockets {
    /// Binds sockets in each of these runtimes and starts a reader for each. A system without IPv6 has none for it.
    ///
    /// # Errors
    /// The IPv4 sockets, or those of the given source, cannot be bound.
    pub(super) fn bind(
        source: Option<SocketAddr>,
        runtimes: &[Handle],
    ) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        // There is one socket of a given port.
        let (runtimes, each) = match source {
            Some(source) if source.port() != 0 => (&runtimes[..runtimes.len().min(1)], 1),
            _ => (runtimes, SPREAD.div_ceil(runtimes.len().max(1))),
        };
        let many = |address: SocketAddr| {
            (0..each)
                .map(|_| bind(address).map(Arc::new))
                .collect::<io::Result<Vec<_>>>()
        };
        let any4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let any6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
        let mut sockets = Self {
            all: Vec::with_capacity(runtimes.len()),
            routes: Arc::default(),
            stray: Arc::default(),
        };
        let mut readers = Vec::new();
        for runtime in runtimes {
            let _there = runtime.enter();
            let (v4, v6) = match source {
                Some(source) if source.is_ipv4() => (many(source)?, Vec::new()),
                Some(source) => (Vec::new(), many(source)?),
                None => (many(any4)?, many(any6).unwrap_or_default()),
            };
            readers.extend(v4.iter().chain(&v6).map(|socket| {
                tokio::spawn(read(
                    Arc::clone(socket),
                    Arc::clone(&sockets.routes),
                    Arc::clone(&sockets.stray),
                ))
            }));
            sockets.all.push(Local {
                runtime: runtime.id(),
                v4,
                v6,
            });
        }
        Ok((sockets, readers))
    }

    /// Opens a line to a target, on a socket of the runtime at hand where it has one.
    pub(super) fn open(&self, target: SocketAddr) -> Option<Open> {
        let here = Handle::try_current().ok().map(|here| here.id());
        let local = |local: &&Local| Some(local.runtime) == here;
        let local = self.all.iter().find(local).or_else(|| self.all.first())?;
        let sockets = local.of(target);
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = Arc::clone(sockets.get(routes.next as usize % sockets.len().max(1))?);
        let (sender, inbox) = mpsc::channel(INBOX);
        let number = routes.next;
        routes.next += 1;
        routes.lines.insert(
            number,
            Line {
                target,
                inbox: sender,
            },
        );
        drop(routes);
        Some(Open {
            routes: Arc::clone(&self.routes),
            number,
            ids: Vec::new(),
            target,
            socket,
            inbox,
        })
    }

    pub(super) fn stray(&self) -> [(&'static str, u64); 3] {
        let count = |at: usize| self.stray[at].load(Ordering::Relaxed);
        [
            ("malformed", count(MALFORMED)),
            ("unknown_id", count(UNKNOWN)),
            ("full", count(FULL)),
        ]
    }
}

const MALFORMED: usize = 0;
const UNKNOWN: usize = 1;
const FULL: usize = 2;

impl Open {
    /// Sends a message whose answer carries `id`. False when this scrape cannot use the id, because another one does.
    ///
    /// # Errors
    /// The system refused to send.
    pub(super) async fn send(&mut self, id: i32, message: &[u8]) -> io::Result<bool> {
        {
            let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
            match routes.ids.get(&id) {
                Some(owner) if *owner != self.number => return Ok(false),
                Some(_) => {}
                None => {
                    routes.ids.insert(id, self.number);
                    self.ids.push(id);
                }
            }
        }
        // A pending ICMP error of another target is told once by the next send on a shared socket.
        let mut outcome = Ok(true);
        for _ in 0..4 {
            match self.socket.send_to(message, self.target).await {
                Err(error) if pending(&error) => outcome = Err(error),
                other => return other.map(|_| true),
            }
        }
        // Said every time, it is about this target: there is no way to it.
        outcome.or_else(|error| if no_way(&error) { Err(error) } else { Ok(true) })
    }
}

fn pending(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::ConnectionReset
    )
}

/// Whether there is no way to a target.
pub(super) fn no_way(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
    )
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.lines.remove(&self.number);
        for id in &self.ids {
            routes.ids.remove(id);
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    }
    // The system may give less; losses are repaired anyway.
    let _ = socket.set_recv_buffer_size(BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

async fn read(socket: Arc<UdpSocket>, routes: Arc<Mutex<Routes>>, stray: Arc<[AtomicU64; 3]>) {
    let mut buffer = vec![0u8; 65_536];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                if let Err(why) = deliver(&buffer[..length], from, &routes) {
                    stray[why].fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(_) => {
                while let Some((target, reason)) = icmp(&socket) {
                    tell(target, reason, &routes);
                }
            }
        }
    }
}

fn deliver(datagram: &[u8], from: SocketAddr, routes: &Mutex<Routes>) -> Result<(), usize> {
    let id = codec::id_of(datagram).ok_or(MALFORMED)?;
    let routes = routes.lock().unwrap_or_else(PoisonError::into_inner);
    let line = routes
        .ids
        .get(&id)
        .and_then(|number| routes.lines.get(number))
        .ok_or(UNKNOWN)?;
    line.inbox
        .try_send(Arrival::Datagram(datagram.to_vec(), from))
        .map_err(|_| FULL)
}

fn tell(target: SocketAddr, reason: Reason, routes: &Mutex<Routes>) {
    let routes = routes.lock().unwrap_or_else(PoisonError::into_inner);
    for line in routes
        .lines
        .values()
        .filter(|line| line.target.ip() == target.ip() && line.target.port() == target.port())
    {
        let _ = line.inbox.try_send(Arrival::Unreachable(reason));
    }
}

/// One entry of the socket's error queue: the target it is about, and what it says (ip(7), IP_RECVERR).
fn icmp(socket: &UdpSocket) -> Option<(SocketAddr, Reason)> {
    let mut payload = [0u8; 1];
    let mut parts = [IoSliceMut::new(&mut payload)];
    let mut control = [0u8; 512];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)
            .ok()?;
    let target = message.address.and_then(|address| {
        let v4 = address
            .as_sockaddr_in()
            .map(|v4| SocketAddr::new(IpAddr::V4(v4.ip()), v4.port()));
        v4.or_else(|| {
            address
                .as_sockaddr_in6()
                .map(|v6| SocketAddr::new(IpAddr::V6(v6.ip()), v6.port()))
        })
    })?;
    let mut reason = Reason::IcmpUnreachable;
    for control in message.cmsgs().ok()? {
        let (ControlMessageOwned::Ipv4RecvErr(error, _)
        | ControlMessageOwned::Ipv6RecvErr(error, _)) = control
        else {
            continue;
        };
        let refused = (error.ee_type, error.ee_code) == (3, 3) && target.is_ipv4()
            || (error.ee_type, error.ee_code) == (1, 4) && target.is_ipv6();
        if refused {
            reason = Reason::IcmpRefused;
        }
    }
    Some((target, reason))
}
