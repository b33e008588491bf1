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
    if !is_metric_name(&raw.name) {
        return Err(bad(
            "a metric name has letters, digits, _ and :, and does not start with a digit"
                .to_owned(),
        ));
    }
    for label in raw
        .indexes
        .iter()
        .map(|index| &index.labelname)
        .chain(raw.lookups.iter().map(|lookup| &lookup.labelname))
    {
        if !is_label_name(label) {
            return Err(bad(format!(
                "`{label}` is no label name: expected letters, digits and _, not starting with a digit or __"
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
        name: raw.name,
        oid: raw.oid,
        kind: raw.kind,
        help: raw.help,
        indexes: raw
            .indexes
            .into_iter()
            .map(|one| Index {
                labelname: one.labelname,
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
                labels: one.labels,
                labelname: one.labelname,
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
                        .map(|one| Extract {
                            regex: one.regex,
                            value: one.value,
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

fn is_metric_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':') && !name.starts_with("__")
}
