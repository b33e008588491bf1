//! A client of Prometheus' query API with typed, bounded answers, and of the silences of Alertmanager.
//!
//! [`Section`] is what stands in a service's configuration, [`Prometheus`] the client made of it. Every answer carries the warnings that
//! Prometheus gave with it: a partial answer is told from a whole one. Times are seconds since the epoch, as the API has them.
//!
//! The contract is Prometheus' own: <https://prometheus.io/docs/prometheus/latest/querying/api/>; Mimir and Thanos answer the same.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod alertmanager;
mod answer;
mod client;
mod section;

pub use alertmanager::{Alertmanager, Matcher, NewSilence, Silence};
pub use answer::{Labels, Matrix, Sample, Series, Vector};
pub use client::{Error, Pages, Prometheus, Range};
pub use section::{BasicAuth, Section, Wrong};
