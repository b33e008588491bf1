//! The configuration file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path as FilePath;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toolkit::config::{DurationIn, Keys, Ranged};
use toolkit::{ConfigError, Configuration};

use crate::accounting::Timing;
use crate::echo::{Mode, TAG_BYTES};

mod module;
mod path;
pub mod peer;

pub use module::{Module, Modules};
pub use path::Path;
pub use peer::Peer;

/// Shortest and longest time from request to request.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3_600));
/// Shortest and longest time to wait for an answer.
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));
/// Shortest and longest time between two requests of a burst; the shortest is a tick of the engine.
const SPACING: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));
/// Most requests of a burst.
const MAX_BURST: u32 = 100;
/// Most bytes of payload: a frame of 9,000 bytes.
const MAX_SIZE: usize = 8_952;

/// The checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How targets are probed where the inventory does not say otherwise.
    pub probe: Probe,
    /// The sockets; a change needs a restart.
    pub sockets: Sockets,
    /// Name resolution.
    pub dns: Dns,
    /// How fast requests go to one network.
    pub pacing: Pacing,
    /// Which of the optional series there are.
    pub metrics: Metrics,
    /// How paths are followed.
    pub path: Path,
    /// Modules of `/probe` by name.
    pub modules: Modules,
    /// What is asked for when another prober is stood in for; its file was read in place of ours.
    pub peer: Option<Peer>,
    raw: Raw,
}

/// Defaults of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Time from request to request.
    pub interval: Duration,
    /// Time after which a request is lost.
    pub timeout: Duration,
    /// Bytes after the ICMP header.
    pub size: usize,
    /// DSCP of the requests.
    pub dscp: u8,
    /// Hop limit; `None`: that of this host.
    pub ttl: Option<u8>,
    /// Address IPv4 requests come from.
    pub source_ipv4: Option<Ipv4Addr>,
    /// Address IPv6 requests come from.
    pub source_ipv6: Option<Ipv6Addr>,
    /// Interface requests leave by.
    pub interface: Option<String>,
    /// Firewall mark of the requests.
    pub mark: Option<u32>,
    /// Requests of each interval.
    pub burst: u32,
    /// Time from one request of a burst to the next.
    pub burst_spacing: Duration,
    /// Failures in a row after which a target is down.
    pub down_after: u32,
}

impl Probe {
    /// The timing of a target with what the inventory says of it. A burst that is longer than the interval is made to fit: closer together,
    /// and with fewer requests where that is not enough.
    pub fn timing(&self, ping: &inventory::Ping) -> Timing {
        let nanos = |duration: Duration, (shortest, longest): (Duration, Duration)| {
            u64::try_from(duration.clamp(shortest, longest).as_nanos()).unwrap_or(u64::MAX)
        };
        let interval = nanos(ping.interval.unwrap_or(self.interval), INTERVAL);
        let shortest = nanos(SPACING.0, SPACING);
        let most = u32::try_from(interval / shortest).unwrap_or(u32::MAX);
        let burst = ping.burst.map_or(self.burst, u32::from).clamp(1, most);
        let spacing = nanos(ping.burst_spacing.unwrap_or(self.burst_spacing), SPACING);
        Timing {
            interval,
            burst,
            spacing: spacing.min(interval / u64::from(burst)),
            timeout: nanos(ping.timeout.unwrap_or(self.timeout), TIMEOUT),
            down_after: self.down_after,
        }
    }
}

/// How many series a target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Those that dashboards and alerts use, about half of them.
    Usual,
    /// All of them: round trips in buckets twice as fine, the histograms of delay variation and loss bursts, TTL, DSCP and MOS.
    Full,
}

/// Which series there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Series of a target.
    pub series: Series,
    /// `ping_rtt_seconds` as a native histogram beside the classic one, for who asks for protobuf.
    pub native_histogram: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            series: Series::Usual,
            native_histogram: true,
        }
    }
}

