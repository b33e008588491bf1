//! Planned work: what is left out of the availability, and listed.

use crate::history::Device;
use crate::month::Millis;
use crate::timeline::{Planned, State};

/// Planned work on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The device.
    pub device: String,
    /// Its site.
    pub site: String,
    /// When it began, or the month did.
    pub start: Millis,
    /// When it ended, or the month did.
    pub end: Millis,
    /// How long the device did not answer in it.
    pub down: Millis,
    /// How long nothing is known of the device in it.
    pub unknown: Millis,
}

/// Planned work, in the order of time.
pub(super) fn of(devices: &[Device]) -> Vec<Work> {
    let mut all: Vec<Work> = Vec::new();
    for device in devices {
        let mut open: Option<Work> = None;
        for (start, end, state, planned) in device.state.beside(&device.planned) {
            if planned != Planned::Yes {
                all.extend(open.take());
                continue;
            }
            let work = open.get_or_insert_with(|| Work {
                device: device.name.clone(),
                site: device.site.clone(),
                start,
                end,
                down: 0,
                unknown: 0,
            });
            work.end = end;
            match state {
                State::Down => work.down += end - start,
                State::Unknown => work.unknown += end - start,
                State::Up => {}
            }
        }
        all.extend(open);
    }
    all.sort_by(|a, b| (a.start, a.end, &a.device).cmp(&(b.start, b.end, &b.device)));
    all
}
