//! Which devices something is for.

use inventory::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Devices by name, site or group; one that fits is enough.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Scope {
    /// Names of devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    devices: Vec<String>,
    /// Names of sites.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sites: Vec<String>,
    /// Names of groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
}

impl Scope {
    pub(crate) fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.sites.is_empty() && self.groups.is_empty()
    }

    /// Whether it holds `device`.
    pub(crate) fn holds(&self, device: &Device) -> bool {
        self.devices.iter().any(|name| **name == *device.name)
            || self.sites.iter().any(|site| **site == *device.site)
            || self
                .groups
                .iter()
                .any(|group| device.groups.iter().any(|own| **own == **group))
    }
}
