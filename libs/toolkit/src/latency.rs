//! Histograms of our own latencies, with exemplars.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use crate::Collect;
use crate::encoder::{Buckets, Encoder, Exemplar, Kind, Labels};

/// Most label sets of one histogram; further ones are counted under the labels `other`.
const MOST_SERIES: usize = 200;

/// A family of histograms of durations in seconds; clones share the values.
///
/// An observation made inside a sampled trace leaves an exemplar with its `trace_id` in its bucket, shown to OpenMetrics clients alone.
#[derive(Debug, Clone)]
pub struct Latency(Arc<Family>);

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    buckets: Buckets,
    series: RwLock<HashMap<Vec<String>, Series>>,
}

/// One histogram of a [`Latency`], for hot paths.
#[derive(Debug, Clone)]
pub struct Series(Arc<Cells>);

#[derive(Debug)]
struct Cells {
    labels: Labels,
    buckets: Buckets,
    counts: Vec<AtomicU64>,
    sum_nanos: AtomicU64,
    exemplars: Vec<Mutex<Option<Exemplar>>>,
}

impl Latency {
    /// A family with the usual bounds, 1 ms to 60 s. `name` ends in `_seconds`.
    #[must_use]
    pub fn new(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        let bounds = [
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            60.0,
        ];
        Self::with_buckets(name, help, labels, Buckets::new(&bounds))
    }

    /// A family with bounds of its own, in seconds.
    #[must_use]
    pub fn with_buckets(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        buckets: Buckets,
    ) -> Self {
        Self(Arc::new(Family {
            name,
            help,
            labels,
            buckets,
            series: RwLock::default(),
        }))
    }

    /// The histogram with these label values, one per label name.
    #[must_use]
    pub fn with(&self, values: &[&str]) -> Series {
        let family = &*self.0;
        let key: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        if let Some(series) = family
            .series
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return series.clone();
        }
        let mut all = family
            .series
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let key = if all.len() < MOST_SERIES {
            key
        } else {
            vec!["other".to_owned(); family.labels.len()]
        };
        all.entry(key.clone())
            .or_insert_with(|| {
                Series::new(
                    Labels::new(family.labels.iter().zip(&key)),
                    family.buckets.clone(),
                )
            })
            .clone()
    }

    /// Records one duration under these label values.
    pub fn observe(&self, values: &[&str], took: Duration) {
        self.with(values).observe(took);
    }
}

impl Series {
    fn new(labels: Labels, buckets: Buckets) -> Self {
        let cells = buckets.bounds().len() + 1;
        Self(Arc::new(Cells {
            labels,
            buckets,
            counts: (0..cells).map(|_| AtomicU64::new(0)).collect(),
            sum_nanos: AtomicU64::new(0),
            exemplars: (0..cells).map(|_| Mutex::new(None)).collect(),
        }))
    }

    /// Records one duration; the exemplar is that of the trace active here.
    pub fn observe(&self, took: Duration) {
        self.observe_traced(took, crate::trace::sampled_id());
    }

    /// Records one duration that belongs to a trace of the caller's choice.
    pub fn observe_traced(&self, took: Duration, trace: Option<String>) {
        let cells = &*self.0;
        let seconds = took.as_secs_f64();
        let index = cells.buckets.index(seconds);
        cells.sum_nanos.fetch_add(
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        if let Some(count) = cells.counts.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let (Some(trace), Some(cell)) = (trace, cells.exemplars.get(index)) {
            let timestamp = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64());
            let exemplar = Exemplar {
                labels: Labels::new([("trace_id", trace)]),
                value: seconds,
                timestamp,
            };
            *cell.lock().unwrap_or_else(PoisonError::into_inner) = Some(exemplar);
        }
    }
}

impl Collect for Latency {
    fn collect(&self, out: &mut Encoder) {
        let family = &*self.0;
        out.family(family.name, Kind::Histogram, family.help);
        let mut all: Vec<Series> = family
            .series
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect();
        all.sort_by(|a, b| a.0.labels.as_str().cmp(b.0.labels.as_str()));
        for series in all {
            let cells = &*series.0;
            let mut total = 0;
            let counts: Vec<u64> = cells
                .counts
                .iter()
                .map(|count| {
                    total += count.load(Ordering::Relaxed);
                    total
                })
                .collect();
            #[expect(
                clippy::cast_precision_loss,
                reason = "nanoseconds of a sum need no more than 53 bits of precision"
            )]
            let sum = cells.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9;
            let exemplars: Vec<_> = cells
                .exemplars
                .iter()
                .map(|cell| cell.lock().unwrap_or_else(PoisonError::into_inner).clone())
                .collect();
            out.histogram_traced(&cells.labels, &cells.buckets, &counts, sum, &exemplars);
        }
    }
}
