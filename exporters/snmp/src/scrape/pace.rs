//! How fast a target may be asked, and what is known of its answers.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The shortest time after which a request is sent again.
const SHORTEST: Duration = Duration::from_millis(20);
/// The time before anything is known.
const FIRST: Duration = Duration::from_secs(1);

/// What is known of a target's speed; kept from scrape to scrape.
#[derive(Clone, Debug)]
pub struct Pace {
    smoothed: Option<Duration>,
    variation: Duration,
    least: Option<Duration>,
    window: f64,
    most: f64,
    per_value: Option<f64>,
    cap: u32,
    recovering: u32,
    /// Whether a request of several names was ever answered.
    several: bool,
    /// For so many scrapes more it is asked for one name at a time, since it stays silent when asked for several.
    single: u32,
    /// Its tables are not in order.
    disordered: bool,
    /// Octets of the varbinds of its largest answer.
    largest: u32,
    /// An answer was cut short: it gives no more than its largest.
    cuts: bool,
    /// For so many scrapes more our own questions are not asked in front of rows.
    apart: u32,
}

/// Scrapes after which a target that is asked for less at a time is tried with more again.
const SINGLE: u32 = 100;

/// Octets of varbinds that every target is thought to answer: messages of 484 octets are taken by all (RFC 3417 §3.2).
const LEAST: u32 = 420;

impl Default for Pace {
    fn default() -> Self {
        Self {
            smoothed: None,
            variation: Duration::ZERO,
            least: None,
            window: 2.0,
            most: 32.0,
            per_value: None,
            cap: u32::MAX,
            recovering: 0,
            several: false,
            single: 0,
            disordered: false,
            largest: 0,
            cuts: false,
            apart: 0,
        }
    }
}

impl Pace {
    /// A pace whose window never grows beyond `most`.
    #[must_use]
    pub fn up_to(most: usize) -> Self {
        Self {
            most: most.max(1) as f64,
            ..Self::default()
        }
    }

    pub(super) fn begin(&mut self, strict: bool) {
        self.window = if strict {
            1.0
        } else {
            self.window.clamp(1.0, self.most)
        };
        if strict {
            self.most = 1.0;
        }
        // The least round trip may have grown since: let it age.
        self.least = self.least.map(|least| least + least / 8);
        // A limit of the agent is tried anew, a little at a time.
        self.cap = self.cap.saturating_add(self.cap / 4);
        self.recovering = 0;
        self.single = self.single.saturating_sub(1);
        self.apart = self.apart.saturating_sub(1);
    }

    /// A request of several names was answered.
    pub(super) fn answers_several(&mut self) {
        (self.several, self.single) = (true, 0);
    }

    /// A request of several names stayed without an answer, again and again.
    pub(super) fn silent_to_several(&mut self) {
        if !self.several {
            self.single = SINGLE;
        }
    }

    /// An answer brought so many octets of varbinds; `short` when it could have held more.
    pub(super) fn answer(&mut self, octets: usize, short: bool) {
        self.largest = self.largest.max(u32::try_from(octets).unwrap_or(u32::MAX));
        self.cuts |= short;
    }

    /// The most octets of varbinds that the target puts into an answer, as far as is known.
    pub(super) fn frame(&self) -> u32 {
        if self.cuts {
            self.largest.max(LEAST)
        } else {
            u32::MAX
        }
    }

    /// The answer to a request that had our own questions in front of rows was not as it should be.
    pub(super) fn asked_apart(&mut self) {
        self.apart = SINGLE;
    }

    /// Whether our own questions may be asked in front of rows: not of a target that answers only so many values.
    pub(super) fn ask_in_front(&self) -> bool {
        self.apart == 0 && self.cap == u32::MAX
    }

    /// The target goes back when asked for one value at a time.
    pub(super) fn disordered(&mut self) {
        self.disordered = true;
    }

    /// Whether the target was seen to keep its tables in another order than that of the names.
    pub(super) fn is_disordered(&self) -> bool {
        self.disordered
    }

    /// Whether the target is to be asked for one name at a time.
    pub(super) fn one_at_a_time(&self) -> bool {
        self.single > 0
    }

    pub(super) fn window(&self) -> usize {
        self.window as usize
    }

