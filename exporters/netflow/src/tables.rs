//! The exact table of a window as one line of JSON: what Loki keeps, and what `/flows/top` answers.

use std::net::IpAddr;

use loki::{Line, Render};
use serde::{Deserialize, Serialize};
use spool::Record;

use crate::totals::top::Window;
use crate::totals::{Pair, Windows};

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
}

impl By {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Source, Self::Destination, Self::Pair];

    /// As a label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Pair => "pair",
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
    /// Length of the window, seconds.
    pub seconds: f64,
    /// Octets of all flows of the window.
    pub bytes: u64,
    /// Every key was told apart; otherwise a row may lack up to `unnamed_bytes`.
    pub exact: bool,
    /// Octets of flows without an address, or whose key found no room.
    pub unnamed_bytes: u64,
    /// The heaviest, first.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Who sent; absent in tables by destination.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<IpAddr>,
    /// Who received; absent in tables by source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub destination: Option<IpAddr>,
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
        seconds: f64,
        window: &Window<K>,
        ends: impl Fn(K) -> (Option<IpAddr>, Option<IpAddr>),
    ) -> Self {
        let rows = window.rows.iter().map(|(key, bytes, packets)| {
            let (source, destination) = ends(*key);
            Row {
                source,
                destination,
                bytes: *bytes,
                packets: *packets,
            }
        });
        Self {
            device: device.to_owned(),
            by,
            seconds,
            bytes: window.total,
            exact: window.exact,
            unnamed_bytes: window.unnamed,
            rows: rows.collect(),
        }
    }

    /// The table by source or destination address.
    #[must_use]
    pub fn of_hosts(device: &str, by: By, seconds: f64, window: &Window<IpAddr>) -> Self {
        Self::of(device, by, seconds, window, |key| match by {
            By::Destination => (None, Some(key)),
            _ => (Some(key), None),
        })
    }

    /// The table by pair.
    #[must_use]
    pub fn of_pairs(device: &str, seconds: f64, window: &Window<Pair>) -> Self {
        Self::of(device, By::Pair, seconds, window, |(from, to)| {
            (Some(from), Some(to))
        })
    }

    /// The three tables of a window.
    #[must_use]
    pub fn all(device: &str, seconds: f64, windows: &Windows) -> [Self; 3] {
        [
            Self::of_hosts(device, By::Source, seconds, &windows.sources),
            Self::of_hosts(device, By::Destination, seconds, &windows.destinations),
            Self::of_pairs(device, seconds, &windows.pairs),
        ]
    }
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
