//! The dashboards as files: complete, sound, and built from series that exist.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use sotp_checks::dashboards::{self, Dashboard};
use sotp_checks::{panels, root, short};

/// The uids of the data sources that are provisioned.
fn sources() -> BTreeSet<String> {
    let path = root().join("dashboards/provisioning/datasources/sotp.yaml");
    let file: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    file["datasources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["uid"].as_str().unwrap().to_owned())
        .collect()
}

fn ours() -> Vec<Dashboard> {
    dashboards::read(&root().join("dashboards")).unwrap()
}

#[test]
fn the_data_sources_have_their_fixed_uids() {
    assert_eq!(
        sources(),
        ["am", "loki", "prom", "tempo"].map(str::to_owned).into()
    );
}

/// From a trace to its lines and series, from a line to its trace, from an exemplar to its trace: in the form that Grafana 12 reads, and
/// by the names that our services write.
#[test]
fn traces_lines_and_series_lead_to_each_other() {
    let path = root().join("dashboards/provisioning/datasources/sotp.yaml");
    let file: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let settings = |uid: &str| {
        let all = file["datasources"].as_array().unwrap();
        let found = all.iter().find(|source| source["uid"] == uid).unwrap();
        found["jsonData"].clone()
    };
    let logs = &settings("tempo")["tracesToLogsV2"];
    assert_eq!(logs["datasourceUid"], "loki");
    assert_eq!(logs["customQuery"], true);
    // Grafana makes one dollar sign of two when it reads the file.
    let query = logs["query"].as_str().unwrap().replace("$$", "$");
    assert_eq!(query, "{job=~\".+\"} | trace_id=\"${__span.traceId}\"");
    let metrics = &settings("tempo")["tracesToMetrics"];
    assert_eq!(metrics["datasourceUid"], "prom");
    assert_eq!(
        metrics["tags"],
        json!([{"key": "http.route", "value": "path"}])
    );
    let query = metrics["queries"][0]["query"].as_str().unwrap();
    let query = query.replace("$$__tags", "path=\"/api/v1/commands\"");
    promql_parser::parser::parse(&query).unwrap();
    let golden =
        std::fs::read_to_string(root().join("remediator/tests/golden/metrics.txt")).unwrap();
    assert!(
        golden.contains("sotp_http_request_duration_seconds"),
        "{query}"
    );

    let field = &settings("loki")["derivedFields"][0];
    assert_eq!(
        (&field["matcherType"], &field["matcherRegex"]),
        (&json!("label"), &json!("trace_id"))
    );
    assert_eq!(
        (&field["datasourceUid"], &field["url"]),
        (&json!("tempo"), &json!("$${__value.raw}"))
    );
    let exemplar = &settings("prom")["exemplarTraceIdDestinations"][0];
    assert_eq!(
        (&exemplar["name"], &exemplar["datasourceUid"]),
        (&json!("trace_id"), &json!("tempo"))
    );
}

#[test]
fn provisioning_keeps_the_dollar_signs_that_grafana_needs() {
    for path in sotp_checks::files(&root().join("dashboards/provisioning"), ".yaml").unwrap() {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| line.contains("${__")) {
            assert!(
                line.contains("$${__"),
                "{}: `{}` would be filled at start; write `$$`",
                short(&path),
                line.trim()
            );
        }
    }
}

