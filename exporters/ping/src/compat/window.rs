//! The last results of each target, for gauges that are made of a few of them.
//!
//! They are taken from the counters, at which somebody looks several times in an interval. Two answers between two looks are still
//! known exactly, by the sum and the last one; of more, the last is, and their mean stands for the others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::counters::Counters;
use crate::targets::{Row, View};

/// What gauges say of the last results of a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Part of them without an answer, 0 to 1.
    pub loss: f64,
    /// Round trips in seconds, when there is one: best, worst, mean, standard deviation.
    pub rtt: Option<[f64; 4]>,
}

/// Results of one target, oldest first; `None`: no answer.
#[derive(Debug, Default)]
struct Window {
    results: VecDeque<Option<u64>>,
    responses: u64,
    failures: u64,
    sum: u64,
}

impl Window {
    fn take(&mut self, counters: &Counters, history: usize) {
        let failures = counters.lost + counters.errors.iter().sum::<u64>();
        let (new, failed) = (
            counters.responses.saturating_sub(self.responses),
            failures.saturating_sub(self.failures),
        );
        let sum = counters.sum_nanos.saturating_sub(self.sum);
        (self.responses, self.failures, self.sum) =
            (counters.responses, failures, counters.sum_nanos);
        let answered_last = counters.failures == 0;
        let most = history as u64;
        let fail = |window: &mut Self| {
            for _ in 0..failed.min(most) {
                window.results.push_back(None);
            }
        };
        if answered_last {
            fail(self);
        }
        if new > 0 {
            let others = new - 1;
            let mean = sum.saturating_sub(counters.last_nanos).checked_div(others);
            for _ in 0..others.min(most) {
                self.results.push_back(mean);
            }
            self.results.push_back(Some(counters.last_nanos));
        }
        if !answered_last {
            fail(self);
        }
        let surplus = self.results.len().saturating_sub(history);
        self.results.drain(..surplus);
    }

    fn summary(&self) -> Option<Summary> {
        let count = self.results.len();
        let answered: Vec<f64> = self
            .results
            .iter()
            .flatten()
            .map(|&nanos| nanos as f64 / 1e9)
            .collect();
        let size = answered.len() as f64;
        let rtt = (!answered.is_empty()).then(|| {
            let mean = answered.iter().sum::<f64>() / size;
            let squares: f64 = answered.iter().map(|rtt| (rtt - mean).powi(2)).sum();
            let best = answered.iter().copied().fold(f64::INFINITY, f64::min);
            let worst = answered.iter().copied().fold(0.0, f64::max);
            [best, worst, mean, (squares / size).sqrt()]
        });
        (count > 0).then(|| Summary {
            loss: 1.0 - size / count as f64,
            rtt,
        })
    }
}

/// The results of all targets.
#[derive(Debug, Default)]
pub struct Windows(Mutex<HashMap<usize, Window>>);

impl Windows {
    /// Takes what is new of the targets in `view`, of which `history` results are kept each, and forgets the others.
    pub fn look(&self, view: &View, history: usize) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *windows);
        for row in &view.rows {
            let key = key(row);
            let mut window = before.remove(&key).unwrap_or_default();
            let counters = row.counters.read();
            // Another target may have come to be at the place of a removed one.
            if counters.responses < window.responses || counters.sum_nanos < window.sum {
                window = Window::default();
            }
            window.take(&counters, history);
            windows.insert(key, window);
        }
    }

    /// What is known of a target; `None` before its first result.
    pub fn of(&self, row: &Row) -> Option<Summary> {
        let windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        windows.get(&key(row))?.summary()
    }
}

fn key(row: &Row) -> usize {
    Arc::as_ptr(&row.counters) as usize
}

/// How often to look, so that one result at most is new in most looks.
pub fn period(shortest: Option<Duration>) -> Duration {
    let quarter = shortest.unwrap_or(Duration::from_secs(1)) / 4;
    quarter.clamp(Duration::from_millis(10), Duration::from_millis(500))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(rtts: &[Option<u64>]) -> Counters {
        let mut counters = Counters::default();
        for rtt in rtts {
            match rtt {
                Some(nanos) => {
                    counters.observe(*nanos);
                    counters.failures = 0;
                }
                None => {
                    counters.lost += 1;
                    counters.failures += 1;
                }
            }
        }
        counters
    }

    #[test]
    fn two_answers_between_two_looks_are_both_known() {
        let results = [
            Some(4_000),
            None,
            Some(1_000),
            Some(7_000),
            None,
            Some(2_000),
        ];
        let mut window = Window::default();
        for until in [1, 2, 4, 6] {
            window.take(&counters(&results[..until]), 5);
        }
        assert_eq!(window.results, &results[1..]);
        let summary = window.summary().unwrap();
        assert!((summary.loss - 0.4).abs() < 1e-12);
        let [best, worst, mean, deviation] = summary.rtt.unwrap();
        assert_eq!((best, worst), (1e-6, 7e-6));
        assert!((mean - 10e-6 / 3.0).abs() < 1e-15, "{mean}");
        assert!((deviation - 2.624_669e-6).abs() < 1e-11, "{deviation}");
    }

    #[test]
    fn many_results_at_once_keep_their_mean_and_the_bound() {
        let mut window = Window::default();
        window.take(&counters(&[Some(1), Some(3), Some(9)].repeat(100)), 10);
        assert_eq!(window.results.len(), 10);
        window.take(&counters(&[Some(1), Some(3), Some(9)].repeat(100)), 10);
        assert_eq!(window.results.len(), 10, "nothing is new");
        assert_eq!(Window::default().summary(), None);
    }
}
