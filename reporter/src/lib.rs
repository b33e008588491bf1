//! The availability of a month as PDF, CSV and mail: the parts of `sotp-reporter`.
//!
//! [`history`] reads what Prometheus remembers, [`timeline`] makes states of samples, [`figures`] counts, and neither asks nor rounds;
//! [`paper`] and [`tables`] write it down, [`bundle`] lists the files with their hashes. [`work`] goes the way from a month to a mail
//! that is out, over the [`store`] and the [`outbox`].

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

pub mod api;
mod app;
pub mod bundle;
pub mod closed;
pub mod commands;
pub mod config;
pub mod copies;
mod disk;
pub mod figures;
mod flags;
pub mod history;
pub mod jobs;
pub mod mail;
pub mod material;
pub mod metrics;
pub mod month;
pub mod outbox;
pub mod paper;
pub mod reporter;
pub mod schedule;
pub mod sources;
pub mod store;
pub mod tables;
pub mod timeline;
pub mod totals;
pub mod verbs;
pub mod words;
pub mod work;

pub use app::Service;
pub use flags::Flags;
