//! TCP across a network namespace's border, by unix sockets, which know no such border.
//!
//! Outside: `127.0.0.1:PORT` → `NAME.sock`. Inside: `NAME.sock` → `127.0.0.1:PORT`. No privilege, no
//! packet filter and no route is needed, and nothing but this machine's own users can connect.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::tls::{self, Certificates};

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Connections of one forwarder at a time; more wait to be accepted.
const CONNECTIONS: usize = 256;

/// The inner half of one forwarded port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inner {
    /// The unix socket to listen on.
    pub(crate) socket: PathBuf,
    /// The port on 127.0.0.1 to connect to.
    pub(crate) port: u16,
    /// The folder of the stack's certificates, where the port takes known callers only: the launcher is one.
    #[serde(default)]
    pub(crate) certificates: Option<PathBuf>,
}

/// Runs the inner half until it is dropped.
///
/// # Errors
/// The socket cannot be made.
pub(crate) fn inner(forward: &Inner) -> std::io::Result<impl Future<Output = ()> + use<>> {
    match std::fs::remove_file(&forward.socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&forward.socket)?;
    let port = forward.port;
    let files = forward.certificates.as_deref();
    let files = files.map(|folder| Certificates::of(folder).launcher());
    Ok(serve(
        listener,
        async |listener: &UnixListener| listener.accept().await.map(|(stream, _)| stream),
        async move || -> anyhow::Result<Box<dyn Stream>> {
            let stream: Box<dyn Stream> = match &files {
                Some(files) => Box::new(tls::connect(files, port).await?),
                None => Box::new(TcpStream::connect(("127.0.0.1", port)).await?),
            };
            Ok(stream)
        },
    ))
}

/// Runs the outer half until it is dropped.
///
/// # Errors
/// The listener is not usable.
pub(crate) fn outer(
    listener: std::net::TcpListener,
    socket: &Path,
) -> std::io::Result<impl Future<Output = ()> + use<>> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let socket = socket.to_path_buf();
    Ok(serve(
        listener,
        async |listener: &TcpListener| listener.accept().await.map(|(stream, _)| stream),
        async move || Ok(UnixStream::connect(&socket).await?),
    ))
}

async fn serve<L, From, To>(
    listener: L,
    accept: impl AsyncFn(&L) -> std::io::Result<From>,
    connect: impl AsyncFn() -> anyhow::Result<To>,
) where
    From: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    To: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok(mut from) = accept(&listener).await else {
            // Out of descriptors, most likely: others must close first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while open.try_join_next().is_some() {}
        let Ok(mut to) = connect().await else {
            continue;
        };
        open.spawn(async move {
            let _place = place;
            let _ = copy_bidirectional(&mut from, &mut to).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_cross_both_halves_and_the_end_of_one_side_is_passed_on() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = echo.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = echo.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).await.unwrap();
                    all.reverse();
                    stream.write_all(&all).await.unwrap();
                });
            }
        });
        let socket = std::env::temp_dir().join(format!("sotp-fwd-{}.sock", std::process::id()));
        tokio::spawn(
            inner(&Inner {
                socket: socket.clone(),
                port,
                certificates: None,
            })
            .unwrap(),
        );
        let (listener, outside) = crate::stack::ports::bind(41_000, &[]).unwrap();
        tokio::spawn(outer(listener, &socket).unwrap());
        for text in ["live", "again"] {
            let mut stream = TcpStream::connect(("127.0.0.1", outside)).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, text.chars().rev().collect::<String>());
        }
        std::fs::remove_file(socket).unwrap();
    }
}
