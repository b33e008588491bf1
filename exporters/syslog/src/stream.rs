//! TCP and TLS connections, and Unix sockets.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use toolkit::Stop;

use crate::config::Bounds;
use crate::framing::{Framing, Skip};
use crate::handover::leaving::Leaving;
use crate::handover::sockets::Connection;
use crate::intake::{Batch, Intake};
use crate::record::Transport;
use crate::tls::Tls;

mod connection;
mod unfinished;
mod unix;

use connection::{End, Way, receive};
pub use unfinished::Unfinished;
pub use unix::UnixSocket;

/// What is counted about connections.
#[derive(Debug, Default)]
pub struct Counts {
    /// Open now.
    pub open: AtomicU64,
    /// Accepted so far.
    pub accepted: AtomicU64,
    /// Refused because there were too many.
    pub refused: AtomicU64,
    /// TLS handshakes that failed.
    pub handshakes_failed: AtomicU64,
    /// PROXY protocol headers that were wrong.
    pub proxy_failed: AtomicU64,
    /// Open now, by the address at the other end.
    held: Mutex<HashMap<IpAddr, u64>>,
}

impl Counts {
    fn held(&self) -> MutexGuard<'_, HashMap<IpAddr, u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for another connection from an address. Who holds more than half of them leaves the last
    /// tenth to the others; behind a balancer everybody has its address.
    fn has_room(&self, settings: &Settings, address: IpAddr) -> bool {
        let limit = settings.bounds.connections as u64;
        let open = self.open.load(Relaxed);
        let last = open >= limit - limit / 10 && !settings.proxy;
        let greedy = || {
            self.held()
                .get(&address)
                .is_some_and(|held| held * 2 > limit)
        };
        open < limit && !(last && greedy())
    }
}

/// What holds for connections from now on.
#[derive(Clone)]
pub struct Settings {
    /// TLS, when it is spoken.
    pub tls: Option<Arc<Tls>>,
    /// Connections begin with a PROXY protocol header.
    pub proxy: bool,
    /// The bounds.
    pub bounds: Bounds,
}

/// Ways into the queue for connections to take turns with: few of them are at work at a time.
#[derive(Default)]
struct Batches(Mutex<Vec<Batch>>);

/// Batches that are kept for the next.
const KEPT_BATCHES: usize = 16;

impl Batches {
    fn kept(&self) -> MutexGuard<'_, Vec<Batch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, intake: &Arc<Intake>) -> Batch {
        let kept = self.kept().pop();
        match kept {
            Some(mut batch) => {
                batch.refresh();
                batch
            }
            None => Batch::new(intake.clone()),
        }
    }

    /// Takes it back; it must be empty.
    fn give_back(&self, batch: Batch) {
        let mut kept = self.kept();
        if batch.is_empty() && kept.len() < KEPT_BATCHES {
            kept.push(batch);
        }
    }
}

/// One listener for streams.
pub struct Streams {
    /// The address as it is configured.
    pub configured: SocketAddr,
    listener: TcpListener,
    /// What holds for new connections.
    pub settings: ArcSwap<Settings>,
    /// The counts.
    pub counts: Arc<Counts>,
    /// Connections from another process.
    arrived: Mutex<Vec<Connection>>,
    /// Connections for another process.
    gone: Mutex<Vec<Connection>>,
    /// How it ends for another process.
    pub leaving: Leaving,
    unfinished: Arc<Unfinished>,
    batches: Batches,
}

/// An open connection, counted as long as it lives.
struct Open(Arc<Counts>, IpAddr);

impl Open {
    fn new(counts: Arc<Counts>, address: IpAddr) -> Self {
        counts.open.fetch_add(1, Relaxed);
        *counts.held().entry(address).or_default() += 1;
        Self(counts, address)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
        let mut held = self.0.held();
        if let Some(count) = held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.1);
            }
        }
    }
}

/// So many connections that have ended leave enough memory to give back.
const MANY: usize = 500;

/// Greetings (PROXY protocol, TLS) may take this long.
const GREETING: Duration = Duration::from_secs(10);

