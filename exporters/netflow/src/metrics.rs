//! The series: how each exporter does, and its traffic.

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arc_swap::ArcSwap;
use inventory::Inventory;
use ipnet::IpNet;
use toolkit::{Collect, Encoder, Kind, Labels};

use crate::applications::protocol;
use crate::collector::{Collector, Exporter};
use crate::decode::{Malformed, Protocol};
use crate::flow::Origin;
use crate::intake::{Listener, lock};
use crate::names::InterfaceNames;
use crate::networks::Network;
use crate::reverse::ReverseNames;
use crate::tables::port_name;
use crate::totals::top::{self, Top};
use crate::totals::{Address, Counts, Pair, Passage};

/// Everything that `/metrics` shows of flows.
pub(crate) struct Series {
    /// The collector.
    pub(crate) collector: Arc<Mutex<Collector>>,
    /// Its sockets.
    pub(crate) listeners: Arc<[Listener]>,
    /// Names of interfaces.
    pub(crate) names: Arc<ArcSwap<InterfaceNames>>,
    /// Names of addresses, where they are wanted.
    pub(crate) reverse: Option<Arc<ReverseNames>>,
}

impl Collect for Series {
    fn collect(&self, out: &mut Encoder) {
        sockets(&self.listeners, out);
        let names = self.names.load();
        gauge(
            out,
            "netflow_interface_names",
            "Names of interfaces that SNMP has told",
            names.len() as f64,
        );
        if let Some(reverse) = &self.reverse {
            lookups(reverse, out);
        }
        let mut collector = lock(&self.collector);
        collector.advance(Instant::now());
        out.family(
            "netflow_unknown_exporter_datagrams_total",
            Kind::Counter,
            "Datagrams from addresses that no device of the inventory sends flows from; they are dropped unread",
        );
        out.sample(Labels::none(), collector.strangers.0);
        sinks(&collector, out);
        let inventory = Arc::clone(collector.inventory());
        health(&collector, &inventory, out);
        traffic(&collector, &inventory, &names, out);
        places(&collector, &inventory, out);
        top(&mut collector, &inventory, out);
    }
}

fn gauge(out: &mut Encoder, name: &str, help: &str, value: f64) {
    out.family(name, Kind::Gauge, help);
    out.sample(Labels::none(), value);
}

fn labels(inventory: &Inventory, device: &str) -> Labels {
    inventory.device(device).map_or_else(
        || Labels::new([("device", device)]),
        |device| Labels::rendered(&device.labels),
    )
}

fn sockets(listeners: &[Listener], out: &mut Encoder) {
    let all: Vec<_> = listeners
        .iter()
        .map(|listener| {
            let labels = Labels::new([("listener", listener.address.to_string())]);
            (labels, listener.memory(), listener.truncated.load(Relaxed))
        })
        .collect();
    out.family(
        "netflow_socket_dropped_datagrams_total",
        Kind::Counter,
        "Datagrams that the kernel dropped because the receive buffer was full",
    );
    for (labels, (dropped, _, _), _) in &all {
        out.sample(labels, *dropped);
    }
    out.family(
        "netflow_socket_truncated_datagrams_total",
        Kind::Counter,
        "Datagrams that were longer than can be read",
    );
    for (labels, _, truncated) in &all {
        out.sample(labels, *truncated);
    }
    out.family(
        "netflow_socket_buffer_bytes",
        Kind::Gauge,
        "Octets that wait in the receive buffer",
    );
    for (labels, (_, level, _), _) in &all {
        out.sample(labels, u64::from(*level));
    }
    out.family(
        "netflow_socket_buffer_limit_bytes",
        Kind::Gauge,
        "Where the kernel begins to drop",
    );
    for (labels, (_, _, limit), _) in &all {
        out.sample(labels, u64::from(*limit));
    }
}

