//! The sockets that are listened on: bound, taken over from another process or from the service manager, and changed
//! with the configuration while the others go on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use toolkit::{OnEnd, Spawner, Stop};

use crate::config::{Config, Tcp};
use crate::handover::sockets::{Given, Kind, Taken};
use crate::intake::Intake;
use crate::stream::{Counts, Settings, Streams, Unfinished, UnixSocket};
use crate::tls::Tls;
use crate::udp::Listener;

/// One thing that is listened on, with what ends it.
struct Entry<K, T> {
    key: K,
    item: Arc<T>,
    /// The task's own hold on the item; emptied when it is no longer wanted.
    held: Arc<Mutex<Option<Arc<T>>>>,
    stop: Stop,
}

impl<K, T> Entry<K, T> {
    fn new(key: K, item: Arc<T>) -> Self {
        Self {
            key,
            held: Arc::new(Mutex::new(Some(item.clone()))),
            item,
            stop: Stop::new(),
        }
    }

    fn end(&self) {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.stop.trigger();
    }
}

#[derive(Default)]
struct Table {
    /// By configured address and place among the sockets that share it.
    udp: Vec<Entry<(SocketAddr, usize), Listener>>,
    tcp: Vec<Entry<SocketAddr, Streams>>,
    unix: Vec<Entry<PathBuf, UnixSocket>>,
}

/// Everything that is listened on.
pub struct Listeners {
    intake: Arc<Intake>,
    spawner: Spawner,
    table: Mutex<Table>,
    taken: Mutex<Taken>,
    /// What the connections hold of unfinished messages.
    pub unfinished: Arc<Unfinished>,
}

/// Runs one listener until it or the service is stopped.
fn supervise<K, T, F>(
    spawner: &Spawner,
    name: &'static str,
    entry: &Entry<K, T>,
    run: impl Fn(Arc<T>, Stop) -> F + Clone + Send + 'static,
) where
    T: Send + Sync + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (held, own) = (entry.held.clone(), entry.stop.clone());
    spawner.spawn(name, OnEnd::Restart, move |service| {
        let item = held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (own, run) = (own.clone(), run.clone());
        async move {
            let Some(item) = item else {
                // It is no longer configured: nothing is left to do.
                service.requested().await;
                return Ok(());
            };
            if own.is_requested() {
                service.requested().await;
                return Ok(());
            }
            let (passed, stop) = (own.clone(), service.clone());
            let both = tokio::spawn(async move {
                stop.requested().await;
                passed.trigger();
            });
            let result = run(item, own.clone()).await;
            both.abort();
            if own.is_requested() {
                service.requested().await;
            }
            result
        }
    });
}

impl Listeners {
    /// No listeners yet; sockets are looked for among those taken over before they are bound.
    #[must_use]
    pub fn new(intake: Arc<Intake>, spawner: Spawner, taken: Taken) -> Self {
        Self {
            intake,
            spawner,
            table: Mutex::default(),
            taken: Mutex::new(taken),
            unfinished: Arc::default(),
        }
    }

    fn take(&self, kind: Kind, configured: &str) -> Option<std::os::fd::OwnedFd> {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .socket(kind, configured)
    }

    /// Makes what is listened on that of the configuration. What cannot be bound leaves the rest as it should be.
    ///
    /// # Errors
    /// The first thing that cannot be bound.
    pub fn apply(&self, config: &Config) -> anyhow::Result<()> {
        self.unfinished.set_limit(config.bounds.unfinished_bytes);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let results = [
            self.datagrams(&mut table, config),
            self.streams(&mut table, config),
            self.unix(&mut table, config),
        ];
        results.into_iter().collect::<anyhow::Result<()>>()
    }

