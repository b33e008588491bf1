//! Row filters: the values of one column decide which rows of others are asked for.

use super::Line;
use super::plan::{Roots, Wanted, params};
use crate::config::Filter;
use crate::oid::{self, Oid};
use crate::samples::text;
use crate::scrape::Work;
use crate::value::Table;

/// Walks the filters of every module and gives what is left to walk and get; `None` where none has any.
///
/// A filter whose own walk fails is left out, and its targets are walked whole.
pub(super) async fn apply(line: &Line<'_>, views: &[Wanted<'_>]) -> Option<Vec<Roots>> {
    if views.iter().all(|view| view.module.filters.is_empty()) {
        return None;
    }
    let mut out = Vec::with_capacity(views.len());
    for view in views {
        let mut roots = Roots::of(view);
        let mut allowed: Vec<(Oid, Vec<u32>)> = Vec::new();
        for filter in &view.module.filters {
            let work = Work {
                root: filter.oid.clone(),
                params: params(view.module),
                oids: vec![filter.oid.clone()],
                get: false,
                probe: false,
                own: false,
            };
            let report = line.ask(vec![work]).await;
            if !report.outcome.failures.is_empty() {
                continue;
            }
            let rows = matching(filter, &report.outcome.table);
            roots.walk.retain(|root| !filter.targets.contains(root));
            for target in &filter.targets {
                match allowed.iter_mut().find(|(other, _)| other == target) {
                    Some((_, known)) => known.retain(|row| rows.contains(row)),
                    None => allowed.push((target.clone(), rows.clone())),
                }
            }
        }
        for (target, rows) in allowed {
            roots.get.retain(|oid| !begins(oid, &target));
            roots
                .get
                .extend(rows.into_iter().map(|row| target.join(&[row])));
        }
        out.push(roots);
    }
    Some(out)
}

/// The last sub-identifier of every instance whose text matches.
fn matching(filter: &Filter, table: &Table) -> Vec<u32> {
    let matches = |value: &String| filter.values.iter().any(|regex| regex.is_match(value));
    table
        .below(filter.oid.ids())
        .filter(|(_, entry)| matches(&text::label(table, &entry.value, "DisplayString", "")))
        .filter_map(|(at, _)| at.last())
        .collect()
}

/// Whether the text of `oid` begins with that of `target`, which is how snmp_exporter compares them.
fn begins(oid: &Oid, target: &Oid) -> bool {
    oid::within(oid.ids(), target.ids()) || oid.to_string().starts_with(&target.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Raw;

    #[test]
    fn a_filter_matches_anywhere_and_keeps_the_last_number() {
        let mut table = Table::new([Oid::new([1, 3, 1])]);
        for (row, name) in [(7, &b"eth0"[..]), (8, b"lo"), (9, b"veth1")] {
            table.insert(&[1, 3, 1, 4, row], Raw::Octets(name)).unwrap();
        }
        table.insert(&[1, 3, 1, 4, 10], Raw::Integer(10)).unwrap();
        table.sort();
        let values = ["eth", "^1"]
            .map(|text| crate::config::unanchored(text).unwrap())
            .into();
        assert_eq!(
            matching(
                &Filter {
                    oid: Oid::new([1, 3, 1]),
                    targets: Vec::new(),
                    values
                },
                &table
            ),
            [7, 9, 10]
        );
    }

    #[test]
    fn identifiers_are_compared_as_text() {
        let oid = |text: &str| text.parse::<Oid>().unwrap();
        assert!(begins(&oid("1.3.10.1"), &oid("1.3.1")));
        assert!(!begins(&oid("1.3.2"), &oid("1.3.1")));
    }
}
