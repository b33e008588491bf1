//! The exact table of a window as one line of JSON: what Loki keeps, and what `/flows/top` answers.

use std::net::IpAddr;

use ipnet::IpNet;
use loki::{Line, Render};
use serde::{Deserialize, Serialize};
use spool::Record;

use crate::applications::protocol;
use crate::totals::top::Window;
use crate::totals::{Address, Port, Windows};

/// What a table is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// Both.
    Pair,
    /// Network of the destination: /24, or /48 in IPv6.
    Prefix,
    /// Protocol and port of the service: the lower port of the two.
    Port,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Source,
        Self::Destination,
        Self::Pair,
        Self::Prefix,
        Self::Port,
    ];

    /// As a label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Pair => "pair",
            Self::Prefix => "prefix",
            Self::Port => "port",
        }
    }
}

/// One table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Name of the device that exported the flows.
    pub device: String,
    /// What it is ordered by.
    pub by: By,
    /// When the window ended, or now when it runs; Unix seconds.
    #[serde(default)]
    pub ended: f64,
    /// Length of the window, seconds.
    pub seconds: f64,
    /// Octets of all flows of the window.
    pub bytes: u64,
    /// Every key was told apart; otherwise a row may lack up to `error_bytes`.
    pub exact: bool,
    /// Octets that a row may lack at most.
    #[serde(default)]
    pub error_bytes: u64,
    /// Octets of flows without what it is ordered by.
    pub unnamed_bytes: u64,
    /// The heaviest, first.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Row {
    /// Who sent; absent in tables by destination.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<IpAddr>,
    /// Its name, by reverse DNS where that is wanted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source_name: Option<String>,
    /// Who received; absent in tables by source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub destination: Option<IpAddr>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub destination_name: Option<String>,
    /// The network; in tables by prefix.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix: Option<IpNet>,
    /// Port and protocol; in tables by port.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub port: Option<String>,
    /// Octets on the wire.
    pub bytes: u64,
    /// Packets on the wire.
    pub packets: u64,
}

impl Table {
    /// As one line of JSON.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn of<K: Copy>(
        device: &str,
        by: By,
        (ended, seconds): (f64, f64),
        window: &Window<K>,
        row: impl Fn(K) -> Row,
    ) -> Self {
        let rows = window.rows.iter().map(|(key, bytes, packets)| Row {
            bytes: *bytes,
            packets: *packets,
            ..row(*key)
        });
        Self {
            device: device.to_owned(),
            by,
            ended,
            seconds,
            bytes: window.total,
            exact: window.error == 0,
            error_bytes: window.error,
            unnamed_bytes: window.unnamed,
            rows: rows.collect(),
        }
    }

    /// The tables of a window that ended then and was so long, in seconds.
    #[must_use]
    pub fn all(device: &str, when: (f64, f64), windows: &Windows) -> [Self; 5] {
        let source = |source: Address| Row {
            source: Some(source.into()),
            ..Row::default()
        };
        let destination = |destination: Address| Row {
            destination: Some(destination.into()),
            ..Row::default()
        };
        [
            Self::of(device, By::Source, when, &windows.sources, source),
            Self::of(
                device,
                By::Destination,
                when,
                &windows.destinations,
                destination,
            ),
            Self::of(device, By::Pair, when, &windows.pairs, |(from, to)| Row {
                source: Some(from.into()),
                ..destination(to)
            }),
            Self::of(device, By::Prefix, when, &windows.prefixes, |prefix| Row {
                prefix: Some(prefix.into()),
                ..Row::default()
            }),
            Self::of(device, By::Port, when, &windows.ports, |port| Row {
                port: Some(port_name(port)),
                ..Row::default()
            }),
        ]
    }
}

/// As `443/tcp`.
#[must_use]
pub fn port_name((number, port): Port) -> String {
    format!("{port}/{}", protocol(number))
}

/// Lines as Loki gets them: labels `job`, `device` and `by`, the table as the text.
pub(crate) struct Shown;

impl Render for Shown {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        line.label("job", "netflow", true);
        if let Ok(table) = serde_json::from_slice::<Table>(record.payload) {
            line.label("device", &table.device, true);
            line.label("by", table.by.as_str(), true);
        }
        line.text.push_str(&String::from_utf8_lossy(record.payload));
    }
}
