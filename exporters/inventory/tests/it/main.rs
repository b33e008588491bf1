//! The real binary: read, edited, discovered, documented.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod checks;
mod docs;
mod editing;
mod golden;
mod hardening;
mod live;
mod openapi;
mod process;
mod prometheus;
mod remote;
mod scale;
mod schemathesis;
mod support;
mod watched;
