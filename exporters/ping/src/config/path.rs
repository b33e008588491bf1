//! How paths are followed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{human, number, within};

/// How the paths to targets are followed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Path {
    /// They are.
    pub enabled: bool,
    /// Devices with one of these tags; every device when empty.
    pub tags: Vec<String>,
    /// From trace to trace of a target.
    #[serde(with = "human")]
    pub interval: Duration,
    /// Time to wait for the answer of a hop.
    #[serde(with = "human")]
    pub timeout: Duration,
    /// Largest hop limit.
    pub max_hops: u8,
    /// Flows to each target, to find paths that exist side by side.
    pub flows: u8,
    /// Most requests a second of all traces together.
    pub rate: u32,
    /// Paths remembered of each flow.
    pub paths_kept: usize,
    /// The largest packet that gets there is measured.
    pub mtu: bool,
    /// A trace begins when requests in a row are lost, too.
    pub on_loss: bool,
    /// A trace begins when the hop limit of the answers changes, too.
    pub on_hop_limit: bool,
}

impl Default for Path {
    fn default() -> Self {
        Self {
            enabled: false,
            tags: Vec::new(),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(1),
            max_hops: 30,
            flows: 1,
            rate: 50,
            paths_kept: 8,
            mtu: true,
            on_loss: true,
            on_hop_limit: true,
        }
    }
}

pub(super) fn check(path: &Path) -> Result<(), (String, String)> {
    let second = Duration::from_secs(1);
    within("path.interval", path.interval, (second, second * 86_400))?;
    within("path.timeout", path.timeout, (second / 10, second * 10))?;
    number("path.max_hops", path.max_hops, 1..=64)?;
    number("path.flows", path.flows, 1..=8)?;
    // A socket names its requests by 16 bits: at this rate none is used twice within the longest timeout.
    number("path.rate", path.rate, 1..=5_000)?;
    number("path.paths_kept", path.paths_kept, 1..=64)
}
