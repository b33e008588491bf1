//! Interfaces in the month.

use std::collections::BTreeMap;

use crate::history::Device;
use crate::material::{Link, Rate};
use crate::timeline::{Planned, Timeline};

use super::Totals;

/// An interface in the month.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkRow {
    /// Its device.
    pub device: String,
    /// `ifName`.
    pub name: String,
    /// `ifAlias`.
    pub alias: String,
    /// Bits per second that it can carry.
    pub speed: Option<u64>,
    /// How long what held; what was switched off on purpose is with the planned work.
    pub totals: Totals,
    /// What came in.
    pub incoming: Rate,
    /// What went out.
    pub outgoing: Rate,
}

impl LinkRow {
    /// The busier direction's 95th percentile as a share of what it can carry.
    #[must_use]
    pub fn utilisation(&self) -> Option<f64> {
        let speed = self.speed.filter(|speed| *speed > 0)?;
        let busier = [&self.incoming, &self.outgoing]
            .into_iter()
            .filter(|rate| rate.samples > 0)
            .map(|rate| rate.p95)
            .max()?;
        Some(busier as f64 / speed as f64)
    }
}

pub(super) fn rows(links: &[Link], devices: &[Device]) -> Vec<LinkRow> {
    let planned: BTreeMap<&str, &Timeline<Planned>> = devices
        .iter()
        .map(|device| (&*device.name, &device.planned))
        .collect();
    let row = |link: &Link| {
        let left_out = match planned.get(&*link.device) {
            Some(planned) => link.off.greater(planned),
            None => link.off.clone(),
        };
        let mut totals = Totals::default();
        for (start, end, state, planned) in link.state.beside(&left_out) {
            totals.add(end - start, state, planned);
        }
        LinkRow {
            device: link.device.clone(),
            name: link.name.clone(),
            alias: link.alias.clone(),
            speed: link.speed,
            totals,
            incoming: link.incoming,
            outgoing: link.outgoing,
        }
    };
    links.iter().map(row).collect()
}
