//! What is asked of dashboards, each rule a function that answers with sentences.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::looks::{page_faults, panel_faults};
use super::{Dashboard, Panel, Query, list, said};
use crate::short;
use crate::variables::{self, Values};

/// The classic form as Grafana 13 migrates it; newer numbers belong to versions that we do not know.
const SCHEMAS: std::ops::RangeInclusive<u64> = 39..=41;
/// Units that our dashboards use, as Grafana names them.
const UNITS: [&str; 16] = [
    "none",
    "short",
    "percentunit",
    "s",
    "d",
    "bytes",
    "bps",
    "celsius",
    "ops",
    "reqps",
    "pps",
    "degree",
    "dateTimeFromNow",
    "decbytes",
    "time:HH:mm:ss",
    "time:MM-DD HH:mm:ss",
];
/// The source of a panel whose queries each name their own.
const MIXED: &str = "-- Mixed --";
/// The width of the grid.
const COLUMNS: u64 = 24;
/// Variables that Grafana itself fills in links.
const BUILTIN_PREFIX: &str = "__";
/// Pages of Grafana itself that links may open.
const PAGES: [&str; 3] = [
    "/alerting/list",
    "/alerting/silences",
    "/alerting/silence/new",
];

/// What is wrong with the text of a dashboard, beyond its JSON.
#[must_use]
pub fn file_problems(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.contains("$$") {
        problems.push(format!("{name}: `$$` belongs into provisioning files only"));
    }
    if !text.ends_with("}\n") || text.contains('\t') {
        problems.push(format!(
            "{name}: must be indented with blanks and end with one line feed"
        ));
    }
    problems
}

/// What is wrong with one dashboard, where `sources` are the uids that are provisioned.
#[must_use]
pub fn dashboard_problems(dashboard: &Dashboard, sources: &BTreeSet<String>) -> Vec<String> {
    let mut problems = head(&dashboard.json);
    let known = declared(dashboard);
    problems.extend(page_faults(dashboard));
    problems.extend(said::page_faults(dashboard));
    for panel in dashboard.panels() {
        let mut found = panel_problems(panel, sources);
        found.extend(panel_faults(panel));
        found.extend(said::panel_faults(panel));
        problems.extend(
            found
                .into_iter()
                .map(|problem| format!("panel `{}`: {problem}", panel.title())),
        );
    }
    problems.extend(ids(dashboard));
    problems.extend(overlaps(dashboard));
    for query in dashboard.queries() {
        let place = format!("`{}` query {}", query.place, query.name);
        problems.extend(
            query_problems(&query, &known)
                .into_iter()
                .map(|problem| format!("{place}: {problem}")),
        );
        if !sources.contains(&query.source) {
            problems.push(format!(
                "{place}: data source `{}` is not provisioned",
                query.source
            ));
        }
    }
    for variable in dashboard.variables() {
        problems.extend(variable_problems(&variable.query, &known));
    }
    let file = short(&dashboard.path);
    problems
        .into_iter()
        .map(|problem| format!("{file}: {problem}"))
        .collect()
}

/// What is wrong with the dashboards together: uids given twice, links that lead nowhere.
#[must_use]
pub fn set_problems(dashboards: &[Dashboard]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut variables: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for dashboard in dashboards {
        if variables
            .insert(&dashboard.uid, declared(dashboard))
            .is_some()
        {
            problems.push(format!(
                "{}: uid `{}` is taken",
                short(&dashboard.path),
                dashboard.uid
            ));
        }
    }
    for dashboard in dashboards {
        let kept: BTreeSet<&str> = list(&dashboard.json["links"])
            .filter(|link| link["keepTime"] == true)
            .filter_map(|link| link["url"].as_str())
            .collect();
        // The list of other pages has no address of its own.
        for link in dashboard.links().iter().filter(|link| !link.is_empty()) {
            if let Some(problem) = link_problem(
                link,
                &dashboard.uid,
                &variables,
                kept.contains(link.as_str()),
            ) {
                problems.push(format!(
                    "{}: link `{link}` {problem}",
                    short(&dashboard.path)
                ));
            }
        }
    }
    problems
}

