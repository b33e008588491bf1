//! Where single flows go that somebody wants to ask of later: to Loki, a line each, and to Kafka. Off by default.
//!
//! The thread that takes datagrams only chooses and copies: it fills a block and hands it over when it is full, or at the next second. A sink that
//! is slower than flows come loses whole blocks, and each flow of them is counted: datagrams are never held up.

pub mod config;
pub mod kafka;
pub mod lines;
pub mod protobuf;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::decode::Protocol;
use crate::flow::Flow;

/// Flows of a block: what is handed over at once.
pub const BLOCK: usize = 1_000;
/// Most rules of a selection.
pub const MOST_RULES: usize = 1_000;

/// Which flows a sink gets: those of a share of all conversations that a rule names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// One conversation of so many, with all its flows in both directions and on every device.
    pub one_in: u32,
    /// One of them must hold; all flows where there is none.
    pub only: Vec<Rule>,
}

/// What a flow must be like; everything that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// The device that told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Source or destination is within.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<IpNet>,
    /// Source or destination port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Number of the IP protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
    /// Least octets, by the sampling rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_bytes: Option<u64>,
}

impl Rule {
    fn holds(&self, device: &str, flow: &Flow) -> bool {
        let within = |network: &IpNet| {
            let ends = [flow.source, flow.destination];
            ends.iter().flatten().any(|end| network.contains(end))
        };
        self.device.as_deref().is_none_or(|name| name == device)
            && self.network.as_ref().is_none_or(within)
            && self
                .port
                .is_none_or(|port| port == flow.source_port || port == flow.destination_port)
            && self.protocol.is_none_or(|number| number == flow.protocol)
            && self
                .min_bytes
                .is_none_or(|least| flow.scaled_bytes() >= least)
    }
}

impl Selection {
    /// Whether a flow that this device told of is one of them.
    #[must_use]
    pub fn takes(&self, device: &str, flow: &Flow) -> bool {
        (self.one_in <= 1 || conversation(flow).is_multiple_of(u64::from(self.one_in)))
            && (self.only.is_empty() || self.only.iter().any(|rule| rule.holds(device, flow)))
    }
}

/// A number of both ends and the protocol, the same in both directions.
fn conversation(flow: &Flow) -> u64 {
    use std::hash::BuildHasher as _;
    let end = |address: Option<IpAddr>, port: u16| {
        foldhash::fast::FixedState::with_seed(1).hash_one((address, port, flow.protocol))
    };
    end(flow.source, flow.source_port) ^ end(flow.destination, flow.destination_port)
}

/// Who told of a flow, and in what.
#[derive(Debug, Clone)]
pub struct From {
    /// Name of the device.
    pub device: Arc<str>,
    /// Its address as an exporter.
    pub exporter: IpAddr,
    /// Protocol of the datagram.
    pub protocol: Protocol,
    /// Its observation domain, source id, engine or sub-agent.
    pub domain: u32,
    /// Its sequence number.
    pub sequence: u32,
    /// When it came, nanoseconds since 1970.
    pub received_ns: u64,
}

/// A flow as a sink gets it.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Who told of it.
    pub from: From,
    /// What it says; counters are as measured.
    pub flow: Flow,
    /// Autonomous systems of source and destination; 0 when not known.
    pub systems: (u32, u32),
    /// Name of its application.
    pub application: Option<Arc<str>>,
    /// Another exporter had told of it; see [`crate::duplicates`].
    pub duplicate: bool,
}

impl Exported {
    /// When it began and ended, nanoseconds since 1970 by our clock.
    #[must_use]
    pub fn times_ns(&self) -> (u64, u64) {
        let span = self.flow.span.unwrap_or_default();
        let at = |ms: u32| {
            let ago = u64::from(ms) * 1_000_000;
            self.from.received_ns.saturating_sub(ago)
        };
        (at(span.start_ms), at(span.end_ms))
    }
}

/// What became of the flows of a sink.
#[derive(Debug, Default)]
pub struct Counts {
    /// Flows that it was to get.
    pub chosen: AtomicU64,
    /// Flows that it has: Kafka acknowledged them, or they are in the queue on disk.
    pub delivered: AtomicU64,
    /// Flows that were given up: the sink was too slow, or beyond its rate.
    pub dropped: AtomicU64,
    /// Attempts that failed.
    pub errors: AtomicU64,
}

impl Counts {
    /// Flows that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let gone = self.delivered.load(Relaxed) + self.dropped.load(Relaxed);
        self.chosen.load(Relaxed).saturating_sub(gone)
    }
}

/// One sink as the collector sees it.
#[derive(Debug)]
pub struct Sink {
    /// Its name as a label value.
    pub name: &'static str,
    selection: Selection,
    block_flows: usize,
    block: Vec<Exported>,
    to: mpsc::Sender<Vec<Exported>>,
    /// What became of its flows.
    pub counts: Arc<Counts>,
}

