//! From MIB objects to a module of `snmp.yml`, with the choices that snmp_exporter's generator makes.

mod filters;
mod types;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::input::{LookupInput, ModuleInput, Override};
use crate::config::module::{Extract, Index, IndexType, Lookup, Metric, Module};
use crate::mib::{Access, MibError, Mibs, Object};
use crate::oid::Oid;
use types::{Types, subtype};

/// Why a module cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A name is not known.
    #[error("{key}: {source}")]
    Name {
        /// The key that holds it.
        key: String,
        /// Why.
        source: MibError,
    },
    /// An object has no values.
    #[error("{key}: `{name}` is no object with values")]
    NoValue {
        /// The key that holds it.
        key: String,
        /// The object.
        name: String,
    },
    /// Something in a filter.
    #[error("filters: {0}")]
    Filter(String),
}

/// A module, and what was left out of it and why.
#[derive(Debug)]
pub struct Built {
    /// The module.
    pub module: Module,
    /// One sentence for each object that was left out.
    pub warnings: Vec<String>,
}

/// What must be asked for: identifiers of subtrees, and of instances.
#[derive(Debug, Default)]
struct Wanted {
    walks: BTreeSet<String>,
    gets: BTreeSet<String>,
    /// Instances that were named, by the column they are of.
    instances: HashMap<Oid, Vec<Vec<u32>>>,
}

impl Wanted {
    /// A column that a metric needs: only its named instances when the metric has been named by instance.
    fn column(&mut self, metric: &Oid, column: &Oid) {
        match self.instances.get(metric) {
            Some(rows) => {
                for row in rows {
                    self.gets.insert(column.join(row).to_string());
                }
            }
            None => {
                self.walks.insert(column.to_string());
            }
        }
    }

    /// Nothing twice, and nothing below what is walked anyway.
    fn minimal(self) -> (Vec<Oid>, Vec<Oid>) {
        let walks = minimal(self.walks);
        let below = |get: &String| {
            walks
                .iter()
                .any(|walk| get == walk || get.starts_with(&format!("{walk}.")))
        };
        let gets = self.gets.iter().filter(|get| !below(get));
        (
            walks.iter().filter_map(|one| one.parse().ok()).collect(),
            gets.filter_map(|one| one.parse().ok()).collect(),
        )
    }
}

/// The identifiers that are not below another one, in the order of their texts.
fn minimal(oids: BTreeSet<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for oid in oids {
        if !kept
            .iter()
            .any(|one| oid == *one || oid.starts_with(&format!("{one}.")))
        {
            kept.push(oid);
        }
    }
    kept
}

/// Makes a module of what `input` says.
///
/// # Errors
/// A name in it is not known to `mibs`.
pub fn module(mibs: &Mibs, input: &ModuleInput) -> Result<Built, BuildError> {
    let types = Types::new(mibs, &input.overrides);
    let mut wanted = Wanted::default();
    let mut warnings = Vec::new();
    let roots = roots(mibs, &types, input, &mut wanted)?;
    let mut metrics: BTreeMap<Oid, Metric> = BTreeMap::new();
    for root in &roots {
        for object in mibs.below(root) {
            if input
                .overrides
                .get(&object.name)
                .is_some_and(|one| one.ignore)
            {
                continue;
            }
            match metric(mibs, &types, object) {
                Ok(Some(metric)) => {
                    metrics.insert(object.oid.clone(), metric);
                }
                Ok(None) => {}
                Err(reason) => {
                    warnings.push(format!("{} is left out: {reason}", object.name));
                }
            }
        }
    }
    let mut metrics: Vec<Metric> = metrics.into_values().collect();
    for one in &mut metrics {
        lookups(mibs, &types, one, &input.lookups, &mut wanted)?;
        for index in &mut one.indexes {
            index.labelname = label(&index.labelname);
        }
        address(mibs, one, &mut wanted);
    }
    for (name, change) in &input.overrides {
        let mut found = false;
        for one in metrics
            .iter_mut()
            .filter(|one| one.name == *name || one.oid.to_string() == *name)
        {
            found = true;
            apply(mibs, one, change);
        }
        if !found && !change.ignore && mibs.get(name).is_none() {
            warnings.push(format!("overrides.{name}: no metric has this name"));
        }
    }
    let filters = filters::apply(mibs, &input.filters, &metrics, &mut wanted)?;
    let (walk, get) = wanted.minimal();
    Ok(Built {
        module: Module {
            walk,
            get,
            metrics,
            max_repetitions: input.max_repetitions.unwrap_or(25),
            retries: input.retries.unwrap_or(3),
            timeout: input.timeout.map_or(Duration::from_secs(5), |one| one.0),
            use_unconnected_udp_socket: input.use_unconnected_udp_socket,
            allow_nonincreasing_oids: input.allow_nonincreasing_oids,
            filters,
        },
        warnings,
    })
}

