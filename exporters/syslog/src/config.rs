//! The configuration file.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use loki::Destination;
use spool::{Durability, Options, WhenFull};
use toolkit::config::Keys;
use toolkit::{ConfigError, Configuration, yaml};

use crate::header::SEVERITIES;
use crate::tls::Files;

mod copies;
mod hook;
mod outputs;
mod raw;

pub use copies::{Client, FileCopy, Forward, Framing, Way};
pub use hook::Hook;
use raw::Raw;

const DEFAULT: &str = include_str!("../default.yaml");

/// The reader of the queue that finds events, beside those of the destinations.
pub const EVENTS_READER: &str = "events";

/// A UDP address with its sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp {
    /// Where to listen.
    pub address: SocketAddr,
    /// How many sockets share it.
    pub sockets: usize,
    /// The receive buffer of each in bytes.
    pub buffer: u32,
    /// Whether a datagram may have several messages.
    pub several: bool,
}

/// A TCP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    /// Where to listen.
    pub address: SocketAddr,
    /// Connections begin with a PROXY protocol header.
    pub proxy: bool,
    /// TLS, when it is spoken.
    pub tls: Option<Files>,
}

/// The bounds of connections.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Longest message in bytes.
    pub message_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
    /// How long a connection may say nothing.
    pub idle: Duration,
    /// How long a begun message may wait for its end.
    pub unfinished: Duration,
    /// Bytes of begun messages that all connections together may hold.
    pub unfinished_bytes: usize,
}

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// UDP listeners.
    pub udp: Vec<Udp>,
    /// TCP listeners.
    pub tcp: Vec<Tcp>,
    /// Unix datagram sockets.
    pub unix: Vec<PathBuf>,
    /// Bounds of connections and messages.
    pub bounds: Bounds,
    /// Messages per second and burst of one device.
    pub device_limit: Option<(f64, f64)>,
    /// Senders whose messages are other devices'.
    pub relays: Vec<IpNet>,
    /// Seconds east of UTC of devices that name no zone.
    pub zone: i32,
    /// When a device counts as silent.
    pub silent_after: Duration,
    /// Where the pages for events begin.
    pub runbook_url: String,
    /// The folder of the queue.
    pub spool_path: PathBuf,
    /// The queue's bounds and promises.
    pub spool: Options,
    /// What happens to datagrams when the queue is full.
    pub datagrams: WhenFull,
    /// The same for streams.
    pub streams: WhenFull,
    /// The dead-letter file and its bound.
    pub dead_letters: (PathBuf, u64),
    /// Where to push.
    pub loki: Vec<Destination>,
    /// Syslog servers that get every message as it was received.
    pub forward: Vec<Forward>,
    /// Files that get every message as it was received.
    pub files: Vec<FileCopy>,
    /// Who is notified of events.
    pub webhooks: Vec<Hook>,
    shown: String,
}

impl Config {
    /// The keys of the file, with their defaults.
    #[must_use]
    pub fn keys() -> Keys {
        Keys::of(&Raw::default())
    }

    /// What a change to another configuration leaves as it was until the next start, by path.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let mut paths = Vec::new();
        if self.spool_path != new.spool_path
            || format!("{:?}", self.spool) != format!("{:?}", new.spool)
        {
            paths.push("spool, or the names of loki, forward, files and webhooks");
        }
        if self.dead_letters != new.dead_letters {
            paths.push("dead_letters");
        }
        paths
    }
}

/// Reads what is wrong as `(path, message)`.
type Checked<T> = Result<T, (String, String)>;

fn duration(path: &str, text: &str) -> Checked<Duration> {
    toolkit::duration(text).map_err(|message| (path.to_owned(), message))
}

fn address(path: &str, text: &str) -> Checked<SocketAddr> {
    let wrong = || {
        (
            path.to_owned(),
            format!("expected HOST:PORT or :PORT, found {text:?}"),
        )
    };
    if let Some(port) = text.strip_prefix(':') {
        let port: u16 = port.parse().map_err(|_| wrong())?;
        return Ok(SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)));
    }
    text.to_socket_addrs()
        .ok()
        .and_then(|mut all| all.next())
        .ok_or_else(wrong)
}

fn when_full(path: &str, text: &str, keep: u8, reserve: u64) -> Checked<WhenFull> {
    match text {
        "block" => Ok(WhenFull::Block),
        "drop_newest" => Ok(WhenFull::DropNewest),
        "drop_oldest" => Ok(WhenFull::DropOldest),
        "by_severity" => Ok(WhenFull::ByClass { keep, reserve }),
        other => Err((
            path.to_owned(),
            format!("expected block, drop_newest, drop_oldest or by_severity, found {other:?}"),
        )),
    }
}

