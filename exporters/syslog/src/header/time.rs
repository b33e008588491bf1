//! The times that devices write.

mod calendar;
mod forms;
mod zone;

pub use calendar::write_time;
pub(super) use forms::epoch;

/// A device's own clock reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTime {
    /// What was written.
    pub clock: Clock,
    /// The device marks its clock as not set or not synchronised (Cisco's `*` and `.`).
    pub unsynchronised: bool,
}

/// What a clock reading consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// A date and a time of day.
    Civil {
        /// The year, when it was written.
        year: Option<i16>,
        /// Month, 1 to 12.
        month: i8,
        /// Day of the month.
        day: i8,
        /// Hour, 0 to 23.
        hour: i8,
        /// Minute.
        minute: i8,
        /// Second, 0 to 60.
        second: i8,
        /// Fraction of the second.
        nanosecond: i32,
        /// Seconds east of UTC, when a zone was written.
        offset: Option<i32>,
    },
    /// Nanoseconds since 1970.
    Unix(i64),
    /// Seconds since the device started.
    Uptime(u64),
}

const DAYS: [&str; 7] = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];

/// Reads a time at the beginning of the text; the colon behind it belongs to it.
pub(super) fn parse(text: &str) -> Option<(DeviceTime, &str)> {
    let plain = text.strip_prefix(['*', '.', ';']).unwrap_or(text);
    let unsynchronised = plain.len() != text.len() && !text.starts_with(';');
    let first = plain.bytes().next()?;
    let found = if first.is_ascii_digit() {
        forms::iso(plain)
            .or_else(|| forms::year_first(plain))
            .or_else(|| forms::slashes(plain))
            .or_else(|| forms::day_first(plain))
            .or_else(|| forms::uptime(plain))
    } else if first.is_ascii_alphabetic() {
        let dayless = DAYS
            .iter()
            .find_map(|day| plain.strip_prefix(day))
            .unwrap_or(plain);
        forms::month_first(dayless)
    } else {
        None
    };
    let (clock, rest) = found?;
    if !(rest.is_empty() || rest.starts_with([' ', ':', ',', ';', ']', ')', '\t', '|'])) {
        return None;
    }
    Some((
        DeviceTime {
            clock,
            unsynchronised,
        },
        rest.strip_prefix(':').unwrap_or(rest),
    ))
}
