//! What a device's flows add up to by IP protocol and application: as one counter for each two that occur together, of which those of a protocol, of an
//! application and of everything are sums. So a flow changes one counter for the three.

use std::collections::{BTreeMap, BTreeSet};

use super::Counts;
use super::named::{All, Word};
use super::spread::Lay;
use crate::applications::Application;

/// What a counter is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Service {
    protocol: u8,
    application: Option<Application>,
    /// Its packets were sampled.
    sampled: bool,
}

impl Word for Service {
    fn word(self) -> u64 {
        let application = self.application.map_or(0, |known| known.number() + 1);
        u64::from(application) << 16 | u64::from(self.protocol) << 8 | u64::from(self.sampled)
    }
}

/// The counters.
#[derive(Debug)]
pub struct Services {
    /// Most applications with a name.
    most: usize,
    named: BTreeSet<Application>,
    series: All<Service>,
}

impl Services {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            named: BTreeSet::new(),
            series: All::default(),
        }
    }

    /// Counts a flow.
    #[inline]
    pub(super) fn add(
        &mut self,
        protocol: u8,
        application: Option<Application>,
        sampled: bool,
        lay: &Lay,
    ) {
        let service = Service {
            protocol,
            application,
            sampled,
        };
        match self.series.get_mut(service) {
            Some(series) => series.add(lay),
            None => self.add_new(service, lay),
        }
    }

    /// Beyond the bound an application is none.
    #[cold]
    fn add_new(&mut self, mut service: Service, lay: &Lay) {
        if let Some(application) = service.application
            && !self.named.contains(&application)
        {
            if self.named.len() < self.most {
                self.named.insert(application);
            } else {
                service.application = None;
            }
        }
        let series = match self.series.get_mut(service) {
            Some(series) => Some(series),
            None => self.series.insert(service),
        };
        if let Some(series) = series {
            series.add(lay);
        }
    }

    pub(super) fn take_over(&mut self, buckets: &std::ops::Range<u64>) {
        self.series.take_over(buckets);
    }

    fn sums<K: Ord>(&self, of: impl Fn(&Service) -> Option<K>) -> Vec<(K, Counts)> {
        let mut sums: BTreeMap<K, Counts> = BTreeMap::new();
        for (service, series) in self.series.iter() {
            if let Some(key) = of(service) {
                sums.entry(key).or_default().add(series.shown);
            }
        }
        sums.into_iter().collect()
    }

    /// By IP protocol number, in their order.
    #[must_use]
    pub fn protocols(&self) -> Vec<(u8, Counts)> {
        self.sums(|service| Some(service.protocol))
    }

    /// By application, in their order; last what is of none, or beyond the bound.
    #[must_use]
    pub fn applications(&self) -> (Vec<(Application, Counts)>, Counts) {
        let rest = self.sums(|service| service.application.is_none().then_some(()));
        let rest = rest.first().map_or_else(Counts::default, |(_, rest)| *rest);
        (self.sums(|service| service.application), rest)
    }

    /// Everything.
    #[must_use]
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.series
            .iter()
            .for_each(|(_, series)| total.add(series.shown));
        total
    }

    /// Octets of flows of which every packet was measured.
    #[must_use]
    pub fn plain_bytes(&self) -> u64 {
        let plain = self.series.iter().filter(|(service, _)| !service.sampled);
        plain.fold(0, |sum: u64, (_, series)| {
            sum.saturating_add(series.shown.bytes)
        })
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.packets = self.packets.saturating_add(more.packets);
        self.flows += more.flows;
    }
}
