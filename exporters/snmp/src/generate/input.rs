//! `generator.yml` of snmp_exporter, as it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use crate::config::module::IndexType;
use crate::config::pattern::Pattern;
use units::go::GoDuration;

/// One module that is to be made.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleInput {
    /// What to walk or get: names, `MODULE::NAME`s, dotted identifiers, instances of these.
    #[serde(default)]
    pub walk: Vec<String>,
    /// `max_repetitions` of the module.
    pub max_repetitions: Option<u32>,
    /// `retries` of the module.
    pub retries: Option<u32>,
    /// `timeout` of the module.
    pub timeout: Option<GoDuration>,
    /// `use_unconnected_udp_socket` of the module.
    #[serde(default)]
    pub use_unconnected_udp_socket: bool,
    /// `allow_nonincreasing_oids` of the module.
    #[serde(default)]
    pub allow_nonincreasing_oids: bool,
    /// Labels to read from other columns.
    #[serde(default)]
    pub lookups: Vec<LookupInput>,
    /// What is to be otherwise, by name of the metric or its identifier.
    #[serde(default)]
    pub overrides: BTreeMap<String, Override>,
    /// Rows to leave out.
    #[serde(default)]
    pub filters: Filters,
}

/// A label to read from another column.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupInput {
    /// The indexes that choose the row.
    pub source_indexes: Vec<String>,
    /// The column.
    pub lookup: String,
    /// Whether the labels of these indexes are dropped.
    #[serde(default)]
    pub drop_source_indexes: bool,
    /// DISPLAY-HINT of the label, or `@mib` for that of the MIB.
    #[serde(default)]
    pub display_hint: String,
}

/// What is to be otherwise for one metric.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Leave it out.
    #[serde(default)]
    pub ignore: bool,
    /// Another help text.
    #[serde(default)]
    pub help: String,
    /// Another name.
    #[serde(default)]
    pub name: String,
    /// Numbers to cut out of a text, by suffix of the name.
    #[serde(default)]
    pub regex_extracts: BTreeMap<String, Vec<ExtractInput>>,
    /// strptime pattern of `ParseDateAndTime`.
    #[serde(default)]
    pub datetime_pattern: String,
    /// Added to the value.
    #[serde(default)]
    pub offset: f64,
    /// Factor of the value.
    #[serde(default)]
    pub scale: f64,
    /// Another type.
    #[serde(rename = "type", default, deserialize_with = "metric_type")]
    pub kind: String,
    /// DISPLAY-HINT, or `@mib` for that of the MIB.
    #[serde(default)]
    pub display_hint: String,
}

/// An expression and the template whose expansion must be a number.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtractInput {
    /// Must match the whole text.
    pub regex: Pattern,
    /// Template.
    #[serde(default = "first_group")]
    pub value: String,
}

fn first_group() -> String {
    "$1".to_owned()
}

/// Rows to leave out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filters {
    /// Chosen now.
    #[serde(rename = "static", default)]
    pub fixed: Vec<StaticFilter>,
    /// Chosen by each scrape.
    #[serde(default)]
    pub dynamic: Vec<DynamicFilter>,
}

/// Only these rows of the targets are asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticFilter {
    /// Columns, or tables.
    pub targets: Vec<String>,
    /// Indexes of the rows.
    pub indices: Vec<String>,
}

/// Only the rows of the targets are asked for whose value in `oid` matches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicFilter {
    /// The column that decides.
    pub oid: String,
    /// The columns that are restricted.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Any of these expressions must match.
    #[serde(default)]
    pub values: Vec<String>,
}

/// The types that an override may name.
const TYPES: [&str; 18] = [
    "gauge",
    "counter",
    "OctetString",
    "DateAndTime",
    "ParseDateAndTime",
    "NTPTimeStamp",
    "DisplayString",
    "PhysAddress48",
    "Float",
    "Double",
    "InetAddressIPv4",
    "InetAddressIPv6",
    "InetAddress",
    "InetAddressMissingSize",
    "LldpPortId",
    "EnumAsInfo",
    "EnumAsStateSet",
    "Bits",
];

/// Whether `snmp.yml` knows this type.
#[must_use]
pub fn is_type(name: &str) -> bool {
    TYPES.contains(&name) || IndexType::named(name).is_some()
}

fn metric_type<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    let name = String::deserialize(source)?;
    if is_type(&name) {
        Ok(name)
    } else {
        Err(de::Error::custom(format!(
            "`{name}` is no metric type: expected one of {}",
            TYPES.join(", ")
        )))
    }
}
