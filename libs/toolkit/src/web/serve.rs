//! Accepting and carrying connections.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ClientCertificate;
use super::conn::{Conn, Open, Watched};
use super::dispatch::{Peer, Site, Way};
use super::listen::Bound;
use super::outgoing::Sent;
use super::workers::Workers;

/// Time for a quiet connection to be closed in good order.
const FAREWELL: Duration = Duration::from_millis(250);
/// Most fields in the head of a request.
const MOST_HEADERS: usize = 100;
/// Most requests at a time on one HTTP/2 connection.
const MOST_STREAMS: u32 = 32;
/// Bytes of a body that a connection may have on its way before somebody reads them, HTTP/2 the least that there is (RFC 9113 section 6.9.2).
const WINDOW: u32 = 65_535;
/// Bytes of a response that HTTP/2 keeps of each request beside what counts as held.
const SEND_BUFFER: usize = 16 * 1024;
/// Bytes that HTTP/1 reads ahead.
const READ_AHEAD: usize = 64 * 1024;

/// The running server.
#[derive(Clone)]
pub(crate) struct Server {
    site: Arc<Site>,
    stop: CancellationToken,
    connections: TaskTracker,
    open: Arc<Open>,
    workers: Workers,
}

impl Server {
    pub(crate) fn new(site: Arc<Site>, workers: Workers) -> Self {
        Self {
            site,
            stop: CancellationToken::new(),
            connections: TaskTracker::new(),
            open: Arc::default(),
            workers,
        }
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Accepts on one socket until [`stop`](Self::stop).
    pub(crate) fn listen(&self, bound: Bound) -> std::io::Result<()> {
        let own = self.clone();
        match bound {
            Bound::Tcp(listener) => {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                self.connections.spawn(async move {
                    loop {
                        tokio::select! {
                            () = own.stop.cancelled() => return,
                            accepted = listener.accept() => match accepted {
                                Ok((stream, peer)) => own.hand_over(stream, peer.ip().to_string()),
                                Err(error) => pause(&error).await,
                            },
                        }
                    }
                });
            }
            Bound::Unix(listener, path) => {
                let listener = tokio::net::UnixListener::from_std(listener)?;
                self.connections.spawn(async move {
                    loop {
                        tokio::select! {
                            () = own.stop.cancelled() => break,
                            accepted = listener.accept() => match accepted {
                                Ok((stream, _)) => own.carry(stream, "unix".to_owned()),
                                Err(error) => pause(&error).await,
                            },
                        }
                    }
                    if let Some(path) = path {
                        let _ = std::fs::remove_file(path);
                    }
                });
            }
        }
        Ok(())
    }

    /// Carries the stream on the thread whose turn it is, or here.
    fn hand_over(&self, stream: TcpStream, peer: String) {
        let Some(worker) = self.workers.next() else {
            return self.carry(stream, peer);
        };
        // An event loop has the streams that were made in it. One that cannot change has failed already.
        let Ok(stream) = stream.into_std() else {
            return;
        };
        let _there = worker.enter();
        if let Ok(stream) = TcpStream::from_std(stream) {
            self.carry(stream, peer);
        }
    }

    /// Gives the stream a place among the open connections and carries it there.
    fn carry<S>(&self, stream: S, peer: String)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let metrics = &self.site.metrics;
        let Some(place) = self.open.enter(self.site.limits.connections, &peer) else {
            metrics.closed.with_label_values(&["connections"]).inc();
            return;
        };
        let own = self.clone();
        metrics.connections.inc();
        self.connections.spawn(async move {
            let gauge = own.site.metrics.connections.clone();
            let _left = OnDrop(move || gauge.dec());
            let conn = Arc::clone(&place.conn);
            let reason = tokio::select! {
                reason = own.talk(stream, &conn, Peer::new(peer.clone())) => reason,
                reason = conn.exhausted(&own.site.limits) => Some(reason),
                () = own.parting(&conn) => None,
            };
            if let Some(reason) = reason {
                own.site.metrics.closed.with_label_values(&[reason]).inc();
                tracing::debug!(peer, reason, "connection closed");
            }
        });
    }

    /// Waits for the end of the server and a moment for farewells, then for the connection to be quiet: who is only about to ask, or
    /// sends a head without end, does not hold up the end.
    async fn parting(&self, conn: &Conn) {
        self.stop.cancelled().await;
        loop {
            tokio::time::sleep(FAREWELL).await;
            if conn.is_quiet() {
                return;
            }
        }
    }

    /// Handshake and requests; returns the limit that ended it, if one did.
    async fn talk<S>(&self, stream: S, conn: &Arc<Conn>, mut peer: Peer) -> Option<&'static str>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = Watched::new(stream, Arc::clone(conn));
        let web_config = self.site.web_config.load_full();
        let Some(tls) = web_config.tls.clone() else {
            return self.http1(stream, conn, peer).await;
        };
        match TlsAcceptor::from(tls).accept(stream).await {
            Ok(stream) => {
                let session = stream.get_ref().1;
                peer.certificate = web_config.trust.and_then(|trust| {
                    let own = session.peer_certificates()?.first()?;
                    Some((Arc::new(ClientCertificate::read(own)?), trust))
                });
                if session.alpn_protocol() == Some(b"h2") {
                    self.http2(stream, conn, peer).await
                } else {
                    self.http1(stream, conn, peer).await
                }
            }
            Err(error) => {
                tracing::debug!(peer = peer.address, %error, "TLS handshake failed");
                Some("tls_handshake")
            }
        }
    }

    async fn http1<S>(&self, stream: S, conn: &Arc<Conn>, peer: Peer) -> Option<&'static str>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limits = &self.site.limits;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // The connection has its own clock for heads.
            .header_read_timeout(None)
            .max_header_size(limits.header_bytes)
            .max_buf_size(READ_AHEAD.max(limits.header_bytes))
            .max_headers(MOST_HEADERS)
            .serve_connection(TokioIo::new(stream), self.service(conn, &peer));
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        self.ended(ended, &peer.address)
    }

    async fn http2<S>(&self, stream: S, conn: &Arc<Conn>, peer: Peer) -> Option<&'static str>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        conn.multiplex();
        let limits = &self.site.limits;
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MOST_STREAMS)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .serve_connection(TokioIo::new(stream), self.service(conn, &peer));
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        self.ended(ended, &peer.address)
    }

    fn service(
        &self,
        conn: &Arc<Conn>,
        peer: &Peer,
    ) -> impl Service<
        http::Request<Incoming>,
        Response = http::Response<Sent>,
        Error = Infallible,
        Future = impl Future<Output = Result<http::Response<Sent>, Infallible>> + Send + use<>,
    > + use<> {
        let site = Arc::clone(&self.site);
        let way = Arc::new(Way {
            peer: peer.clone(),
            conn: Arc::clone(conn),
            open: Arc::clone(&self.open),
        });
        service_fn(move |request| {
            let (site, way, busy) = (Arc::clone(&site), Arc::clone(&way), way.conn.request());
            async move {
                let answer = site.serve(request, &way).await;
                drop(busy);
                Ok(answer)
            }
        })
    }

    fn ended(&self, ended: hyper::Result<()>, peer: &str) -> Option<&'static str> {
        let error = ended.err()?;
        tracing::debug!(peer, %error, "connection ended");
        error.is_parse_too_large().then_some("header_size")
    }

    /// Stops accepting, lets requests in flight end and waits for every connection.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.connections.close();
        self.connections.wait().await;
    }
}

async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "connection cannot be accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Calls at the end, however it comes.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
