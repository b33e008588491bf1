//! The series of `/metrics`: names, types, help texts.

use std::sync::Arc;

use arc_swap::ArcSwap;
use netio::option::Family;
use toolkit::{Buckets, Collect, Decimal, Encoder, Format, Kind, Labels, Live, Native};

use crate::clock::Source;
use crate::config::{self, Config, peer};
use crate::counters::{BOUNDS_NANOS, Counters, NATIVE_SCHEMA, State, native_zero_threshold};
use crate::echo::Mode;
use crate::engine::Stats;
use crate::engine::stats::{SEND_ERRORS, Unmatched, place};
use crate::reason::Reason;
use crate::resolve::Ages;
use crate::targets::{Row, View};

mod quality;

/// Writes the series of all targets and of the engine.
pub struct Metrics {
    view: Arc<ArcSwap<View>>,
    stats: Arc<Stats>,
    modes: Vec<(Family, Labels)>,
    reasons: Vec<Labels>,
    buckets: Buckets,
    usual: Buckets,
    variation: Buckets,
    bursts: Buckets,
    config: Live<Config>,
    ages: Arc<Ages>,
}

impl Metrics {
    /// Series of the targets in `view` and of an engine with sockets of these `modes`.
    pub fn new(
        view: Arc<ArcSwap<View>>,
        stats: Arc<Stats>,
        modes: &[(Family, Mode)],
        config: Live<Config>,
        ages: Arc<Ages>,
    ) -> Self {
        let modes = modes.iter().map(|&(family, mode)| {
            (
                family,
                Labels::new([("family", family_label(family)), ("mode", mode.name())]),
            )
        });
        Self {
            view,
            stats,
            modes: modes.collect(),
            reasons: Reason::ALL
                .iter()
                .map(|r| Labels::new([("reason", r.label())]))
                .collect(),
            buckets: bounds_at(&EVERY),
            usual: bounds_at(&USUAL),
            variation: quality::variation_buckets(),
            bursts: quality::burst_buckets(),
            config,
            ages,
        }
    }
}

/// Counter families of a target: name, help, value.
pub(crate) type CounterFamily = (&'static str, &'static str, fn(&Counters) -> u64);

/// Counters of every target.
const COUNTERS: [CounterFamily; 6] = [
    ("ping_requests_total", "Echo requests made.", |c| c.requests),
    (
        "ping_responses_total",
        "Requests answered within the timeout.",
        |c| c.responses,
    ),
    (
        "ping_lost_total",
        "Requests without an answer when the timeout ended.",
        |c| c.lost,
    ),
    (
        "ping_failed_total",
        "Requests that failed with a reason, which ping_errors_total tells apart.",
        Counters::failed_requests,
    ),
    (
        "ping_late_responses_total",
        "First answers to requests that had been counted as lost or failed.",
        |c| c.late,
    ),
    (
        "ping_duplicate_responses_total",
        "Further answers to answered requests.",
        |c| c.duplicates,
    ),
];

/// Further ones, when all series are asked for.
const FURTHER: [CounterFamily; 4] = [
    (
        "ping_corrupt_responses_total",
        "Answers with another content or length than was sent.",
        |c| c.corrupt,
    ),
    (
        "ping_reordered_responses_total",
        "Answers that came after the answer to a later request.",
        |c| c.reordered,
    ),
    (
        "ping_reply_hop_limit_changes_total",
        "How often the hop limit (TTL) of the answers changed: another path, or another host.",
        |c| c.hop_limit_changes,
    ),
    (
        "ping_reply_dscp_changes_total",
        "How often the DSCP of the answers changed.",
        |c| c.reply_dscp_changes,
    ),
];

impl Collect for Metrics {
    fn collect(&self, out: &mut Encoder) {
        let peer = self.config.current().peer.as_ref().map(|peer| peer.kind);
        if peer.is_some_and(|kind| kind != peer::Kind::Blackbox) {
            // The targets have the names of the prober that is stood in for.
            self.engine(out);
            return;
        }
        let view = self.view.load_full();
        // One reading per target for all families, so that the counters of a target agree with each other.
        let wanted = self.config.current().metrics;
        let native = wanted.native_histogram && out.format() == Format::Protobuf;
        let mut natives = Vec::new();
        let read = |row| {
            let row: &Row = row;
            if native {
                let (counters, zero, buckets) = row.counters.read_native();
                natives.push((zero, buckets));
                (row, counters)
            } else {
                (row, row.counters.read())
            }
        };
        let rows: Vec<(&Row, Counters)> = view.rows.iter().map(read).collect();
        let full = wanted.series == config::Series::Full;
        self.targets(&rows, full, out);
        self.round_trips(&rows, &natives, full, out);
        self.quality(&rows, full, out);
        out.family(
            "ping_target_info",
            Kind::Info,
            "The address a target is probed at.",
        );
        for row in &view.rows {
            row.info(out);
        }
        out.family(
            "ping_resolvable",
            Kind::Gauge,
            "Whether the DNS name of the device resolved when last asked (1) or not (0).",
        );
        for name in &view.names {
            out.sample(&name.labels, u64::from(name.resolvable));
        }
        out.family(
            "ping_name_last_resolved_timestamp_seconds",
            Kind::Gauge,
            "When the DNS name of the device last resolved.",
        );
        for name in &view.names {
            if let Some(at) = self.ages.of(&name.name) {
                out.sample(&name.labels, at);
            }
        }
        self.engine(out);
    }
}