/// Bounds on the rate of requests to the targets of one prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Requests a second; 0: no bound.
    pub requests_per_second: u32,
    /// Bits of the prefixes of IPv4.
    pub prefix_ipv4: u8,
    /// Bits of the prefixes of IPv6.
    pub prefix_ipv6: u8,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            requests_per_second: 0,
            prefix_ipv4: 24,
            prefix_ipv6: 48,
        }
    }
}

/// How the sockets are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sockets {
    /// Unprivileged or raw; `None`: the first of them that may be had.
    pub mode: Option<Mode>,
    /// Bytes of receive buffer to ask for.
    pub receive_buffer_bytes: u32,
}

/// How names are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Servers to ask; none: those of the system, and `/etc/hosts`.
    pub servers: Vec<SocketAddr>,
    /// Time to wait for a server.
    pub timeout: Duration,
    /// Bounds on how long an answer is used before it is asked for again.
    pub min_ttl: Duration,
    /// See [`min_ttl`](Self::min_ttl).
    pub max_ttl: Duration,
}

/// The file as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    /// How a device is probed where the inventory (`ping:` of a device or group) does not say otherwise.
    probe: RawProbe,
    /// The sockets, one per address family. A change takes effect at the next start.
    sockets: RawSockets,
    /// Resolution of devices that the inventory names by DNS name.
    dns: RawDns,
    /// Requests a second to the targets of one prefix at most. What is too much waits its turn.
    pacing: RawPacing,
    /// How much a scrape is told of each target.
    metrics: Metrics,
    /// The path to each target: its hops, its length, its identity, its MTU. Off by default, since it adds traffic.
    path: path::RawPath,
    /// What `/probe` can be asked for with `&module=NAME`, in the form of blackbox_exporter. When this section is written, `icmp` is there
    /// only if it is in it.
    #[serde(deserialize_with = "module::or_default")]
    modules: module::RawModules,
}

