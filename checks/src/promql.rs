//! Queries as text: whether they parse, and which series they name.

use std::collections::BTreeSet;

use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};

/// The names of the series that a query reads.
///
/// # Errors
/// What the parser has against the query.
pub fn series(query: &str) -> Result<BTreeSet<String>, String> {
    let expression = parser::parse(query)?;
    let mut names = Names::default();
    walk_expr(&mut names, &expression)?;
    Ok(names.found)
}

#[derive(Default)]
struct Names {
    found: BTreeSet<String>,
}

impl ExprVisitor for Names {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        let selector = match expression {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector(matrix) => &matrix.vs,
            _ => return Ok(true),
        };
        match &selector.name {
            Some(name) => self.found.insert(name.clone()),
            None => return Err(format!("{selector:?} names no series")),
        };
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_corner_of_a_query() {
        let query = "histogram_quantile(0.9, sum by (le) (rate(a_bucket[1m]))) + on (x) group_left b or avg_over_time(max(c)[5m:])";
        let found = series(query).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a_bucket", "b", "c"]);
    }

    #[test]
    fn a_query_that_does_not_parse_is_refused() {
        assert!(series("sum by (le (rate(a[1m]))").is_err());
        assert!(series("rate(a[$__rate_interval])").is_err());
    }
}
