//! How often something fails and how long it takes to be up again.

use crate::month::Millis;

use super::incidents::{Ended, Incident};

/// What the two means are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reliability {
    /// Incidents that began in the month.
    pub failures: u64,
    /// Those of them that ended with an answer, so that their whole length is known.
    pub repaired: u64,
    /// How long these lasted together.
    pub repair_time: Millis,
}

impl Reliability {
    /// Of these incidents.
    pub fn of<'a>(incidents: impl IntoIterator<Item = &'a Incident>) -> Self {
        let mut found = Self::default();
        for one in incidents.into_iter().filter(|one| !one.began_before) {
            found.failures += 1;
            if one.ended == Ended::Up {
                found.repaired += 1;
                found.repair_time += one.end - one.start;
            }
        }
        found
    }

    pub(super) fn sum(&mut self, other: &Self) {
        self.failures += other.failures;
        self.repaired += other.repaired;
        self.repair_time += other.repair_time;
    }

    /// MTTR: the mean length of an incident that began in the month and ended with an answer, in milliseconds.
    #[must_use]
    pub fn mttr(&self) -> Option<f64> {
        (self.repaired > 0).then(|| self.repair_time as f64 / self.repaired as f64)
    }

    /// MTBF: the time that it was up for each incident that began in the month, in milliseconds.
    #[must_use]
    pub fn mtbf(&self, up: Millis) -> Option<f64> {
        (self.failures > 0).then(|| up as f64 / self.failures as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_incidents_that_are_whole_count_for_the_repair() {
        let incident = |start, end, began_before, ended| Incident {
            device: String::new(),
            site: String::new(),
            role: String::new(),
            start,
            end,
            began_before,
            ended,
        };
        let found = Reliability::of(&[
            incident(0, 100, true, Ended::Up),
            incident(200, 210, false, Ended::Up),
            incident(300, 330, false, Ended::Up),
            incident(400, 500, false, Ended::Unknown),
            incident(600, 900, false, Ended::Month),
        ]);
        assert_eq!(found.failures, 4);
        assert_eq!(found.mttr(), Some(20.0));
        assert_eq!(found.mtbf(1_000), Some(250.0));
        assert_eq!(Reliability::default().mttr(), None);
        assert_eq!(Reliability::default().mtbf(1_000), None);
    }
}
