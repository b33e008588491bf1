//! How paths are followed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::{DurationIn, Ranged};

/// How the paths to targets are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// They are.
    pub enabled: bool,
    /// Devices with one of these tags; every device when empty.
    pub tags: Vec<String>,
    /// From trace to trace of a target.
    pub interval: Duration,
    /// Time to wait for the answer of a hop.
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
        checked(&RawPath::default())
    }
}

/// `path:` as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPath {
    /// Whether paths are followed.
    enabled: bool,
    /// Devices with one of these tags; every device when empty.
    #[serde(deserialize_with = "super::or_empty")]
    tags: Vec<String>,
    /// Time from trace to trace of a target.
    interval: DurationIn<1_000, 86_400_000>,
    /// Time to wait for the answer of a hop.
    timeout: DurationIn<100, 10_000>,
    /// Largest hop limit.
    max_hops: Ranged<u8, 1, 64>,
    /// Flows to each target: routers may send each another way.
    flows: Ranged<u8, 1, 8>,
    // A socket names its requests by 16 bits: at this rate none is used twice within the longest timeout.
    /// Most requests a second of all traces together.
    rate: Ranged<u32, 1, 5_000>,
    /// Paths remembered of each flow.
    paths_kept: Ranged<u8, 1, 64>,
    /// Measures the largest packet that gets there in one piece.
    mtu: bool,
    /// Traces also when three requests in a row were lost.
    on_loss: bool,
    /// Traces also when the hop limit of the answers changed.
    on_hop_limit: bool,
}

impl Default for RawPath {
    fn default() -> Self {
        Self {
            enabled: false,
            tags: Vec::new(),
            interval: DurationIn::from_millis(60_000),
            timeout: DurationIn::from_millis(1_000),
            max_hops: Ranged::of(30),
            flows: Ranged::of(1),
            rate: Ranged::of(50),
            paths_kept: Ranged::of(8),
            mtu: true,
            on_loss: true,
            on_hop_limit: true,
        }
    }
}

pub(super) fn checked(raw: &RawPath) -> Path {
    Path {
        enabled: raw.enabled,
        tags: raw.tags.clone(),
        interval: *raw.interval,
        timeout: *raw.timeout,
        max_hops: raw.max_hops.get(),
        flows: raw.flows.get(),
        rate: raw.rate.get(),
        paths_kept: raw.paths_kept.get().into(),
        mtu: raw.mtu,
        on_loss: raw.on_loss,
        on_hop_limit: raw.on_hop_limit,
    }
}
