//! What each flow of a datagram passes on its way into the counters and to the sinks.

use std::net::IpAddr;
use std::time::Instant;

use super::Exporter;
use crate::duplicates::{Duplicates, Who};
use crate::flow::Flow;
use crate::knowledge::Knowledge;
use crate::sinks::{self, Exported, Sink};

/// Flows of one datagram that a relay passed on for other exporters; more are lost.
const MOST_RELAYED: usize = 65_536;

/// Counts flows of one sender.
pub(super) struct Counting<'a> {
    pub(super) knowledge: &'a Knowledge,
    pub(super) duplicates: &'a mut Duplicates,
    pub(super) sinks: &'a mut [Sink],
    /// Its sampling rate by the configuration.
    pub(super) configured: Option<u32>,
    pub(super) who: Who,
    pub(super) from: sinks::From,
    pub(super) now: Instant,
}

impl Counting<'_> {
    /// Counts a flow, by the sampling rate of the configuration where nobody else knows one.
    #[inline]
    pub(super) fn count(&mut self, Exporter { health, traffic }: &mut Exporter, flow: &Flow) {
        let rated;
        let flow = match Knowledge::rated(self.configured, flow) {
            Some(flow) => {
                rated = flow;
                &rated
            }
            None => flow,
        };
        health.records += 1;
        let origin = flow.rate.origin as usize;
        health.rates[origin] += 1;
        health.last_rate[origin] = flow.rate.one_in;
        let known = self.knowledge.of(flow);
        let duplicate = self.duplicates.is_one(flow, self.who, self.now);
        for sink in &mut *self.sinks {
            sink.offer(&self.from.device, flow, || Exported {
                from: self.from.clone(),
                flow: *flow,
                systems: known.systems,
                application: known
                    .application
                    .and_then(|application| self.knowledge.applications.shared(application)),
                duplicate,
            });
        }
        traffic.add(flow, &known, duplicate, self.now);
    }

    /// Counts each flow; those that a relay passed on for another exporter go to `relayed` instead.
    pub(super) fn each(
        &mut self,
        exporter: &mut Exporter,
        relayed: &mut Vec<(IpAddr, Flow)>,
    ) -> impl FnMut(&Flow) {
        let own = self.from.exporter;
        let is_relay = self.knowledge.is_relay(own);
        move |flow| match flow.exporter {
            Some(other) if is_relay && other != own => {
                if relayed.len() < MOST_RELAYED {
                    relayed.push((other.to_canonical(), *flow));
                }
            }
            _ => self.count(exporter, flow),
        }
    }
}
