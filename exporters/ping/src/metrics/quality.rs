//! Series of a target beyond round trip and loss: variation, bursts, marks of the answers, quality of a call.

use toolkit::{Buckets, Decimal, Encoder, Kind};

use super::{Metrics, cumulative, seconds};
use crate::counters::{BURST_REQUESTS, Counters, VARIATION_NANOS};
use crate::mos::mos;
use crate::targets::Row;

pub(super) fn variation_buckets() -> Buckets {
    Buckets::new(&VARIATION_NANOS.map(seconds))
}

pub(super) fn burst_buckets() -> Buckets {
    Buckets::new(&BURST_REQUESTS.map(|length| length as f64))
}

/// Gauge families of a target that may be absent: name, help, value.
type GaugeFamily = (&'static str, &'static str, fn(&Counters) -> Option<u64>);

const GAUGES: [GaugeFamily; 4] = [
    (
        "ping_reply_hop_limit",
        "Hop limit (TTL) of the last answer as it arrived.",
        |c| (c.hop_limit > 0).then_some(c.hop_limit),
    ),
    (
        "ping_reply_dscp",
        "DSCP of the last answer as it arrived.",
        |c| c.reply_dscp.checked_sub(1),
    ),
    (
        "ping_last_icmp_error_type",
        "Type of the last ICMP error that ended a request.",
        |c| c.icmp_error.checked_sub(1).map(|error| error >> 8),
    ),
    (
        "ping_last_icmp_error_code",
        "Code of the last ICMP error that ended a request.",
        |c| c.icmp_error.checked_sub(1).map(|error| error & 0xff),
    ),
];

impl Metrics {
    pub(super) fn quality(&self, rows: &[(&Row, Counters)], full: bool, out: &mut Encoder) {
        out.family(
            "ping_jitter_seconds",
            Kind::Gauge,
            "Difference between the round trips of neighbouring answered requests, smoothed as RFC 3550 section 6.4.1 does it.",
        );
        for (row, counters) in rows.iter().filter(|(_, counters)| counters.responses > 1) {
            out.sample(&row.labels, Decimal::<9>(counters.smooth_variation_nanos));
        }
        if !full {
            return;
        }
        for (name, help, value) in GAUGES {
            out.family(name, Kind::Gauge, help);
            for (row, counters) in rows {
                if let Some(value) = value(counters) {
                    out.sample(&row.labels, value);
                }
            }
        }
        out.family(
            "ping_delay_variation_seconds",
            Kind::Histogram,
            "Differences between the round trips of neighbouring answered requests.",
        );
        for (row, counters) in rows {
            let sum = Decimal::<9>(counters.variation_sum_nanos);
            let counts = cumulative(counters.variation);
            out.histogram(&row.labels, &self.variation, &counts, sum);
        }
        out.family(
            "ping_loss_burst_requests",
            Kind::Histogram,
            "Runs of requests without an answer that an answer has ended, by their length in requests; there once a request was lost or failed.",
        );
        let lossy = |counters: &Counters| counters.lost + counters.failed_requests() > 0;
        for (row, counters) in rows.iter().filter(|(_, counters)| lossy(counters)) {
            let counts = cumulative(counters.bursts);
            out.histogram(&row.labels, &self.bursts, &counts, counters.burst_requests);
        }
        out.family(
            "ping_mos",
            Kind::Gauge,
            "Mean opinion score (1 to 4.5) a call would get, by the E-model of ITU-T G.107, from smoothed round trip, variation and loss.",
        );
        for (row, counters) in rows.iter().filter(|(_, counters)| counters.responses > 0) {
            // Hundredths say all that the model can.
            out.sample(
                &row.labels,
                Decimal::<2>((of(counters) * 100.0).round() as u64),
            );
        }
    }
}

/// One way is half of the round trip; a buffer against the variation holds packets for twice as long as it is.
fn of(counters: &Counters) -> f64 {
    let delay =
        seconds(counters.smooth_rtt_nanos) / 2.0 + 2.0 * seconds(counters.smooth_variation_nanos);
    mos(delay, counters.smooth_loss as f64 / f64::from(u32::MAX))
}
