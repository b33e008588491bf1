//! The type that an object has in `snmp.yml`.

use std::collections::{BTreeMap, HashMap};

use crate::generate::input::Override;
use crate::mib::{Kind, Mibs, Object};
use crate::oid::Oid;

/// The convention of the column before a value of this type, which tells of which kind it is.
pub(super) fn subtype(kind: &str) -> Option<&'static str> {
    match kind {
        "InetAddress" | "InetAddressMissingSize" => Some("InetAddressType"),
        "LldpPortId" => Some("LldpPortIdSubtype"),
        _ => None,
    }
}

/// Types by object, with what overrides say.
#[derive(Debug)]
pub(super) struct Types<'a> {
    overridden: HashMap<Oid, &'a str>,
}

impl<'a> Types<'a> {
    pub(super) fn new(mibs: &Mibs, overrides: &'a BTreeMap<String, Override>) -> Self {
        let named = overrides.iter().filter(|(_, one)| !one.kind.is_empty());
        Self {
            overridden: named
                .filter_map(|(name, one)| {
                    let object = mibs.get(name)?;
                    Some((object.oid.clone(), one.kind.as_str()))
                })
                .collect(),
        }
    }

    /// Whether an index or label of this object reads as the word of its enumeration.
    pub(super) fn is_enumeration(&self, object: &Object) -> bool {
        object.kind == Kind::Number
            && !object.names.is_empty()
            && !self.overridden.contains_key(&object.oid)
    }

    /// The type of `object`; `None` for what has no value that could be shown.
    pub(super) fn of(&self, object: &Object) -> Option<String> {
        if let Some(kind) = self.overridden.get(&object.oid) {
            return Some((*kind).to_owned());
        }
        if object.kind == Kind::None {
            return None;
        }
        let by_convention = match object.convention.as_str() {
            "DisplayString" => Some("DisplayString"),
            "PhysAddress" => Some("PhysAddress48"),
            name @ ("Float" | "Double" | "DateAndTime" | "ParseDateAndTime" | "NTPTimeStamp"
            | "InetAddressIPv4" | "InetAddressIPv6" | "InetAddress" | "LldpPortId") => Some(name),
            _ => None,
        };
        let kind = by_convention
            .or_else(|| by_hint(object))
            .or(match object.kind {
                Kind::Number => Some("gauge"),
                Kind::Counter => Some("counter"),
                Kind::Octets | Kind::Identifier => Some("OctetString"),
                Kind::Bits => Some("Bits"),
                Kind::IpAddress => Some("InetAddressIPv4"),
                Kind::Opaque | Kind::None => None,
            });
        kind.map(str::to_owned)
    }
}

/// Hints that mean a type: that of hardware addresses, which have six octets or do not say how many, and text of some length (`255a`,
/// `255t`).
fn by_hint(object: &Object) -> Option<&'static str> {
    let hint = object.hint.as_str();
    if hint == "1x:" && [0, 6].contains(&object.fixed_size) {
        return Some("PhysAddress48");
    }
    let digits = hint.strip_suffix(['a', 't'])?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some("DisplayString")
}
