//! What a service answers, as it says it itself and as its OpenAPI document does.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::Process;

/// Method and path of a call.
pub type Call = (String, String);

/// Every route that the service registered, beside the pages that each service has: it writes them into its log at its start, where it
/// was started with `--log.level=debug --log.format=json`.
///
/// # Errors
/// It does not listen in time, or logs otherwise.
pub async fn routes(process: &Process) -> anyhow::Result<BTreeSet<Call>> {
    process
        .logged("\"listening\"", Duration::from_secs(20))
        .await?;
    let lines: Vec<Value> = process
        .log()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let text = |line: &Value, key: &str| {
        let text = line[key].as_str().map(str::to_owned);
        text.with_context(|| format!("no {key} in {line}"))
    };
    let routes = lines.iter().filter(|line| line["msg"] == "route");
    routes
        .map(|line| Ok((text(line, "method")?, text(line, "path")?)))
        .collect()
}

/// Every call of an OpenAPI document.
#[must_use]
pub fn described(document: &Value) -> BTreeSet<Call> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let calls = paths.flat_map(|(path, calls)| {
        let methods = calls.as_object().into_iter().flatten();
        methods.map(move |(method, _)| (method.to_ascii_uppercase(), path.clone()))
    });
    calls.collect()
}