fn lock(connections: &Mutex<Vec<Connection>>) -> MutexGuard<'_, Vec<Connection>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Streams {
    /// A listener on a bound socket.
    #[must_use]
    pub fn new(
        configured: SocketAddr,
        listener: TcpListener,
        settings: Settings,
        unfinished: Arc<Unfinished>,
    ) -> Self {
        Self {
            configured,
            listener,
            settings: ArcSwap::from_pointee(settings),
            counts: Arc::default(),
            arrived: Mutex::default(),
            gone: Mutex::default(),
            leaving: Leaving::default(),
            unfinished,
            batches: Batches::default(),
        }
    }

    /// Takes a connection from another process; it is read when the listener runs.
    pub fn adopt(&self, connection: Connection) {
        lock(&self.arrived).push(connection);
    }

    /// The connections that can be handed over, when it has left.
    pub async fn left(&self) -> Vec<Connection> {
        self.leaving.left().await;
        std::mem::take(&mut *lock(&self.gone))
    }

    /// A further descriptor of the listening socket.
    ///
    /// # Errors
    /// The kernel's.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.listener.as_fd().try_clone_to_owned()
    }

    fn begin(
        self: &Arc<Self>,
        connections: &mut tokio::task::JoinSet<()>,
        source: SocketAddr,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let open = Open::new(self.counts.clone(), source.ip());
        connections.spawn(async move {
            let _open = open;
            work.await;
        });
    }

    /// Accepts until it is stopped, then waits until every connection has ended.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self: Arc<Self>, intake: Arc<Intake>, stop: Stop) -> io::Result<()> {
        if stop.is_requested() {
            return Ok(());
        }
        let _running = self.leaving.run();
        let mut connections = tokio::task::JoinSet::new();
        let arrived = std::mem::take(&mut *lock(&self.arrived));
        for connection in arrived {
            let socket = std::net::TcpStream::from(connection.socket);
            let socket = socket
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(socket));
            let Ok(socket) = socket else { continue };
            let (this, intake, stop) = (self.clone(), intake.clone(), stop.clone());
            let settings = self.settings.load_full();
            let limit = settings.bounds.message_bytes;
            let framing = Framing::resume(limit, connection.bytes, connection.skip);
            let source = connection.source;
            self.begin(&mut connections, source, async move {
                this.plain(socket, framing, source, &settings.bounds, intake, stop)
                    .await;
            });
        }
        let mut most = 0;
        loop {
            most = most.max(connections.len());
            let (socket, source) = tokio::select! {
                Some(_) = connections.join_next() => {
                    if most - connections.len() >= MANY {
                        most = connections.len();
                        netio::memory::give_back();
                    }
                    continue;
                }
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, or the client is gone already: others may still come.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = stop.requested() => break,
            };
            let settings = self.settings.load_full();
            if !self.counts.has_room(&settings, source.ip()) {
                self.counts.refused.fetch_add(1, Relaxed);
                continue;
            }
            self.counts.accepted.fetch_add(1, Relaxed);
            let (this, intake, stop) = (self.clone(), intake.clone(), stop.clone());
            self.begin(&mut connections, source, async move {
                this.connection(socket, source, &settings, intake, stop)
                    .await;
            });
        }
        while connections.join_next().await.is_some() {}
        Ok(())
    }

    async fn connection(
        &self,
        mut socket: TcpStream,
        mut source: SocketAddr,
        settings: &Settings,
        intake: Arc<Intake>,
        stop: Stop,
    ) {
        let mut first = Vec::new();
        if settings.proxy {
            let greeting = tokio::time::timeout(GREETING, crate::proxy::read(&mut socket));
            let read = tokio::select! {
                read = greeting => read,
                () = stop.requested() => return,
            };
            match read {
                Ok(Ok(header)) => {
                    source = header.source.unwrap_or(source);
                    first = header.rest;
                }
                Ok(Err(_)) | Err(_) => {
                    self.counts.proxy_failed.fetch_add(1, Relaxed);
                    return;
                }
            }
        }
        let bounds = &settings.bounds;
        let Some(tls) = &settings.tls else {
            let framing = Framing::resume(bounds.message_bytes, first, Skip::Open);
            return self
                .plain(socket, framing, source, bounds, intake, stop)
                .await;
        };
        let stream = crate::proxy::Prefixed::new(first, socket);
        let greeting = tokio::time::timeout(GREETING, tls.accept(stream));
        let accepted = tokio::select! {
            accepted = greeting => accepted,
            () = stop.requested() => return,
        };
        match accepted {
            Ok(Ok(mut stream)) => {
                let framing = Framing::new(bounds.message_bytes);
                let connection = shared(source, Transport::Tls, framing);
                receive(&mut stream, &connection, &self.way(bounds), &intake, stop).await;
            }
            Ok(Err(error)) => {
                self.counts.handshakes_failed.fetch_add(1, Relaxed);
                tracing::debug!(%source, %error, "TLS handshake failed");
            }
            Err(_) => {
                self.counts.handshakes_failed.fetch_add(1, Relaxed);
            }
        }
    }

    async fn plain(
        &self,
        mut socket: TcpStream,
        framing: Framing,
        source: SocketAddr,
        bounds: &Bounds,
        intake: Arc<Intake>,
        stop: Stop,
    ) {
        let connection = shared(source, Transport::Tcp, framing);
        let way = Way {
            leaving: Some(&self.leaving),
            ..self.way(bounds)
        };
        if receive(&mut socket, &connection, &way, &intake, stop).await == End::Leaving
            && let Ok(socket) = socket.into_std()
        {
            let framing = std::mem::replace(&mut *connection.framing(), Framing::new(0));
            let (bytes, skip) = framing.leave();
            lock(&self.gone).push(Connection {
                configured: self.configured.to_string(),
                source,
                bytes,
                skip,
                socket: socket.into(),
            });
        }
    }

    fn way<'a>(&'a self, bounds: &'a Bounds) -> Way<'a> {
        Way {
            bounds,
            unfinished: &self.unfinished,
            batches: &self.batches,
            leaving: None,
        }
    }
}

fn shared(
    source: SocketAddr,
    transport: Transport,
    framing: Framing,
) -> Arc<unfinished::Connection> {
    Arc::new(unfinished::Connection {
        source,
        transport,
        framing: Mutex::new(framing),
    })
}
