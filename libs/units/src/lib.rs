//! Values as people write them in flags and files: durations, sizes, numbers within bounds; and errors as people read them.
//!
//! Each type reads itself from text (for `clap`), from a document (for `serde`) and describes itself (for `schemars`), so that a flag, a
//! key and their documentation have one grammar and one error text.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bytes;
mod chain;
mod duration;
pub mod go;
mod ranged;

pub use bytes::Bytes;
pub use chain::chain;
pub use duration::{Duration, DurationIn, duration, spelled};
pub use ranged::Ranged;
