//! Opening the sockets: surge-ping's, with what it does not set, in the mode that was asked for or not at all.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netio::option::{self, Family, TransmitStamps};
use surge_ping::{AsyncSocket, Config, ICMP};

use crate::echo::Mode;

/// One ICMP socket.
#[derive(Debug)]
pub struct Port {
    pub(crate) family: Family,
    pub(crate) mode: Mode,
    /// The identifier of requests of a raw socket; the kernel writes its own for the other kind.
    pub(crate) identifier: u16,
    descriptor: OwnedFd,
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The sockets of the process: one per family that this host has, and more when they are needed.
#[derive(Debug)]
pub struct Sockets {
    pub(crate) v4: Option<Port>,
    pub(crate) v6: Option<Port>,
    pub(super) opener: Opener,
}

/// Opens further sockets of the same kind, from any thread.
#[derive(Debug, Clone)]
pub(super) struct Opener {
    mode: Mode,
    receive_buffer_bytes: u32,
    runtime: tokio::runtime::Handle,
}

impl Opener {
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// One more socket; `None` when this kernel has not the family.
    pub(super) fn open(&self, family: Family) -> Result<Option<Port>, OpenError> {
        let _entered = self.runtime.enter();
        open(family, self.mode, self.receive_buffer_bytes)
    }
}

/// Why no socket could be opened. One line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Both kinds refused.
    #[error(
        "no ICMP sockets: for unprivileged ones group {group} is not in net.ipv4.ping_group_range (\"{range}\"), for raw ones CAP_NET_RAW is \
         missing: run `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`, or grant the capability (`setcap cap_net_raw+ep`)"
    )]
    Neither {
        /// Effective group of the process.
        group: String,
        /// The setting of this network namespace.
        range: String,
    },
    /// `SOCK_DGRAM` refused.
    #[error(
        "no unprivileged ICMP sockets for group {group} (net.ipv4.ping_group_range is \"{range}\"): run `sysctl -w \
         net.ipv4.ping_group_range=\"0 2147483647\"`, or grant CAP_NET_RAW and set sockets.mode to raw"
    )]
    Unprivileged {
        /// Effective group of the process.
        group: String,
        /// The setting of this network namespace.
        range: String,
    },
    /// `SOCK_RAW` refused.
    #[error(
        "no raw ICMP sockets: grant CAP_NET_RAW (`setcap cap_net_raw+ep`, AmbientCapabilities=CAP_NET_RAW), or set \
         sockets.mode to unprivileged"
    )]
    Raw,
    /// This host has neither family.
    #[error("this host has neither IPv4 nor IPv6 sockets")]
    NoFamily,
    /// Something else.
    #[error("{operation} on the {family:?} ICMP socket")]
    System {
        /// Which socket.
        family: Family,
        /// What was asked of it.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Sockets {
    /// Opens one socket per family, of the kind `mode`, or else unprivileged ones where they may be had and raw ones where not. A family this
    /// kernel has not is left out. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`OpenError`]: `mode` cannot be had, and no other is taken in its place; or neither can.
    pub fn open(mode: Option<Mode>, receive_buffer_bytes: u32) -> Result<Self, OpenError> {
        if let Some(mode) = mode {
            return Self::open_as(mode, receive_buffer_bytes);
        }
        let (group, range) = match Self::open_as(Mode::Unprivileged, receive_buffer_bytes) {
            Err(OpenError::Unprivileged { group, range }) => (group, range),
            other => return other,
        };
        match Self::open_as(Mode::Raw, receive_buffer_bytes) {
            Err(OpenError::Raw) => Err(OpenError::Neither { group, range }),
            other => other,
        }
    }

    /// The kind that was opened.
    pub fn mode(&self) -> Mode {
        self.opener.mode
    }

    fn open_as(mode: Mode, receive_buffer_bytes: u32) -> Result<Self, OpenError> {
        let runtime = tokio::runtime::Handle::current();
        let opener = Opener {
            mode,
            receive_buffer_bytes,
            runtime,
        };
        let (v4, v6) = (opener.open(Family::V4)?, opener.open(Family::V6)?);
        if v4.is_none() && v6.is_none() {
            return Err(OpenError::NoFamily);
        }
        Ok(Self { v4, v6, opener })
    }

    /// The families there are, and their mode.
    pub fn modes(&self) -> Vec<(Family, Mode)> {
        [&self.v4, &self.v6]
            .into_iter()
            .flatten()
            .map(|port| (port.family, port.mode))
            .collect()
    }
}

fn open(family: Family, mode: Mode, receive_buffer_bytes: u32) -> Result<Option<Port>, OpenError> {
    let (kind, wanted) = match (family, mode) {
        (Family::V4, Mode::Unprivileged) => (ICMP::V4, socket2::Type::DGRAM),
        (Family::V4, Mode::Raw) => (ICMP::V4, socket2::Type::RAW),
        (Family::V6, Mode::Unprivileged) => (ICMP::V6, socket2::Type::DGRAM),
        (Family::V6, Mode::Raw) => (ICMP::V6, socket2::Type::RAW),
    };
    let failed = |operation| {
        move |source| OpenError::System {
            family,
            operation,
            source,
        }
    };
    let config = Config::builder().kind(kind).sock_type_hint(wanted).build();
    let socket = match AsyncSocket::new(&config) {
        // surge-ping takes the other kind when the first is refused.
        Ok(socket) if socket.get_type() != wanted => return Err(refused(mode)),
        Ok(socket) => socket,
        Err(error) if is_missing_family(&error) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(refused(mode)),
        Err(error) => return Err(failed("open")(error)),
    };
    // A descriptor of our own: with surge-ping's closed, the runtime is not woken for each packet.
    let descriptor = netio::duplicate(socket.get_native_sock()).map_err(failed("duplicate"))?;
    drop(socket);

    let borrowed = descriptor.as_fd();
    option::receive_buffer(borrowed, receive_buffer_bytes).map_err(failed("receive buffer"))?;
    option::send_buffer(borrowed, receive_buffer_bytes).map_err(failed("send buffer"))?;
    option::report_errors(borrowed, family).map_err(failed("error queue"))?;
    option::report_hop_limit_and_class(borrowed, family).map_err(failed("hop limit"))?;
    let stamps = TransmitStamps {
        enabled: true,
        ..TransmitStamps::default()
    };
    option::report_timestamps(borrowed, stamps)
        .or_else(|_| option::report_receive_timestamps(borrowed))
        .or_else(|error| {
            tracing::warn!(?family, %error, "no kernel timestamps, round trips are measured in user space");
            Ok(())
        })?;
    if mode == Mode::Raw {
        option::only_echo_replies(borrowed, family).map_err(failed("filter"))?;
    }
    Ok(Some(Port {
        family,
        mode,
        identifier: fastrand::u16(..),
        descriptor,
    }))
}

fn is_missing_family(error: &io::Error) -> bool {
    /// "Address family not supported by protocol" on Linux.
    const EAFNOSUPPORT: i32 = 97;
    error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn refused(mode: Mode) -> OpenError {
    match mode {
        Mode::Raw => OpenError::Raw,
        Mode::Unprivileged => OpenError::Unprivileged {
            group: effective_group(),
            range: range(),
        },
    }
}

fn range() -> String {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range");
    text.map_or_else(
        |_| "unknown".into(),
        |text| text.split_whitespace().collect::<Vec<_>>().join(" "),
    )
}

/// The second number of the line `Gid:` of `/proc/self/status`.
fn effective_group() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Gid:"));
    line.and_then(|ids| ids.split_whitespace().nth(1))
        .unwrap_or("unknown")
        .to_owned()
}
