//! Tests of this crate against the real Prometheus.

#![allow(clippy::unwrap_used)]

mod answers;
