//! The client against a real Prometheus.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod queries;
