//! The PROXY protocol, versions 1 and 2: who is behind the load balancer.
//! <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1.
const LINE: usize = 107;

/// What the header said.
#[derive(Debug, PartialEq, Eq)]
pub struct Proxied {
    /// The real sender; none when the proxy speaks for itself.
    pub source: Option<SocketAddr>,
    /// What was read behind the header.
    pub rest: Vec<u8>,
}

fn wrong() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "expected a PROXY protocol header",
    )
}

/// Reads the header at the beginning of a connection.
///
/// # Errors
/// When there is none, or the connection ends.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Proxied> {
    let mut bytes = Vec::with_capacity(256);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(wrong());
        }
        if let Some((source, length)) = parse(&bytes)? {
            return Ok(Proxied {
                source,
                rest: bytes.split_off(length),
            });
        }
    }
}

/// The sender and the length of the header; none while more bytes are needed.
///
/// # Errors
/// When it is no header.
pub fn parse(bytes: &[u8]) -> io::Result<Option<(Option<SocketAddr>, usize)>> {
    let common = bytes.len().min(SIGNATURE.len());
    if bytes[..common] == SIGNATURE[..common] {
        return version_2(bytes);
    }
    let known = b"PROXY ";
    let common = bytes.len().min(known.len());
    if bytes[..common] != known[..common] {
        return Err(wrong());
    }
    match bytes.iter().take(LINE).position(|b| *b == b'\n') {
        Some(end) => version_1(&bytes[..end]).map(|source| Some((source, end + 1))),
        None if bytes.len() >= LINE => Err(wrong()),
        None => Ok(None),
    }
}

fn version_1(line: &[u8]) -> io::Result<Option<SocketAddr>> {
    let text = std::str::from_utf8(line).map_err(|_| wrong())?;
    let mut words = text.trim_end().split(' ').skip(1);
    match words.next() {
        Some("UNKNOWN") => Ok(None),
        Some("TCP4" | "TCP6") => {
            let ip: IpAddr = words
                .next()
                .and_then(|w| w.parse().ok())
                .ok_or_else(wrong)?;
            let port: u16 = words
                .nth(1)
                .and_then(|w| w.parse().ok())
                .ok_or_else(wrong)?;
            Ok(Some(SocketAddr::new(ip, port)))
        }
        _ => Err(wrong()),
    }
}

fn version_2(bytes: &[u8]) -> io::Result<Option<(Option<SocketAddr>, usize)>> {
    let Some(head) = bytes.get(..16) else {
        return Ok(None);
    };
    let length = 16 + usize::from(u16::from_be_bytes([head[14], head[15]]));
    if head[12] >> 4 != 2 || length > 4_096 {
        return Err(wrong());
    }
    let Some(address) = bytes.get(16..length) else {
        return Ok(None);
    };
    if head[12] & 15 == 0 {
        return Ok(Some((None, length)));
    }
    let port = |at: usize| {
        address
            .get(at..at + 2)
            .map(|p| u16::from_be_bytes([p[0], p[1]]))
            .ok_or_else(wrong)
    };
    let source = match head[13] >> 4 {
        1 => {
            let ip: [u8; 4] = address
                .get(..4)
                .and_then(|a| a.try_into().ok())
                .ok_or_else(wrong)?;
            Some(SocketAddr::new(Ipv4Addr::from(ip).into(), port(8)?))
        }
        2 => {
            let ip: [u8; 16] = address
                .get(..16)
                .and_then(|a| a.try_into().ok())
                .ok_or_else(wrong)?;
            Some(SocketAddr::new(Ipv6Addr::from(ip).into(), port(32)?))
        }
        _ => None,
    };
    Ok(Some((source, length)))
}

/// A stream with some bytes in front that were read already.
pub struct Prefixed<S> {
    first: Vec<u8>,
    at: usize,
    stream: S,
}

impl<S> Prefixed<S> {
    /// Puts the bytes in front.
    pub fn new(first: Vec<u8>, stream: S) -> Self {
        Self {
            first,
            at: 0,
            stream,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at < self.first.len() {
            let n = into.remaining().min(self.first.len() - self.at);
            into.put_slice(&self.first[self.at..self.at + n]);
            self.at += n;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_name_the_sender() {
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.1 40000 514\r\n<13>x";
        assert_eq!(
            parse(line).unwrap(),
            Some((Some("192.0.2.1:40000".parse().unwrap()), 45))
        );
        assert_eq!(parse(b"PROXY UNKNOWN\r\n").unwrap(), Some((None, 15)));
        let mut binary = SIGNATURE.to_vec();
        binary.extend([
            0x21, 0x11, 0, 12, 192, 0, 2, 1, 198, 51, 100, 1, 0x9c, 0x40, 2, 2,
        ]);
        assert_eq!(
            parse(&binary).unwrap(),
            Some((Some("192.0.2.1:40000".parse().unwrap()), 28))
        );
        for cut in 0..binary.len() {
            assert_eq!(parse(&binary[..cut]).unwrap(), None);
        }
        assert!(parse(b"<13>no header").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
