//! What tells streams of exporters from each other.

use std::net::IpAddr;

use crate::decode::Protocol;

/// What names a stream.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct Key {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) domain: u64,
}

impl Key {
    /// Whether both are streams of one exporter, protocol and domain: they may share templates.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        (self.address, self.protocol, self.domain) == (other.address, other.protocol, other.domain)
    }
}
