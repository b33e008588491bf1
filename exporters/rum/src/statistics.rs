//! What was measured, in a bounded number of series.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use std::time::{SystemTime, UNIX_EPOCH};

use toolkit::{Buckets, Exemplar, Labels, Native};

use crate::route::OTHER;
use crate::vital::{Rating, Vital};

/// How a post ended. Each ends in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Taken,
    /// Its origin is not named.
    Origin,
    /// It is no payload.
    Malformed,
    /// It is longer than is read, packed or unpacked.
    TooLarge,
    /// It is packed in a way that is not known.
    Encoding,
    /// There were too many.
    Rate,
}

impl Ending {
    pub(crate) const ALL: [Self; 6] = [
        Self::Taken,
        Self::Origin,
        Self::Malformed,
        Self::TooLarge,
        Self::Encoding,
        Self::Rate,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Origin => "origin",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Encoding => "encoding",
            Self::Rate => "rate",
        }
    }
}

/// What payloads hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    WebVital,
    /// A web vital that no page can have.
    Impossible,
    /// A measurement of the application's own.
    Measurement,
    Exception,
    Event,
    Log,
    Span,
}

impl Item {
    pub(crate) const ALL: [Self; 7] = [
        Self::WebVital,
        Self::Impossible,
        Self::Measurement,
        Self::Exception,
        Self::Event,
        Self::Log,
        Self::Span,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::WebVital => "web_vital",
            Self::Impossible => "impossible_web_vital",
            Self::Measurement => "measurement",
            Self::Exception => "exception",
            Self::Event => "event",
            Self::Log => "log",
            Self::Span => "span",
        }
    }
}

/// One histogram.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    /// In each bucket, not cumulated.
    counts: Vec<u64>,
    pub(crate) sum: f64,
    /// The last traced observation of each bucket.
    pub(crate) exemplars: Vec<Option<Exemplar>>,
    /// Observations of the zero bucket, and of the others by index.
    zero: u64,
    native: BTreeMap<i32, u64>,
}

/// Resolution of the native histograms: eight buckets for each power of two, each 9 % wide.
const SCHEMA: i32 = 3;
/// A millisecond, or a thousandth of a score: what is less is in the zero bucket.
const ZERO: f64 = 0.001;

/// The index of a value above zero (<https://prometheus.io/docs/specs/native_histograms/>): values are bounded, and so are indices.
fn index(value: f64) -> i32 {
    (value.log2() * f64::from(1 << SCHEMA)).ceil() as i32
}

impl Histogram {
    fn new(buckets: &Buckets) -> Self {
        let cells = buckets.bounds().len() + 1;
        Self {
            counts: vec![0; cells],
            sum: 0.0,
            exemplars: vec![None; cells],
            zero: 0,
            native: BTreeMap::new(),
        }
    }

    /// The native buckets.
    pub(crate) fn native<T>(&self, take: impl FnOnce(&Native<'_>) -> T) -> T {
        let buckets: Vec<(i32, u64)> = self.native.iter().map(|(at, n)| (*at, *n)).collect();
        take(&Native {
            schema: SCHEMA,
            zero_threshold: ZERO,
            zero_count: self.zero,
            buckets: &buckets,
        })
    }

    /// One count for each bucket, cumulated, and the last for all.
    pub(crate) fn cumulated(&self) -> Vec<u64> {
        let mut sum = 0;
        self.counts
            .iter()
            .map(|count| {
                sum += count;
                sum
            })
            .collect()
    }
}

type Place = (Arc<str>, Arc<str>, Rating);

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Statistics {
    pub(crate) endings: [u64; Ending::ALL.len()],
    pub(crate) items: [u64; Item::ALL.len()],
    /// Exceptions by application.
    pub(crate) exceptions: BTreeMap<Arc<str>, u64>,
    /// Sessions that began, by application.
    pub(crate) sessions: BTreeMap<Arc<str>, u64>,
    routes: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    vitals: BTreeMap<Vital, (Buckets, BTreeMap<Place, Histogram>)>,
}

impl Statistics {
    pub(crate) fn new() -> Self {
        let vitals = Vital::ALL.map(|vital| (vital, (vital.buckets(), BTreeMap::new())));
        Self {
            endings: [0; Ending::ALL.len()],
            items: [0; Item::ALL.len()],
            exceptions: BTreeMap::new(),
            sessions: BTreeMap::new(),
            routes: BTreeMap::new(),
            vitals: vitals.into(),
        }
    }

    /// Knows of these applications, and of `other`.
    pub(crate) fn know(&mut self, apps: &[Arc<str>]) {
        for app in apps.iter().cloned().chain([OTHER.into()]) {
            self.exceptions.entry(Arc::clone(&app)).or_insert(0);
            self.sessions.entry(Arc::clone(&app)).or_insert(0);
            self.routes.entry(app).or_default();
        }
    }

    pub(crate) fn ended(&mut self, ending: Ending) {
        if let Some(at) = Ending::ALL.iter().position(|one| *one == ending) {
            self.endings[at] += 1;
        }
    }

    pub(crate) fn saw(&mut self, item: Item, count: usize) {
        if let Some(at) = Item::ALL.iter().position(|one| *one == item) {
            self.items[at] += count as u64;
        }
    }