    /// A request was answered; `trip` is the round trip when the request was sent once (Karn).
    pub(super) fn answered(&mut self, trip: Option<Duration>) {
        self.recovering = self.recovering.saturating_sub(1);
        let Some(trip) = trip else { return };
        match self.smoothed {
            None => {
                self.smoothed = Some(trip);
                self.variation = trip / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(trip)) / 4;
                self.smoothed = Some((smoothed * 7 + trip) / 8);
            }
        }
        let mut least = self.least.map_or(trip, |least| least.min(trip));
        if self.window() <= 1 && trip > least {
            // Nothing of ours is in its way: the target or the path has become slower.
            least = (least * 3 + trip) / 4;
        }
        self.least = Some(least);
        if trip <= least * 7 / 4 + Duration::from_micros(300) {
            self.window = (self.window + 1.0).min(self.most);
        } else if trip > least * 3 + Duration::from_millis(2) {
            self.window = (self.window * 0.85).max(1.0);
        }
    }

    /// A request was not answered in time. Losses of one window count once.
    pub(super) fn lost(&mut self) {
        if self.recovering == 0 {
            self.recovering = self.window as u32;
            self.window = (self.window / 2.0).max(1.0);
        }
    }

    /// How long to wait before a request is sent again, at most `timeout` (after RFC 6298).
    pub(super) fn timeout(&self, timeout: Duration) -> Duration {
        self.smoothed
            .map_or(FIRST, |smoothed| {
                (smoothed + self.variation * 4).max(SHORTEST)
            })
            .min(timeout)
    }

    /// How long so many answers take one after the other.
    pub(super) fn expected(&self, answers: f64) -> Duration {
        self.smoothed
            .unwrap_or(FIRST)
            .mul_f64(answers.clamp(0.0, 1e6))
    }

    /// An answer of `octets` octets held `values` values.
    pub(super) fn size(&mut self, octets: usize, values: u32) {
        let now = octets as f64 / f64::from(values.max(1));
        self.per_value = Some(
            self.per_value
                .map_or(now, |known| (known * 3.0 + now) / 4.0),
        );
    }

    /// Repetitions whose answer fills `frame` octets.
    pub(super) fn repetitions(&self, frame: f64, range: &RangeInclusive<u32>) -> Option<u32> {
        let fit = (frame / self.per_value?.max(1.0)) as u32;
        Some(fit.clamp(*range.start(), *range.end()).min(self.cap))
    }

    /// The most repetitions that the target could answer so far.
    pub(super) fn cap(&self) -> u32 {
        self.cap
    }

    /// More than this the target could not answer.
    pub(super) fn cap_repetitions(&mut self, most: u32) {
        self.cap = self.cap.min(most.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(trips: impl IntoIterator<Item = u64>) -> Pace {
        let mut pace = Pace::default();
        pace.begin(false);
        trips
            .into_iter()
            .for_each(|micros| pace.answered(Some(Duration::from_micros(micros))));
        pace
    }

    #[test]
    fn the_window_grows_while_the_round_trip_is_flat_and_shrinks_when_it_grows() {
        assert_eq!(after([5000; 10]).window(), 12);
        assert_eq!(after([5000; 100]).window(), 32);
        assert!(after([5000; 20].into_iter().chain([40_000; 14])).window() < 3);
    }

    #[test]
    fn an_agent_that_answers_one_at_a_time_is_asked_one_or_two_at_a_time() {
        let mut pace = Pace::default();
        pace.begin(false);
        let mut most = 0;
        for _ in 0..200 {
            pace.answered(Some(Duration::from_millis(10) * pace.window() as u32));
            most = most.max(pace.window());
        }
        assert!(most <= 4, "{most}");
    }

    #[test]
    fn a_path_that_became_slower_gets_its_window_back() {
        let slower = after([1000; 40].into_iter().chain([9000; 60]));
        assert!(slower.window() > 8, "{}", slower.window());
    }

    #[test]
    fn losses_of_one_window_halve_it_once() {
        let mut pace = after([5000; 14]);
        for _ in 0..8 {
            pace.lost();
        }
        assert_eq!(pace.window(), 8);
    }

    #[test]
    fn a_lost_answer_costs_a_few_round_trips() {
        assert_eq!(Pace::default().timeout(Duration::from_secs(5)), FIRST);
        assert_eq!(after([1000; 50]).timeout(Duration::from_secs(5)), SHORTEST);
        assert!(after([100_000; 50]).timeout(Duration::from_secs(5)) < Duration::from_millis(130));
        assert_eq!(
            after([100_000; 50]).timeout(Duration::from_millis(50)),
            Duration::from_millis(50)
        );
    }
}
