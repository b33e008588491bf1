//! The command against logs that the toolkit wrote.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod command;