#[test]
fn every_dashboard_is_complete() {
    let (sources, all) = (sources(), ours());
    assert!(all.len() >= 2, "there are dashboards");
    let mut problems = dashboards::set_problems(&all);
    for dashboard in &all {
        problems.extend(dashboards::dashboard_problems(dashboard, &sources));
        let text = std::fs::read_to_string(&dashboard.path).unwrap();
        problems.extend(dashboards::file_problems(&short(&dashboard.path), &text));
    }
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn every_conditional_panel_is_there() {
    let conditions = panels::conditions(&root().join("dashboards")).unwrap();
    assert_eq!(
        panels::condition_problems(&conditions, &ours()),
        Vec::<String>::new()
    );
}

#[test]
fn the_kustomization_takes_every_dashboard() {
    let text = std::fs::read_to_string(root().join("dashboards/kustomization.yaml")).unwrap();
    let folder = root().join("dashboards");
    for dashboard in ours() {
        let name = dashboard
            .path
            .strip_prefix(&folder)
            .unwrap()
            .display()
            .to_string();
        assert!(
            text.contains(&format!("- {name}\n")),
            "dashboards/kustomization.yaml leaves out {name}"
        );
    }
}

/// A dashboard with one good panel, changed by `change`.
fn example(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut json = json!({
        "uid": "x", "title": "X", "description": "x", "schemaVersion": 41, "editable": false,
        "templating": {"list": [{"name": "site", "type": "query", "query": "label_values(up, site)"}]},
        "panels": [{"id": 1, "type": "stat", "title": "Up", "description": "Up.", "gridPos": {"x": 0, "y": 0, "w": 4, "h": 4},
            "datasource": {"uid": "prom"}, "fieldConfig": {"defaults": {"unit": "short", "noValue": "No data"}, "overrides": []},
            "targets": [{"refId": "A", "expr": "rate(up{site=\"$site\"}[$__rate_interval])", "instant": true}]}]
    });
    change(&mut json);
    let dashboard = dashboards::parse(Path::new("x.json"), &json.to_string()).unwrap();
    let mut problems = dashboards::dashboard_problems(&dashboard, &["prom".to_owned()].into());
    problems.extend(dashboards::set_problems(&[dashboard]));
    problems
}

#[test]
fn a_good_example_passes() {
    assert_eq!(example(|_| {}), Vec::<String>::new());
}

#[test]
fn each_fault_is_found() {
    type Change = fn(&mut Value);
    let faults: [(&str, Change); 15] = [
        ("has no title", |json| {
            json["panels"][0]["title"] = json!("");
        }),
        ("has no description", |json| {
            json["panels"][0]["description"] = json!(null);
        }),
        ("has no unit", |json| {
            json["panels"][0]["fieldConfig"]["defaults"]["unit"] = json!("bananas");
        }),
        ("without data", |json| {
            json["panels"][0]["fieldConfig"]["defaults"]["noValue"] = json!("");
        }),
        ("`elsewhere` is not provisioned", |json| {
            json["panels"][0]["datasource"]["uid"] = json!("elsewhere");
        }),
        ("must ask for an instant", |json| {
            json["panels"][0]["targets"][0]["instant"] = json!(false);
        }),
        ("does not parse", |json| {
            json["panels"][0]["targets"][0]["expr"] = json!("sum(");
        }),
        ("`$sight` is not declared", |json| {
            json["panels"][0]["targets"][0]["expr"] = json!("up{site=\"$sight\"}");
        }),
        ("fixed window", |json| {
            json["panels"][0]["targets"][0]["expr"] = json!("rate(up[5m])");
        }),
        ("its id is missing or taken", |json| {
            json["panels"][0]["id"] = json!(null);
        }),
        ("lies over `Up`", |json| {
            let mut second = json["panels"][0].clone();
            second["id"] = json!(2);
            second["gridPos"]["x"] = json!(3);
            json["panels"].as_array_mut().unwrap().push(second);
        }),
        ("does not fit the grid", |json| {
            json["panels"][0]["gridPos"]["w"] = json!(25);
        }),
        ("leads to the dashboard `y`", |json| {
            json["links"] = json!([{"url": "/d/y/y?${__url_time_range}"}]);
        }),
        ("sets `role`, which `x` does not have", |json| {
            json["links"] = json!([{"url": "/d/x/x?var-role=a&${__url_time_range}"}]);
        }),
        ("loses the time range", |json| {
            json["links"] = json!([{"url": "/d/x/x?var-site=${site}"}]);
        }),
    ];
    for (expected, change) in faults {
        let problems = example(change);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "expected `{expected}` in {problems:?}"
        );
    }
}

#[test]
fn a_doubled_dollar_sign_is_found() {
    assert_eq!(
        dashboards::file_problems("x.json", "{\"a\": \"$${b}\"}\n").len(),
        1
    );
    assert_eq!(
        dashboards::file_problems("x.json", "{\"a\": \"${b}\"}\n").len(),
        0
    );
}