/// What the walks name, at the object that each belongs to; notes what must be asked for.
fn roots(
    mibs: &Mibs,
    types: &Types<'_>,
    input: &ModuleInput,
    wanted: &mut Wanted,
) -> Result<BTreeSet<Oid>, BuildError> {
    let mut named: BTreeSet<String> = BTreeSet::new();
    for written in &input.walk {
        let oid = mibs.resolve(written).map_err(|source| BuildError::Name {
            key: "walk".to_owned(),
            source,
        })?;
        named.insert(oid.to_string());
    }
    let mut roots = BTreeSet::new();
    for text in minimal(named) {
        let Ok(oid) = text.parse::<Oid>() else {
            continue;
        };
        let usable =
            |object: &Object| object.access == Access::Usable && types.of(object).is_some();
        if let Some(object) = mibs.at(&oid) {
            if usable(object) && object.indexes.is_empty() {
                wanted.gets.insert(oid.join(&[0]).to_string());
            } else {
                wanted.walks.insert(text);
            }
            roots.insert(oid);
            continue;
        }
        // A number between named objects, as where one is defined by `::= { parent 0 7 }`.
        if mibs.below(&oid).next().is_some() {
            wanted.walks.insert(text);
            roots.insert(oid);
            continue;
        }
        // An instance lies below a column, or below a scalar.
        let above = mibs.above(&oid).filter(|object| usable(object));
        let Some(object) = above else {
            return Err(BuildError::NoValue {
                key: "walk".to_owned(),
                name: text,
            });
        };
        let row = oid.ids()[object.oid.ids().len()..].to_vec();
        wanted.gets.insert(text);
        wanted
            .instances
            .entry(object.oid.clone())
            .or_default()
            .push(row);
        roots.insert(object.oid.clone());
    }
    Ok(roots)
}

/// The metric of an object; nothing for one without values, an error for one whose index cannot be told.
fn metric(mibs: &Mibs, types: &Types<'_>, object: &Object) -> Result<Option<Metric>, String> {
    let Some(kind) = types.of(object).filter(|_| object.access == Access::Usable) else {
        return Ok(None);
    };
    Ok(Some(Metric {
        name: label(&object.name),
        oid: object.oid.clone(),
        kind,
        help: format!("{} - {}", sentence(&object.description), object.oid),
        indexes: indexes(mibs, types, object)?,
        lookups: Vec::new(),
        regex_extracts: BTreeMap::new(),
        datetime_pattern: String::new(),
        enum_values: object.names.iter().cloned().collect(),
        offset: 0.0,
        scale: 0.0,
        display_hint: String::new(),
    }))
}

