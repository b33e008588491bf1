//! `sotp-ssh-config`: the configuration of every device, collected over SSH, masked, kept with its history, and held against rules.
//!
//! ```text
//! inventory ─► fleet (who is due) ─► collector (libs/ssh, normalise, mask) ─► archive (libs/git, one reference a device)
//! syslog's webhook ─► events ─► fleet                                          ├─► journal (a line in Loki for each change)
//!                       └─► logins (who is on the device)                      └─► compliance (rules)
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod api;
mod app;
mod archive;
mod collector;
mod compliance;
mod config;
mod counters;
mod diff;
mod events;
mod flags;
mod fleet;
mod hops;
mod journal;
mod logins;
mod metrics;
mod push;
mod record;
mod room;
mod rules;
mod scope;
mod sections;
mod sessions;
mod state;
mod tree;
mod webhook;

pub use app::Service;
pub use record::record;
pub use rules::test_rules;
