//! Fuzz targets for everything of SOTP that reads a file or the network: `make fuzz` searches with libFuzzer, and a test runs what is kept.
//!
//! A target more is a file in `targets/`, its line here and in [`TARGETS`], and a folder of seeds.

use arbitrary::{Arbitrary, Unstructured};

/// Makes `run(bytes)` of a block over bytes, or over values that are made of them as libFuzzer's own macro makes them.
macro_rules! target {
    (|$bytes:ident: &[u8]| $body:block) => {
        /// Runs the target on one input.
        pub fn run($bytes: &[u8]) $body
    };
    (|$value:ident: $kind:ty| $body:block) => {
        /// Runs the target on one input.
        pub fn run(bytes: &[u8]) {
            crate::with_values(bytes, |$value: $kind| $body);
        }
    };
}
use target;

/// The targets, a file each.
pub mod targets {
    pub mod capture;
    pub mod deflate;
    pub mod faro;
    pub mod icmp;
    pub mod inventory;
    pub mod ipfix;
    pub mod lists;
    pub mod mib;
    pub mod mmdb;
    pub mod mqtt;
    pub mod netflow5;
    pub mod netflow9;
    pub mod ping_compat;
    pub mod sflow;
    pub mod snmp;
    pub mod ssh;
    pub mod syslog;
    pub mod syslog_framing;
    pub mod syslog_rfc3164;
    pub mod syslog_rfc5424;
    pub mod syslog_rules;
    pub mod textfsm;
    pub mod token;
    pub mod web_config;
}

/// A target.
pub type Target = fn(&[u8]);

/// The targets as `make fuzz` calls them.
pub const TARGETS: &[(&str, Target)] = &[
    ("capture", targets::capture::run),
    ("deflate", targets::deflate::run),
    ("faro", targets::faro::run),
    ("icmp", targets::icmp::run),
    ("inventory", targets::inventory::run),
    ("ipfix", targets::ipfix::run),
    ("lists", targets::lists::run),
    ("mib", targets::mib::run),
    ("mmdb", targets::mmdb::run),
    ("mqtt", targets::mqtt::run),
    ("netflow5", targets::netflow5::run),
    ("netflow9", targets::netflow9::run),
    ("ping-compat", targets::ping_compat::run),
    ("sflow", targets::sflow::run),
    ("snmp", targets::snmp::run),
    ("ssh", targets::ssh::run),
    ("syslog", targets::syslog::run),
    ("syslog-framing", targets::syslog_framing::run),
    ("syslog-rfc3164", targets::syslog_rfc3164::run),
    ("syslog-rfc5424", targets::syslog_rfc5424::run),
    ("syslog-rules", targets::syslog_rules::run),
    ("textfsm", targets::textfsm::run),
    ("token", targets::token::run),
    ("web-config", targets::web_config::run),
];

/// The variable that chooses a target for the program.
pub const CHOICE: &str = "SOTP_FUZZ_TARGET";

/// The target that the environment chooses.
///
/// # Panics
/// It chooses none.
#[must_use]
pub fn chosen() -> Target {
    let name = std::env::var(CHOICE).unwrap_or_default();
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let Some((_, target)) = found else {
        panic!("{CHOICE}={name}: expected the name of a file in fuzz/targets, with - for _");
    };
    *target
}

fn with_values<'a, T: Arbitrary<'a>>(bytes: &'a [u8], check: impl FnOnce(T)) {
    if bytes.len() < T::size_hint(0).0 {
        return;
    }
    if let Ok(value) = T::arbitrary_take_rest(Unstructured::new(bytes)) {
        check(value);
    }
}
