//! Made-up links whose truth is known: what tests and the benchmark hold forecasts against. The same name always gives the same values.
#![allow(dead_code, reason = "each user takes a part of it")]

/// Slots of a day.
const DAY: usize = 96;
/// Begin of all of them: a Monday at 00:00 UTC.
pub(crate) const BEGIN: i64 = 1_788_739_200;

/// A link and how its traffic behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    /// Its name.
    pub(crate) name: &'static str,
    /// Mean, bits per second.
    pub(crate) mean: f64,
    /// Height of the day as a logarithm.
    pub(crate) day: f64,
    /// Hour of the peak.
    pub(crate) peak: f64,
    /// What week-ends add, as a logarithm.
    pub(crate) weekend: f64,
    /// Standard deviation of a slot, as a logarithm.
    pub(crate) noise: f64,
    /// Standard deviation of the slow part, as a logarithm, and the part of it that stays for a slot.
    pub(crate) drift: (f64, f64),
    /// What a nightly copy adds between 01:00 and 02:00, as a logarithm.
    pub(crate) copy: f64,
    /// Growth of a day, as a logarithm.
    pub(crate) growth: f64,
    /// A lasting change of level: slot and logarithm.
    pub(crate) step: Option<(usize, f64)>,
}

const USUAL: Link = Link {
    name: "usual",
    mean: 4e8,
    day: 0.8,
    peak: 20.0,
    weekend: -0.1,
    noise: 0.05,
    drift: (0.08, 0.98),
    copy: 0.0,
    growth: 0.0,
    step: None,
};

/// Eight links as providers and offices have them.
#[must_use]
pub(crate) fn links() -> Vec<Link> {
    vec![
        Link {
            name: "homes",
            ..USUAL
        },
        Link {
            name: "office",
            peak: 13.0,
            day: 1.6,
            weekend: -1.2,
            noise: 0.15,
            mean: 2e7,
            ..USUAL
        },
        Link {
            name: "backbone",
            noise: 0.02,
            drift: (0.04, 0.99),
            mean: 4e10,
            day: 0.6,
            ..USUAL
        },
        Link {
            name: "copies",
            copy: 1.8,
            noise: 0.1,
            mean: 8e7,
            ..USUAL
        },
        Link {
            name: "restless",
            noise: 0.5,
            drift: (0.3, 0.95),
            day: 0.4,
            mean: 3e6,
            ..USUAL
        },
        Link {
            name: "growing",
            growth: 0.01,
            ..USUAL
        },
        Link {
            name: "moved",
            step: Some((20 * DAY, 0.6)),
            ..USUAL
        },
        Link {
            name: "wandering",
            drift: (0.35, 0.995),
            day: 0.5,
            noise: 0.1,
            ..USUAL
        },
    ]
}

impl Link {
    /// Its first `count` slots, each the mean of a quarter of an hour, in bits per second.
    #[must_use]
    pub(crate) fn values(&self, count: usize) -> Vec<f64> {
        self.drawn(count, 0)
    }

    /// The same link, drawn another time.
    #[must_use]
    pub(crate) fn drawn(&self, count: usize, time: u64) -> Vec<f64> {
        let seed = self
            .name
            .bytes()
            .fold(7, |seed, byte| seed * 31 + u64::from(byte));
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(time));
        // Nearly a bell: the sum of uniform numbers, standard deviation 1.
        let mut bell = move || (0..6).map(|_| random.f64() - 0.5).sum::<f64>() * 2.0_f64.sqrt();
        let (wide, stays) = self.drift;
        let mut slow = 0.0;
        let slots = (0..count).map(|slot| {
            let hour = (slot % DAY) as f64 / 4.0;
            let day = (std::f64::consts::TAU * (hour - self.peak) / 24.0).cos();
            let weekend = if slot / DAY % 7 >= 5 {
                self.weekend
            } else {
                0.0
            };
            let copy = if (1.0..2.0).contains(&hour) {
                self.copy
            } else {
                0.0
            };
            let moved = self
                .step
                .map_or(0.0, |(at, by)| if slot >= at { by } else { 0.0 });
            slow = stays * slow + wide * (1.0 - stays * stays).sqrt() * bell();
            let grown = self.growth * slot as f64 / DAY as f64;
            let log = self.day * (day + 0.3 * (2.0 * day).sin())
                + weekend
                + copy
                + moved
                + slow
                + grown
                + self.noise * bell();
            self.mean * log.exp()
        });
        slots.collect()
    }
}