impl Sink {
    /// A sink whose blocks hold so many flows, of which so many in all may wait; and where they come out.
    #[must_use]
    pub fn new(
        name: &'static str,
        selection: Selection,
        (block_flows, waiting): (usize, usize),
    ) -> (Self, mpsc::Receiver<Vec<Exported>>) {
        let (to, blocks) = mpsc::channel((waiting / block_flows).max(1));
        let sink = Self {
            name,
            selection,
            block_flows,
            block: Vec::new(),
            to,
            counts: Arc::default(),
        };
        (sink, blocks)
    }

    /// Flows that may wait, beside the block that fills.
    #[must_use]
    pub fn limit(&self) -> u64 {
        (self.to.max_capacity() * self.block_flows) as u64
    }

    /// Takes a flow if it is one of the selection.
    pub(crate) fn offer(&mut self, device: &str, flow: &Flow, exported: impl FnOnce() -> Exported) {
        if !self.selection.takes(device, flow) {
            return;
        }
        self.counts.chosen.fetch_add(1, Relaxed);
        self.block.push(exported());
        if self.block.len() >= self.block_flows {
            self.flush();
        }
    }

    /// Hands over what has gathered.
    pub(crate) fn flush(&mut self) {
        if self.block.is_empty() {
            return;
        }
        let next = Vec::with_capacity(self.block.len());
        let block = std::mem::replace(&mut self.block, next);
        if let Err(full) = self.to.try_send(block) {
            let block = full.into_inner();
            self.counts.dropped.fetch_add(block.len() as u64, Relaxed);
            // Its memory is as good as new.
            self.block = block;
            self.block.clear();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::flow::Span;

    pub(crate) fn exported(bytes: u64) -> Exported {
        Exported {
            from: From {
                device: "r1".into(),
                exporter: [192, 0, 2, 1].into(),
                protocol: Protocol::Ipfix,
                domain: 7,
                sequence: 42,
                received_ns: 1_700_000_000_000_000_000,
            },
            flow: Flow {
                source: Some([198, 18, 0, 1].into()),
                destination: Some([198, 19, 0, 2].into()),
                source_port: 50_000,
                destination_port: 443,
                protocol: 6,
                input: 4,
                output: 9,
                bytes,
                packets: 3,
                tcp_flags: 0x1b,
                span: Some(Span::new(3_000, 1_000)),
                ..Flow::default()
            },
            systems: (64_512, 64_513),
            application: Some("https".into()),
            duplicate: false,
        }
    }

    #[test]
    fn every_word_of_a_rule_must_hold_and_one_rule_is_enough() {
        let flow = exported(100).flow;
        let rule = |text: &str| serde_json::from_str::<Rule>(text).unwrap();
        for (text, holds) in [
            ("{}", true),
            (r#"{"device": "r1"}"#, true),
            (r#"{"device": "r2"}"#, false),
            (r#"{"network": "198.19.0.0/16"}"#, true),
            (r#"{"network": "198.20.0.0/16"}"#, false),
            (r#"{"port": 50000}"#, true),
            (r#"{"port": 443, "protocol": 6}"#, true),
            (r#"{"port": 443, "protocol": 17}"#, false),
            (r#"{"min_bytes": 100}"#, true),
            (r#"{"min_bytes": 101}"#, false),
        ] {
            let selection = |only: Vec<Rule>| Selection { one_in: 1, only };
            assert_eq!(
                selection(vec![rule(text)]).takes("r1", &flow),
                holds,
                "{text}"
            );
            let both = vec![rule(r#"{"device": "r9"}"#), rule(text)];
            assert_eq!(selection(both).takes("r1", &flow), holds, "{text}");
        }
        assert!(selection_of(1).takes("r1", &flow));
    }

    fn selection_of(one_in: u32) -> Selection {
        Selection {
            one_in,
            only: Vec::new(),
        }
    }

    #[test]
    fn a_share_is_one_of_conversations_and_has_both_directions() {
        let mut taken = 0;
        for port in 1..=10_000 {
            let flow = Flow {
                source_port: port,
                ..exported(1).flow
            };
            let back = Flow {
                source: flow.destination,
                destination: flow.source,
                source_port: flow.destination_port,
                destination_port: port,
                ..flow
            };
            let takes = selection_of(10).takes("r1", &flow);
            assert_eq!(takes, selection_of(10).takes("r2", &back));
            taken += u32::from(takes);
        }
        assert!((800..1_200).contains(&taken), "{taken} of 10,000");
    }

    #[test]
    fn a_sink_that_is_too_slow_loses_blocks_and_counts_them_to_the_flow() {
        let (mut sink, mut blocks) = Sink::new("test", selection_of(1), (10, 20));
        for bytes in 0..35 {
            sink.offer("r1", &exported(bytes).flow, || exported(bytes));
        }
        // Two blocks wait, the third found no room, five flows gather.
        let counts = Arc::clone(&sink.counts);
        assert_eq!(
            (sink.limit(), counts.dropped.load(Relaxed), counts.waiting()),
            (20, 10, 25)
        );
        let mut got = Vec::new();
        got.extend(blocks.try_recv().unwrap());
        sink.flush();
        while let Ok(block) = blocks.try_recv() {
            got.extend(block);
        }
        let bytes: Vec<u64> = got.iter().map(|told| told.flow.bytes).collect();
        assert_eq!(bytes, (0..20).chain(30..35).collect::<Vec<u64>>());
    }
}