/// Names of addresses.
fn lookups(reverse: &ReverseNames, out: &mut Encoder) {
    let mut counter = |name: &str, help: &str, value: u64| {
        out.family(name, Kind::Counter, help);
        out.sample(Labels::none(), value);
    };
    counter(
        "netflow_reverse_lookups_total",
        "Addresses whose name was asked for",
        reverse.asked.load(Relaxed),
    );
    counter(
        "netflow_reverse_lookup_failures_total",
        "Addresses whose name nobody answered",
        reverse.failed.load(Relaxed),
    );
    gauge(
        out,
        "netflow_reverse_names",
        "Addresses that are remembered, with a name or without",
        reverse.len() as f64,
    );
}

/// Where single flows go, and who of several exporters counts.
fn sinks(collector: &Collector, out: &mut Encoder) {
    let sinks = &collector.sinks;
    out.family(
        "netflow_sink_flows_total",
        Kind::Counter,
        "Single flows for a sink by what became of them: delivered (acknowledged by Kafka; in the queue on disk for Loki) or dropped, since it is too slow or beyond its rate",
    );
    for sink in sinks {
        for (result, count) in [
            ("delivered", &sink.counts.delivered),
            ("dropped", &sink.counts.dropped),
        ] {
            let labels = Labels::new([("sink", sink.name), ("result", result)]);
            out.sample(&labels, count.load(Relaxed));
        }
    }
    out.family(
        "netflow_sink_errors_total",
        Kind::Counter,
        "Attempts to deliver that failed; what waits is tried again",
    );
    for sink in sinks {
        out.sample(
            &Labels::new([("sink", sink.name)]),
            sink.counts.errors.load(Relaxed),
        );
    }
    out.family(
        "netflow_sink_waiting_flows",
        Kind::Gauge,
        "Single flows that wait in memory for their sink",
    );
    for sink in sinks {
        out.sample(&Labels::new([("sink", sink.name)]), sink.counts.waiting());
    }
    out.family(
        "netflow_sink_waiting_flows_limit",
        Kind::Gauge,
        "So many may wait; more are dropped",
    );
    for sink in sinks {
        out.sample(&Labels::new([("sink", sink.name)]), sink.limit());
    }
    gauge(
        out,
        "netflow_tracked_conversations",
        "Conversations of which it is remembered who tells of them",
        collector.duplicates.len() as f64,
    );
    out.family(
        "netflow_untracked_flows_total",
        Kind::Counter,
        "Flows of conversations that found no room among those: each exporter counts them",
    );
    out.sample(Labels::none(), collector.duplicates.untracked);
}

/// One family with a sample for each exporter.
fn each(
    out: &mut Encoder,
    (name, kind, help): (&str, Kind, &str),
    exporters: &[(Labels, &Exporter)],
    value: impl Fn(&Exporter) -> Option<f64>,
) {
    out.family(name, kind, help);
    for (labels, exporter) in exporters {
        if let Some(value) = value(exporter) {
            out.sample(labels, value);
        }
    }
}