fn indexes(mibs: &Mibs, types: &Types<'_>, object: &Object) -> Result<Vec<Index>, String> {
    let mut made: Vec<Index> = Vec::new();
    // Conventions of the two indexes before: an address takes the one or two that say of which kind it is into itself.
    let mut before: [&str; 2] = ["", ""];
    for (at, name) in object.indexes.iter().enumerate() {
        let index = mibs
            .get(&format!("{}::{name}", object.module))
            .or_else(|| mibs.get(name))
            .ok_or_else(|| format!("its index {name} is not known"))?;
        let kind = types
            .of(index)
            .and_then(|name| IndexType::named(&name).map(|kind| (name, kind)));
        let Some((name_of_kind, kind)) = kind else {
            return Err(format!(
                "its index {name} has a type that cannot be an index"
            ));
        };
        if let Some(subtype) = subtype(&name_of_kind) {
            let drop = before.iter().rev().position(|one| *one == subtype);
            let Some(drop) = drop else {
                return Err(format!("before its index {name} there is no {subtype}"));
            };
            made.truncate(made.len().saturating_sub(drop + 1));
        }
        let kind = if types.is_enumeration(index) {
            IndexType::Enumeration
        } else {
            kind
        };
        before = [before[1], &index.convention];
        made.push(Index {
            labelname: name.clone(),
            kind,
            fixed_size: index.fixed_size,
            implied: object.implied && at + 1 == object.indexes.len(),
            enum_values: index.names.iter().cloned().collect(),
        });
    }
    Ok(made)
}

fn lookups(
    mibs: &Mibs,
    types: &Types<'_>,
    metric: &mut Metric,
    asked: &[LookupInput],
    wanted: &mut Wanted,
) -> Result<(), BuildError> {
    let mut dropped: Vec<String> = Vec::new();
    for one in asked {
        let has = |source: &String| {
            metric
                .indexes
                .iter()
                .any(|index| index.labelname == *source)
        };
        if !one.source_indexes.iter().all(has) {
            continue;
        }
        let oid = match mibs.beside(&metric.oid, &one.lookup) {
            Some(column) => column.oid.clone(),
            None => mibs
                .resolve(&one.lookup)
                .map_err(|source| BuildError::Name {
                    key: "lookups".to_owned(),
                    source,
                })?,
        };
        let found = mibs
            .at(&oid)
            .and_then(|column| types.of(column).map(|kind| (column, kind)));
        let Some((column, kind)) = found else {
            return Err(BuildError::NoValue {
                key: "lookups".to_owned(),
                name: one.lookup.clone(),
            });
        };
        let kind = if types.is_enumeration(column) {
            "EnumAsInfo".to_owned()
        } else {
            kind
        };
        let labelname = label(&column.name);
        metric.lookups.push(Lookup {
            labels: one.source_indexes.iter().map(|name| label(name)).collect(),
            labelname: labelname.clone(),
            oid: oid.clone(),
            display_hint: hint(&one.display_hint, column),
            enum_values: if kind == "EnumAsInfo" {
                column.names.iter().cloned().collect()
            } else {
                BTreeMap::new()
            },
            kind: kind.clone(),
        });
        // A label that another lookup starts from counts as an index from here on.
        let starts = asked
            .iter()
            .any(|other| other.source_indexes.contains(&labelname));
        if let (true, Some(kind)) = (starts, IndexType::named(&kind)) {
            metric.indexes.push(Index {
                labelname,
                kind,
                fixed_size: 0,
                implied: false,
                enum_values: BTreeMap::new(),
            });
        }
        wanted.column(&metric.oid, &oid);
        if one.drop_source_indexes {
            dropped.extend(one.source_indexes.iter().map(|name| label(name)));
        }
    }
    metric
        .lookups
        .extend(dropped.into_iter().map(|labelname| Lookup {
            labels: Vec::new(),
            labelname,
            oid: Oid::new([]),
            kind: String::new(),
            display_hint: String::new(),
            enum_values: BTreeMap::new(),
        }));
    Ok(())
}

/// An address whose kind the column before does not tell is a plain string; otherwise that column is needed too.
fn address(mibs: &Mibs, metric: &mut Metric, wanted: &mut Wanted) {
    let Some(subtype) = subtype(&metric.kind) else {
        return;
    };
    match metric.oid.previous() {
        Some(previous)
            if mibs
                .at(&previous)
                .is_some_and(|object| object.convention == subtype) =>
        {
            wanted.column(&metric.oid, &previous);
        }
        _ => "OctetString".clone_into(&mut metric.kind),
    }
}

