//! Incidents: times in which a device did not answer outside planned work.

use crate::history::Device;
use crate::month::Millis;
use crate::timeline::{Planned, State};

/// What an incident ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The device answered.
    Up,
    /// Nothing was known any more.
    Unknown,
    /// Planned work began.
    Planned,
    /// The month did; it goes on.
    Month,
}

impl Ended {
    /// Its name in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unknown => "unknown",
            Self::Planned => "maintenance",
            Self::Month => "end of month",
        }
    }
}

/// A device was down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The device.
    pub device: String,
    /// Its site.
    pub site: String,
    /// Its role.
    pub role: String,
    /// When it began, or the month did.
    pub start: Millis,
    /// When it ended, or the month did.
    pub end: Millis,
    /// Whether it was down already when the month began.
    pub began_before: bool,
    /// What it ended with.
    pub ended: Ended,
}

/// The incidents, in the order of time.
pub(super) fn of(devices: &[Device]) -> Vec<Incident> {
    let mut all: Vec<Incident> = devices.iter().flat_map(of_device).collect();
    all.sort_by(|a, b| (a.start, &a.device).cmp(&(b.start, &b.device)));
    all
}

fn of_device(device: &Device) -> Vec<Incident> {
    let mut incidents: Vec<Incident> = Vec::new();
    let mut open: Option<Incident> = None;
    let mut first = true;
    for (start, end, state, planned) in device.state.beside(&device.planned) {
        let down = state == State::Down && planned != Planned::Yes;
        match &mut open {
            Some(incident) if down => incident.end = end,
            Some(_) => {
                let ended = match (planned, state) {
                    (Planned::Yes, _) => Ended::Planned,
                    (_, State::Up) => Ended::Up,
                    (_, State::Unknown | State::Down) => Ended::Unknown,
                };
                incidents.extend(open.take().map(|one| Incident { ended, ..one }));
            }
            None if down => {
                open = Some(Incident {
                    device: device.name.clone(),
                    site: device.site.clone(),
                    role: device.role.clone(),
                    start,
                    end,
                    began_before: first,
                    ended: Ended::Month,
                });
            }
            None => {}
        }
        first = false;
    }
    incidents.extend(open);
    incidents
}