    /// The application by which something is counted: its name when it is known, else `other`.
    pub(crate) fn app(&self, name: &str) -> Arc<str> {
        let known = self.exceptions.get_key_value(name);
        known.map_or_else(|| OTHER.into(), |(name, _)| Arc::clone(name))
    }

    /// The route by which something is counted: `other` when the application has `most` of them already.
    pub(crate) fn route(&mut self, app: &Arc<str>, route: &str, most: usize) -> Arc<str> {
        let routes = self.routes.entry(Arc::clone(app)).or_default();
        if let Some(known) = routes.get(route) {
            return Arc::clone(known);
        }
        if route == OTHER || routes.len() >= most {
            return OTHER.into();
        }
        let route: Arc<str> = route.into();
        routes.insert(Arc::clone(&route));
        route
    }

    /// Counts an observation; `trace` is the trace that it was made in.
    pub(crate) fn observe(
        &mut self,
        vital: Vital,
        (app, route): (&Arc<str>, &Arc<str>),
        value: f64,
        trace: Option<&str>,
    ) {
        let Some((buckets, places)) = self.vitals.get_mut(&vital) else {
            return;
        };
        let place = (Arc::clone(app), Arc::clone(route), vital.rating(value));
        let histogram = places
            .entry(place)
            .or_insert_with(|| Histogram::new(buckets));
        let at = buckets.index(value);
        if let Some(count) = histogram.counts.get_mut(at) {
            *count += 1;
        }
        if value <= ZERO {
            histogram.zero += 1;
        } else {
            *histogram.native.entry(index(value)).or_insert(0) += 1;
        }
        if let (Some(trace), Some(exemplar)) = (trace, histogram.exemplars.get_mut(at)) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            *exemplar = Some(Exemplar {
                labels: Labels::new([("trace_id", trace)]),
                value,
                timestamp: now.unwrap_or_default().as_secs_f64(),
            });
        }
        histogram.sum += value;
    }

    /// Routes that each application has.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.routes.iter().map(|(app, routes)| (app, routes.len()))
    }

    /// The histograms of each vital.
    pub(crate) fn vitals(
        &self,
    ) -> impl Iterator<Item = (Vital, &Buckets, Vec<(Labels, &Histogram)>)> {
        self.vitals.iter().map(|(vital, (buckets, places))| {
            let all = places.iter().map(|((app, route, rating), histogram)| {
                let pairs = [
                    ("app", &**app),
                    ("route", &**route),
                    ("rating", rating.as_str()),
                ];
                (Labels::new(pairs), histogram)
            });
            (*vital, buckets, all.collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_and_routes_beyond_those_that_there_is_room_for_are_other() {
        let mut statistics = Statistics::new();
        statistics.know(&["shop".into()]);
        assert_eq!(&*statistics.app("shop"), "shop");
        let app = statistics.app("invented");
        assert_eq!(&*app, "other");
        let found: Vec<Arc<str>> = ["/a", "/b", "/c", "/a"]
            .iter()
            .map(|route| statistics.route(&app, route, 2))
            .collect();
        let found: Vec<&str> = found.iter().map(|route| &**route).collect();
        assert_eq!(found, ["/a", "/b", "other", "/a"]);
    }

    #[test]
    fn an_observation_is_in_its_bucket_and_all_above() {
        let mut statistics = Statistics::new();
        let (app, route): (Arc<str>, Arc<str>) = ("a".into(), "/".into());
        for value in [0.1, 0.1001, 50.0] {
            statistics.observe(Vital::Lcp, (&app, &route), value, None);
        }
        let (_, buckets, all) = statistics.vitals().next().unwrap();
        assert_eq!(all.len(), 2);
        let (labels, good) = &all[0];
        assert_eq!(labels.as_str(), "app=\"a\",route=\"/\",rating=\"good\"");
        assert_eq!(good.cumulated()[..2], [1, 2]);
        let poor = all[1].1.cumulated();
        assert_eq!(
            (
                poor.len(),
                poor[buckets.bounds().len() - 1],
                poor[buckets.bounds().len()]
            ),
            (13, 0, 1)
        );
    }

    #[test]
    fn native_buckets_hold_what_the_specification_says() {
        let (app, route): (Arc<str>, Arc<str>) = ("a".into(), "/".into());
        let mut statistics = Statistics::new();
        // A bound belongs to the bucket below it.
        for value in [0.0, 0.001, 1.0, 1.0001, 2.0, 600.0] {
            statistics.observe(Vital::Lcp, (&app, &route), value, Some("t"));
        }
        let (_, _, all) = statistics.vitals().next().unwrap();
        let mut found = (0, Vec::new());
        for (_, histogram) in &all {
            histogram.native(|native| {
                found.0 += native.zero_count;
                found.1.extend(native.buckets.to_vec());
            });
        }
        found.1.sort();
        assert_eq!(found, (2, vec![(0, 1), (1, 1), (8, 1), (74, 1)]));
        let exemplars = all
            .iter()
            .flat_map(|(_, one)| one.exemplars.iter().flatten());
        assert_eq!(exemplars.count(), 4);
    }
}