/// What is not urgent needs room beside the reserve: without it, it would be dropped on an empty queue.
fn room((most, reserve, segment): (u64, u64, u64), config: &Config) -> Checked<()> {
    let kept = [&config.datagrams, &config.streams]
        .iter()
        .any(|full| matches!(full, WhenFull::ByClass { .. }));
    if kept && most < reserve.saturating_add(segment) {
        return Err((
            "spool.reserve_bytes".to_owned(),
            format!(
                "{reserve} of max_bytes, {most}, leaves no room for a segment ({segment}) of what is less urgent than \
                 keep_severity, so that all of it would be dropped: expected at most {}",
                most.saturating_sub(segment)
            ),
        ));
    }
    Ok(())
}

/// The readers of the queue: every destination by its name, and one that reads for the event metrics and webhooks.
fn readers(config: &Config, events_at_once: bool) -> Checked<Vec<String>> {
    let names = |all: &mut dyn Iterator<Item = &String>| all.cloned().collect::<Vec<_>>();
    let mut readers = names(&mut config.loki.iter().map(|d| &d.name));
    if readers.is_empty() && config.forward.is_empty() && config.files.is_empty() {
        return Err((
            "loki".to_owned(),
            "expected at least one destination, each with its own name".to_owned(),
        ));
    }
    readers.extend(names(&mut config.forward.iter().map(|f| &f.name)));
    readers.extend(names(&mut config.files.iter().map(|f| &f.name)));
    let mut hooks = names(&mut config.webhooks.iter().map(|h| &h.name));
    // Somebody must read what is received: the first Loki's renderer, or a reader that does nothing else.
    if !hooks.is_empty() || config.loki.is_empty() || events_at_once {
        readers.push(EVENTS_READER.to_owned());
    }
    for (path, mut all) in [
        ("loki", readers.clone()),
        ("webhooks", std::mem::take(&mut hooks)),
    ] {
        let count = all.len();
        all.sort();
        all.dedup();
        if all.len() != count {
            return Err((
                path.to_owned(),
                "expected names of loki, forward, files and webhooks that differ".to_owned(),
            ));
        }
    }
    Ok(readers)
}