impl Metrics {
    fn targets(&self, rows: &[(&Row, Counters)], full: bool, out: &mut Encoder) {
        out.family(
            "ping_up",
            Kind::Gauge,
            "Whether the target answers (1) or several requests in a row failed (0); absent until one of the two.",
        );
        for (row, counters) in rows {
            match counters.state {
                State::Unknown | State::Unasked => {}
                State::Down => out.sample(&row.labels, 0_u64),
                State::Up => out.sample(&row.labels, 1_u64),
            }
        }
        out.family(
            "ping_unasked",
            Kind::Gauge,
            "Whether the last requests never left this host (1), so that nothing is known of the target and ping_up is absent.",
        );
        for (row, counters) in rows {
            let unasked = counters.state == State::Unasked;
            out.sample(&row.labels, u64::from(unasked));
        }
        let further = FURTHER.iter().filter(|_| full);
        for (name, help, value) in COUNTERS.iter().chain(further) {
            out.family(name, Kind::Counter, help);
            for (row, counters) in rows {
                out.sample(&row.labels, value(counters));
            }
        }
        out.family(
            "ping_errors_total",
            Kind::Counter,
            "Requests that failed, by the reason: an ICMP error, or this host did not send; a reason is there once the target has met it.",
        );
        for (row, counters) in rows {
            for (reason, count) in self.reasons.iter().zip(counters.errors) {
                if count > 0 {
                    out.sample_with(&row.labels, reason, count);
                }
            }
        }
        out.family(
            "ping_other_address_responses_total",
            Kind::Counter,
            "Answers that came from another address than was asked, and so answer nothing; there once the target has sent one.",
        );
        for (row, counters) in rows.iter().filter(|(_, counters)| counters.elsewhere > 0) {
            out.sample(&row.labels, counters.elsewhere);
        }
        out.family(
            "ping_in_flight",
            Kind::Gauge,
            "Requests that wait for their answer.",
        );
        for (row, counters) in rows {
            out.sample(&row.labels, counters.in_flight);
        }
    }

    /// `natives` has the native histogram of each row, or nothing when none is shown.
    fn round_trips(
        &self,
        rows: &[(&Row, Counters)],
        natives: &[(u64, Vec<(i32, u64)>)],
        full: bool,
        out: &mut Encoder,
    ) {
        let (places, bounds) = match full {
            true => (&EVERY[..], &self.buckets),
            false => (&USUAL[..], &self.usual),
        };
        out.family(
            "ping_rtt_seconds",
            Kind::Histogram,
            "Round-trip times of the requests answered within the timeout.",
        );
        for (at, (row, counters)) in rows.iter().enumerate() {
            let total = Decimal::<9>(counters.sum_nanos);
            let counts = counts_at(places, &counters.buckets);
            let Some((zero_count, buckets)) = natives.get(at) else {
                out.histogram(&row.labels, bounds, &counts, total);
                continue;
            };
            let native = Native {
                schema: NATIVE_SCHEMA,
                zero_threshold: native_zero_threshold(),
                zero_count: *zero_count,
                buckets,
            };
            out.histogram_native(&row.labels, bounds, &counts, total, &native);
        }
        out.family(
            "ping_last_rtt_seconds",
            Kind::Gauge,
            "The last of these round-trip times.",
        );
        for (row, counters) in rows.iter().filter(|(_, counters)| counters.responses > 0) {
            out.sample(&row.labels, Decimal::<9>(counters.last_nanos));
        }
    }

