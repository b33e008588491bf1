//! The file as it is written: every key snmp_exporter knows, and ours.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};
use yaml::Spanned;

use crate::config::{
    AuthProtocol, GoDuration, IndexType, Pattern, PrivProtocol, SecurityLevel, unanchored,
};
use crate::generate::input::{LookupInput, Override};
use crate::oid::Oid;

use super::place::Place;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default, deserialize_with = "filled")]
    pub(super) auths: BTreeMap<String, Spanned<Auth>>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) modules: BTreeMap<String, Spanned<Module>>,
    #[serde(rename = "version")]
    pub(super) _version: Option<i64>,
    pub(super) strict: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    pub(super) community: Option<String>,
    pub(super) community_file: Option<PathBuf>,
    pub(super) community_env: Option<String>,
    pub(super) security_level: Option<Named<SecurityLevel>>,
    pub(super) username: Option<String>,
    pub(super) username_file: Option<PathBuf>,
    pub(super) username_env: Option<String>,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) password_env: Option<String>,
    pub(super) auth_protocol: Option<Named<AuthProtocol>>,
    pub(super) priv_protocol: Option<Named<PrivProtocol>>,
    pub(super) priv_password: Option<String>,
    pub(super) priv_password_file: Option<PathBuf>,
    pub(super) priv_password_env: Option<String>,
    pub(super) context_name: Option<String>,
    pub(super) version: Option<i64>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) targets: BTreeMap<String, Spanned<Credentials>>,
    pub(super) only_for: Option<OnlyFor>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct OnlyFor {
    pub(super) targets: Vec<String>,
    pub(super) sites: Vec<String>,
    pub(super) networks: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    pub(super) community: Option<String>,
    pub(super) community_file: Option<PathBuf>,
    pub(super) community_env: Option<String>,
    pub(super) username: Option<String>,
    pub(super) username_file: Option<PathBuf>,
    pub(super) username_env: Option<String>,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) password_env: Option<String>,
    pub(super) priv_password: Option<String>,
    pub(super) priv_password_file: Option<PathBuf>,
    pub(super) priv_password_env: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Module {
    #[serde(default, deserialize_with = "filled")]
    pub(super) walk: Vec<Spanned<Place>>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) get: Vec<Spanned<Place>>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) lookups: Vec<LookupInput>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) overrides: BTreeMap<String, Override>,
    pub(super) metrics: Option<Vec<Spanned<Metric>>>,
    pub(super) max_repetitions: Option<u32>,
    pub(super) retries: Option<u32>,
    pub(super) timeout: Option<GoDuration>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) use_unconnected_udp_socket: bool,
    #[serde(default, deserialize_with = "filled")]
    pub(super) allow_nonincreasing_oids: bool,
    #[serde(default, deserialize_with = "filled")]
    pub(super) filters: Vec<Filter>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    pub(super) oid: Oid,
    #[serde(default, deserialize_with = "filled")]
    pub(super) targets: Vec<Oid>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) values: Vec<Anywhere>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) oid: Oid,
    #[serde(rename = "type", default, deserialize_with = "filled")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "filled")]
    pub(super) help: String,
    #[serde(default, deserialize_with = "filled")]
    pub(super) indexes: Vec<Index>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) lookups: Vec<Lookup>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) regex_extracts: BTreeMap<String, Vec<Extract>>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) datetime_pattern: String,
    #[serde(default, deserialize_with = "filled")]
    pub(super) enum_values: BTreeMap<i64, String>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) offset: f64,
    #[serde(default, deserialize_with = "filled")]
    pub(super) scale: f64,
    #[serde(default, deserialize_with = "filled")]
    pub(super) display_hint: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Extract {
    #[serde(default = "first_group")]
    pub(super) value: String,
    pub(super) regex: Option<Pattern>,
}

/// A key without a value is one that is not there, as Go's reader has it.
fn filled<'de, D, T>(source: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(source)?.unwrap_or_default())
}

fn first_group() -> String {
    "$1".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    #[serde(default, deserialize_with = "filled")]
    pub(super) labelname: String,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(default, deserialize_with = "filled")]
    pub(super) fixed_size: usize,
    #[serde(default, deserialize_with = "filled")]
    pub(super) implied: bool,
    #[serde(default, deserialize_with = "filled")]
    pub(super) enum_values: BTreeMap<i64, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lookup {
    #[serde(default, deserialize_with = "filled")]
    pub(super) labels: Vec<String>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) labelname: String,
    #[serde(default, deserialize_with = "filled")]
    pub(super) oid: Option<Oid>,
    #[serde(rename = "type", default, deserialize_with = "filled")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "filled")]
    pub(super) display_hint: String,
    #[serde(default, deserialize_with = "filled")]
    pub(super) enum_values: BTreeMap<i64, String>,
}

/// An index type by name.
#[derive(Debug)]
pub(super) struct Kind(pub(super) IndexType);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let name = String::deserialize(source)?;
        IndexType::named(&name).map(Kind).ok_or_else(|| {
            de::Error::custom(format!(
                "`{name}` is no index type: expected Integer32, Integer, gauge, counter, PhysAddress48, OctetString, DisplayString, \
                 InetAddressIPv4, InetAddressIPv6, InetAddress, InetAddressMissingSize, LldpPortId or EnumAsInfo"
            ))
        })
    }
}

/// An expression that may match anywhere.
#[derive(Debug)]
pub(super) struct Anywhere(pub(super) regex::Regex);

impl<'de> Deserialize<'de> for Anywhere {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        unanchored(&String::deserialize(source)?)
            .map(Self)
            .map_err(de::Error::custom)
    }
}

/// A name that only matters for some versions: kept as text when it is not known.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Result<T, String>);

macro_rules! named {
    ($kind:ty) => {
        impl<'de> Deserialize<'de> for Named<$kind> {
            fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                let name = String::deserialize(source)?;
                Ok(Self(<$kind>::named(&name).ok_or(name)))
            }
        }
    };
}

named!(SecurityLevel);
named!(AuthProtocol);
named!(PrivProtocol);
