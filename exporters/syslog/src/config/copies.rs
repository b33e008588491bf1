//! What copies go where: the checked sections `forward` and `files`.

use std::path::PathBuf;

/// How messages are told apart on a stream (RFC 6587).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The length in front.
    OctetCounting,
    /// A line end behind; line ends inside become `#012`.
    Newline,
}

/// The files of a TLS client and the name the server must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Certificates that the server's must descend from, PEM.
    pub ca: PathBuf,
    /// Certificate chain and key of our own, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The server's name in its certificate.
    pub name: String,
}

/// The way to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Datagrams: nobody says whether they arrive.
    Udp,
    /// A stream.
    Tcp,
    /// A stream with TLS.
    Tls(Client),
}

/// A syslog server that gets every message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Its name, which is also that of the queue's reader.
    pub name: String,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The way there.
    pub way: Way,
    /// How messages are told apart, on streams.
    pub framing: Framing,
}

/// A file that gets every message, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCopy {
    /// Its name, which is also that of the queue's reader.
    pub name: String,
    /// Where it is; older ones are `<path>.1`, `<path>.2` and so on.
    pub path: PathBuf,
    /// When a new one is begun.
    pub max_bytes: u64,
    /// How many older ones are kept.
    pub keep: usize,
}
