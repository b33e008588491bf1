//! What is known of flows beside what they say: from the configuration, and from files that it names.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::applications::Applications;
use crate::config::Sampling;
use crate::flow::{Flow, Origin, Rate};
use crate::networks::Networks;
use crate::systems::Systems;
use crate::totals::Known;

/// All of it; a reload brings another.
#[derive(Debug, Clone)]
pub struct Knowledge {
    /// Applications by port.
    pub applications: Arc<Applications>,
    /// Names of networks.
    pub networks: Arc<Networks>,
    /// Autonomous systems, where flows do not tell them.
    pub systems: Arc<Systems>,
    /// Sampling rates of exporters that do not tell theirs.
    pub sampling: Arc<[Sampling]>,
    /// Senders that pass on what other exporters measured, and say whose it is.
    pub relays: Arc<[IpNet]>,
}

impl Knowledge {
    /// Of tests: the built-in applications.
    #[cfg(test)]
    pub(crate) fn nothing() -> Self {
        Self {
            applications: Arc::new(
                crate::applications::Applications::new(std::iter::empty()).unwrap(),
            ),
            networks: Arc::default(),
            systems: Arc::default(),
            sampling: Arc::new([]),
            relays: Arc::new([]),
        }
    }

    /// Whether the exporter that a record of this sender names is believed.
    #[must_use]
    pub fn is_relay(&self, sender: IpAddr) -> bool {
        self.relays.iter().any(|relay| relay.contains(&sender))
    }

    /// The sampling rate that is configured for an exporter.
    #[must_use]
    pub fn rate(&self, exporter: IpAddr) -> Option<u32> {
        let rule = self
            .sampling
            .iter()
            .find(|rule| rule.prefix.contains(&exporter));
        rule.map(|rule| rule.one_in)
    }

    /// The flow with the rate of the configuration, where there is one and nobody else knows any.
    pub(crate) fn rated(configured: Option<u32>, flow: &Flow) -> Option<Flow> {
        let one_in = configured.filter(|_| flow.rate.origin == Origin::Assumed)?;
        Some(Flow {
            rate: Rate {
                one_in,
                origin: Origin::Configured,
            },
            ..*flow
        })
    }

    /// What is known of a flow.
    #[must_use]
    pub fn of(&self, flow: &Flow) -> Known {
        let system = |told: u32, address: Option<IpAddr>| match (told, address) {
            (0, Some(address)) => self.systems.of(address),
            (told, _) => told,
        };
        let network =
            |address: Option<IpAddr>| address.and_then(|address| self.networks.of(address));
        Known {
            application: self.applications.of(flow),
            systems: (
                system(flow.source_as, flow.source),
                system(flow.destination_as, flow.destination),
            ),
            networks: (network(flow.source), network(flow.destination)),
        }
    }
}