    fn datagrams(&self, table: &mut Table, config: &Config) -> anyhow::Result<()> {
        let wanted = |key: &(SocketAddr, usize)| {
            config
                .udp
                .iter()
                .any(|u| u.address == key.0 && key.1 < u.sockets)
        };
        table.udp.retain(|entry| {
            let kept = wanted(&entry.key);
            if !kept {
                tracing::info!(address = %entry.item.address(), "no longer listening for datagrams");
                entry.end();
            }
            kept
        });
        for udp in &config.udp {
            for place in 0..udp.sockets {
                let key = (udp.address, place);
                if let Some(entry) = table.udp.iter().find(|e| e.key == key) {
                    entry.item.set_buffer(udp.buffer)?;
                    entry.item.set_several(udp.several);
                    if udp.sockets > 1 {
                        entry.item.share_with_others();
                    }
                    continue;
                }
                // With port 0 the further sockets share the port that the first one got.
                let first = table.udp.iter().find(|e| e.key.0 == udp.address);
                let address = first.map_or(udp.address, |e| e.item.address());
                let listener = match self.take(Kind::Udp, &udp.address.to_string()) {
                    Some(socket) => Listener::adopt(socket.into(), udp.buffer),
                    None => Listener::bind(address, udp.buffer),
                };
                let listener = Arc::new(listener.with_context(|| format!("UDP {address}"))?);
                listener.set_several(udp.several);
                while let Some(socket) = self.take(Kind::UdpOwn, &udp.address.to_string()) {
                    listener.adopt_own(socket.into())?;
                }
                while let Some(socket) = self.take(Kind::UdpByAddress, &udp.address.to_string()) {
                    listener.adopt_by_address(socket.into())?;
                }
                // Several sockets are for the kernel to choose from.
                if udp.sockets == 1 {
                    listener.keep_by_address();
                }
                let limit = listener.kernel().limit;
                tracing::info!(address = %listener.address(), receive_buffer_bytes = limit, "listening for datagrams");
                if limit < u64::from(udp.buffer) {
                    tracing::warn!(
                        asked_bytes = udp.buffer,
                        got_bytes = limit,
                        "the kernel gives a smaller receive buffer: raise net.core.rmem_max or grant CAP_NET_ADMIN"
                    );
                }
                let entry = Entry::new(key, listener);
                let intake = self.intake.clone();
                supervise(&self.spawner, "udp", &entry, move |listener, stop| {
                    let intake = intake.clone();
                    async move {
                        let flag = Arc::new(AtomicBool::new(false));
                        let seen = flag.clone();
                        let work = tokio::task::spawn_blocking(move || listener.run(intake, &seen));
                        tokio::pin!(work);
                        tokio::select! {
                            done = &mut work => return Ok(done??),
                            () = stop.requested() => flag.store(true, Ordering::Release),
                        }
                        Ok(work.await??)
                    }
                });
                table.udp.push(entry);
            }
        }
        Ok(())
    }

    fn streams(&self, table: &mut Table, config: &Config) -> anyhow::Result<()> {
        table.tcp.retain(|entry| {
            let kept = config.tcp.iter().any(|t| t.address == entry.key);
            if !kept {
                tracing::info!(address = %entry.key, "no longer listening for streams");
                entry.end();
            }
            kept
        });
        for tcp in &config.tcp {
            let settings = |tcp: &Tcp| -> anyhow::Result<Settings> {
                let tls = tcp.tls.clone().map(Tls::new).transpose().context("TLS")?;
                Ok(Settings {
                    tls: tls.map(Arc::new),
                    proxy: tcp.proxy,
                    bounds: config.bounds.clone(),
                })
            };
            if let Some(entry) = table.tcp.iter().find(|e| e.key == tcp.address) {
                // Connections that are open keep what they began with.
                entry.item.settings.store(Arc::new(settings(tcp)?));
                continue;
            }
            let settings = settings(tcp)?;
            let socket = match self.take(Kind::Tcp, &tcp.address.to_string()) {
                Some(socket) => std::net::TcpListener::from(socket),
                None => listen(tcp.address).with_context(|| format!("TCP {}", tcp.address))?,
            };
            socket.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(socket)?;
            let address = listener.local_addr()?;
            let transport = if settings.tls.is_some() { "tls" } else { "tcp" };
            tracing::info!(%address, transport, "listening for streams");
            let streams = Streams::new(tcp.address, listener, settings, self.unfinished.clone());
            for connection in self
                .taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .connections(&tcp.address.to_string())
            {
                streams.adopt(connection);
            }
            let entry = Entry::new(tcp.address, Arc::new(streams));
            let intake = self.intake.clone();
            supervise(&self.spawner, "streams", &entry, move |streams, stop| {
                let intake = intake.clone();
                async move { Ok(streams.run(intake, stop).await?) }
            });
            table.tcp.push(entry);
        }
        Ok(())
    }