fn check(raw: Raw, base: &Path) -> Checked<Config> {
    let shown = serde_json::to_string_pretty(&raw).unwrap_or_default() + "\n";
    let message = usize::try_from(raw.limits.message_bytes.get()).unwrap_or(usize::MAX);
    let mut config = Config {
        udp: Vec::new(),
        tcp: Vec::new(),
        unix: raw.listen.unix.into_iter().map(|p| base.join(p)).collect(),
        bounds: Bounds {
            message_bytes: message,
            connections: raw.limits.connections,
            idle: *raw.limits.idle_timeout,
            unfinished: *raw.limits.unfinished_timeout,
            unfinished_bytes: usize::try_from(*raw.limits.unfinished_bytes).unwrap_or(usize::MAX),
        },
        device_limit: None,
        relays: raw.relays,
        zone: 0,
        silent_after: *raw.silent_after,
        runbook_url: raw.runbook_url,
        spool_path: base.join(raw.spool.path),
        spool: Options::default(),
        datagrams: WhenFull::Block,
        streams: WhenFull::Block,
        dead_letters: (
            base.join(raw.dead_letters.path),
            *raw.dead_letters.max_bytes,
        ),
        loki: Vec::new(),
        forward: Vec::new(),
        files: Vec::new(),
        webhooks: Vec::new(),
        shown,
    };
    let least = 4 * message + (256 << 10);
    if config.bounds.unfinished_bytes < least {
        return Err((
            "limits.unfinished_bytes".to_owned(),
            format!(
                "expected room for some messages of message_bytes, {message}: at least {least}"
            ),
        ));
    }
    for (at, udp) in raw.listen.udp.into_iter().enumerate() {
        let address = address(&format!("listen.udp[{at}].address"), &udp.address)?;
        config.udp.push(Udp {
            address,
            sockets: udp.sockets.get().into(),
            buffer: udp.receive_buffer_bytes,
            several: udp.several_messages,
        });
    }
    for (at, tcp) in raw.listen.tcp.into_iter().enumerate() {
        let address = address(&format!("listen.tcp[{at}].address"), &tcp.address)?;
        let tls = tcp.tls.map(|t| Files {
            cert: base.join(t.cert_file),
            key: base.join(t.key_file),
            client_ca: t.client_ca_file.map(|p| base.join(p)),
        });
        config.tcp.push(Tcp {
            address,
            proxy: tcp.proxy_protocol,
            tls,
        });
    }
    if raw.limits.device_messages_per_second > 0.0 {
        let rate = raw.limits.device_messages_per_second;
        config.device_limit = Some((rate, raw.limits.device_burst.max(rate)));
    }
    let (west, length) = match raw.time_zone_offset.strip_prefix('-') {
        Some(length) => (true, length),
        None => (false, raw.time_zone_offset.as_str()),
    };
    let offset = toolkit::duration(length)
        .ok()
        .map(|offset| offset.as_secs())
        .filter(|seconds| *seconds <= 14 * 3600);
    let wrong = || {
        (
            "time_zone_offset".to_owned(),
            "expected a duration such as 2h or -5h30m, at most 14h".to_owned(),
        )
    };
    let seconds = offset
        .and_then(|seconds| i32::try_from(seconds).ok())
        .ok_or_else(wrong)?;
    config.zone = if west { -seconds } else { seconds };
    let keep = &raw.spool.keep_severity;
    let keep = SEVERITIES.iter().position(|s| s == keep).ok_or_else(|| {
        (
            "spool.keep_severity".to_owned(),
            format!("expected one of {}", SEVERITIES.join(", ")),
        )
    })?;
    let keep = u8::try_from(keep).unwrap_or(4);
    config.datagrams = when_full(
        "spool.datagrams_when_full",
        &raw.spool.datagrams_when_full,
        keep,
        *raw.spool.reserve_bytes,
    )?;
    config.streams = when_full(
        "spool.streams_when_full",
        &raw.spool.streams_when_full,
        keep,
        *raw.spool.reserve_bytes,
    )?;
    let sizes = (
        *raw.spool.max_bytes,
        *raw.spool.reserve_bytes,
        *raw.spool.segment_bytes,
    );
    room(sizes, &config)?;
    for (at, section) in raw.loki.iter().enumerate() {
        let inside = |(field, message)| (format!("loki[{at}].{field}"), message);
        config.loki.push(section.check(base).map_err(inside)?);
    }
    for (at, one) in raw.forward.into_iter().enumerate() {
        config.forward.push(outputs::forward(at, one, base)?);
    }
    for (at, one) in raw.files.into_iter().enumerate() {
        config.files.push(outputs::file(at, one, base)?);
    }
    for (at, one) in raw.webhooks.into_iter().enumerate() {
        config.webhooks.push(outputs::webhook(at, one, base)?);
    }
    let readers = readers(&config, raw.events_at_once)?;
    let age = &raw.spool.max_age;
    config.spool = Options {
        max_bytes: *raw.spool.max_bytes,
        segment_bytes: *raw.spool.segment_bytes,
        max_record: (message + crate::record::OVERHEAD).max(65_535 + crate::record::OVERHEAD),
        max_age: if age.is_empty() {
            None
        } else {
            Some(duration("spool.max_age", age)?)
        },
        durability: match raw.spool.durability.as_str() {
            "always" => Durability::Always,
            "interval" => Durability::Interval(*raw.spool.sync_interval),
            "system" => Durability::System,
            other => {
                return Err((
                    "spool.durability".to_owned(),
                    format!("expected always, interval or system, found {other:?}"),
                ));
            }
        },
        readers,
    };
    Ok(config)
}

impl Config {
    /// Reads and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin)?;
        let base = origin.parent().unwrap_or(Path::new(""));
        check(raw, base).map_err(|(path, message)| ConfigError::at(text, origin, path, message))
    }
}

impl Configuration for Config {
    const DEFAULT: &'static str = DEFAULT;

