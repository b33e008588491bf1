//! The service, put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use inventory::{Feed, Source};
use loki::{DeadLetters, Pusher};
use spool::{Batch, Queue};
use tokio::sync::Notify;
use toolkit::{App, Identity, Live, OnEnd};

use crate::books::Books;
use crate::config::Config;
use crate::intake::{Intake, now};
use crate::metrics::{Series, Watch};
use crate::record;
use crate::render::Lines;
use crate::stream::{Counts, Streams, UnixSocket};
use crate::tls::Tls;
use crate::translate::Translator;
use crate::udp::Listener;

/// The service.
pub struct Service;

/// Its own flags.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Devices: a file, or the http or https URL of sotp-inventory.
    #[arg(
        long = "inventory.source",
        env = "SOTP_INVENTORY_SOURCE",
        value_name = "PATH|URL",
        default_value = "inventory.yaml",
        help_heading = "Inventory"
    )]
    pub inventory_source: String,
}

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-syslog",
        title: "Syslog",
        about: "Receives syslog from every device, translates it and delivers it to Loki without losing a line",
        port: 19514,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/syslog.md",
    };
    type Flags = Flags;
    type Config = Config;

    async fn build(flags: Flags, config: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let config = config.current();
        let Ok(source) = flags.inventory_source.parse::<Source>();
        let feed = Feed::open(source).await.context("--inventory.source")?;
        let translator = Arc::new(Translator::built_in().context("translation rules")?);
        let (queue, recovery) = Queue::open(&config.spool_path, config.spool.clone())
            .with_context(|| format!("spool {}", config.spool_path.display()))?;
        tracing::info!(queued = ?recovery.queued, cut_bytes = recovery.cut, "queue opened");
        let books = Arc::new(Books::new(config.spool.readers.clone()));
        count_backlog(&queue, &books)?;
        let intake = Arc::new(Intake {
            queue: queue.clone(),
            books: books.clone(),
            feed: feed.clone(),
            relays: config.relays.clone(),
            datagrams: config.datagrams,
            streams: config.streams,
            limit: config.device_limit,
            max_bytes: config.spool.max_bytes,
        });
        if let Some(folder) = config.dead_letters.0.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        }
        let dead = DeadLetters::open(&config.dead_letters.0, config.dead_letters.1)
            .with_context(|| format!("dead_letters.path {}", config.dead_letters.0.display()))?;
        let dead = Arc::new(dead);
        follow(app, &feed);
        let watches = destinations(app, &config, &intake, &translator, &dead)?;
        let udp = datagrams(app, &config, &intake)?;
        let streams = connections(app, &config, &intake).await?;
        unix(app, &config, &intake)?;
        app.collect(Series {
            intake,
            udp,
            streams,
            watches,
            dead,
            silent_after: config.silent_after,
            started: now(),
        });
        Ok(())
    }
}

/// Books what an earlier run left in the queue.
fn count_backlog(queue: &Queue, books: &Books) -> anyhow::Result<()> {
    use std::sync::atomic::Ordering::Relaxed;
    let mut batch = Batch::default();
    let mut most: std::collections::HashMap<String, i64> = std::collections::HashMap::new();
    for (at, name) in books.destinations.iter().enumerate() {
        let mut counts: std::collections::HashMap<String, i64> = std::collections::HashMap::new();
        let mut reader = queue.reader(name)?;
        loop {
            reader
                .read(&mut batch, 4 << 20, 100_000)
                .context("reading the queue")?;
            if batch.is_empty() {
                break;
            }
            for record in batch.iter() {
                let device = record::device(record.payload);
                match counts.get_mut(device) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(device.to_owned(), 1);
                    }
                }
            }
        }
        for (device, count) in counts {
            books.account(&device).outlets[at]
                .queued
                .store(count, Relaxed);
            let most = most.entry(device).or_default();
            *most = count.max(*most);
        }
    }
    for (device, count) in most {
        let account = books.account(&device);
        account
            .recovered
            .store(u64::try_from(count).unwrap_or(0), Relaxed);
        // What another destination had already stored in the earlier run is delivered there.
        for outlet in &account.outlets {
            let done = count - outlet.queued.load(Relaxed);
            outlet
                .delivered
                .store(u64::try_from(done).unwrap_or(0), Relaxed);
        }
    }
    Ok(())
}

fn follow(app: &mut App, feed: &Feed) {
    let feed = feed.clone();
    app.spawn("inventory_feed", OnEnd::Restart, move |stop| {
        let feed = feed.clone();
        async move {
            tokio::select! {
                () = feed.follow() => {}
                () = stop.requested() => {}
            }
            Ok(())
        }
    });
}

