//! The ports of a device (IF-MIB, RFC 2863).

use crate::samples::text;
use crate::value::Table;

/// ifName, and ifDescr where there is none.
const NAMES: [&[u32]; 2] = [
    &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1],
    &[1, 3, 6, 1, 2, 1, 2, 2, 1, 2],
];
/// ifOperStatus.
const STATUS: [u32; 10] = [1, 3, 6, 1, 2, 1, 2, 2, 1, 8];

/// A port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// ifIndex.
    pub index: u32,
    /// ifName, or ifDescr.
    pub name: String,
}

/// The ports of a table whose state was read.
pub(crate) fn of(table: &Table) -> Vec<Port> {
    if table.below(&STATUS).next().is_none() {
        return Vec::new();
    }
    let named = NAMES
        .into_iter()
        .find(|names| table.below(names).next().is_some());
    let Some(names) = named else {
        return Vec::new();
    };
    let rows = table.below(names).filter_map(|(at, entry)| {
        let row = at.behind(names.len());
        let [index] = *row else {
            return None;
        };
        let name = text::label(table, &entry.value, "DisplayString", "");
        Some(Port { index, name })
    });
    rows.collect()
}
