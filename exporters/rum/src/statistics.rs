//! What was measured, in a bounded number of series.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use toolkit::{Buckets, Labels};

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
}

impl Item {
    pub(crate) const ALL: [Self; 6] = [
        Self::WebVital,
        Self::Impossible,
        Self::Measurement,
        Self::Exception,
        Self::Event,
        Self::Log,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::WebVital => "web_vital",
            Self::Impossible => "impossible_web_vital",
            Self::Measurement => "measurement",
            Self::Exception => "exception",
            Self::Event => "event",
            Self::Log => "log",
        }
    }
}

/// One histogram.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    /// In each bucket, not cumulated.
    counts: Vec<u64>,
    pub(crate) sum: f64,
}

impl Histogram {
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
            routes: BTreeMap::new(),
            vitals: vitals.into(),
        }
    }

    /// Knows of these applications, and of `other`.
    pub(crate) fn know(&mut self, apps: &[Arc<str>]) {
        for app in apps.iter().cloned().chain([OTHER.into()]) {
            self.exceptions.entry(Arc::clone(&app)).or_insert(0);
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

    pub(crate) fn observe(&mut self, vital: Vital, app: &Arc<str>, route: &Arc<str>, value: f64) {
        let Some((buckets, places)) = self.vitals.get_mut(&vital) else {
            return;
        };
        let place = (Arc::clone(app), Arc::clone(route), vital.rating(value));
        let histogram = places.entry(place).or_insert_with(|| Histogram {
            counts: vec![0; buckets.bounds().len() + 1],
            sum: 0.0,
        });
        if let Some(count) = histogram.counts.get_mut(buckets.index(value)) {
            *count += 1;
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
            statistics.observe(Vital::Lcp, &app, &route, value);
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
}
