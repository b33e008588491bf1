//! TCP and TLS connections, and Unix sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{self, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream, UnixDatagram};
use toolkit::Stop;

use crate::framing::{Framing, Skip};
use crate::handover::Connection;
use crate::intake::{Intake, Lane, now};
use crate::record::{TRUNCATED, Transport, UNFINISHED};
use crate::tls::Tls;

/// Bytes read from a connection at once.
const READ: usize = 64 << 10;

/// The bounds of connections.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Longest message in bytes.
    pub message_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
    /// How long a connection may say nothing.
    pub idle: Duration,
    /// How long a begun message may wait for its end.
    pub unfinished: Duration,
}

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
    leaving: AtomicBool,
    running: AtomicBool,
}

struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// Greetings (PROXY protocol, TLS) may take this long.
const GREETING: Duration = Duration::from_secs(10);
/// After a stop, a connection is read on for at most this long.
const DRAIN: Duration = Duration::from_secs(1);

fn lock(connections: &Mutex<Vec<Connection>>) -> MutexGuard<'_, Vec<Connection>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Streams {
    /// A listener on a bound socket.
    #[must_use]
    pub fn new(configured: SocketAddr, listener: TcpListener, settings: Settings) -> Self {
        Self {
            configured,
            listener,
            settings: ArcSwap::from_pointee(settings),
            counts: Arc::default(),
            arrived: Mutex::default(),
            gone: Mutex::default(),
            leaving: AtomicBool::new(false),
            running: AtomicBool::new(false),
        }
    }

    /// Takes a connection from another process; it is read when the listener runs.
    pub fn adopt(&self, connection: Connection) {
        lock(&self.arrived).push(connection);
    }

    /// From now on a stop means that connections change hands where they can.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Waits until the listener has ended after a stop; gives the connections that can change hands.
    pub async fn left(&self) -> Vec<Connection> {
        for _ in 0..2_000 {
            if !self.running.load(Ordering::Acquire) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
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
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.counts.open.fetch_add(1, Relaxed);
        let open = Open(self.counts.clone());
        connections.spawn(async move {
            let _open = open;
            work.await;
        });
    }

    /// Accepts until told to stop, then waits until every connection has ended.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self: Arc<Self>, intake: Arc<Intake>, stop: Stop) -> io::Result<()> {
        if stop.is_requested() {
            return Ok(());
        }
        self.running.store(true, Ordering::Release);
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
            self.begin(&mut connections, async move {
                this.plain(
                    socket,
                    framing,
                    connection.source,
                    &settings.bounds,
                    intake,
                    stop,
                )
                .await;
            });
        }
        loop {
            let (socket, source) = tokio::select! {
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
            while connections.try_join_next().is_some() {}
            let settings = self.settings.load_full();
            if self.counts.open.load(Relaxed) >= settings.bounds.connections as u64 {
                self.counts.refused.fetch_add(1, Relaxed);
                continue;
            }
            self.counts.accepted.fetch_add(1, Relaxed);
            let (this, intake, stop) = (self.clone(), intake.clone(), stop.clone());
            self.begin(&mut connections, async move {
                this.connection(socket, source, &settings, intake, stop)
                    .await;
            });
        }
        while connections.join_next().await.is_some() {}
        self.running.store(false, Ordering::Release);
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
                let mut framing = Framing::new(bounds.message_bytes);
                let way = Way {
                    source,
                    transport: Transport::Tls,
                    bounds,
                    hands: None,
                };
                receive(&mut stream, &mut framing, &way, intake, stop).await;
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
        mut framing: Framing,
        source: SocketAddr,
        bounds: &Bounds,
        intake: Arc<Intake>,
        stop: Stop,
    ) {
        let way = Way {
            source,
            transport: Transport::Tcp,
            bounds,
            hands: Some(&self.leaving),
        };
        if receive(&mut socket, &mut framing, &way, intake, stop).await == End::Leaving
            && let Ok(socket) = socket.into_std()
        {
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
}

/// What a connection's messages have in common.
struct Way<'a> {
    source: SocketAddr,
    transport: Transport,
    bounds: &'a Bounds,
    /// When set at a stop, the connection goes to another process as it is.
    hands: Option<&'a AtomicBool>,
}

/// How the reading of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    /// Another process reads on.
    Leaving,
}

