//! How long what held, added up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::month::Millis;
use crate::timeline::{Planned, State};

/// How long what held. Planned work is in no other part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// It answered.
    pub up: Millis,
    /// It did not answer.
    pub down: Millis,
    /// Nothing is known.
    pub unknown: Millis,
    /// Planned work was under way, whatever the device did.
    pub planned: Millis,
    /// The part of it in which the device did not answer.
    pub planned_down: Millis,
}

impl Totals {
    pub(crate) fn add(&mut self, length: Millis, state: State, planned: Planned) {
        if planned == Planned::Yes {
            self.planned += length;
            if state == State::Down {
                self.planned_down += length;
            }
            return;
        }
        match state {
            State::Up => self.up += length,
            State::Down => self.down += length,
            State::Unknown => self.unknown += length,
        }
    }

    pub(crate) fn sum(&mut self, other: &Self) {
        self.up += other.up;
        self.down += other.down;
        self.unknown += other.unknown;
        self.planned += other.planned;
        self.planned_down += other.planned_down;
    }

    /// Up as a share of what is known; `None` where nothing is.
    #[must_use]
    pub fn availability(&self) -> Option<f64> {
        share(self.up, self.up + self.down)
    }

    /// The same as if all that is not known had been down.
    #[must_use]
    pub fn worst_case(&self) -> Option<f64> {
        share(self.up, self.up + self.down + self.unknown)
    }

    /// The part of the time outside planned work of which something is known.
    #[must_use]
    pub fn known(&self) -> Option<f64> {
        share(self.up + self.down, self.up + self.down + self.unknown)
    }

    /// How long it may still be down before the target is missed, of the time that is known; negative where it is.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a month in milliseconds")]
    pub fn budget_left(&self, target: f64) -> Millis {
        let known = (self.up + self.down) as f64;
        (known * (1.0 - target)).round() as Millis - self.down
    }
}

fn share(part: Millis, whole: Millis) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
