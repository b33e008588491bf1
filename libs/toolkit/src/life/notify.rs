//! Telling systemd: sd_notify(3) without its library, and its watchdog.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::runtime::Handle;

/// The socket of the service manager, where there is one.
#[derive(Debug)]
pub(super) struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// Time within which the manager wants to hear again.
    watchdog: Option<Duration>,
}

impl Notify {
    /// As `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say; what cannot be honoured is as if it were not there.
    pub(super) fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let address = variable("NOTIFY_SOCKET").and_then(|name| match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
            [b'/', ..] => SocketAddr::from_pathname(&name).ok(),
            _ => None,
        });
        let to = address.zip(UnixDatagram::unbound().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|time| *time > 0 && ours);
        Self {
            to: to.map(|(address, socket)| (socket, address)),
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    /// The service listens.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// It drains.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Tells twice in each time of the watchdog that the pool `main` still takes up work; forever.
    pub(super) async fn keep_alive(&self, main: &Handle) {
        let Some(time) = self.watchdog.filter(|_| self.to.is_some()) else {
            return std::future::pending().await;
        };
        let mut tick = tokio::time::interval(time / 2);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // An error says that the pool is gone, and the service with it.
            if main.spawn(async {}).await.is_ok() {
                self.tell("WATCHDOG=1");
            }
        }
    }

    fn tell(&self, what: &str) {
        if let Some((socket, address)) = &self.to {
            // Whoever does not listen does not want to know.
            let _ = socket.send_to_addr(what.as_bytes(), address);
        }
    }
}