fn health(collector: &Collector, inventory: &Inventory, out: &mut Encoder) {
    let exporters: Vec<(Labels, &Exporter)> = collector
        .exporters
        .iter()
        .map(|(name, exporter)| (labels(inventory, name), exporter))
        .collect();
    out.family(
        "netflow_datagrams_total",
        Kind::Counter,
        "Datagrams from the device, by protocol",
    );
    for (labels, exporter) in &exporters {
        for protocol in Protocol::ALL {
            let count = exporter
                .health
                .datagrams
                .get(&protocol)
                .copied()
                .unwrap_or(0);
            out.sample(&labels.with("protocol", protocol.as_str()), count);
        }
    }
    out.family(
        "netflow_malformed_datagrams_total",
        Kind::Counter,
        "Datagrams, or the rest of them, that were refused, by reason",
    );
    for (labels, exporter) in &exporters {
        for reason in Malformed::ALL {
            let count = exporter.health.malformed.get(&reason).copied().unwrap_or(0);
            out.sample(&labels.with("reason", reason.as_str()), count);
        }
    }
    let counter = Kind::Counter;
    each(
        out,
        ("netflow_records_total", counter, "Flow records taken over"),
        &exporters,
        |e| Some(e.health.records as f64),
    );
    each(
        out,
        (
            "netflow_cut_records_total",
            counter,
            "Records or samples that were not whole, or tell nothing of their packet",
        ),
        &exporters,
        |e| Some(e.health.told.cut_records as f64),
    );
    each(
        out,
        (
            "netflow_refused_templates_total",
            counter,
            "Templates without fields, with records of no length, or too many",
        ),
        &exporters,
        |e| Some(e.health.told.bad_templates as f64),
    );
    each(
        out,
        (
            "netflow_ignored_withdrawals_total",
            counter,
            "Template withdrawals, which over UDP are to be ignored (RFC 7011 section 8.4)",
        ),
        &exporters,
        |e| Some(e.health.told.withdrawals as f64),
    );
    each(
        out,
        (
            "netflow_replayed_sets_total",
            counter,
            "Sets that had waited for their template and were read then",
        ),
        &exporters,
        |e| Some(e.health.told.replayed_sets as f64),
    );
    each(
        out,
        (
            "netflow_event_records_total",
            counter,
            "Records without counters of octets or packets, such as of NAT: events and no flows",
        ),
        &exporters,
        |e| Some(e.health.told.events as f64),
    );
    each(
        out,
        (
            "netflow_biflow_records_total",
            counter,
            "Records that told both directions of a conversation; each is two flows",
        ),
        &exporters,
        |e| Some(e.health.told.biflows as f64),
    );
    each(
        out,
        (
            "netflow_future_records_total",
            counter,
            "Flows that claim to end more than five minutes after their export; they count as of the export",
        ),
        &exporters,
        |e| Some(e.health.told.ahead as f64),
    );
    each(
        out,
        (
            "netflow_overrun_datagrams_total",
            counter,
            "Datagrams that were dropped unread, since the device sent more than could be counted while the receive buffer filled; those of others were kept",
        ),
        &exporters,
        |e| Some(e.health.overrun as f64),
    );
    each(
        out,
        (
            "netflow_accounting_lag_seconds",
            Kind::Gauge,
            "By how much the counters of traffic lag, so that a flow counts when it was: as long as the longest flow, at most 92 s",
        ),
        &exporters,
        |e| Some(e.traffic.timeline.lag_seconds()),
    );
    each(
        out,
        (
            "netflow_late_bytes_total",
            counter,
            "Octets that counted later than they were, since they were told of later than the lag",
        ),
        &exporters,
        |e| Some(e.traffic.timeline.late_bytes as f64),
    );
    out.family(
        "netflow_sampled_records_total",
        counter,
        "Flow records by where their sampling rate was learned; assumed means 1, since nobody told",
    );
    for (labels, exporter) in &exporters {
        for origin in Origin::ALL {
            out.sample(
                &labels.with("source", origin.as_str()),
                exporter.health.rates[origin as usize],
            );
        }
    }
    out.family(
        "netflow_sampling_rate",
        Kind::Gauge,
        "Packets on the wire for each that was measured, of the last record of each source",
    );
    for (labels, exporter) in &exporters {
        for origin in Origin::ALL {
            let rate = exporter.health.last_rate[origin as usize];
            if rate > 0 {
                out.sample(&labels.with("source", origin.as_str()), u64::from(rate));
            }
        }
    }
    each(
        out,
        (
            "netflow_clock_skew_seconds",
            Kind::Gauge,
            "Our clock less the exporter's, with the way between them",
        ),
        &exporters,
        |e| e.health.clock_skew,
    );
    let now = Instant::now();
    each(
        out,
        (
            "netflow_last_datagram_age_seconds",
            Kind::Gauge,
            "Time since the last datagram of the device",
        ),
        &exporters,
        |e| {
            e.health
                .last
                .map(|last| now.saturating_duration_since(last).as_secs_f64())
        },
    );
    sessions(collector, inventory, out);
}

