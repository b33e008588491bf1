//! The configuration file.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use loki::{Authentication, Destination, Format, Rate};
use serde::Deserialize;
use spool::{Durability, Options, WhenFull};
use toolkit::{ConfigError, Configuration, SecretFile, yaml};

use crate::stream::Bounds;
use crate::tls::Files;

const DEFAULT: &str = include_str!("../default.yaml");

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    listen: RawListen,
    limits: RawLimits,
    relays: Vec<IpNet>,
    time_zone_offset: String,
    silent_after: String,
    runbook_url: String,
    spool: RawSpool,
    dead_letters: RawDead,
    loki: Vec<RawLoki>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawListen {
    udp: Vec<RawUdp>,
    tcp: Vec<RawTcp>,
    unix: Vec<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUdp {
    address: String,
    #[serde(default = "one")]
    sockets: usize,
    #[serde(default = "buffer")]
    receive_buffer_bytes: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTcp {
    address: String,
    #[serde(default)]
    proxy_protocol: bool,
    #[serde(default)]
    tls: Option<RawTls>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    cert_file: PathBuf,
    key_file: PathBuf,
    #[serde(default)]
    client_ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    message_bytes: usize,
    connections: usize,
    idle_timeout: String,
    unfinished_timeout: String,
    device_messages_per_second: f64,
    device_burst: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSpool {
    path: PathBuf,
    max_bytes: u64,
    segment_bytes: u64,
    max_age: String,
    durability: String,
    sync_interval: String,
    datagrams_when_full: String,
    streams_when_full: String,
    keep_severity: String,
    reserve_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawDead {
    path: PathBuf,
    max_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLoki {
    name: String,
    url: String,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    basic_auth: Option<RawBasic>,
    #[serde(default)]
    bearer_token_file: Option<PathBuf>,
    #[serde(default)]
    ca_file: Option<PathBuf>,
    #[serde(default)]
    cert_file: Option<PathBuf>,
    #[serde(default)]
    key_file: Option<PathBuf>,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    batch_bytes: Option<usize>,
    #[serde(default)]
    batch_lines: Option<usize>,
    #[serde(default)]
    batch_age: Option<String>,
    #[serde(default)]
    bytes_per_second: Option<f64>,
    #[serde(default)]
    burst_bytes: Option<f64>,
    #[serde(default)]
    max_streams: Option<usize>,
    #[serde(default)]
    max_line_bytes: Option<usize>,
    #[serde(default)]
    timeout: Option<String>,
    #[serde(default)]
    hold_retry: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBasic {
    username: String,
    password_file: PathBuf,
}

fn one() -> usize {
    1
}

fn buffer() -> u32 {
    32 << 20
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: RawListen::default(),
            limits: RawLimits::default(),
            relays: Vec::new(),
            time_zone_offset: "0s".to_owned(),
            silent_after: "15m".to_owned(),
            runbook_url: String::new(),
            spool: RawSpool::default(),
            dead_letters: RawDead::default(),
            loki: Vec::new(),
        }
    }
}

impl Default for RawListen {
    fn default() -> Self {
        let udp = RawUdp {
            address: ":5514".to_owned(),
            sockets: 1,
            receive_buffer_bytes: buffer(),
        };
        let tcp = RawTcp {
            address: ":5514".to_owned(),
            proxy_protocol: false,
            tls: None,
        };
        Self {
            udp: vec![udp],
            tcp: vec![tcp],
            unix: Vec::new(),
        }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            message_bytes: 120 << 10,
            connections: 10_000,
            idle_timeout: "1h".to_owned(),
            unfinished_timeout: "60s".to_owned(),
            device_messages_per_second: 0.0,
            device_burst: 0.0,
        }
    }
}

impl Default for RawSpool {
    fn default() -> Self {
        Self {
            path: PathBuf::from("data/spool"),
            max_bytes: 1 << 30,
            segment_bytes: 8 << 20,
            max_age: String::new(),
            durability: "interval".to_owned(),
            sync_interval: "100ms".to_owned(),
            datagrams_when_full: "by_severity".to_owned(),
            streams_when_full: "block".to_owned(),
            keep_severity: "warning".to_owned(),
            reserve_bytes: 64 << 20,
        }
    }
}

impl Default for RawDead {
    fn default() -> Self {
        Self {
            path: PathBuf::from("data/dead-letters.jsonl"),
            max_bytes: 64 << 20,
        }
    }
}

/// A UDP address with its sockets.
#[derive(Debug, Clone)]
pub struct Udp {
    /// Where to listen.
    pub address: SocketAddr,
    /// How many sockets share it.
    pub sockets: usize,
    /// The receive buffer of each in bytes.
    pub buffer: u32,
}

/// A TCP address.
#[derive(Debug, Clone)]
pub struct Tcp {
    /// Where to listen.
    pub address: SocketAddr,
    /// Connections begin with a PROXY protocol header.
    pub proxy: bool,
    /// TLS, when it is spoken.
    pub tls: Option<Files>,
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
    text: String,
}

/// Reads what is wrong as `(path, message)`.
type Checked<T> = Result<T, (String, String)>;

fn duration(path: &str, text: &str) -> Checked<Duration> {
    let parsed: Result<jiff::SignedDuration, _> = text.parse();
    let wrong = || {
        (
            path.to_owned(),
            format!("expected a duration such as 500ms, 10s or 15m, found {text:?}"),
        )
    };
    parsed
        .ok()
        .and_then(|d| Duration::try_from(d).ok())
        .ok_or_else(wrong)
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

fn destination(at: usize, raw: RawLoki, base: &Path) -> Checked<Destination> {
    let path = |field: &str| format!("loki[{at}].{field}");
    let near = |file: PathBuf| base.join(file);
    let secret = |field: &str, file: PathBuf| {
        SecretFile::open(near(file.clone()))
            .map(Arc::new)
            .map_err(|e| {
                (
                    path(field),
                    format!("expected a readable file, {}: {e}", file.display()),
                )
            })
    };
    if !(raw.url.starts_with("http://") || raw.url.starts_with("https://")) {
        return Err((
            path("url"),
            format!("expected an http or https address, found {:?}", raw.url),
        ));
    }
    let mut to = Destination::new(raw.name, raw.url);
    to.tenant = raw.tenant;
    to.authentication = match (raw.basic_auth, raw.bearer_token_file) {
        (None, None) => Authentication::None,
        (Some(basic), None) => Authentication::Basic {
            user: basic.username,
            password: secret("basic_auth.password_file", basic.password_file)?,
        },
        (None, Some(file)) => Authentication::Bearer(secret("bearer_token_file", file)?),
        (Some(_), Some(_)) => {
            return Err((
                path("basic_auth"),
                "expected basic_auth or bearer_token_file, not both".to_owned(),
            ));
        }
    };
    to.ca_file = raw.ca_file.map(near);
    to.identity_files = match (raw.cert_file, raw.key_file) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((near(cert), near(key))),
        _ => {
            return Err((
                path("cert_file"),
                "expected cert_file and key_file together".to_owned(),
            ));
        }
    };
    to.format = match raw.format.as_deref() {
        None | Some("protobuf") => Format::Protobuf,
        Some("json") => Format::Json,
        Some(other) => {
            return Err((
                path("format"),
                format!("expected protobuf or json, found {other:?}"),
            ));
        }
    };
    to.batching.max_bytes = raw.batch_bytes.unwrap_or(to.batching.max_bytes);
    to.batching.max_lines = raw.batch_lines.unwrap_or(to.batching.max_lines);
    if let Some(age) = raw.batch_age {
        to.batching.max_age = duration(&path("batch_age"), &age)?;
    }
    if let Some(timeout) = raw.timeout {
        to.timeout = duration(&path("timeout"), &timeout)?;
    }
    if let Some(hold) = raw.hold_retry {
        to.retry.hold = duration(&path("hold_retry"), &hold)?;
    }
    let rate = raw.bytes_per_second.unwrap_or(3.8e6);
    if rate < 0.0 || !rate.is_finite() {
        return Err((
            path("bytes_per_second"),
            "expected 0 (no limit) or more".to_owned(),
        ));
    }
    to.rate = (rate > 0.0).then(|| Rate {
        bytes_per_second: rate,
        burst_bytes: raw.burst_bytes.unwrap_or(rate * 1.4).max(1.0),
    });
    to.limits.streams = raw.max_streams.unwrap_or(to.limits.streams);
    to.limits.line_bytes = raw.max_line_bytes.unwrap_or(to.limits.line_bytes);
    Ok(to)
}

fn check(raw: Raw, text: &str, base: &Path) -> Checked<Config> {
    let mut config = Config {
        udp: Vec::new(),
        tcp: Vec::new(),
        unix: raw.listen.unix.into_iter().map(|p| base.join(p)).collect(),
        bounds: Bounds {
            message_bytes: raw.limits.message_bytes,
            connections: raw.limits.connections,
            idle: duration("limits.idle_timeout", &raw.limits.idle_timeout)?,
            unfinished: duration("limits.unfinished_timeout", &raw.limits.unfinished_timeout)?,
        },
        device_limit: None,
        relays: raw.relays,
        zone: 0,
        silent_after: duration("silent_after", &raw.silent_after)?,
        runbook_url: raw.runbook_url,
        spool_path: base.join(raw.spool.path),
        spool: Options::default(),
        datagrams: WhenFull::Block,
        streams: WhenFull::Block,
        dead_letters: (base.join(raw.dead_letters.path), raw.dead_letters.max_bytes),
        loki: Vec::new(),
        text: text.to_owned(),
    };
    let message = raw.limits.message_bytes;
    if !(480..=200_000).contains(&message) {
        return Err((
            "limits.message_bytes".to_owned(),
            "expected 480 to 200000".to_owned(),
        ));
    }
    for (at, udp) in raw.listen.udp.into_iter().enumerate() {
        let path = format!("listen.udp[{at}].sockets");
        if !(1..=64).contains(&udp.sockets) {
            return Err((path, "expected 1 to 64".to_owned()));
        }
        let address = address(&format!("listen.udp[{at}].address"), &udp.address)?;
        config.udp.push(Udp {
            address,
            sockets: udp.sockets,
            buffer: udp.receive_buffer_bytes,
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
    let offset: Result<jiff::SignedDuration, _> = raw.time_zone_offset.parse();
    let offset = offset
        .ok()
        .map(|d| d.as_secs())
        .filter(|s| s.abs() <= 14 * 3600);
    let wrong = || {
        (
            "time_zone_offset".to_owned(),
            "expected a duration such as 2h or -5h30m, at most 14h".to_owned(),
        )
    };
    config.zone = offset
        .and_then(|s| i32::try_from(s).ok())
        .ok_or_else(wrong)?;
    let keep = &raw.spool.keep_severity;
    let keep = crate::render::SEVERITIES
        .iter()
        .position(|s| s == keep)
        .ok_or_else(|| {
            (
                "spool.keep_severity".to_owned(),
                format!("expected one of {}", crate::render::SEVERITIES.join(", ")),
            )
        })?;
    let keep = u8::try_from(keep).unwrap_or(4);
    config.datagrams = when_full(
        "spool.datagrams_when_full",
        &raw.spool.datagrams_when_full,
        keep,
        raw.spool.reserve_bytes,
    )?;
    config.streams = when_full(
        "spool.streams_when_full",
        &raw.spool.streams_when_full,
        keep,
        raw.spool.reserve_bytes,
    )?;
    for (at, destination_raw) in raw.loki.into_iter().enumerate() {
        config.loki.push(destination(at, destination_raw, base)?);
    }
    let mut names: Vec<String> = config.loki.iter().map(|d| d.name.clone()).collect();
    names.sort();
    names.dedup();
    if names.len() != config.loki.len() || names.is_empty() {
        return Err((
            "loki".to_owned(),
            "expected at least one destination, each with its own name".to_owned(),
        ));
    }
    let age = &raw.spool.max_age;
    config.spool = Options {
        max_bytes: raw.spool.max_bytes,
        segment_bytes: raw.spool.segment_bytes,
        max_record: (message + crate::record::OVERHEAD).max(65_535 + crate::record::OVERHEAD),
        max_age: if age.is_empty() {
            None
        } else {
            Some(duration("spool.max_age", age)?)
        },
        durability: match raw.spool.durability.as_str() {
            "always" => Durability::Always,
            "interval" => {
                Durability::Interval(duration("spool.sync_interval", &raw.spool.sync_interval)?)
            }
            "system" => Durability::System,
            other => {
                return Err((
                    "spool.durability".to_owned(),
                    format!("expected always, interval or system, found {other:?}"),
                ));
            }
        },
        readers: config.loki.iter().map(|d| d.name.clone()).collect(),
    };
    Ok(config)
}

impl Configuration for Config {
    const DEFAULT: &'static str = DEFAULT;

    fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin)?;
        let base = origin.parent().unwrap_or(Path::new(""));
        check(raw, text, base)
            .map_err(|(path, message)| ConfigError::at(text, origin, path, message))
    }

    fn masked(&self) -> String {
        // Secrets stand in files of their own; the text has only their paths.
        self.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                    text: String::new(),
                    ..written
                }
            ),
            format!(
                "{:?}",
                Config {
                    text: String::new(),
                    ..bare
                }
            )
        );
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
            ("loki: []", "loki: expected at least one destination"),
            (
                "loki: [{name: a, url: 'ftp://x'}]",
                "loki[0].url: expected an http or https address",
            ),
            (
                "limits: {message_bytes: 5}",
                "limits.message_bytes: expected 480 to 200000",
            ),
            ("silent_after: soon", "silent_after: expected a duration"),
            ("unknown: 1", "unknown"),
        ] {
            let error = Config::parse(text, Path::new("x.yaml"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
