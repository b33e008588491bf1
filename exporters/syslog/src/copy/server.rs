//! A copy at another syslog server.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use spool::Batch;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{line, messages};
use crate::config::{Client, Forward, Framing, Way};

/// How long a connection may take to come about, and a batch to be acknowledged.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest payload of a datagram.
const LONGEST: usize = 65_507;

enum Open {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A server with the connection to it.
pub struct Server {
    forward: Forward,
    open: Option<Open>,
    buffer: Vec<u8>,
}

fn other(text: impl Into<String>) -> io::Error {
    io::Error::other(text.into())
}

impl Server {
    pub(super) fn new(forward: Forward) -> Self {
        Self {
            forward,
            open: None,
            buffer: Vec::new(),
        }
    }

    /// Sends a batch; on streams it is done when the other side's kernel has acknowledged all of it.
    pub(super) async fn write(&mut self, batch: &Batch) -> io::Result<usize> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => tokio::time::timeout(PATIENCE, self.connect())
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??,
        };
        self.buffer.clear();
        if let Open::Udp(socket) = &open {
            let mut bytes = 0;
            for message in messages(batch) {
                let message = &message[..message.len().min(LONGEST)];
                match socket.send(message).await {
                    Ok(sent) => bytes += sent,
                    // What an ICMP error says of an earlier datagram is no reason to send that again.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        socket.send(message).await?;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.open = Some(open);
            return Ok(bytes);
        }
        for message in messages(batch) {
            match self.forward.framing {
                Framing::OctetCounting => {
                    let count = format!("{} ", message.len());
                    self.buffer.extend_from_slice(count.as_bytes());
                    self.buffer.extend_from_slice(message);
                }
                Framing::Newline => line(message, &mut self.buffer),
            }
        }
        let sent = async {
            match &mut open {
                Open::Udp(_) => Ok(()),
                Open::Tcp(stream) => {
                    stream.write_all(&self.buffer).await?;
                    acknowledged(stream).await
                }
                Open::Tls(stream) => {
                    written(&mut **stream, &self.buffer).await?;
                    acknowledged(stream.get_ref().0).await
                }
            }
        };
        tokio::time::timeout(PATIENCE, sent)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.open = Some(open);
        Ok(self.buffer.len())
    }

    async fn connect(&self) -> io::Result<Open> {
        let to = (self.forward.host.as_str(), self.forward.port);
        Ok(match &self.forward.way {
            Way::Udp => {
                let address = tokio::net::lookup_host(to)
                    .await?
                    .next()
                    .ok_or_else(|| other(format!("{} has no address", self.forward.host)))?;
                let any: std::net::IpAddr = if address.is_ipv4() {
                    std::net::Ipv4Addr::UNSPECIFIED.into()
                } else {
                    std::net::Ipv6Addr::UNSPECIFIED.into()
                };
                let socket = UdpSocket::bind((any, 0)).await?;
                socket.connect(address).await?;
                Open::Udp(socket)
            }
            Way::Tcp => Open::Tcp(TcpStream::connect(to).await?),
            Way::Tls(client) => {
                let connector = connector(client)?;
                let name = ServerName::try_from(client.name.clone())
                    .map_err(|_| other(format!("{:?} is no server name", client.name)))?;
                let socket = TcpStream::connect(to).await?;
                Open::Tls(Box::new(connector.connect(name, socket).await?))
            }
        })
    }
}

async fn written(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Waits until the other side's kernel has everything; an error when it went away.
async fn acknowledged(stream: &TcpStream) -> io::Result<()> {
    let mut pause = Duration::from_micros(200);
    loop {
        let unsent = netio::option::unsent_bytes(stream.as_fd())?;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        let mut byte = [0];
        let mut peeked = tokio::io::ReadBuf::new(&mut byte);
        let closed = std::future::poll_fn(|context| {
            std::task::Poll::Ready(match stream.poll_peek(context, &mut peeked) {
                std::task::Poll::Ready(Ok(count)) => Ok(count == 0),
                std::task::Poll::Ready(Err(error)) => Err(error),
                std::task::Poll::Pending => Ok(false),
            })
        });
        if closed.await? {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if unsent == 0 {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn connector(client: &Client) -> io::Result<TlsConnector> {
    let wrong = |path: &std::path::Path, what: String| other(format!("{}: {what}", path.display()));
    let read = |path: &std::path::Path| -> io::Result<Vec<CertificateDer<'static>>> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
            .map_err(|e| wrong(path, e.to_string()))?
            .collect();
        all.map_err(|e| wrong(path, e.to_string()))
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in read(&client.ca)? {
        roots
            .add(certificate)
            .map_err(|e| wrong(&client.ca, e.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| other(e.to_string()))?
        .with_root_certificates(roots);
    let config = match &client.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key_file)) => {
            let key = PrivateKeyDer::from_pem_file(key_file)
                .map_err(|e| wrong(key_file, e.to_string()))?;
            builder
                .with_client_auth_cert(read(cert)?, key)
                .map_err(|e| wrong(cert, e.to_string()))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}