fn sessions(collector: &Collector, inventory: &Inventory, out: &mut Encoder) {
    let all: Vec<_> = collector
        .sessions()
        .into_iter()
        .map(|(name, (counters, levels))| (labels(inventory, name), counters, levels))
        .collect();
    let mut counter = |name: &str, help: &str, value: &dyn Fn(&crate::collector::Ended) -> u64| {
        out.family(name, Kind::Counter, help);
        for (labels, counters, _) in &all {
            out.sample(labels, value(counters));
        }
    };
    counter(
        "netflow_lost_records_total",
        "Flow records that never came, by sequence numbers (NetFlow v5, IPFIX)",
        &|c| c.lost_records,
    );
    counter(
        "netflow_lost_datagrams_total",
        "Datagrams that never came, by sequence numbers (NetFlow v9, sFlow)",
        &|c| c.lost_datagrams,
    );
    counter(
        "netflow_late_datagrams_total",
        "Datagrams that others had overtaken",
        &|c| c.late,
    );
    counter(
        "netflow_duplicate_datagrams_total",
        "Datagrams that had come before; their records are not counted again",
        &|c| c.duplicates,
    );
    counter(
        "netflow_exporter_restarts_total",
        "Times that the numbering of the device began anew",
        &|c| c.restarts,
    );
    counter(
        "netflow_waiting_sets_total",
        "Sets that came before their template",
        &|c| c.kept_sets,
    );
    counter(
        "netflow_dropped_sets_total",
        "Sets whose template did not come in time, or that found no room to wait",
        &|c| c.dropped_sets,
    );
    let mut level = |name: &str, help: &str, value: &dyn Fn(&crate::collector::Levels) -> usize| {
        out.family(name, Kind::Gauge, help);
        for (labels, _, levels) in &all {
            out.sample(labels, value(levels) as u64);
        }
    };
    level(
        "netflow_sessions",
        "Streams of the device: source port, protocol and observation domain",
        &|l| l.sessions,
    );
    level("netflow_templates", "Templates known of the device", &|l| {
        l.templates
    });
    level(
        "netflow_waiting_bytes",
        "Octets that wait for their template",
        &|l| l.waiting_bytes,
    );
}

/// One of the counts.
type Part = fn(&Counts) -> u64;

/// The three families of a dimension, from rows of labels and counts.
fn counts(out: &mut Encoder, prefix: &str, of: &str, rows: &[(Labels, Counts)]) {
    let parts: [(&str, &str, Part); 3] = [
        ("bytes", "Octets of flows", |counts| counts.bytes),
        ("packets", "Packets of flows", |counts| counts.packets),
        ("flows", "Flow records", |counts| counts.flows),
    ];
    for (part, what, value) in parts {
        out.family(
            &format!("{prefix}_{part}_total"),
            Kind::Counter,
            &format!("{what} {of}"),
        );
        for (labels, counts) in rows {
            out.sample(labels, value(counts));
        }
    }
}