fn destinations(
    app: &mut App,
    config: &Config,
    intake: &Arc<Intake>,
    translator: &Arc<Translator>,
    dead: &Arc<DeadLetters>,
) -> anyhow::Result<Vec<Arc<Watch>>> {
    let mut watches = Vec::new();
    for (at, destination) in config.loki.iter().enumerate() {
        let watch = Arc::new(Watch::new(intake.clone(), at));
        watches.push(watch.clone());
        let (destination, intake, translator, dead) = (
            destination.clone(),
            intake.clone(),
            translator.clone(),
            dead.clone(),
        );
        let (runbook, zone) = (config.runbook_url.clone(), config.zone);
        // A wrong certificate or address is a fault of the configuration: say so at the start.
        let build = move || -> anyhow::Result<Pusher<Lines>> {
            let books = (at == 0).then(|| intake.books.clone());
            let lines = Lines::new(
                translator.clone(),
                intake.feed.clone(),
                books,
                runbook.clone(),
                zone,
            );
            let reader = intake.queue.reader(&destination.name)?;
            Ok(Pusher::new(
                destination.clone(),
                reader,
                lines,
                watch.clone(),
                dead.clone(),
            )?)
        };
        build().with_context(|| format!("loki[{at}]"))?;
        let build = Arc::new(build);
        app.spawn("push", OnEnd::Restart, move |stop| {
            let build = build.clone();
            async move {
                let mut pusher = build()?;
                let notify = Arc::new(Notify::new());
                let told = notify.clone();
                let watcher = tokio::spawn(async move {
                    stop.requested().await;
                    told.notify_one();
                });
                let result = pusher.run(&notify).await;
                watcher.abort();
                Ok(result?)
            }
        });
    }
    Ok(watches)
}

fn datagrams(
    app: &mut App,
    config: &Config,
    intake: &Arc<Intake>,
) -> anyhow::Result<Vec<Arc<Listener>>> {
    let mut listeners = Vec::new();
    for udp in &config.udp {
        let mut address = udp.address;
        for _ in 0..udp.sockets {
            let listener =
                Listener::bind(address, udp.buffer).with_context(|| format!("UDP {address}"))?;
            // With port 0 the further sockets share the port that the first one got.
            address = listener.address();
            let listener = Arc::new(listener);
            let (_, _, limit) = listener.kernel();
            tracing::info!(%address, receive_buffer_bytes = limit, "listening for datagrams");
            if limit < u64::from(udp.buffer) {
                tracing::warn!(
                    asked_bytes = udp.buffer,
                    got_bytes = limit,
                    "the kernel gives a smaller receive buffer: raise net.core.rmem_max or grant CAP_NET_ADMIN"
                );
            }
            listeners.push(listener.clone());
            let intake = intake.clone();
            app.spawn("udp", OnEnd::Restart, move |stop| {
                let (listener, intake) = (listener.clone(), intake.clone());
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
        }
    }
    Ok(listeners)
}

async fn connections(
    app: &mut App,
    config: &Config,
    intake: &Arc<Intake>,
) -> anyhow::Result<Vec<(&'static str, Arc<Counts>)>> {
    let mut all = Vec::new();
    for tcp in &config.tcp {
        let address = tcp.address;
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            None,
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket
            .bind(&address.into())
            .with_context(|| format!("TCP {address}"))?;
        socket.listen(4_096)?;
        let listener = tokio::net::TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        let tls = tcp
            .tls
            .clone()
            .map(Tls::new)
            .transpose()
            .context("TLS")?
            .map(Arc::new);
        let name = if tls.is_some() { "tls" } else { "tcp" };
        tracing::info!(%address, transport = name, "listening for streams");
        let counts = Arc::new(Counts::default());
        all.push((name, counts.clone()));
        let streams = Arc::new(Streams {
            listener,
            tls,
            proxy: tcp.proxy,
            bounds: config.bounds.clone(),
            counts,
        });
        let intake = intake.clone();
        app.spawn("streams", OnEnd::Restart, move |stop| {
            let (streams, intake) = (streams.clone(), intake.clone());
            async move { Ok(streams.run(intake, stop).await?) }
        });
    }
    Ok(all)
}

fn unix(app: &mut App, config: &Config, intake: &Arc<Intake>) -> anyhow::Result<()> {
    for path in &config.unix {
        let socket = Arc::new(
            UnixSocket::bind(path.clone())
                .with_context(|| format!("listen.unix {}", path.display()))?,
        );
        tracing::info!(path = %path.display(), "listening on a Unix socket");
        let (intake, limit) = (intake.clone(), config.bounds.message_bytes);
        app.spawn("unix", OnEnd::Restart, move |stop| {
            let (socket, intake) = (socket.clone(), intake.clone());
            async move { Ok(socket.run(intake, limit, stop).await?) }
        });
    }
    Ok(())
}
