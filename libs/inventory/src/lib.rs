//! The devices of a network: the inventory file, its checks, its sources, and who answers for which device.
//!
//! [`Inventory::parse`] turns text (YAML, or its JSON form) into a checked, immutable [`Inventory`].
//! [`Feed`] follows a file or the inventory service and keeps the last good one. [`sd`] renders
//! Prometheus `http_sd`, and [`Shard`] divides the devices among processes. [`edit`] changes entries and the text they stand in.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

mod check;
pub mod document;
pub mod edit;
mod feed;
mod file;
pub mod labels;
mod model;
mod names;
mod node;
mod problem;
mod read;
mod schema;
pub mod sd;
mod shard;
mod source;
mod text;

pub use document::{Desired, Document, Family, Records};
pub use feed::{CHECKED, Feed, Guard, Health};
pub use model::{
    Address, Device, Devices, Inventory, MAX_BYTES, MAX_CREDENTIALS, MAX_DEVICES, MAX_GROUPS,
    MAX_SITES, Mqtt, Ping, Ports, Senders, Site, Snmp, Ssh, Window,
};
pub use problem::{Error, Problem, Problems};
pub use schema::json_schema;
pub use shard::{InvalidShard, Shard};
pub use source::{InvalidSource, Source, UrlOptions};
pub use text::Text;
