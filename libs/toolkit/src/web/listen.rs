//! Listening sockets.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel holds before we accept them; `net.core.somaxconn` may lower it.
const BACKLOG: i32 = 4096;

/// The listen address that means the sockets of sd_listen_fds(3).
const SYSTEMD: &str = "systemd";

/// A bound socket that does not answer yet.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(TcpListener),
    /// With the path that is removed at the end, where it is ours.
    Unix(UnixListener, Option<PathBuf>),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "{address}"),
                Err(error) => write!(f, "unknown ({error})"),
            },
            Self::Unix(_, Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(listener, None) => match listener.local_addr() {
                Ok(address) => write!(f, "unix:{address:?}"),
                Err(error) => write!(f, "unknown ({error})"),
            },
        }
    }
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("listen address {0:?}: expected HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH or systemd")]
    Address(String),
    #[error("listen address {address}: {operation} failed")]
    Socket {
        address: String,
        operation: &'static str,
        source: io::Error,
    },
    #[error("listen address unix:{0}: the path exists and is not a socket")]
    NotASocket(String),
    #[error("listen address unix:{0}: another process listens there")]
    InUse(String),
    #[error(
        "listen address systemd: no socket was passed on: expected to be started by a socket unit"
    )]
    NoneGiven,
}

/// Takes what has the form of a listen address, before anything is bound.
pub(crate) fn form(address: &str) -> Result<String, String> {
    let good = match address.strip_prefix("unix:") {
        Some(path) => !path.is_empty(),
        None if address == SYSTEMD => true,
        None => address.rsplit_once(':').is_some_and(|(host, port)| {
            let bare = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            // Without brackets nobody can tell the port from the last group of an IPv6 address.
            port.parse::<u16>().is_ok() && (bare.is_some() || !host.contains([':', '[', ']']))
        }),
    };
    if good {
        Ok(address.to_owned())
    } else {
        Err("expected HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH or systemd".to_owned())
    }
}

/// Binds every address.
pub(crate) fn bind_all(addresses: &[String]) -> Result<Vec<Bound>, ListenError> {
    let mut bound = Vec::new();
    for address in addresses {
        if address == SYSTEMD {
            bound.extend(given()?);
        } else {
            bound.push(bind(address)?);
        }
    }
    Ok(bound)
}

/// The sockets that systemd has bound for this process (sd_listen_fds(3)): TCP, or Unix, which systemd removes itself.
fn given() -> Result<Vec<Bound>, ListenError> {
    let failed = |operation| {
        move |source| ListenError::Socket {
            address: SYSTEMD.to_owned(),
            operation,
            source,
        }
    };
    let mut sockets = listenfd::ListenFd::from_env();
    let mut bound = Vec::new();
    for at in 0..sockets.len() {
        let one = match sockets.take_tcp_listener(at) {
            Ok(Some(tcp)) => {
                tcp.set_nonblocking(true).map_err(failed("O_NONBLOCK"))?;
                Bound::Tcp(tcp)
            }
            Ok(None) => continue,
            Err(_) => {
                let Some(unix) = sockets
                    .take_unix_listener(at)
                    .map_err(failed("a socket that listens"))?
                else {
                    continue;
                };
                unix.set_nonblocking(true).map_err(failed("O_NONBLOCK"))?;
                Bound::Unix(unix, None)
            }
        };
        bound.push(one);
    }
    if bound.is_empty() {
        return Err(ListenError::NoneGiven);
    }
    Ok(bound)
}

/// Binds one address.
fn bind(address: &str) -> Result<Bound, ListenError> {
    if let Some(path) = address.strip_prefix("unix:") {
        return unix(Path::new(path));
    }
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| ListenError::Address(address.to_owned()))?;
    let port: u16 = port
        .parse()
        .map_err(|_| ListenError::Address(address.to_owned()))?;
    if host.is_empty() {
        return match tcp(
            address,
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
            true,
        ) {
            // A kernel without IPv6.
            Err(ListenError::Socket {
                operation: "socket",
                ..
            }) => tcp(
                address,
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
                false,
            ),
            done => done,
        };
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let resolved = match bare.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port),
        Err(_) => (host, port)
            .to_socket_addrs()
            .map_err(|source| ListenError::Socket {
                address: address.to_owned(),
                operation: "name lookup",
                source,
            })?
            .next()
            .ok_or_else(|| ListenError::Address(address.to_owned()))?,
    };
    tcp(address, resolved, false)
}

fn tcp(named: &str, address: SocketAddr, both: bool) -> Result<Bound, ListenError> {
    let failed = |operation| {
        move |source| ListenError::Socket {
            address: named.to_owned(),
            operation,
            source,
        }
    };
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )
    .map_err(failed("socket"))?;
    if address.is_ipv6() {
        socket.set_only_v6(!both).map_err(failed("IPV6_V6ONLY"))?;
    }
    socket
        .set_reuse_address(true)
        .map_err(failed("SO_REUSEADDR"))?;
    socket.bind(&address.into()).map_err(failed("bind"))?;
    socket.listen(BACKLOG).map_err(failed("listen"))?;
    socket.set_nonblocking(true).map_err(failed("O_NONBLOCK"))?;
    Ok(Bound::Tcp(socket.into()))
}

fn unix(path: &Path) -> Result<Bound, ListenError> {
    let named = path.display().to_string();
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(ListenError::NotASocket(named));
        }
        // A socket that nobody answers was left by a process that is gone.
        if UnixStream::connect(path).is_ok() {
            return Err(ListenError::InUse(named));
        }
        let _ = std::fs::remove_file(path);
    }
    let failed = |operation| {
        move |source| ListenError::Socket {
            address: format!("unix:{}", path.display()),
            operation,
            source,
        }
    };
    let listener = UnixListener::bind(path).map_err(failed("bind"))?;
    listener
        .set_nonblocking(true)
        .map_err(failed("O_NONBLOCK"))?;
    Ok(Bound::Unix(listener, Some(path.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_of_a_listen_address() {
        for good in [
            ":9427",
            "127.0.0.1:0",
            "localhost:9427",
            "[::1]:9427",
            "[fe80::1%lo]:9427",
            "unix:/run/x",
            "systemd",
        ] {
            assert_eq!(form(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "9427",
            "localhost",
            "127.0.0.1:99999",
            "127.0.0.1:",
            "::1:9427",
            "[::1:9427",
            "unix:",
        ] {
            assert!(form(bad).is_err(), "{bad}");
        }
    }
}
