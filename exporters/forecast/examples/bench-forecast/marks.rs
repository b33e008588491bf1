//! What forecasts of a day are worth.

use serde::{Deserialize, Serialize};

/// What was said of one day.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) point: Vec<f64>,
    pub(crate) low: Vec<f64>,
    pub(crate) high: Vec<f64>,
    /// Seconds of a processor.
    pub(crate) cpu: f64,
}

/// A forecast that another program made.
#[derive(Deserialize)]
pub(crate) struct Other {
    pub(crate) set: String,
    pub(crate) name: String,
    pub(crate) origin: usize,
    pub(crate) model: String,
    pub(crate) point: Vec<f64>,
    pub(crate) low: Vec<f64>,
    pub(crate) high: Vec<f64>,
    pub(crate) cpu: f64,
}

/// What other programs said, and the most memory that each took, in megabytes.
#[derive(Deserialize, Default)]
pub(crate) struct Others {
    pub(crate) forecasts: Vec<Other>,
    pub(crate) megabytes: std::collections::BTreeMap<String, f64>,
}

/// The marks of a model on a set.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Marks {
    pub(crate) origins: usize,
    pub(crate) mase: f64,
    /// The part that lay within the band of nine tenths, without slots that never have anything.
    pub(crate) coverage: f64,
    /// The part of all slots.
    pub(crate) coverage_of_all: f64,
    pub(crate) msis: f64,
    pub(crate) cpu_milliseconds: f64,
    #[serde(skip)]
    inside: [(f64, f64); 2],
}

impl Marks {
    /// Takes in what was said of a day, `idle` telling of which values nothing ever comes.
    pub(crate) fn add(
        &mut self,
        said: &Said,
        truth: &[f64],
        scale: f64,
        idle: impl Fn(usize) -> bool,
    ) {
        let (mut missed, mut interval, mut count) = (0.0, 0.0, 0.0);
        for (at, is) in truth.iter().enumerate().filter(|(_, is)| is.is_finite()) {
            count += 1.0;
            missed += (said.point[at] - is).abs();
            if let (Some(low), Some(high)) = (said.low.get(at), said.high.get(at)) {
                let out = (low - is).max(is - high).max(0.0);
                interval += high - low + 2.0 / 0.1 * out;
                let inside = out <= 0.0;
                let proves = !(inside && idle(at));
                for (sums, counts) in self.inside.iter_mut().zip([proves, true]) {
                    if counts {
                        sums.0 += f64::from(u8::from(inside));
                        sums.1 += 1.0;
                    }
                }
            }
        }
        if count > 0.0 && scale > 0.0 {
            self.origins += 1;
            self.mase += missed / count / scale;
            self.msis += interval / count / scale;
            self.cpu_milliseconds += said.cpu * 1e3;
        }
    }

    pub(crate) fn done(mut self) -> Self {
        let origins = self.origins.max(1) as f64;
        for sum in [&mut self.mase, &mut self.msis, &mut self.cpu_milliseconds] {
            *sum /= origins;
        }
        [self.coverage, self.coverage_of_all] =
            self.inside.map(|(inside, all)| inside / all.max(1.0));
        self
    }
}

/// Seconds of a processor that this thread has taken.
pub(crate) fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|text| text.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

/// Mean absolute error of the form that repeats the last season within a history.
pub(crate) fn scale(history: &[f64], period: usize) -> f64 {
    let pairs = history.iter().zip(&history[period..]);
    let known = pairs
        .map(|(before, after)| (after - before).abs())
        .filter(|missed| missed.is_finite());
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), missed| {
        (sum + missed, count + 1.0)
    });
    sum / f64::max(count, 1.0)
}
