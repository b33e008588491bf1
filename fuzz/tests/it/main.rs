//! The seeds of the fuzz targets.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod seeds;
