//! The configuration file as it is written.

use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::{Bytes, Duration, Ranged};

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    /// Where messages are received.
    pub(super) listen: RawListen,
    /// Bounds of messages, connections and devices.
    pub(super) limits: RawLimits,
    /// Networks of relays: their messages are the devices' that the header names.
    #[schemars(with = "Vec<String>")]
    pub(super) relays: Vec<IpNet>,
    /// Offset from UTC of devices that name no zone, such as 2h or -5h30m.
    pub(super) time_zone_offset: String,
    /// A device of the inventory with syslog is called silent after this time.
    pub(super) silent_after: Duration,
    /// Where the pages for events begin; each translated message links to `<this>#<event>`.
    pub(super) runbook_url: String,
    /// Count and translate by a reader of its own, so that metrics of events do not wait for Loki; each message is then read twice. It is
    /// so anyway when there are webhooks, or no Loki.
    pub(super) events_at_once: bool,
    /// The queue on disk (docs/spool.md).
    pub(super) spool: RawSpool,
    /// Messages that Loki refuses one by one.
    pub(super) dead_letters: RawDead,
    /// Where lines are pushed.
    pub(super) loki: Vec<loki::Section>,
    /// Copies of everything, byte for byte, to other syslog servers, as in {name: siem, url: "tls://siem.example.net:6514", ca_file:
    /// ca.pem}.
    pub(super) forward: Vec<RawForward>,
    /// Copies of everything, byte for byte, in files, as in {name: archive, path: /var/log/network.log, max_bytes: 100MiB, keep: 5}.
    pub(super) files: Vec<RawFile>,
    /// Who is notified of events, by a POST of JSON, as in {name: archive, url: "https://archive.example.net/changed", events:
    /// [configuration_change]}.
    pub(super) webhooks: Vec<RawWebhook>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawListen {
    /// Datagrams (RFC 5426).
    pub(super) udp: Vec<RawUdp>,
    /// Streams (RFC 6587): octet counting and line ends are told apart by themselves.
    pub(super) tcp: Vec<RawTcp>,
    /// Paths of Unix datagram sockets, such as /dev/log.
    pub(super) unix: Vec<PathBuf>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUdp {
    /// HOST:PORT, or :PORT for every address.
    pub(super) address: String,
    /// Sockets that share the work of the address; each has its own receive buffer.
    #[serde(default = "one")]
    pub(super) sockets: Ranged<u8, 1, 64>,
    /// Receive buffer of each socket in bytes.
    #[serde(default = "buffer")]
    pub(super) receive_buffer_bytes: u32,
    /// Takes a datagram apart in which several messages stand, each on a line that begins with a priority, 64 at most. RFC 5426 knows
    /// one: where a sender puts other people's words into its messages, such as the name at a login, these people can make up messages.
    #[serde(default)]
    pub(super) several_messages: bool,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTcp {
    /// HOST:PORT, or :PORT for every address.
    pub(super) address: String,
    /// Expects a PROXY header, version 1 or 2, at the beginning of each connection.
    #[serde(default)]
    pub(super) proxy_protocol: bool,
    /// Speaks TLS (RFC 5425).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<RawTls>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    /// Certificate in PEM.
    pub(super) cert_file: PathBuf,
    /// Its key in PEM.
    pub(super) key_file: PathBuf,
    /// Authorities of client certificates, which are a must when it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    /// Longest message; the rest is cut off.
    pub(super) message_bytes: Ranged<u32, 480, 200_000>,
    /// Open connections at a time.
    pub(super) connections: usize,
    /// A connection that says nothing for so long is closed.
    pub(super) idle_timeout: Duration,
    /// A message that was begun and not ended is taken as it is after this time.
    pub(super) unfinished_timeout: Duration,
    /// What all connections together may hold of messages that were begun and not ended; beyond it that which was begun first is taken as it
    /// is.
    pub(super) unfinished_bytes: Bytes,
    /// Datagrams of one device a second beyond which they are dropped and counted; 0: no limit.
    pub(super) device_messages_per_second: f64,
    /// Datagrams of one device at once, at least those of a second.
    pub(super) device_burst: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSpool {
    /// Folder of the queue.
    pub(super) path: PathBuf,
    /// Size of the queue.
    pub(super) max_bytes: Bytes,
    /// Size of a file of the queue.
    pub(super) segment_bytes: Bytes,
    /// Messages older than this are given up, such as 72h; empty: never.
    pub(super) max_age: String,
    /// `always`: nothing is taken before it is on the medium. `interval`: on the medium after `sync_interval`. `system`: whenever the
    /// system writes it; survives the death of the process, not of the machine.
    pub(super) durability: String,
    /// See `durability`.
    pub(super) sync_interval: Duration,
    /// What becomes of datagrams when the queue is full: `block`, `drop_newest`, `drop_oldest` or `by_severity`.
    pub(super) datagrams_when_full: String,
    /// What becomes of streams when the queue is full: the same.
    pub(super) streams_when_full: String,
    /// `by_severity`: messages less urgent than this leave `reserve_bytes` to the urgent ones.
    pub(super) keep_severity: String,
    /// See `keep_severity`.
    pub(super) reserve_bytes: Bytes,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDead {
    /// The file, one message a line.
    pub(super) path: PathBuf,
    /// Size of the file.
    pub(super) max_bytes: Bytes,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawForward {
    /// Name of the copy, its own.
    pub(super) name: String,
    /// udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT.
    pub(super) url: String,
    /// Of streams: `octet_counting` (the default) or `newline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) framing: Option<String>,
    /// Certificates that the server's descends from; else those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<PathBuf>,
    /// Client certificate, with `key_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cert_file: Option<PathBuf>,
    /// Key of the client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key_file: Option<PathBuf>,
    /// Name in the server's certificate, else that of the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) server_name: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    /// Name of the copy, its own.
    pub(super) name: String,
    /// The file.
    pub(super) path: PathBuf,
    /// Size at which a new file is begun, 100 MiB unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_bytes: Option<Bytes>,
    /// Old files that are kept, 5 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keep: Option<usize>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhook {
    /// Name of the webhook, its own.
    pub(super) name: String,
    /// Where events are posted; only its scheme and host are ever shown.
    #[schemars(with = "String")]
    pub(super) url: toolkit::SecretUrl,
    /// Kinds of events (docs/syslog-events.md).
    pub(super) events: Vec<String>,
    /// File with the secret that signs the body (X-SOTP-Signature).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret_file: Option<PathBuf>,
    /// A user with a password in a file, which is read again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) basic_auth: Option<loki::BasicAuth>,
    /// File with a bearer token, in place of a user; it is read again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bearer_token_file: Option<PathBuf>,
    /// Certificates that the server's descends from; else those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<PathBuf>,
    /// Certificate chain of the client, PEM; with `key_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cert_file: Option<PathBuf>,
    /// Key of the client, PEM; with `cert_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key_file: Option<PathBuf>,
    /// Time to wait for an answer, 5s unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<Duration>,
    /// How old an event may become before it is given up, 10m unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retry_for: Option<Duration>,
    /// At most one call for the same device and kind in this time, 10s unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) interval: Option<Duration>,
    /// Events that wait in memory, 1000 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<usize>,
}

fn one() -> Ranged<u8, 1, 64> {
    Ranged::of(1)
}

fn buffer() -> u32 {
    32 << 20
}

#[cfg(test)]
impl Raw {
    /// The file that is printed: the defaults, and one destination.
    pub(super) fn example() -> Self {
        let main = loki::Section {
            name: "main".to_owned(),
            ..loki::Section::new("http://127.0.0.1:3100/loki/api/v1/push")
        };
        Self {
            loki: vec![main],
            ..Self::default()
        }
    }
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: RawListen::default(),
            limits: RawLimits::default(),
            relays: Vec::new(),
            time_zone_offset: "0s".to_owned(),
            silent_after: Duration::from_secs(900),
            runbook_url: String::new(),
            events_at_once: false,
            spool: RawSpool::default(),
            dead_letters: RawDead::default(),
            loki: Vec::new(),
            forward: Vec::new(),
            files: Vec::new(),
            webhooks: Vec::new(),
        }
    }
}

impl Default for RawListen {
    fn default() -> Self {
        let udp = RawUdp {
            address: ":5514".to_owned(),
            sockets: one(),
            receive_buffer_bytes: buffer(),
            several_messages: false,
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
            message_bytes: Ranged::of(120 << 10),
            connections: 10_000,
            idle_timeout: Duration::from_secs(3_600),
            unfinished_timeout: Duration::from_secs(60),
            unfinished_bytes: Bytes(16 << 20),
            device_messages_per_second: 0.0,
            device_burst: 0.0,
        }
    }
}

impl Default for RawSpool {
    fn default() -> Self {
        Self {
            path: PathBuf::from("data/spool"),
            max_bytes: Bytes(1 << 30),
            segment_bytes: Bytes(8 << 20),
            max_age: String::new(),
            durability: "interval".to_owned(),
            sync_interval: Duration::from_millis(100),
            datagrams_when_full: "by_severity".to_owned(),
            streams_when_full: "block".to_owned(),
            keep_severity: "warning".to_owned(),
            reserve_bytes: Bytes(64 << 20),
        }
    }
}

impl Default for RawDead {
    fn default() -> Self {
        Self {
            path: PathBuf::from("data/dead-letters.jsonl"),
            max_bytes: Bytes(64 << 20),
        }
    }
}