fn apply(mibs: &Mibs, metric: &mut Metric, change: &Override) {
    metric.regex_extracts = change
        .regex_extracts
        .iter()
        .map(|(suffix, list)| {
            let extracts = list.iter().map(|one| Extract {
                regex: one.regex.clone(),
                value: one.value.clone(),
            });
            (suffix.clone(), extracts.collect())
        })
        .collect();
    metric.datetime_pattern.clone_from(&change.datetime_pattern);
    metric.offset = change.offset;
    metric.scale = change.scale;
    if let Some(object) = mibs.at(&metric.oid) {
        metric.display_hint = hint(&change.display_hint, object);
    }
    if !change.help.is_empty() {
        metric.help.clone_from(&change.help);
    }
    if !change.name.is_empty() {
        metric.name.clone_from(&change.name);
    }
}

/// A DISPLAY-HINT as written; `@mib` means that of the MIB.
fn hint(written: &str, object: &Object) -> String {
    if written == "@mib" {
        object.hint.clone()
    } else {
        written.to_owned()
    }
}

/// The first sentence of a description.
fn sentence(description: &str) -> &str {
    description.split(". ").next().unwrap_or_default()
}

/// A name as a label or metric may have it.
fn label(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: &str = r#"T-MIB DEFINITIONS ::= BEGIN
IMPORTS MODULE-IDENTITY, OBJECT-TYPE, Integer32, Counter32, enterprises FROM SNMPv2-SMI;
t MODULE-IDENTITY LAST-UPDATED "202601010000Z" ORGANIZATION "t" CONTACT-INFO "t" DESCRIPTION "t" ::= { enterprises 99990 }
kinds OBJECT-TYPE SYNTAX SEQUENCE OF Kind MAX-ACCESS not-accessible STATUS current DESCRIPTION "t" ::= { t 1 }
kind OBJECT-TYPE SYNTAX Kind MAX-ACCESS not-accessible STATUS current DESCRIPTION "t" INDEX { kindVersion } ::= { kinds 1 }
Kind ::= SEQUENCE { kindVersion INTEGER, kindState INTEGER, kindOctets Counter32 }
kindVersion OBJECT-TYPE SYNTAX INTEGER { four(1), six(2) } MAX-ACCESS read-only STATUS current DESCRIPTION "t" ::= { kind 1 }
kindState OBJECT-TYPE SYNTAX INTEGER { up(1), down(2) } MAX-ACCESS read-only STATUS current DESCRIPTION "t" ::= { kind 2 }
kindOctets OBJECT-TYPE SYNTAX Counter32 MAX-ACCESS read-only STATUS current DESCRIPTION "t" ::= { kind 3 }
mode OBJECT-TYPE SYNTAX Integer32 MAX-ACCESS read-only STATUS current DESCRIPTION "t" ::= { t 0 7 }
END
"#;

    fn built(input: &str) -> Module {
        let mibs = Mibs::of_text("T-MIB", MIB.as_bytes()).unwrap();
        let input: ModuleInput = yaml::parse(input, &yaml::Rules::CONFIGURATION).unwrap();
        module(&mibs, &input).unwrap().module
    }

    #[test]
    fn enumerated_indexes_and_lookups_become_their_words() {
        let module =
            built("walk: [kinds]\nlookups: [{source_indexes: [kindVersion], lookup: kindState}]\n");
        let metric = module.metrics.iter().find(|one| one.name == "kindOctets");
        let metric = metric.unwrap();
        assert_eq!(metric.indexes[0].kind, IndexType::Enumeration);
        assert_eq!(metric.indexes[0].enum_values[&2], "six");
        assert_eq!(metric.lookups[0].kind, "EnumAsInfo");
        assert_eq!(metric.lookups[0].enum_values[&1], "up");
    }

    #[test]
    fn an_object_with_two_numbers_behind_its_parent_is_found_by_either() {
        for walk in ["mode", "1.3.6.1.4.1.99990.0", "1.3.6.1.4.1.99990"] {
            let module = built(&format!("walk: [{walk}]\n"));
            let mode = module.metrics.iter().find(|one| one.name == "mode");
            let oid = mode.map(|one| one.oid.to_string());
            assert_eq!(oid.as_deref(), Some("1.3.6.1.4.1.99990.0.7"), "{walk}");
        }
    }

    /// What net-snmp makes of them: PowerNet-MIB's index with two commas, DELL-NETWORKING-CHASSIS-MIB's type made from DisplayString, a
    /// hexadecimal string that is no hardware address (snmp_exporter #1624's neighbours), and an address that says its size.
    #[test]
    fn indexes_and_types_are_those_of_net_snmp() {
        let text = r#"U-MIB DEFINITIONS ::= BEGIN
IMPORTS MODULE-IDENTITY, OBJECT-TYPE, IpAddress, Integer32, enterprises FROM SNMPv2-SMI
  DisplayString, TEXTUAL-CONVENTION FROM SNMPv2-TC;
u MODULE-IDENTITY LAST-UPDATED "202601010000Z" ORGANIZATION "u" CONTACT-INFO "u" DESCRIPTION "u" ::= { enterprises 99991 }
Day ::= TEXTUAL-CONVENTION STATUS current DESCRIPTION "u" SYNTAX DisplayString
Mac ::= TEXTUAL-CONVENTION DISPLAY-HINT "1x:" STATUS current DESCRIPTION "u" SYNTAX OCTET STRING (SIZE (6))
Wwn ::= TEXTUAL-CONVENTION DISPLAY-HINT "1x:" STATUS current DESCRIPTION "u" SYNTAX OCTET STRING (SIZE (8))
rows OBJECT-TYPE SYNTAX SEQUENCE OF Row MAX-ACCESS not-accessible STATUS current DESCRIPTION "u" ::= { u 1 }
row OBJECT-TYPE SYNTAX Row MAX-ACCESS not-accessible STATUS current DESCRIPTION "u" INDEX { rowWwn, rowMac, , rowAddress } ::= { rows 1 }
Row ::= SEQUENCE { rowWwn Wwn, rowMac Mac, rowAddress IpAddress, rowDay Day }
rowWwn OBJECT-TYPE SYNTAX Wwn MAX-ACCESS read-only STATUS current DESCRIPTION "u" ::= { row 1 }
rowMac OBJECT-TYPE SYNTAX Mac MAX-ACCESS read-only STATUS current DESCRIPTION "u" ::= { row 2 }
rowAddress OBJECT-TYPE SYNTAX IpAddress (SIZE (4)) MAX-ACCESS read-only STATUS current DESCRIPTION "u" ::= { row 3 }
rowDay OBJECT-TYPE SYNTAX Day MAX-ACCESS read-only STATUS current DESCRIPTION "u" ::= { row 4 }
END
"#;
        let mibs = Mibs::of_text("U-MIB", text.as_bytes()).unwrap();
        let input: ModuleInput = yaml::parse("walk: [rows]", &yaml::Rules::CONFIGURATION).unwrap();
        let module = module(&mibs, &input).unwrap().module;
        let day = module.metrics.iter().find(|one| one.name == "rowDay");
        let day = day.unwrap();
        assert_eq!(day.kind, "OctetString");
        let indexes: Vec<_> = (day.indexes.iter())
            .map(|index| (index.labelname.as_str(), index.kind, index.fixed_size))
            .collect();
        assert_eq!(
            indexes,
            [
                ("rowWwn", IndexType::OctetString, 8),
                ("rowMac", IndexType::PhysAddress48, 6),
                ("rowAddress", IndexType::InetAddressIpv4, 0),
            ]
        );
    }
}
