//! The series of the paths.

use std::sync::Arc;

use toolkit::{Collect, Encoder, Kind, Labels};

use super::{Flow, Report, Shared};

/// Writes the series of all paths.
pub struct Metrics(pub Arc<Shared>);

/// A number of a flow that may be absent: name, kind, help, value.
type FlowFamily = (&'static str, Kind, &'static str, fn(&Flow) -> Option<u64>);

const FLOWS: [FlowFamily; 6] = [
    (
        "ping_path_hops",
        Kind::Gauge,
        "Hops to the target, itself counted, on the path the flow takes.",
        |flow| Some(flow.known.current()?.hops.len() as u64),
    ),
    (
        "ping_path_reached",
        Kind::Gauge,
        "Whether the last trace got to the target (1) or not (0).",
        |flow| (flow.traces > 0).then_some(u64::from(flow.reached)),
    ),
    (
        "ping_path_changes_total",
        Kind::Counter,
        "How often the flow changed to another path.",
        |flow| Some(flow.known.changes()),
    ),
    (
        "ping_path_last_change_timestamp_seconds",
        Kind::Gauge,
        "When the flow last changed to another path; absent before.",
        |flow| flow.changed_at,
    ),
    (
        "ping_path_traces_total",
        Kind::Counter,
        "Traces that came to an end.",
        |flow| Some(flow.traces),
    ),
    (
        "ping_paths_known",
        Kind::Gauge,
        "Paths of the flow that are remembered, the one it takes counted.",
        |flow| Some(flow.known.len() as u64),
    ),
];

impl Collect for Metrics {
    fn collect(&self, out: &mut Encoder) {
        let totals = *self.0.totals();
        if totals.targets == 0 {
            return;
        }
        let reports: Vec<Report> = self.0.reports().values().cloned().collect();
        let flows: Vec<(Labels, &Flow)> = reports
            .iter()
            .flat_map(|report| {
                let flows = report.flows.iter().enumerate();
                flows.map(|(number, flow)| (report.labels.with("flow", &number.to_string()), flow))
            })
            .collect();
        for (name, kind, help, value) in FLOWS {
            out.family(name, kind, help);
            for (labels, flow) in &flows {
                if let Some(value) = value(flow) {
                    out.sample(labels, value);
                }
            }
        }
        out.family("ping_path_info", Kind::Info, "The path the flow takes.");
        for (labels, flow) in &flows {
            if let Some(path) = flow.known.current() {
                out.sample(&labels.with("path_id", &path.id), 1_u64);
            }
        }
        out.family(
            "ping_path_mtu_bytes",
            Kind::Gauge,
            "Largest packet, IP header counted, that gets to the target in one piece; absent until known.",
        );
        for report in &reports {
            if let Some(mtu) = report.mtu {
                out.sample(&report.labels, u64::from(mtu));
            }
        }
        hops(&flows, out);
        for (name, help, value) in [
            (
                "ping_path_requests_total",
                "Echo requests that traces sent.",
                totals.requests,
            ),
            (
                "ping_path_requests_refused_total",
                "Echo requests of traces that this host did not send.",
                totals.refused,
            ),
            (
                "ping_path_unmatched_replies_total",
                "Packets received that belong to no request of a trace under way.",
                totals.unmatched,
            ),
        ] {
            out.family(name, Kind::Counter, help);
            out.sample(Labels::none(), value);
        }
        out.family(
            "ping_path_traces_begun_total",
            Kind::Counter,
            "Targets whose trace began, by why: its time had come, requests were lost, or the hop limit of the answers changed.",
        );
        for (trigger, count) in ["schedule", "loss", "hop_limit"].iter().zip(totals.begun) {
            out.sample(&Labels::new([("trigger", trigger)]), count);
        }
        out.family(
            "ping_path_traces_active",
            Kind::Gauge,
            "Targets whose trace is under way; when it stays near ping_path_targets, the rate is too small.",
        );
        out.sample(Labels::none(), totals.active);
        out.family(
            "ping_path_targets",
            Kind::Gauge,
            "Targets whose path is followed.",
        );
        out.sample(Labels::none(), totals.targets);
    }
}

fn hops(flows: &[(Labels, &Flow)], out: &mut Encoder) {
    let hops: Vec<(Labels, &super::Hop)> = flows
        .iter()
        .flat_map(|(labels, flow)| {
            let hops = flow.hops.iter().zip(1_u32..);
            hops.map(|(hop, number)| (labels.with("hop", &number.to_string()), hop))
        })
        .collect();
    out.family(
        "ping_path_hop_requests_total",
        Kind::Counter,
        "Requests of traces that were to end at this hop.",
    );
    for (labels, hop) in &hops {
        out.sample(labels, hop.requests);
    }
    out.family(
        "ping_path_hop_responses_total",
        Kind::Counter,
        "Answers of this hop; routers answer at a limited rate, so that a loss that later hops do not have is none.",
    );
    for (labels, hop) in &hops {
        out.sample(labels, hop.responses);
    }
    out.family(
        "ping_path_hop_last_rtt_seconds",
        Kind::Gauge,
        "The last round trip to this hop.",
    );
    for (labels, hop) in &hops {
        if let Some(nanos) = hop.last_nanos {
            out.sample(labels, nanos as f64 / 1e9);
        }
    }
    out.family(
        "ping_path_hop_info",
        Kind::Info,
        "Who answered from this hop last.",
    );
    for (labels, hop) in &hops {
        if let Some(address) = hop.address {
            out.sample(&labels.with("address", &address.to_string()), 1_u64);
        }
    }
}
