//! Believable history for a network that is five seconds old, as blocks of Prometheus.
//!
//! A demonstration shows a forecast, a capacity and a monthly report at once, and these need weeks. What is written here has a daily and a
//! weekly season, an outage, a window of planned work, a time without monitoring, and a line that fills up; it has the names and labels of
//! the series that sotp-ping, sotp-snmp and sotp-inventory give, so that what is measured afterwards is appended to them. The series
//! [`INFO`] is there as long as the history, so that a screen can say what it shows.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod blocks;
mod network;
mod period;
mod series;
mod traffic;

pub use blocks::{Error, Summary, write};
pub use network::{Device, End, Instances, Link, Network, Stream};
pub use period::{Incident, Period};

/// The series that marks what is demonstration history: 1 throughout, with its first and last second as labels.
pub const INFO: &str = "sotp_demonstration_history_info";
/// Seconds between two samples.
pub const STEP: i64 = 60;
