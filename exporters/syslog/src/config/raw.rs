//! The configuration file as it is written.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) listen: RawListen,
    pub(super) limits: RawLimits,
    pub(super) relays: Vec<IpNet>,
    pub(super) time_zone_offset: String,
    pub(super) silent_after: String,
    pub(super) runbook_url: String,
    pub(super) events_at_once: bool,
    pub(super) spool: RawSpool,
    pub(super) dead_letters: RawDead,
    pub(super) loki: Vec<loki::Section>,
    pub(super) forward: Vec<RawForward>,
    pub(super) files: Vec<RawFile>,
    pub(super) webhooks: Vec<RawWebhook>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawListen {
    pub(super) udp: Vec<RawUdp>,
    pub(super) tcp: Vec<RawTcp>,
    pub(super) unix: Vec<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUdp {
    pub(super) address: String,
    #[serde(default = "one")]
    pub(super) sockets: usize,
    #[serde(default = "buffer")]
    pub(super) receive_buffer_bytes: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTcp {
    pub(super) address: String,
    #[serde(default)]
    pub(super) proxy_protocol: bool,
    #[serde(default)]
    pub(super) tls: Option<RawTls>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
    #[serde(default)]
    pub(super) client_ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    pub(super) message_bytes: usize,
    pub(super) connections: usize,
    pub(super) idle_timeout: String,
    pub(super) unfinished_timeout: String,
    pub(super) device_messages_per_second: f64,
    pub(super) device_burst: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSpool {
    pub(super) path: PathBuf,
    pub(super) max_bytes: u64,
    pub(super) segment_bytes: u64,
    pub(super) max_age: String,
    pub(super) durability: String,
    pub(super) sync_interval: String,
    pub(super) datagrams_when_full: String,
    pub(super) streams_when_full: String,
    pub(super) keep_severity: String,
    pub(super) reserve_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDead {
    pub(super) path: PathBuf,
    pub(super) max_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawForward {
    pub(super) name: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) framing: Option<String>,
    #[serde(default)]
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) cert_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) key_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) server_name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub(super) name: String,
    pub(super) path: PathBuf,
    #[serde(default)]
    pub(super) max_bytes: Option<u64>,
    #[serde(default)]
    pub(super) keep: Option<usize>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhook {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) events: Vec<String>,
    #[serde(default)]
    pub(super) secret_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) bearer_token_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) timeout: Option<String>,
    #[serde(default)]
    pub(super) retry_for: Option<String>,
    #[serde(default)]
    pub(super) interval: Option<String>,
    #[serde(default)]
    pub(super) queue: Option<usize>,
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