/// A list or mapping with nothing in it, also when nothing stands after its key.
pub(crate) fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            probe: RawProbe::default(),
            sockets: RawSockets::default(),
            dns: RawDns::default(),
            pacing: RawPacing::default(),
            metrics: Metrics::default(),
            path: path::RawPath::default(),
            modules: module::default_modules(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawProbe {
    /// Time from request to request.
    interval: DurationIn<10, 3_600_000>,
    /// Time after which a request is lost.
    timeout: DurationIn<10, 60_000>,
    /// Bytes after the ICMP header.
    size_bytes: Ranged<u16, { TAG_BYTES as u64 }, { MAX_SIZE as u64 }>,
    /// DSCP of the requests.
    dscp: Ranged<u8, 0, 63>,
    /// Hop limit, else that of this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Ranged<u8, 1, 255>>,
    /// Address that IPv4 requests come from, else the one that routing picks.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ipv4: Option<Ipv4Addr>,
    /// Address that IPv6 requests come from, else the one that routing picks.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ipv6: Option<Ipv6Addr>,
    /// Interface that requests leave by, else the one that routing picks.
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    /// Firewall mark of the requests; needs CAP_NET_ADMIN.
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<u32>,
    /// Requests of each interval.
    burst: Ranged<u32, 1, { MAX_BURST as u64 }>,
    /// Time from one request of a burst to the next.
    burst_spacing: DurationIn<10, 60_000>,
    /// Failures in a row after which `ping_up` is 0.
    down_after: Ranged<u32, 1, 1_000>,
}

impl Default for RawProbe {
    fn default() -> Self {
        Self {
            interval: DurationIn::from_millis(1_000),
            timeout: DurationIn::from_millis(2_000),
            size_bytes: Ranged::of(56),
            dscp: Ranged::of(0),
            ttl: None,
            source_ipv4: None,
            source_ipv6: None,
            interface: None,
            mark: None,
            burst: Ranged::of(1),
            burst_spacing: DurationIn::from_millis(10),
            down_after: Ranged::of(3),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RawMode {
    /// Unprivileged where they may be had, else raw; the log tells which at the start.
    Auto,
    /// Needs a group inside net.ipv4.ping_group_range.
    Unprivileged,
    /// Needs CAP_NET_RAW.
    Raw,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawSockets {
    /// Kind of the sockets.
    mode: RawMode,
    /// Receive buffer to ask for; without CAP_NET_ADMIN the kernel gives at most net.core.rmem_max.
    receive_buffer_bytes: Ranged<u32, 65_536, { 1 << 30 }>,
}

impl Default for RawSockets {
    fn default() -> Self {
        Self {
            mode: RawMode::Auto,
            receive_buffer_bytes: Ranged::of(4 << 20),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawDns {
    /// Servers to ask, as address or address:port; empty: those of the system, and /etc/hosts.
    #[serde(deserialize_with = "or_empty")]
    servers: Vec<String>,
    /// Time to wait for a server.
    timeout: DurationIn<100, 60_000>,
    /// Shortest time that an answer is used before it is asked for again, whatever its TTL.
    min_ttl: DurationIn<1_000, 86_400_000>,
    /// Longest time that an answer is used before it is asked for again, whatever its TTL; not shorter than `min_ttl`.
    max_ttl: DurationIn<1_000, 86_400_000>,
}

impl Default for RawDns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: DurationIn::from_millis(5_000),
            min_ttl: DurationIn::from_millis(10_000),
            max_ttl: DurationIn::from_millis(300_000),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawPacing {
    /// Requests a second; 0: as many as there are.
    requests_per_second: u32,
    /// Bits of the prefixes of IPv4.
    prefix_ipv4: Ranged<u8, 0, 32>,
    /// Bits of the prefixes of IPv6.
    prefix_ipv6: Ranged<u8, 0, 128>,
}

impl Default for RawPacing {
    fn default() -> Self {
        let Pacing {
            requests_per_second,
            prefix_ipv4,
            prefix_ipv6,
        } = Pacing::default();
        Self {
            requests_per_second,
            prefix_ipv4: Ranged::of(prefix_ipv4.into()),
            prefix_ipv6: Ranged::of(prefix_ipv6.into()),
        }
    }
}

impl Configuration for Config {
    const DEFAULT: &'static str = include_str!("../default.yaml");

    fn masked(&self) -> String {
        if let Some(peer) = &self.peer {
            return peer.shown();
        }
        // There is no secret in it. JSON is YAML too.
        serde_json::to_string_pretty(&self.raw).unwrap_or_default()
    }
}

impl Config {
    /// Reads and checks a file of ours.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str, origin: &FilePath) -> Result<Self, ConfigError> {
        let raw: Raw = toolkit::yaml::parse(text, origin)?;
        Self::check(raw).map_err(|(path, message)| ConfigError::at(text, origin, path, message))
    }

    /// The keys of the file, with their defaults.
    #[must_use]
    pub fn keys() -> Keys {
        Keys::of(&Raw::default())
    }

    /// The defaults with what a peer's file asks for; it has no modules.
    pub(crate) fn of_peer(peer: Peer) -> Result<Self, (String, String)> {
        let mut config = Self::check(Raw::default())?;
        config.modules = Modules::new();
        config.peer = Some(peer);
        Ok(config)
    }

    fn check(raw: Raw) -> Result<Self, (String, String)> {
        if raw
            .probe
            .interface
            .as_ref()
            .is_some_and(|name| !is_interface(name))
        {
            let message = "expected the name of an interface, 1 to 15 characters";
            return Err(("probe.interface".into(), message.into()));
        }
        let burst = raw.probe.burst.get();
        if *raw.probe.burst_spacing * burst > *raw.probe.interval && burst > 1 {
            let message = format!(
                "{burst} requests {} apart do not fit into an interval of {}, expected fewer or closer ones",
                raw.probe.burst_spacing, raw.probe.interval
            );
            return Err(("probe.burst".into(), message));
        }
        if raw.dns.max_ttl < raw.dns.min_ttl {
            let message = format!(
                "{} is out of bounds, expected {} to 24h",
                raw.dns.max_ttl, raw.dns.min_ttl
            );
            return Err(("dns.max_ttl".into(), message));
        }
        let servers = raw.dns.servers.iter().enumerate().map(|(at, text)| {
            server(text).ok_or_else(|| {
                let message =
                    format!("{text:?} is no address, expected \"192.0.2.1\" or \"192.0.2.1:53\"");
                (format!("dns.servers[{at}]"), message)
            })
        });
        Ok(Self {
            probe: Probe {
                interval: *raw.probe.interval,
                timeout: *raw.probe.timeout,
                size: raw.probe.size_bytes.get().into(),
                dscp: raw.probe.dscp.get(),
                ttl: raw.probe.ttl.map(Ranged::get),
                source_ipv4: raw.probe.source_ipv4,
                source_ipv6: raw.probe.source_ipv6,
                interface: raw.probe.interface.clone(),
                mark: raw.probe.mark,
                burst,
                burst_spacing: *raw.probe.burst_spacing,
                down_after: raw.probe.down_after.get(),
            },
            sockets: Sockets {
                mode: match raw.sockets.mode {
                    RawMode::Auto => None,
                    RawMode::Unprivileged => Some(Mode::Unprivileged),
                    RawMode::Raw => Some(Mode::Raw),
                },
                receive_buffer_bytes: raw.sockets.receive_buffer_bytes.get(),
            },
            dns: Dns {
                servers: servers.collect::<Result<_, _>>()?,
                timeout: *raw.dns.timeout,
                min_ttl: *raw.dns.min_ttl,
                max_ttl: *raw.dns.max_ttl,
            },
            pacing: Pacing {
                requests_per_second: raw.pacing.requests_per_second,
                prefix_ipv4: raw.pacing.prefix_ipv4.get(),
                prefix_ipv6: raw.pacing.prefix_ipv6.get(),
            },
            metrics: raw.metrics,
            path: path::checked(&raw.path),
            modules: module::checked(&raw.modules),
            peer: None,
            raw,
        })
    }
}

/// For showing a duration of a checked type.
fn spelled<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&units::spelled(*duration))
}

fn is_interface(name: &str) -> bool {
    let bad = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    (1..=15).contains(&name.len()) && !name.contains(bad)
}

fn server(text: &str) -> Option<SocketAddr> {
    let plain = || {
        text.parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, 53))
    };
    text.parse().ok().or_else(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, FilePath::new("ping.yaml")).map_err(|error| error.to_string())
    }

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_printed_default_is_written_from_the_code() {
        let head = "Configuration of sotp-ping. Every value below is the default; what is left out keeps it.\n\
                    Durations: 250ms, 1.5s, 1m30s, 1h, 2d.";
        let path = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("default.yaml");
        testkit::golden::hold(&path, &Config::keys().text(head));
    }

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_reference_page_is_written_from_the_code() {
        let package = FilePath::new(env!("CARGO_MANIFEST_DIR"));
        let series = std::fs::read_to_string(package.join("tests/golden/metrics.txt")).unwrap();
        let full = std::fs::read_to_string(package.join("tests/golden/full.txt")).unwrap();
        let page = toolkit::reference::page::<crate::app::Service>(
            Some(&Config::keys()),
            &[
                ("Series", &series),
                (
                    "Further series of a target with `metrics: {series: full}`",
                    &full,
                ),
            ],
        );
        testkit::golden::hold(&package.join("../../docs/reference/ping.md"), &page);
    }

    #[test]
    fn the_printed_default_is_the_default() {
        assert_eq!(parse(Config::DEFAULT).unwrap(), parse("").unwrap());
        assert_eq!(
            parse(&parse("").unwrap().masked()).unwrap(),
            parse("").unwrap()
        );
    }

    #[test]
    fn a_full_file_is_read() {
        let text = "probe: {interval: 250ms, timeout: 1.5s, size_bytes: 1000, down_after: 5}\n\
                    sockets: {mode: raw, receive_buffer_bytes: 65536}\n\
                    dns: {servers: [192.0.2.1, '[2001:db8::1]:5353'], timeout: 1s, min_ttl: 1m, max_ttl: 1h}\n";
        let config = parse(text).unwrap();
        assert_eq!(config.probe.interval, Duration::from_millis(250));
        assert_eq!(config.sockets.mode, Some(Mode::Raw));
        assert_eq!(config.dns.servers[0], "192.0.2.1:53".parse().unwrap());
        assert_eq!(config.dns.max_ttl, Duration::from_secs(3_600));
    }

    #[test]
    fn each_mistake_is_named() {
        for (text, expected) in [
            (
                "probe: {interval: 1ms}",
                "probe.interval: 1ms is out of bounds, expected 10ms to 1h",
            ),
            (
                "probe: {interval: fast}",
                "expected a duration such as 250ms, 1.5s, 1m30s or 1h",
            ),
            (
                "probe: {size_bytes: 4}",
                "probe.size_bytes: 4 is out of bounds, expected 20 to 8952",
            ),
            (
                "probe: {down_after: 0}",
                "probe.down_after: 0 is out of bounds, expected 1 to 1000",
            ),
            ("probe: {intervall: 1s}", "intervall"),
            (
                "probe: {mark: -4}",
                "probe.mark: expected a whole number from 0 to 4294967295",
            ),
            (
                "probe: {source_ipv4: '2001:db8::1'}",
                "probe.source_ipv4: expected an IPv4 address such as 192.0.2.1",
            ),
            ("path: {tags: traced}", "path.tags: expected a list"),
            ("path: {mtu: 2}", "path.mtu: expected true or false"),
            ("modules: [icmp]", "modules: expected a mapping"),
            (
                "probe: {dscp: 64}",
                "probe.dscp: 64 is out of bounds, expected 0 to 63",
            ),
            (
                "probe: {ttl: 0}",
                "probe.ttl: 0 is out of bounds, expected 1 to 255",
            ),
            (
                "probe: {interface: far/too}",
                "probe.interface: expected the name of an interface",
            ),
            ("metrics: {jitter: true}", "jitter"),
            (
                "path: {flows: 9}",
                "path.flows: 9 is out of bounds, expected 1 to 8",
            ),
            (
                "path: {interval: 100ms}",
                "path.interval: 100ms is out of bounds, expected 1s to 24h",
            ),
            ("path: {hops: 3}", "path: unknown key \"hops\""),
            (
                "probe: {burst: 101}",
                "probe.burst: 101 is out of bounds, expected 1 to 100",
            ),
            (
                "probe: {interval: 100ms, burst: 20}",
                "probe.burst: 20 requests 10ms apart do not fit into an interval of 100ms",
            ),
            (
                "probe: {burst_spacing: 1ms}",
                "probe.burst_spacing: 1ms is out of bounds, expected 10ms to 1m",
            ),
            (
                "pacing: {prefix_ipv4: 33}",
                "pacing.prefix_ipv4: 33 is out of bounds, expected 0 to 32",
            ),
            ("sockets: {mode: magic}", "magic"),
            (
                "dns: {servers: [example.org]}",
                "dns.servers[0]: \"example.org\" is no address",
            ),
            ("modules: {web: {prober: http}}", "expected"),
            (
                "modules: {big: {icmp: {payload_size: 9000}}}",
                "modules.big.icmp.payload_size: 9000 is out of bounds, expected 0 to 8952",
            ),
            (
                "dns: {min_ttl: 1h}",
                "dns.max_ttl: 5m is out of bounds, expected 1h to 24h",
            ),
        ] {
            match parse(text) {
                Ok(_) => panic!("{text} was taken"),
                Err(error) => {
                    assert!(
                        error.starts_with("ping.yaml") && error.contains(expected),
                        "{error}"
                    );
                }
            }
        }
    }
}