fn head(json: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for key in ["title", "description"] {
        if json[key].as_str().unwrap_or_default().is_empty() {
            problems.push(format!("has no {key}"));
        }
    }
    if !json["schemaVersion"]
        .as_u64()
        .is_some_and(|version| SCHEMAS.contains(&version))
    {
        problems.push(format!(
            "schemaVersion must be {} to {}",
            SCHEMAS.start(),
            SCHEMAS.end()
        ));
    }
    if json["editable"] != false {
        problems.push("must say `editable: false`, since its file is the source".to_owned());
    }
    problems
}

fn panel_problems(panel: Panel<'_>, sources: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ask = |good: bool, problem: &str| {
        if !good {
            problems.push(problem.to_owned());
        }
    };
    let json = panel.0;
    let defaults = &json["fieldConfig"]["defaults"];
    let filled = |value: &Value| !value.as_str().unwrap_or_default().is_empty();
    ask(filled(&json["title"]), "has no title");
    ask(filled(&json["description"]), "has no description");
    // What these draw without data is not that text; their description says why they may be empty.
    let own = matches!(
        panel.kind(),
        "table" | "state-timeline" | "nodeGraph" | "traces" | "logs" | "heatmap"
    );
    ask(
        own || filled(&defaults["noValue"]),
        "does not say what it shows without data (`noValue`)",
    );
    // The columns of a table have theirs each.
    let at_columns = panel.kind() == "table" && defaults["unit"].is_null();
    ask(
        at_columns
            || defaults["unit"]
                .as_str()
                .is_some_and(|unit| UNITS.contains(&unit)),
        "has no unit, or one that is not on our list",
    );
    ask(
        json["datasource"]["uid"]
            .as_str()
            .is_some_and(|uid| uid == MIXED || sources.contains(uid)),
        "has no provisioned data source",
    );
    ask(!panel.queries().is_empty(), "has no query");
    ask(
        panel.queries().iter().all(|query| !query.text.is_empty()),
        "has an empty query",
    );
    let instant = matches!(panel.kind(), "stat" | "table" | "gauge" | "geomap");
    let mixed = json["datasource"]["uid"] == MIXED;
    let mut asked = panel.queries().into_iter().filter(Query::is_prometheus);
    ask(
        !instant || mixed || asked.all(|query| query.instant),
        "shows one moment and must ask for an instant",
    );
    ask(
        panel.kind() != "state-timeline" || has_texts(defaults),
        "shows states and must name them in `mappings`",
    );
    for unit in overridden_units(json) {
        ask(
            UNITS.contains(&unit),
            &format!("overrides with the unit `{unit}`, which is not on our list"),
        );
    }
    problems
}

fn has_texts(defaults: &Value) -> bool {
    let options = &defaults["mappings"][0]["options"];
    options
        .as_object()
        .is_some_and(|states| states.values().all(|state| state["text"].is_string()))
}

fn overridden_units(json: &Value) -> impl Iterator<Item = &str> {
    let overrides = json["fieldConfig"]["overrides"]
        .as_array()
        .into_iter()
        .flatten();
    let properties = overrides.flat_map(|rule| rule["properties"].as_array().into_iter().flatten());
    properties
        .filter(|property| property["id"] == "unit")
        .filter_map(|property| property["value"].as_str())
}

fn ids(dashboard: &Dashboard) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = dashboard.all();
    let twice = all
        .iter()
        .filter(|panel| panel.0["id"].as_u64().is_none_or(|id| !seen.insert(id)));
    twice
        .map(|panel| format!("panel `{}`: its id is missing or taken", panel.title()))
        .collect()
}

fn overlaps(dashboard: &Dashboard) -> Vec<String> {
    let mut problems = Vec::new();
    let mut taken: Vec<([u64; 4], String)> = Vec::new();
    for panel in dashboard.all() {
        let Some(at @ [x, y, w, h]) = panel.grid() else {
            problems.push(format!(
                "panel `{}`: has no place on the grid",
                panel.title()
            ));
            continue;
        };
        if x + w > COLUMNS || w == 0 || h == 0 {
            problems.push(format!("panel `{}`: does not fit the grid", panel.title()));
        }
        for ([x2, y2, w2, h2], other) in &taken {
            if x < x2 + w2 && *x2 < x + w && y < y2 + h2 && *y2 < y + h {
                problems.push(format!("panel `{}`: lies over `{other}`", panel.title()));
            }
        }
        taken.push((at, panel.title()));
    }
    problems
}