/// Reads one connection to its end. A full queue stops the reading, which stops the sender.
async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    framing: &mut Framing,
    way: &Way<'_>,
    intake: Arc<Intake>,
    stop: Stop,
) -> End {
    let (source, transport, bounds) = (way.source, way.transport, way.bounds);
    let mut lane = Lane::new(intake.clone());
    let mut draining: Option<Instant> = None;
    loop {
        let stamp = now();
        while let Some(frame) = framing.next_frame() {
            let flags = if frame.truncated { TRUNCATED } else { 0 };
            lane.push(frame.bytes, source, transport, stamp, flags);
        }
        flush(&mut lane, &intake).await;
        if draining.is_some_and(|since| since.elapsed() > DRAIN) {
            break;
        }
        let midway = framing.is_midway();
        let patience = if draining.is_some() {
            Duration::from_millis(100)
        } else if midway {
            bounds.unfinished
        } else {
            bounds.idle
        };
        let buffer = framing.buffer();
        buffer.reserve(if buffer.capacity() == 0 {
            4 << 10
        } else {
            READ.min(buffer.capacity().max(4 << 10))
        });
        let read = tokio::select! {
            read = tokio::time::timeout(patience, stream.read_buf(buffer)) => read,
            () = stop.requested(), if draining.is_none() => {
                if way.hands.is_some_and(|leaving| leaving.load(Ordering::Acquire)) {
                    return End::Leaving;
                }
                // Take what has arrived, wait no longer for more.
                draining = Some(Instant::now());
                continue;
            }
        };
        match read {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => {}
            Err(_) if midway && draining.is_none() => {
                if let Some(rest) = framing.rest() {
                    lane.push(rest, source, transport, now(), UNFINISHED);
                }
            }
            Err(_) => break,
        }
    }
    if let Some(rest) = framing.rest() {
        let flags = if draining.is_some() { UNFINISHED } else { 0 };
        lane.push(rest, source, transport, now(), flags);
    }
    flush(&mut lane, &intake).await;
    End::Closed
}

async fn flush(lane: &mut Lane, intake: &Intake) {
    loop {
        let space = intake.queue.space();
        tokio::pin!(space);
        space.as_mut().enable();
        if lane.flush() {
            return;
        }
        // The pause is for a storage that refuses: no room is made then, but it may recover.
        let _ = tokio::time::timeout(Duration::from_millis(500), space).await;
    }
}

/// A Unix datagram socket such as `/dev/log`.
pub struct UnixSocket {
    socket: UnixDatagram,
    path: PathBuf,
    leaving: AtomicBool,
    running: AtomicBool,
}

impl UnixSocket {
    /// Binds it; a socket that was left behind is replaced.
    ///
    /// # Errors
    /// When it cannot be bound, or something else is at the path.
    pub fn bind(path: PathBuf) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
        if let Ok(meta) = std::fs::symlink_metadata(&path) {
            if !meta.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is something else than a socket at the path",
                ));
            }
            std::fs::remove_file(&path)?;
        }
        let socket = UnixDatagram::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
        Ok(Self::new(socket, path))
    }

    fn new(socket: UnixDatagram, path: PathBuf) -> Self {
        Self {
            socket,
            path,
            leaving: AtomicBool::new(false),
            running: AtomicBool::new(false),
        }
    }

    /// Takes a socket that is bound already.
    ///
    /// # Errors
    /// The kernel's.
    pub fn adopt(socket: std::os::unix::net::UnixDatagram, path: PathBuf) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::new(UnixDatagram::from_std(socket)?, path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on a stop leaves what the kernel holds to another process.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Waits until the receiver has ended after a stop.
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

    /// Receives until told to stop.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn run(&self, intake: Arc<Intake>, limit: usize, stop: Stop) -> io::Result<()> {
        if stop.is_requested() {
            return Ok(());
        }
        self.running.store(true, Ordering::Release);
        let result = self.receive(intake, limit, stop).await;
        self.running.store(false, Ordering::Release);
        result
    }

    async fn receive(&self, intake: Arc<Intake>, limit: usize, stop: Stop) -> io::Result<()> {
        let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let mut buffer = vec![0; limit + 1];
        let mut lane = Lane::new(intake.clone());
        let push = |lane: &mut Lane, buffer: &[u8], length: usize| {
            let flags = if length > limit { TRUNCATED } else { 0 };
            lane.push(
                &buffer[..length.min(limit)],
                nobody,
                Transport::Unix,
                now(),
                flags,
            );
        };
        loop {
            tokio::select! {
                received = self.socket.recv(&mut buffer) => {
                    let length = received?;
                    push(&mut lane, &buffer, length);
                }
                () = stop.requested() => break,
            }
            while lane.len() < 256
                && let Ok(length) = self.socket.try_recv(&mut buffer)
            {
                push(&mut lane, &buffer, length);
            }
            flush(&mut lane, &intake).await;
        }
        while !self.leaving.load(Ordering::Acquire)
            && let Ok(length) = self.socket.try_recv(&mut buffer)
        {
            push(&mut lane, &buffer, length);
        }
        flush(&mut lane, &intake).await;
        Ok(())
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if !*self.leaving.get_mut() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
