//! Services: devices that together are one thing to somebody.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::Device;
use crate::month::Period;
use crate::timeline::{Planned, State};

use super::{Totals, overlay};

/// Which of its devices a service needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// Each of them.
    All,
    /// One of them.
    Any,
}

/// A service as it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its devices.
    pub devices: Vec<String>,
    /// Which of them it needs.
    pub needs: Needs,
    /// What is expected, as a share.
    pub target: f64,
}

/// A service in the month.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceRow {
    /// What it is.
    pub service: Service,
    /// How long what held.
    pub totals: Totals,
}

/// What holds of a service whose devices that are not in planned work are so many up, down and not known.
fn state(needs: Needs, up: i64, down: i64, unknown: i64) -> (State, Planned) {
    let state = match needs {
        _ if up + down + unknown == 0 => return (State::Unknown, Planned::Yes),
        Needs::Any if up > 0 => State::Up,
        Needs::Any if unknown > 0 => State::Unknown,
        Needs::Any => State::Down,
        Needs::All if down > 0 => State::Down,
        Needs::All if unknown > 0 => State::Unknown,
        Needs::All => State::Up,
    };
    (state, Planned::No)
}

pub(super) fn row(service: &Service, devices: &[Device], period: Period) -> ServiceRow {
    let members: Vec<&Device> = devices
        .iter()
        .filter(|device| service.devices.contains(&device.name))
        .collect();
    // Of one that nobody knows nothing is known.
    let strangers = service.devices.len() - members.len();
    let strangers = i64::try_from(strangers).unwrap_or(i64::MAX);
    let mut totals = Totals::default();
    if members.is_empty() {
        totals.unknown = period.length();
    }
    overlay::sweep(&members, |start, end, count| {
        let unknown = count.unknown + strangers;
        let (state, planned) = state(service.needs, count.up, count.down, unknown);
        totals.add(end - start, state, planned);
    });
    ServiceRow {
        service: service.clone(),
        totals,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Down, Unknown, Up};

    #[test]
    fn what_is_needed_decides_and_not_known_is_neither() {
        for (needs, counts, expected) in [
            (Needs::All, (2, 0, 0), Up),
            (Needs::All, (1, 1, 0), Down),
            (Needs::All, (1, 0, 1), Unknown),
            (Needs::All, (0, 1, 1), Down),
            (Needs::Any, (1, 1, 0), Up),
            (Needs::Any, (0, 1, 1), Unknown),
            (Needs::Any, (0, 2, 0), Down),
        ] {
            let (up, down, unknown) = counts;
            let found = state(needs, up, down, unknown);
            assert_eq!(found, (expected, Planned::No), "{needs:?} {counts:?}");
        }
        assert_eq!(state(Needs::All, 0, 0, 0).1, Planned::Yes);
    }
}