fn traffic(
    collector: &Collector,
    inventory: &Inventory,
    names: &InterfaceNames,
    out: &mut Encoder,
) {
    let exporters: Vec<(&str, Labels, &Exporter)> = collector
        .exporters
        .iter()
        .map(|(name, exporter)| (&**name, labels(inventory, name), exporter))
        .collect();
    let all: Vec<_> = exporters
        .iter()
        .map(|(_, labels, e)| (labels.clone(), e.traffic.all()))
        .collect();
    counts(out, "netflow", "of the device, by the sampling rate", &all);
    out.family(
        "netflow_raw_bytes_total",
        Kind::Counter,
        "Octets of flows as they were measured, before the sampling rate",
    );
    for (_, labels, exporter) in &exporters {
        out.sample(labels, exporter.traffic.raw_bytes());
    }
    let suppressed: Vec<_> = exporters
        .iter()
        .map(|(_, labels, e)| (labels.clone(), e.traffic.suppressed()))
        .collect();
    counts(
        out,
        "netflow_suppressed",
        "that another exporter on the path counts, by the policy of duplicates: they are in the series of interfaces and in no others",
        &suppressed,
    );
    let (mut measured, mut derived) = (Vec::new(), Vec::new());
    for (name, labels, exporter) in &exporters {
        for ((index, passage), counts) in exporter.traffic.interfaces.sorted() {
            let mut labels = labels.with("ifIndex", &index.to_string());
            if let Some(name) = names.get(name, index) {
                labels = labels.with("ifName", name);
            }
            match passage {
                Passage::In => measured.push((labels.with("direction", "in"), counts)),
                Passage::Out => measured.push((labels.with("direction", "out"), counts)),
                Passage::DerivedOut => derived.push((labels, counts)),
            }
        }
        let rest = labels.with("ifIndex", "other").with("direction", "other");
        measured.push((rest, exporter.traffic.other_interfaces.shown));
    }
    counts(
        out,
        "netflow_interface",
        "through the interface, where the exporter measured them; ifIndex 0 when it does not say",
        &measured,
    );
    counts(
        out,
        "netflow_interface_derived_out",
        "that were measured coming in elsewhere and left by the interface: what egress accounting would have told, derived",
        &derived,
    );
    let mut protocols = Vec::new();
    let mut applications = Vec::new();
    for (_, labels, exporter) in &exporters {
        for (number, counts) in exporter.traffic.services.protocols() {
            protocols.push((labels.with("protocol", &protocol(number)), counts));
        }
        let (named, rest) = exporter.traffic.services.applications();
        for (application, counts) in named {
            applications.push((
                labels.with(
                    "application",
                    collector.knowledge().applications.name(application),
                ),
                counts,
            ));
        }
        applications.push((labels.with("application", "other"), rest));
    }
    counts(out, "netflow_protocol", "by IP protocol", &protocols);
    counts(
        out,
        "netflow_application",
        "by application, from the table of ports; other is everything that no line names",
        &applications,
    );
}

/// By autonomous system and by pair of networks.
fn places(collector: &Collector, inventory: &Inventory, out: &mut Encoder) {
    let (mut systems, mut networks) = (Vec::new(), Vec::new());
    let known = &collector.knowledge().networks;
    let name = |network: Option<Network>| network.map_or("other", |network| known.name(network));
    for (device, exporter) in &collector.exporters {
        let labels = labels(inventory, device);
        let traffic = &exporter.traffic;
        for (end, all) in [
            ("source", &traffic.source_systems),
            ("destination", &traffic.destination_systems),
        ] {
            let labels = labels.with("end", end);
            for (number, counts) in all.sorted() {
                systems.push((labels.with("asn", &number.to_string()), counts));
            }
            systems.push((labels.with("asn", "other"), all.rest(traffic.all())));
        }
        for ((from, to), counts) in traffic.networks.sorted() {
            networks.push((labels.with("from", name(from)).with("to", name(to)), counts));
        }
        networks.push((
            labels.with("from", "other").with("to", "other"),
            traffic.networks.rest(traffic.all()),
        ));
    }
    counts(
        out,
        "netflow_as",
        "by autonomous system of the source, and by that of the destination; other is everything without one, or beyond 500",
        &systems,
    );
    counts(
        out,
        "netflow_network",
        "by networks of source and destination, as the configuration names them; other is outside of all, or beyond 500",
        &networks,
    );
}