    fn engine(&self, out: &mut Encoder) {
        let none = Labels::none();
        let stats = &self.stats;
        out.family(
            "ping_socket_mode_info",
            Kind::Info,
            "The kind of socket each address family uses.",
        );
        for (_, labels) in &self.modes {
            out.sample(labels, 1_u64);
        }
        out.family(
            "ping_sockets",
            Kind::Gauge,
            "Sockets of each address family, of all threads together.",
        );
        for &(which, _) in &self.modes {
            let family = Labels::new([("family", family_label(which))]);
            out.sample(&family, stats.sockets[place(which)].get());
        }
        out.family(
            "ping_threads",
            Kind::Gauge,
            "Threads that share the targets.",
        );
        out.sample(none, stats.threads.get());
        out.family("ping_targets", Kind::Gauge, "Targets being probed.");
        out.sample(none, stats.targets.get());
        out.family(
            "ping_targets_change_seconds",
            Kind::Gauge,
            "How long the last change of the targets took, from the new inventory, configuration or name to the engine probing by it.",
        );
        out.sample(none, seconds(stats.change_nanos.get()));
        out.family(
            "ping_timestamps_total",
            Kind::Counter,
            "Round trips by what they were measured with: stamps of the kernel for both ends, for the reply alone, or \
             times of this process.",
        );
        for (source, count) in Source::ALL.iter().zip(&stats.timestamps) {
            out.sample(&Labels::new([("source", source.label())]), count.get());
        }
        out.family(
            "ping_unmatched_replies_total",
            Kind::Counter,
            "Received packets that belong to no known request.",
        );
        for (why, count) in Unmatched::ALL.iter().zip(&stats.unmatched) {
            out.sample(&Labels::new([("reason", why.label())]), count.get());
        }
        for (name, help, cell) in [
            (
                "ping_ticks_late_total",
                "Wake-ups of the engine more than one tick late.",
                &stats.late_ticks,
            ),
            (
                "ping_requests_skipped_total",
                "Requests not made because their time had passed.",
                &stats.skipped,
            ),
            (
                "ping_requests_paced_total",
                "Requests that waited because enough went to their prefix.",
                &stats.paced,
            ),
            (
                "ping_identifier_changes_total",
                "Times that the requests of a target that is down went on with another identifier, past what is remembered on the way.",
                &stats.identifier_changes,
            ),
            (
                "ping_clock_steps_total",
                "Steps of the system clock seen.",
                &stats.clock_steps,
            ),
        ] {
            out.family(name, Kind::Counter, help);
            out.sample(none, cell.get());
        }
        out.family(
            "ping_send_errors_total",
            Kind::Counter,
            "Requests that this host did not send, by the error of the system call: nothing is known of their targets.",
        );
        for which in [Family::V4, Family::V6] {
            let errors = SEND_ERRORS.iter().zip(&stats.send_errors[place(which)]);
            for ((_, name), count) in errors {
                let labels = [("family", family_label(which)), ("errno", name)];
                out.sample(&Labels::new(labels), count.get());
            }
        }
        let family = |family| Labels::new([("family", family_label(family))]);
        out.family(
            "ping_socket_dropped_total",
            Kind::Counter,
            "Packets the kernel dropped because the socket's buffer was full.",
        );
        for &(which, _) in &self.modes {
            out.sample(&family(which), stats.dropped[place(which)].get());
        }
        out.family(
            "ping_socket_receive_errors_total",
            Kind::Counter,
            "Failed reads of the socket that are no ICMP error.",
        );
        for &(which, _) in &self.modes {
            out.sample(&family(which), stats.receive_errors[place(which)].get());
        }
        out.family(
            "ping_socket_buffer_bytes",
            Kind::Gauge,
            "Bytes that wait in the socket.",
        );
        for &(which, _) in &self.modes {
            out.sample(&family(which), stats.buffered[place(which)].0.get());
        }
        out.family(
            "ping_socket_buffer_limit_bytes",
            Kind::Gauge,
            "Bytes in the socket at which the kernel begins to drop.",
        );
        for &(which, _) in &self.modes {
            out.sample(&family(which), stats.buffered[place(which)].1.get());
        }
    }
}

/// The places of all bounds of the round trips.
const EVERY: [usize; BOUNDS_NANOS.len()] = {
    let mut places = [0; BOUNDS_NANOS.len()];
    let mut at = 0;
    while at < places.len() {
        places[at] = at;
        at += 1;
    }
    places
};
/// Those of the usual ones: 0.2, 0.8, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 409.6 ms and 1.6384 s, closest where most networks are.
const USUAL: [usize; 10] = [2, 4, 6, 7, 8, 9, 10, 11, 13, 15];

/// The bounds at these places of [`BOUNDS_NANOS`].
pub(crate) fn bounds_at(places: &[usize]) -> Buckets {
    let bounds: Vec<f64> = places.iter().map(|&at| seconds(BOUNDS_NANOS[at])).collect();
    Buckets::new(&bounds)
}

/// How many round trips are within each of these bounds, and how many there are.
pub(crate) fn counts_at(places: &[usize], buckets: &[u64; BOUNDS_NANOS.len() + 1]) -> Vec<u64> {
    let sums = cumulative(*buckets);
    let all = sums.last().copied();
    places.iter().map(|&at| sums[at]).chain(all).collect()
}

fn cumulative<const N: usize>(counts: [u64; N]) -> [u64; N] {
    let mut sum = 0;
    counts.map(|count| {
        sum += count;
        sum
    })
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn family_label(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

#[cfg(test)]
mod tests;
