//! One of `modules`: walks, gets, metrics, filters.

use std::collections::BTreeMap;
use std::time::Duration;

use yaml::Spanned;

use super::place::Place;
use super::{place_of, raw};
use crate::config::{Extract, Filter, Index, Lookup, Metric, Module};
use crate::generate::input::{LookupInput, Override};
use crate::oid::Oid;

/// Where it stands, where that is known closer than by the module, and why.
pub(super) type Refused = (Option<(u64, u64)>, String);

/// The part of a module that MIBs complete.
pub(super) struct ByName {
    /// What is walked and got by name.
    pub(super) walk: Vec<Spanned<Place>>,
    /// `lookups` of the module.
    pub(super) lookups: Vec<LookupInput>,
    /// `overrides` of the module.
    pub(super) overrides: BTreeMap<String, Override>,
}

pub(super) fn module(raw: raw::Module) -> Result<(Module, ByName), Refused> {
    let metrics = raw.metrics.unwrap_or_default();
    let mut by_name = ByName {
        walk: Vec::new(),
        lookups: raw.lookups,
        overrides: raw.overrides,
    };
    let mut numbers = |list: Vec<Spanned<Place>>| {
        let mut oids = Vec::new();
        for one in list {
            match one.value {
                Place::Oid(oid) => oids.push(oid),
                Place::Name(_) => by_name.walk.push(one),
            }
        }
        oids
    };
    let (walk, get) = (numbers(raw.walk), numbers(raw.get));
    for (key, given) in [
        ("lookups", !by_name.lookups.is_empty()),
        ("overrides", !by_name.overrides.is_empty()),
    ] {
        if given && by_name.walk.is_empty() {
            return Err((
                None,
                format!(
                    "{key}: expected only where walk names MIB objects, as in IF-MIB::ifXTable"
                ),
            ));
        }
    }
    let module = Module {
        walk,
        get,
        metrics: metrics.into_iter().map(metric).collect::<Result<_, _>>()?,
        max_repetitions: raw.max_repetitions.unwrap_or(25),
        retries: raw.retries.unwrap_or(3),
        timeout: raw
            .timeout
            .map_or(Duration::from_secs(5), |timeout| timeout.0),
        use_unconnected_udp_socket: raw.use_unconnected_udp_socket,
        allow_nonincreasing_oids: raw.allow_nonincreasing_oids,
        filters: raw
            .filters
            .into_iter()
            .map(|filter| Filter {
                oid: filter.oid,
                targets: filter.targets,
                values: filter.values.into_iter().map(|one| one.0).collect(),
            })
            .collect(),
    };
    Ok((module, by_name))
}

fn metric(spanned: Spanned<raw::Metric>) -> Result<Metric, Refused> {
    let at = place_of(&spanned);
    let raw = spanned.value;
    let bad = |reason: String| (Some(at), format!("metrics.{}: {reason}", raw.name));
    if raw.name.is_empty() {
        return Err(bad("expected a name".to_owned()));
    }
    for label in raw
        .indexes
        .iter()
        .map(|index| &index.labelname)
        .chain(raw.lookups.iter().map(|lookup| &lookup.labelname))
    {
        if label.is_empty() || label.starts_with("__") {
            return Err(bad(format!(
                "`{label}` is no label name: expected one that does not start with __"
            )));
        }
    }
    if let Some(lookup) = raw
        .lookups
        .iter()
        .find(|lookup| lookup.oid.is_none() && !lookup.labels.is_empty())
    {
        return Err(bad(format!(
            "lookup of {}: oid is missing",
            lookup.labelname
        )));
    }
    Ok(Metric {
        name: escaped(&raw.name),
        oid: raw.oid,
        kind: raw.kind,
        help: raw.help,
        indexes: raw
            .indexes
            .into_iter()
            .map(|one| Index {
                labelname: escaped(&one.labelname),
                kind: one.kind.0,
                fixed_size: one.fixed_size,
                implied: one.implied,
                enum_values: one.enum_values,
            })
            .collect(),
        lookups: raw
            .lookups
            .into_iter()
            .map(|one| Lookup {
                labels: one.labels.iter().map(|label| escaped(label)).collect(),
                labelname: escaped(&one.labelname),
                oid: one.oid.unwrap_or_else(|| Oid::new([])),
                kind: one.kind,
                display_hint: one.display_hint,
                enum_values: one.enum_values,
            })
            .collect(),
        regex_extracts: raw
            .regex_extracts
            .into_iter()
            .map(|(suffix, list)| {
                (
                    suffix,
                    list.into_iter()
                        .filter_map(|one| {
                            Some(Extract {
                                regex: one.regex?,
                                value: one.value,
                            })
                        })
                        .collect(),
                )
            })
            .collect(),
        datetime_pattern: raw.datetime_pattern,
        enum_values: raw.enum_values,
        offset: raw.offset,
        scale: raw.scale,
        display_hint: raw.display_hint,
    })
}

/// A name as Prometheus escapes it in the text format (escaping=underscores): what is no letter, digit, `_` or `:` is `_`, and so is a
/// digit at the beginning.
fn escaped(name: &str) -> String {
    let plain = |at: usize, c: char| {
        c.is_ascii_alphabetic() || c == '_' || c == ':' || (at > 0 && c.is_ascii_digit())
    };
    name.chars()
        .enumerate()
        .map(|(at, c)| if plain(at, c) { c } else { '_' })
        .collect()
}
