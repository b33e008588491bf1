//! `/sd/*`: discovery for Prometheus (its `http_sd` format), whole or one shard.

use std::collections::BTreeMap;

use http::StatusCode;
use inventory::sd::{Job, render};
use inventory::{Inventory, Shard};
use schemars::JsonSchema;
use toolkit::{Request, Response};

use crate::reply;

/// What Prometheus' `http_sd` takes: targets that share labels.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the library of the inventory writes it")]
pub(crate) struct TargetGroup {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

pub(crate) fn answer(inventory: &Inventory, job: Job, request: &Request) -> Response {
    match shard(request.query_pairs()) {
        // The tag is of this path and query; another version of the program may write the list another way.
        Ok(shard) => {
            let tag = format!("{}-{}", inventory.version(), env!("CARGO_PKG_VERSION"));
            reply::tagged(request, &tag, || render(inventory, job, shard))
        }
        Err(detail) => reply::problem(StatusCode::BAD_REQUEST, &detail),
    }
}

/// The shard that `?shard=I&of=N` names; without both, the whole.
fn shard(pairs: impl Iterator<Item = (String, String)>) -> Result<Shard, String> {
    const EXPECTED: &str =
        "expected shard=I and of=N with I from 0 to N - 1 and N from 1 to 1024, or neither";
    let (mut index, mut of) = (None, None);
    for (key, value) in pairs {
        let slot = match key.as_str() {
            "shard" => &mut index,
            "of" => &mut of,
            _ => return Err(format!("unknown parameter {key:?}; {EXPECTED}")),
        };
        let number: u16 = value
            .parse()
            .map_err(|_| format!("{key} is {value:?}; {EXPECTED}"))?;
        if slot.replace(number).is_some() {
            return Err(format!("{key} stands twice; {EXPECTED}"));
        }
    }
    match (index, of) {
        (None, None) => Ok(Shard::default()),
        (Some(index), Some(of)) => Shard::new(index, of).map_err(|error| error.to_string()),
        (Some(_), None) => Err(format!("shard without of; {EXPECTED}")),
        (None, Some(_)) => Err(format!("of without shard; {EXPECTED}")),
    }
}
