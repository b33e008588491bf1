//! Accepting and carrying connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dispatch::Site;
use super::listen::Bound;
use crate::Flags;

/// What a client may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) header_bytes: usize,
    pub(crate) body_bytes: usize,
    pub(crate) header: Duration,
    pub(crate) request: Duration,
    pub(crate) write: Duration,
    pub(crate) idle: Duration,
}

impl Limits {
    pub(crate) fn new(flags: &Flags) -> Self {
        Self {
            connections: flags.web_max_connections,
            header_bytes: flags.web_max_header_bytes,
            body_bytes: flags.web_max_body_bytes,
            header: flags.web_header_timeout,
            request: flags.web_request_timeout,
            write: flags.web_write_timeout,
            idle: flags.web_idle_timeout,
        }
    }
}

/// The running server.
#[derive(Clone)]
pub(crate) struct Server {
    site: Arc<Site>,
    stop: CancellationToken,
    connections: TaskTracker,
}

impl Server {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self {
            site,
            stop: CancellationToken::new(),
            connections: TaskTracker::new(),
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
                tokio::spawn(async move {
                    loop {
                        tokio::select! {
                            () = own.stop.cancelled() => return,
                            accepted = listener.accept() => match accepted {
                                Ok((stream, peer)) => own.carry(stream, peer.ip().to_string()),
                                Err(error) => pause(&error).await,
                            },
                        }
                    }
                });
            }
            Bound::Unix(listener, path) => {
                let listener = tokio::net::UnixListener::from_std(listener)?;
                tokio::spawn(async move {
                    loop {
                        tokio::select! {
                            () = own.stop.cancelled() => break,
                            accepted = listener.accept() => match accepted {
                                Ok((stream, _)) => own.carry(stream, "unix".to_owned()),
                                Err(error) => pause(&error).await,
                            },
                        }
                    }
                    let _ = std::fs::remove_file(path);
                });
            }
        }
        Ok(())
    }

    fn carry(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, peer: String) {
        let site = Arc::clone(&self.site);
        let stop = self.stop.clone();
        self.connections.spawn(async move {
            let service = service_fn(|request| {
                let (site, peer) = (Arc::clone(&site), peer.clone());
                async move { Ok::<_, Infallible>(site.serve(request, &peer).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(site.limits.header)
                .max_buf_size(site.limits.header_bytes)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(peer, %error, "connection ended");
            }
        });
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
