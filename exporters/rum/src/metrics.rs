//! The series.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use toolkit::{Collect, Encoder, Format, Kind, Labels, Live};

use crate::config::Config;
use crate::spans::Spans;
use crate::statistics::{Ending, Item, Statistics};

/// Locks it, also after a panic of another thread.
pub(crate) fn lock(statistics: &Mutex<Statistics>) -> MutexGuard<'_, Statistics> {
    statistics.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that `/metrics` shows.
pub(crate) struct Series {
    pub(crate) statistics: Arc<Mutex<Statistics>>,
    pub(crate) live: Live<Config>,
    pub(crate) spans: Arc<Spans>,
}

impl Collect for Series {
    fn collect(&self, out: &mut Encoder) {
        let statistics = lock(&self.statistics);
        out.family(
            "rum_posts_total",
            Kind::Counter,
            "Posts of browsers, each by how it ended",
        );
        for (ending, count) in Ending::ALL.iter().zip(statistics.endings) {
            out.sample(&Labels::new([("result", ending.as_str())]), count);
        }
        out.family(
            "rum_items_total",
            Kind::Counter,
            "What the posts held; web vitals, exceptions and spans are used",
        );
        for (item, count) in Item::ALL.iter().zip(statistics.items) {
            out.sample(&Labels::new([("kind", item.as_str())]), count);
        }
        out.family(
            "rum_exceptions_total",
            Kind::Counter,
            "Faults of pages, by application",
        );
        for (app, count) in &statistics.exceptions {
            out.sample(&Labels::new([("app", app)]), *count);
        }
        out.family(
            "rum_sessions_total",
            Kind::Counter,
            "Sessions of users that began, by application",
        );
        for (app, count) in &statistics.sessions {
            out.sample(&Labels::new([("app", app)]), *count);
        }
        out.family(
            "rum_spans_total",
            Kind::Counter,
            "Spans of pages, by whether the collector took them; dropped means that too many waited",
        );
        for (result, count) in self.spans.counts() {
            out.sample(&Labels::new([("result", result)]), count);
        }
        out.family(
            "rum_routes",
            Kind::Gauge,
            "Routes that are told apart, by application",
        );
        for (app, count) in statistics.routes() {
            out.sample(&Labels::new([("app", app)]), count);
        }
        out.family(
            "rum_routes_limit",
            Kind::Gauge,
            "Most routes that are told apart of an application",
        );
        out.sample(Labels::none(), self.live.current().most_routes);
        for (vital, buckets, all) in statistics.vitals() {
            let (name, help) = vital.family();
            out.family(name, Kind::Histogram, help);
            for (labels, histogram) in all {
                let (counts, sum) = (histogram.cumulated(), histogram.sum);
                // Only one format knows native buckets; the others show exemplars, where they know such.
                match out.format() {
                    Format::Protobuf => histogram.native(|native| {
                        out.histogram_native(&labels, buckets, &counts, sum, native);
                    }),
                    _ => out.histogram_traced(&labels, buckets, &counts, sum, &histogram.exemplars),
                }
            }
        }
    }
}
