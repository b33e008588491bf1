//! Harness of SOTP's own tests: real processes, a client, parsed metrics, waiting without sleeping.

#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(
    clippy::missing_panics_doc,
    reason = "a harness panics when a test is written wrongly"
)]

pub mod chromium;
pub mod debian;
mod dir;
mod figures;
pub mod golden;
pub mod grafana;
pub mod interface;
pub mod lab;
pub mod loki;
mod mark;
mod measure;
pub mod namespace;
pub mod otlp;
mod process;
mod prometheus;
mod promtool;
pub mod protobuf;
mod router;
mod samples;
pub mod services;
mod skip;
pub mod ssh;
pub mod tls;
pub mod vault;
mod wait;

pub use dir::TempDir;
pub use figures::{Figures, Goal};
pub use golden::Golden;
pub use lab::Lab;
pub use mark::Mark;
pub use measure::{gzip, timed};
pub use process::{Process, Spawn};
pub use prometheus::Server;
pub use promtool::promtool;
pub use router::{Router, links};
pub use samples::{Sample, Samples};
pub use skip::skip;
pub use wait::{eventually, until};

pub use nix::sys::signal::Signal;

/// An HTTP client that trusts nothing but plain text: for services on loopback.
///
/// # Panics
/// The client cannot be built.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a harness that cannot build its client cannot go on"
)]
pub fn client() -> reqwest::Client {
    crypto();
    reqwest::Client::builder()
        .no_proxy()
        // Reading the system's certificates takes a hundred times as long as most tests.
        .tls_certs_only([])
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .expect("a client without options is always built")
}

/// Makes ring the process' provider of cryptography, once.
pub fn crypto() {
    // An error says that it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