fn declared(dashboard: &Dashboard) -> BTreeSet<String> {
    let list = dashboard.json["templating"]["list"]
        .as_array()
        .into_iter()
        .flatten();
    list.filter_map(|variable| variable["name"].as_str())
        .map(str::to_owned)
        .collect()
}

/// A query with stand-ins for its variables, to be parsed.
pub(crate) fn stand_in(text: &str, known: &BTreeSet<String>) -> Result<String, String> {
    let mut values = Values::builtin(3600, 15, 15);
    for name in known {
        values.set(name, "value");
    }
    values.fill(text)
}

/// Bounds of buckets that a query names: they are the service's, and change there.
fn names_buckets(text: &str) -> bool {
    [",le=", "{le=", ", le="]
        .iter()
        .any(|part| text.contains(part))
}

fn query_problems(query: &Query, known: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let text = query.text.as_str();
    if names_buckets(text) {
        problems.push(
            "names bounds of buckets (`le`), which may not be those of the series".to_owned(),
        );
    }
    match stand_in(text, known) {
        Err(name) => problems.push(format!("variable `${name}` is not declared")),
        // LogQL is another language; its windows have other variables.
        Ok(_) if !query.is_prometheus() => return problems,
        Ok(filled) => problems.extend(
            crate::promql::series(&filled)
                .err()
                .map(|error| format!("does not parse: {error}")),
        ),
    }
    let counted = ["rate(", "increase(", "irate("]
        .iter()
        .any(|function| text.contains(function));
    if counted && !text.contains("$__rate_interval") && !text.contains("$__range") {
        problems.push("takes a rate over a fixed window; use $__rate_interval".to_owned());
    }
    problems
}

fn variable_problems(query: &str, known: &BTreeSet<String>) -> Vec<String> {
    match stand_in(query, known).map(|filled| variables::label_values(&filled)) {
        Err(name) => vec![format!(
            "variable query `{query}`: `${name}` is not declared"
        )],
        Ok(None) => vec![format!(
            "variable query `{query}`: expected label_values(selector, label)"
        )],
        Ok(Some((selector, _))) => {
            let error = crate::promql::series(&selector).err();
            error
                .map(|error| format!("variable query `{query}`: {error}"))
                .into_iter()
                .collect()
        }
    }
}

fn link_problem(
    link: &str,
    from: &str,
    variables: &BTreeMap<&str, BTreeSet<String>>,
    kept: bool,
) -> Option<String> {
    let own = &variables[from];
    for name in variables::names(link) {
        if !name.starts_with(BUILTIN_PREFIX) && !own.contains(name) {
            return Some(format!("uses `${name}`, which is not declared"));
        }
    }
    let (path, query) = link.split_once('?').unwrap_or((link, ""));
    if PAGES.contains(&path) || path.starts_with("/a/sotp-app/") {
        return None;
    }
    let Some(uid) = path
        .strip_prefix("/d/")
        .and_then(|rest| rest.split('/').next())
    else {
        return Some("leads to no dashboard and to no known page of Grafana".to_owned());
    };
    let Some(target) = variables.get(uid) else {
        return Some(format!(
            "leads to the dashboard `{uid}`, which is not there"
        ));
    };
    for parameter in query
        .split('&')
        .filter_map(|part| part.strip_prefix("var-"))
    {
        let name = parameter.split('=').next().unwrap_or_default();
        if !target.contains(name) {
            return Some(format!("sets `{name}`, which `{uid}` does not have"));
        }
    }
    // The forecast has a range of its own, which reaches into the future.
    (!kept && uid != "sotp-forecast" && !link.contains("${__url_time_range}"))
        .then(|| "loses the time range; add ${__url_time_range}".to_owned())
}
