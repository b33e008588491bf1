//! Row filters: those chosen now become gets, those chosen by each scrape go into the module.

use super::{BuildError, Wanted};
use crate::config::module::{Filter, Metric};
use crate::config::pattern::unanchored;
use crate::generate::input::Filters;
use crate::mib::Mibs;
use crate::oid::{Oid, within};

pub(super) fn apply(
    mibs: &Mibs,
    filters: &Filters,
    metrics: &[Metric],
    wanted: &mut Wanted,
) -> Result<Vec<Filter>, BuildError> {
    let resolve = |name: &String| {
        mibs.resolve(name).map_err(|source| BuildError::Name {
            key: "filters".to_owned(),
            source,
        })
    };
    for filter in &filters.fixed {
        let rows: Vec<Oid> = filter
            .indices
            .iter()
            .map(|row| {
                row.parse()
                    .map_err(|error| BuildError::Filter(format!("static: index `{row}`: {error}")))
            })
            .collect::<Result<_, _>>()?;
        for target in &filter.targets {
            rows_only(&resolve(target)?, &rows, metrics, wanted);
        }
    }
    filters
        .dynamic
        .iter()
        .map(|filter| {
            Ok(Filter {
                oid: resolve(&filter.oid)?,
                targets: filter
                    .targets
                    .iter()
                    .map(resolve)
                    .collect::<Result<_, _>>()?,
                values: filter
                    .values
                    .iter()
                    .map(|value| unanchored(value))
                    .collect::<Result<_, _>>()
                    .map_err(|error| BuildError::Filter(format!("dynamic: {error}")))?,
            })
        })
        .collect()
}

/// Asks for these rows only of what lies below `target`: a walk above it is cut into the columns of its metrics.
fn rows_only(target: &Oid, rows: &[Oid], metrics: &[Metric], wanted: &mut Wanted) {
    let below = |oid: &Oid| within(oid.ids(), target.ids());
    let walks: Vec<Oid> = wanted
        .walks
        .iter()
        .filter_map(|walk| walk.parse().ok())
        .collect();
    for walk in walks {
        if !below(&walk) && !within(target.ids(), walk.ids()) {
            continue;
        }
        wanted.walks.remove(&walk.to_string());
        let columns = metrics
            .iter()
            .map(|metric| &metric.oid)
            .filter(|oid| within(oid.ids(), walk.ids()));
        for column in columns {
            if below(column) {
                for row in rows {
                    wanted.gets.insert(column.join(row.ids()).to_string());
                }
            } else {
                wanted.walks.insert(column.to_string());
            }
        }
    }
}