    fn unix(&self, table: &mut Table, config: &Config) -> anyhow::Result<()> {
        table.unix.retain(|entry| {
            let kept = config.unix.contains(&entry.key);
            if !kept {
                entry.end();
            }
            kept
        });
        for path in &config.unix {
            if table.unix.iter().any(|e| e.key == *path) {
                continue;
            }
            let socket = match self.take(Kind::Unix, &path.display().to_string()) {
                Some(socket) => UnixSocket::adopt(socket.into(), path.clone()),
                None => UnixSocket::bind(path.clone()),
            };
            let socket = socket.with_context(|| format!("listen.unix {}", path.display()))?;
            tracing::info!(path = %path.display(), "listening on a Unix socket");
            let entry = Entry::new(path.clone(), Arc::new(socket));
            let (intake, limit) = (self.intake.clone(), config.bounds.message_bytes);
            supervise(&self.spawner, "unix", &entry, move |socket, stop| {
                let intake = intake.clone();
                async move { Ok(socket.run(intake, limit, stop).await?) }
            });
            table.unix.push(entry);
        }
        Ok(())
    }

    /// The UDP sockets.
    #[must_use]
    pub fn udp(&self) -> Vec<Arc<Listener>> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.udp.iter().map(|e| e.item.clone()).collect()
    }

    /// The counts of connections by transport.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, Arc<Counts>)> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |streams: &Streams| {
            let tls = streams.settings.load().tls.is_some();
            (if tls { "tls" } else { "tcp" }, streams.counts.clone())
        };
        table.tcp.iter().map(|e| of(&e.item)).collect()
    }

    /// Ends all of them for another process: what the kernel holds stays there. Gives the sockets and the connections
    /// that can be handed over.
    pub async fn give(&self) -> Given {
        let mut given = Given::default();
        let (udp, tcp, unix) = {
            let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            let tcp: Vec<_> = table
                .tcp
                .iter()
                .map(|e| (e.item.clone(), e.stop.clone()))
                .collect();
            let udp: Vec<_> = table
                .udp
                .iter()
                .map(|e| (e.key.0, e.item.clone()))
                .collect();
            let unix: Vec<_> = table
                .unix
                .iter()
                .map(|e| (e.item.clone(), e.stop.clone()))
                .collect();
            (udp, tcp, unix)
        };
        for (streams, stop) in &tcp {
            streams.leaving.leave();
            stop.trigger();
        }
        for (socket, stop) in &unix {
            socket.leaving.leave();
            stop.trigger();
        }
        for (streams, _) in &tcp {
            given.connections.extend(streams.left().await);
            given.socket(
                Kind::Tcp,
                streams.configured.to_string(),
                streams.descriptor(),
            );
        }
        for (socket, _) in &unix {
            socket.leaving.left().await;
            given.socket(
                Kind::Unix,
                socket.path().display().to_string(),
                socket.descriptor(),
            );
        }
        // Datagrams last: their buffer is the only room they have.
        for (_, listener) in &udp {
            listener.leaving.leave();
        }
        for (configured, listener) in udp {
            listener.leaving.left().await;
            given.socket(Kind::Udp, configured.to_string(), listener.descriptor());
            for own in listener.own_descriptors() {
                given.socket(Kind::UdpOwn, configured.to_string(), own);
            }
            for by_address in listener.by_address_descriptors() {
                given.socket(Kind::UdpByAddress, configured.to_string(), by_address);
            }
        }
        given
    }
}

fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        None,
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(4_096)?;
    Ok(socket.into())
}