fn top(collector: &mut Collector, inventory: &Inventory, out: &mut Encoder) {
    let address = |name: &'static str| {
        move |labels: &Labels, key: Address| labels.with(name, &IpAddr::from(key).to_string())
    };
    let pair = |labels: &Labels, (from, to): Pair| {
        labels
            .with("source", &IpAddr::from(from).to_string())
            .with("destination", &IpAddr::from(to).to_string())
    };
    dimension(
        collector,
        inventory,
        out,
        ("netflow_top_source_bytes_total", "Octets by who sent them"),
        (
            &["source"],
            |exporter| &mut exporter.traffic.sources,
            address("source"),
        ),
    );
    dimension(
        collector,
        inventory,
        out,
        (
            "netflow_top_destination_bytes_total",
            "Octets by who received them",
        ),
        (
            &["destination"],
            |exporter| &mut exporter.traffic.destinations,
            address("destination"),
        ),
    );
    dimension(
        collector,
        inventory,
        out,
        (
            "netflow_top_pair_bytes_total",
            "Octets by who sent them to whom",
        ),
        (
            &["source", "destination"],
            |exporter| &mut exporter.traffic.pairs,
            pair,
        ),
    );
    dimension(
        collector,
        inventory,
        out,
        (
            "netflow_top_prefix_bytes_total",
            "Octets by network of who received them, /24 or /48",
        ),
        (
            &["prefix"],
            |exporter| &mut exporter.traffic.prefixes,
            |labels, prefix| labels.with("prefix", &IpNet::from(prefix).to_string()),
        ),
    );
    dimension(
        collector,
        inventory,
        out,
        (
            "netflow_top_port_bytes_total",
            "Octets by port of the service, the lower one of the two",
        ),
        (
            &["port"],
            |exporter| &mut exporter.traffic.ports,
            |labels, port| labels.with("port", &port_name(port)),
        ),
    );
    out.family(
        "netflow_top_slots",
        Kind::Gauge,
        "Series in use for who talks most, by dimension",
    );
    let of = |exporter: &Exporter| {
        let traffic = &exporter.traffic;
        [
            ("source", traffic.sources.slots(), traffic.sources.error()),
            (
                "destination",
                traffic.destinations.slots(),
                traffic.destinations.error(),
            ),
            ("pair", traffic.pairs.slots(), traffic.pairs.error()),
            ("prefix", traffic.prefixes.slots(), traffic.prefixes.error()),
            ("port", traffic.ports.slots(), traffic.ports.error()),
        ]
    };
    let slots: Vec<_> = collector
        .exporters
        .iter()
        .map(|(name, exporter)| (labels(inventory, name), of(exporter)))
        .collect();
    for (labels, dimensions) in &slots {
        for (by, (used, _), _) in dimensions {
            out.sample(&labels.with("by", by), *used as u64);
        }
    }
    out.family(
        "netflow_top_admissions_total",
        Kind::Counter,
        "Times that a slot was given to somebody: new series, by dimension",
    );
    for (labels, dimensions) in &slots {
        for (by, (_, admitted), _) in dimensions {
            out.sample(&labels.with("by", by), *admitted);
        }
    }
    out.family(
        "netflow_top_error_bytes",
        Kind::Gauge,
        "Octets that a row of the table of the window that runs may lack at most; 0 while every key is told apart",
    );
    for (labels, dimensions) in &slots {
        for (by, _, error) in dimensions {
            out.sample(&labels.with("by", by), *error);
        }
    }
    out.family(
        "netflow_top_admissions_limit",
        Kind::Gauge,
        "New series that a dimension of a device may have in an hour",
    );
    out.sample(Labels::none(), top::MOST_ADMISSIONS as u64);
}

/// One dimension of top talkers: named slots and the exact rest.
fn dimension<K: top::Key>(
    collector: &mut Collector,
    inventory: &Inventory,
    out: &mut Encoder,
    (name, help): (&str, &str),
    (keys, top, label): (
        &[&str],
        impl Fn(&mut Exporter) -> &mut Top<K>,
        impl Fn(&Labels, K) -> Labels,
    ),
) {
    out.family(
        name,
        Kind::Counter,
        &format!("{help}: the heaviest in slots that stay, and the exact rest as other"),
    );
    for (device, exporter) in &mut collector.exporters {
        let labels = labels(inventory, device);
        let total = exporter.traffic.all().bytes;
        let show = |key, bytes| out.sample(&label(&labels, key), bytes);
        let rest = top(exporter).expose(total, show);
        let other = keys
            .iter()
            .fold(labels, |labels, key| labels.with(key, "other"));
        out.sample(&other, rest);
    }
}