    fn masked(&self) -> String {
        // JSON is YAML; secrets stand in files of their own, and addresses do not show theirs.
        self.shown.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_printed_default_is_written_from_the_code() {
        let head = "Configuration of sotp-syslog. Every value below is the default, but for the destination; what is left out keeps it.\n\
                    Relative paths begin at this file's folder. Durations: 250ms, 1.5s, 1m30s, 1h, 2d. Sizes: 65536, 64KiB, 1GiB.";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("default.yaml");
        testkit::golden::hold(&path, &Keys::of(&Raw::example()).text(head));
    }

    #[test]
    fn what_is_shown_has_no_credentials() {
        let text = "loki: [{name: a, url: 'http://user:CANARY@h:1/push'}]\n\
                    webhooks: [{name: w, url: 'https://h:2/services/CANARY', events: [configuration_change]}]\n";
        let config = Config::parse(text, Path::new("x.yaml")).unwrap();
        let shown = toolkit::without_passwords(&config.masked());
        assert!(!shown.contains("CANARY"), "{shown}");
        assert!(
            shown.contains("@h:1/push") && shown.contains("https://h:2/<secret>"),
            "{shown}"
        );
        let wrong = "webhooks: [{name: w, url: 'ftp://u:CANARY@h/CANARY', events: [configuration_change]}]\n";
        let error = Config::parse(wrong, Path::new("x.yaml"))
            .unwrap_err()
            .to_string();
        assert!(
            !error.contains("CANARY") && error.contains("webhooks[0].url"),
            "{error}"
        );
    }

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_reference_page_is_written_from_the_code() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let series = std::fs::read_to_string(package.join("tests/golden/metrics.txt")).unwrap();
        let page = toolkit::reference::page::<crate::app::Service>(
            Some(&Config::keys()),
            &[("Series", &series)],
        );
        testkit::golden::hold(&package.join("../../docs/reference/syslog.md"), &page);
    }

    #[test]
    fn the_default_is_good_and_says_what_the_code_does() {
        let written = Config::parse(DEFAULT, Path::new("default.yaml")).unwrap();
        let bare = Config::parse(
            "loki: [{name: main, url: 'http://127.0.0.1:3100/loki/api/v1/push'}]",
            Path::new("x.yaml"),
        )
        .unwrap();
        assert_eq!(
            format!(
                "{:?}",
                Config {
                    shown: String::new(),
                    ..written
                }
            ),
            format!(
                "{:?}",
                Config {
                    shown: String::new(),
                    ..bare
                }
            )
        );
    }

    #[test]
    fn the_configurations_that_are_shipped_are_good() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for file in [
            "lab/compose/syslog.yaml",
            "kustomize/apps/syslog/syslog.yaml",
        ] {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            let config = Config::parse(&text, Path::new(file)).unwrap();
            assert_eq!(config.spool.readers, ["main", "events"], "{file}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            (
                "listen: {udp: [{address: nowhere}]}",
                "listen.udp[0].address: expected HOST:PORT",
            ),
            (
                "spool: {durability: sometimes}\nloki: [{name: a, url: 'http://x'}]",
                "spool.durability: expected always, interval or system",
            ),
            (
                "spool: {max_bytes: 67108864}\nloki: [{name: a, url: 'http://x'}]",
                "spool.reserve_bytes: 67108864 of max_bytes, 67108864, leaves no room",
            ),
            ("loki: []", "loki: expected at least one destination"),
            (
                "loki: [{name: a, url: 'ftp://x'}]",
                "loki[0].url: expected an http or https address",
            ),
            (
                "forward: [{name: a, url: 'tcp://u:hunter2@127.0.0.1:514'}]",
                "forward[0].url: expected udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT, found \"tcp://<secret>@127.0.0.1:514\"",
            ),
            (
                "limits: {message_bytes: 5}",
                "limits.message_bytes: 5 is out of bounds, expected 480 to 200000",
            ),
            (
                "limits: {unfinished_bytes: 512KiB}",
                "limits.unfinished_bytes: expected room for some messages of message_bytes, 122880: at least 753664",
            ),
            ("silent_after: soon", "silent_after: expected a duration"),
            (
                "loki: [{name: a, url: 'http://x'}]\nforward: [{name: b, url: 'x:1'}]",
                "forward[0].url: expected udp://HOST:PORT",
            ),
            (
                "loki: [{name: a, url: 'http://x'}]\nforward: [{name: a, url: 'udp://x:1'}]",
                "loki: expected names of loki, forward, files and webhooks that differ",
            ),
            (
                "loki: [{name: a, url: 'http://x'}]\nwebhooks: [{name: b, url: 'http://y', events: [nonsense]}]",
                "webhooks[0].events: expected kinds of events",
            ),
            (
                "loki: [{name: a, url: 'http://x'}]\nwebhooks: [{name: b, url: 'http://y', events: [login], \
                 basic_auth: {username: u, password_file: nowhere}}]",
                "webhooks[0].basic_auth.password_file: expected a readable file",
            ),
            (
                "loki: [{name: a, url: 'http://x'}]\nwebhooks: [{name: b, url: 'http://y', events: [login], \
                 bearer_token_file: t, basic_auth: {username: u, password_file: p}}]",
                "webhooks[0].basic_auth: expected basic_auth or bearer_token_file, not both",
            ),
            ("unknown: 1", "unknown"),
        ] {
            let error = Config::parse(text, Path::new("x.yaml"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
