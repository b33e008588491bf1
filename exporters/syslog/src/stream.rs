//! TCP and TLS connections, and Unix sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream, UnixDatagram};
use toolkit::Stop;

use crate::framing::Framing;
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

/// One listener for streams.
pub struct Streams {
    /// The bound socket.
    pub listener: TcpListener,
    /// TLS, when it is spoken.
    pub tls: Option<Arc<Tls>>,
    /// Connections begin with a PROXY protocol header.
    pub proxy: bool,
    /// The bounds.
    pub bounds: Bounds,
    /// The counts.
    pub counts: Arc<Counts>,
}

struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

impl Streams {
    /// Accepts until told to stop, then waits until every connection has ended.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self: Arc<Self>, intake: Arc<Intake>, stop: Stop) -> io::Result<()> {
        let mut connections = tokio::task::JoinSet::new();
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
            if self.counts.open.load(Relaxed) >= self.bounds.connections as u64 {
                self.counts.refused.fetch_add(1, Relaxed);
                continue;
            }
            self.counts.open.fetch_add(1, Relaxed);
            self.counts.accepted.fetch_add(1, Relaxed);
            let open = Open(self.counts.clone());
            let (this, intake, stop) = (self.clone(), intake.clone(), stop.clone());
            connections.spawn(async move {
                let _open = open;
                this.connection(socket, source, intake, stop).await;
            });
        }
        while connections.join_next().await.is_some() {}
        Ok(())
    }

    async fn connection(
        &self,
        mut socket: TcpStream,
        mut source: SocketAddr,
        intake: Arc<Intake>,
        stop: Stop,
    ) {
        const GREETING: Duration = Duration::from_secs(10);
        let mut first = Vec::new();
        if self.proxy {
            match tokio::time::timeout(GREETING, crate::proxy::read(&mut socket)).await {
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
        match &self.tls {
            None => {
                receive(
                    socket,
                    first,
                    source,
                    Transport::Tcp,
                    &self.bounds,
                    intake,
                    stop,
                )
                .await;
            }
            Some(tls) => {
                let stream = crate::proxy::Prefixed::new(first, socket);
                match tokio::time::timeout(GREETING, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        receive(
                            stream,
                            Vec::new(),
                            source,
                            Transport::Tls,
                            &self.bounds,
                            intake,
                            stop,
                        )
                        .await;
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
        }
    }
}

/// Reads one connection to its end. A full queue stops the reading, which stops the sender.
async fn receive(
    mut stream: impl AsyncRead + Unpin,
    first: Vec<u8>,
    source: SocketAddr,
    transport: Transport,
    bounds: &Bounds,
    intake: Arc<Intake>,
    stop: Stop,
) {
    let mut framing = Framing::new(bounds.message_bytes);
    framing.buffer().extend_from_slice(&first);
    let mut lane = Lane::new(intake.clone());
    let mut draining = false;
    loop {
        let stamp = now();
        while let Some(frame) = framing.next_frame() {
            lane.push(
                frame.bytes,
                source,
                transport,
                stamp,
                if frame.truncated { TRUNCATED } else { 0 },
            );
        }
        flush(&mut lane, &intake).await;
        let midway = framing.is_midway();
        let patience = if draining {
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
            () = stop.requested(), if !draining => {
                // Take what has arrived, wait no longer for more.
                draining = true;
                continue;
            }
        };
        match read {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => {}
            Err(_) if midway && !draining => {
                if let Some(rest) = framing.rest() {
                    lane.push(rest, source, transport, now(), UNFINISHED);
                }
            }
            Err(_) => break,
        }
    }
    if let Some(rest) = framing.rest() {
        let flags = if draining { UNFINISHED } else { 0 };
        lane.push(rest, source, transport, now(), flags);
    }
    flush(&mut lane, &intake).await;
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
        Ok(Self { socket, path })
    }

    /// Receives until told to stop.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn run(&self, intake: Arc<Intake>, limit: usize, stop: Stop) -> io::Result<()> {
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
        while let Ok(length) = self.socket.try_recv(&mut buffer) {
            push(&mut lane, &buffer, length);
        }
        flush(&mut lane, &intake).await;
        Ok(())
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
