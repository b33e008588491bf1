//! Since when counters count.

use std::collections::HashMap;

use crate::oid::{self, Oid};

/// The tables whose counters begin anew with ifCounterDiscontinuityTime (RFC 2863): ifTable and ifXTable.
pub const OF_INTERFACES: [&[u32]; 2] = [
    &[1, 3, 6, 1, 2, 1, 2, 2, 1],
    &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1],
];

/// Since when the counters of a target count, in Unix seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Started {
    /// The start of the device.
    pub device: f64,
    /// Those of interfaces that began anew later, by index; `None` when that cannot be told.
    pub interfaces: HashMap<Vec<u32>, Option<f64>>,
}

impl Started {
    /// Of the counter of this column in this row.
    #[must_use]
    pub fn of(&self, column: &Oid, index: &[u32]) -> Option<f64> {
        let of_interface = OF_INTERFACES
            .iter()
            .any(|table| oid::within(column.ids(), table));
        match self.interfaces.get(index) {
            Some(later) if of_interface => *later,
            _ => Some(self.device),
        }
    }
}
