//! Modules: what to ask for and how to turn the answers into series.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

use super::Pattern;
use crate::oid::Oid;

/// Names of the values of an enumeration or of the bits of a BITS value.
pub type EnumValues = BTreeMap<i64, String>;

/// One module.
#[derive(Debug)]
pub struct Module {
    /// Subtrees to walk.
    pub walk: Vec<Oid>,
    /// Instances to get.
    pub get: Vec<Oid>,
    /// What becomes of the values.
    pub metrics: Vec<Metric>,
    /// Repetitions of a GETBULK; 0 lets the agent library choose (50). Default 25.
    pub max_repetitions: u32,
    /// How often a request is sent again. Default 3.
    pub retries: u32,
    /// How long one try may take. Default 5 s.
    pub timeout: Duration,
    /// Take answers from another address than the one asked.
    pub use_unconnected_udp_socket: bool,
    /// Go on when an agent answers with an identifier that is not larger than the one asked for.
    pub allow_nonincreasing_oids: bool,
    /// Row filters.
    pub filters: Vec<Filter>,
}

/// A row filter: only the rows whose value in `oid` matches are asked for in `targets`.
#[derive(Debug)]
pub struct Filter {
    /// The column that decides.
    pub oid: Oid,
    /// The columns that are restricted.
    pub targets: Vec<Oid>,
    /// Any of these must match, anywhere in the value's text.
    pub values: Vec<Regex>,
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Name of the series.
    pub name: String,
    /// The object.
    pub oid: Oid,
    /// `gauge`, `counter`, `DisplayString`, … ; a name that is not known reads as a string.
    pub kind: String,
    /// Help text.
    pub help: String,
    /// How the rest of the identifier becomes labels.
    pub indexes: Vec<Index>,
    /// Labels read from other columns.
    pub lookups: Vec<Lookup>,
    /// Numbers cut out of a text, by suffix of the name.
    pub regex_extracts: BTreeMap<String, Vec<Extract>>,
    /// strptime pattern of `ParseDateAndTime`.
    pub datetime_pattern: String,
    /// Names of values.
    pub enum_values: EnumValues,
    /// Added to the value.
    pub offset: f64,
    /// Factor of the value; 0 means none.
    pub scale: f64,
    /// DISPLAY-HINT (RFC 2579 §3.1) of an OctetString.
    pub display_hint: String,
}

/// An expression and the template whose expansion must be a number.
#[derive(Debug)]
pub struct Extract {
    /// Must match the whole text.
    pub regex: Pattern,
    /// Template, `$1` by default.
    pub value: String,
}

/// One index of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Index {
    /// Label that carries it.
    pub labelname: String,
    /// How it is encoded in the identifier.
    pub kind: IndexType,
    /// Length of a fixed-size string; 0 when the length is in the identifier.
    pub fixed_size: usize,
    /// The string takes the rest of the identifier.
    pub implied: bool,
    /// Names of values.
    pub enum_values: EnumValues,
}

/// Types that an index may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IndexType {
    /// `Integer`, `Integer32`, `gauge`, `counter`: one number.
    Number,
    /// `EnumAsInfo`: one number with a name.
    Enumeration,
    /// `PhysAddress48`: six numbers.
    PhysAddress48,
    /// `OctetString`.
    OctetString,
    /// `DisplayString`.
    DisplayString,
    /// `InetAddressIPv4`: four numbers.
    InetAddressIpv4,
    /// `InetAddressIPv6`: sixteen numbers.
    InetAddressIpv6,
    /// `InetAddress`: type, length, address.
    InetAddress,
    /// `InetAddressMissingSize`: type, address.
    InetAddressMissingSize,
    /// `LldpPortId`: subtype, length, text or address.
    LldpPortId,
}

impl IndexType {
    /// The type of that name in `snmp.yml`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "Integer32" | "Integer" | "gauge" | "counter" => Self::Number,
            "EnumAsInfo" => Self::Enumeration,
            "PhysAddress48" => Self::PhysAddress48,
            "OctetString" => Self::OctetString,
            "DisplayString" => Self::DisplayString,
            "InetAddressIPv4" => Self::InetAddressIpv4,
            "InetAddressIPv6" => Self::InetAddressIpv6,
            "InetAddress" => Self::InetAddress,
            "InetAddressMissingSize" => Self::InetAddressMissingSize,
            "LldpPortId" => Self::LldpPortId,
            _ => return None,
        })
    }
}

/// A label read from another column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lookup {
    /// Labels whose raw indexes select the row; none means that the label is dropped.
    pub labels: Vec<String>,
    /// The label that is set.
    pub labelname: String,
    /// The column.
    pub oid: Oid,
    /// How its value is written.
    pub kind: String,
    /// DISPLAY-HINT of an OctetString.
    pub display_hint: String,
    /// Names of values.
    pub enum_values: EnumValues,
}
