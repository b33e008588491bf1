//! What every SOTP service shares: its life from flags to drain.
//!
//! A service implements [`Service`] and its `main.rs` says `toolkit::main::<Ping>()`. The toolkit then reads the flags, checks the
//! configuration, binds, lets the service build itself on an [`App`], answers HTTP, reloads, supervises tasks and drains.
//!
//! Two thread pools exist. The main pool carries the service's tasks and routes. A small second one carries the web server, signals
//! and reload, so that health, metrics and a stop request are answered while the main pool is busy or blocked.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app;
mod bucket;
mod carriers;
mod certificates;
pub mod config;
mod encoder;
mod flags;
mod identity;
mod latency;
mod life;
mod live;
pub mod log;
mod metrics;
mod process;
pub mod reference;
mod secret;
mod secret_file;
mod supervise;
pub mod trace;
mod vault;
pub mod web;
pub mod web_config;
pub mod yaml;

pub use app::{App, Collect, WrongLogin};
pub use bucket::TokenBucket;
pub use certificates::{ClientCertificates, ClientFiles, ClientFilesError, Renewing};
pub use config::{BadInput, ConfigError, Configuration, Service};
pub use encoder::{
    Buckets, Decimal, Encoder, Exemplar, Format, Kind, Labels, Native, Number, escape_label,
};
pub use flags::Flags;
pub use identity::Identity;
pub use latency::{Latency, Series};
pub use life::{main, main_from};
pub use live::Live;
pub use secret::{Secret, SecretUrl, without_passwords};
pub use secret_file::{SecretFile, read_secret};
pub use supervise::{Latch, OnEnd, Spawner, Stop};
pub use units::chain;
pub use units::duration;
pub use web::{Request, Response};

pub use {anyhow, clap, http, prometheus, tracing};
