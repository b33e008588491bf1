//! Tests of `sotp-rum`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod golden;
mod posts;
mod support;
