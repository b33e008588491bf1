//! The configuration: snmp_exporter's own `snmp.yml`, read strictly.

mod auth;
mod error;
pub mod module;
pub mod pattern;
mod read;
mod show;

pub use auth::{
    Auth, AuthProtocol, Credential, Credentials, OnlyFor, PrivProtocol, SecurityLevel, network,
};
pub use error::Error;
pub use module::{EnumValues, Extract, Filter, Index, IndexType, Lookup, Metric, Module};
pub use pattern::{Pattern, unanchored};
pub use read::{BUILT_IN, Options, load, matching, parse, read};
pub(crate) use read::{RULES, refused};
pub use units::go::GoDuration;

pub(crate) use show::{quoted, show_module};

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything that `snmp.yml` says.
#[derive(Debug, Default)]
pub struct Config {
    /// Credentials by name: `auth=` of a request.
    pub auths: BTreeMap<String, Auth>,
    /// Modules by name: `module=` of a request.
    pub modules: BTreeMap<String, Module>,
    /// Answer exactly as snmp_exporter does, without any addition.
    pub strict: bool,
    /// The files that were read, secrets included.
    pub files: Vec<PathBuf>,
    /// Patterns of `--config.file` that matched nothing.
    pub unmatched: Vec<String>,
}
