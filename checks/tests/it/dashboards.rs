//! The dashboards as files: complete, sound, and built from series that exist.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use sotp_checks::dashboards::{self, Dashboard};
use sotp_checks::variables::{Values, names};
use sotp_checks::{app, panels, root, short};

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

/// English and Polish are one source: a text without Polish words fails, and so do words that no dashboard says. The Polish dashboards hold the same rules.
#[test]
fn every_text_has_its_polish_words_and_the_polish_dashboards_hold_the_rules() {
    let words = dashboards::read_words(&root().join("dashboards/pl.yaml")).unwrap();
    let ours = ours();
    let mut problems = dashboards::word_problems(&ours, &words);
    for dashboard in &ours {
        let (json, _) = dashboards::in_words(dashboard, &words);
        let polish = Dashboard {
            json,
            ..dashboard.clone()
        };
        let path = dashboard.path.display();
        let found = dashboards::dashboard_problems(&polish, &sources());
        problems.extend(found.iter().map(|problem| format!("{path}: {problem}")));
    }
    assert!(
        problems.is_empty(),
        "dashboards/pl.yaml:\n{}",
        problems.join("\n")
    );
}

/// A column is called the same where it is named, sorted by and coloured; what is named for a drawing stays.
#[test]
fn words_are_changed_wherever_a_panel_speaks_of_them() {
    let panel = json!({"type": "table", "title": "Devices", "targets": [{"expr": "label_join(a, \"text\", \" of \", \"b\")", "legendFormat": "{{device}}"}],
        "transformations": [{"id": "organize", "options": {"renameByName": {"device": "Device"}}}],
        "options": {"sortBy": [{"displayName": "Device"}]},
        "fieldConfig": {"defaults": {"mappings": [{"options": {"0": {"text": "Down"}, "pattern": "^(.*) of 7$"}}]},
            "overrides": [{"matcher": {"id": "byName", "options": "Device"}, "properties": [
                {"id": "mappings", "value": [{"options": {"1": {"text": "Down"}}}]}]}]}});
    let map = json!({"type": "geomap", "title": "Devices", "transformations": [{"options": {"renameByName": {"Value": "down"}}}]});
    let text = json!({"uid": "x", "panels": [panel, map]}).to_string();
    let dashboard = dashboards::parse(Path::new("x.json"), &text).unwrap();
    let mut words: dashboards::Words = [
        ("Devices", "Urządzenia"),
        ("Device", "Urządzenie"),
        ("Down", "Nie działa"),
        (" of ", " z "),
    ]
    .map(|(text, word)| (text.to_owned(), word.to_owned()))
    .into();
    let (json, missing) = dashboards::in_words(&dashboard, &words);
    assert!(missing.is_empty(), "{missing:?}");
    let panel = &json["panels"][0];
    assert_eq!(panel["title"], "Urządzenia");
    assert_eq!(
        panel["targets"][0],
        json!({"expr": "label_join(a, \"text\", \" z \", \"b\")", "legendFormat": "{{device}}"})
    );
    assert_eq!(
        panel["transformations"][0]["options"]["renameByName"]["device"],
        "Urządzenie"
    );
    assert_eq!(panel["options"]["sortBy"][0]["displayName"], "Urządzenie");
    assert_eq!(
        panel["fieldConfig"]["overrides"][0]["matcher"]["options"],
        "Urządzenie"
    );
    let mapping = &panel["fieldConfig"]["defaults"]["mappings"][0]["options"];
    assert_eq!(
        mapping,
        &json!({"0": {"text": "Nie działa"}, "pattern": "^(.*) z 7$"})
    );
    let own = &panel["fieldConfig"]["overrides"][0]["properties"][0]["value"][0];
    assert_eq!(own["options"]["1"]["text"], "Nie działa");
    assert_eq!(
        json["panels"][1]["transformations"][0]["options"]["renameByName"]["Value"],
        "down"
    );
    assert!(dashboards::word_problems(std::slice::from_ref(&dashboard), &words).is_empty());
    words.remove("Down");
    words.insert("Up".to_owned(), "Działa".to_owned());
    let problems = dashboards::word_problems(&[dashboard], &words);
    assert_eq!(
        problems,
        ["x.json: no word for \"Down\"", "no dashboard says \"Up\""]
    );
}

#[test]
fn the_data_sources_have_their_fixed_uids() {
    assert_eq!(
        sources(),
        ["am", "loki", "prom", "tempo"].map(str::to_owned).into()
    );
}

/// From a trace to its lines and series, from a line and an exemplar to the page Trace, which viewers may open: in the form that Grafana 12 reads, and
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
        (
            &json!(null),
            &json!("/d/sotp-trace?var-trace=$${__value.raw}")
        )
    );
    let field = &settings("loki")["derivedFields"][1];
    assert_eq!(
        (&field["matcherType"], &field["matcherRegex"], &field["url"]),
        (
            &json!("label"),
            &json!("device"),
            &json!("/d/sotp-device?var-device=$${__value.raw}")
        )
    );
    let exemplar = &settings("prom")["exemplarTraceIdDestinations"][0];
    assert_eq!(
        (&exemplar["name"], &exemplar["url"]),
        (
            &json!("trace_id"),
            &json!("/d/sotp-trace?var-trace=$${__value.raw}")
        )
    );
    let trace = ours()
        .into_iter()
        .find(|dashboard| dashboard.uid == "sotp-trace")
        .unwrap();
    assert_eq!(trace.typed()[0].0, "trace");
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

/// The queries that Loki and Tempo are asked, with stand-ins for what is chosen. The id of a trace alone is no query of a language.
fn of_logs_and_traces() -> Vec<Value> {
    let mut found = Vec::new();
    for dashboard in ours() {
        for query in dashboard.queries() {
            if query.is_prometheus() || query.text == "$trace" {
                continue;
            }
            let mut values = Values::builtin(3600, 15, 15);
            for name in names(&query.text)
                .into_iter()
                .filter(|name| !name.starts_with("__"))
            {
                values.set(name, "value");
            }
            let text = values.fill(&query.text).unwrap();
            let place = format!("{} / {} {}", dashboard.uid, query.place, query.name);
            found.push(json!({"place": place, "source": query.source, "query": text}));
        }
    }
    found
}

/// By the grammars that Grafana's own editors are made of.
#[test]
fn every_query_of_logs_and_traces_is_one() {
    if let Some(reason) = app::missing() {
        testkit::skip(reason);
        return;
    }
    let built = app::build(&[]).unwrap();
    let check = |queries: &[Value]| {
        let input = Value::from(queries.to_vec()).to_string();
        let (ended_well, said) = built.node(&["test/queries.mjs"], &input).unwrap();
        assert!(ended_well, "{said}");
        said
    };
    let queries = of_logs_and_traces();
    assert!(queries.len() >= 10, "{queries:?}");
    assert_eq!(check(&queries), "");
    for (source, query) in [
        ("loki", "{job=\"a\"} | line_format \"{{.x}}"),
        ("loki", "{job=\"a\"} |"),
        ("tempo", "{ duration > }"),
    ] {
        let bad = json!({"place": "bad", "source": source, "query": query});
        assert!(check(&[bad]).starts_with("bad: at "), "{query}");
    }
}

/// By Grafana's own types of a dashboard; a name that they do not know is a slip.
#[test]
fn every_dashboard_is_one_of_grafanas_schema() {
    if let Some(reason) = app::missing() {
        testkit::skip(reason);
        return;
    }
    let built = app::build(&[]).unwrap();
    // Among the packages, where the compiler finds them and no build sweeps.
    let place = built.package(&format!(".boards-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let types = root().join("dashboards/app/test/board.ts");
    std::fs::copy(types, place.join("board.ts")).unwrap();
    let file = place.join("boards.ts");
    let check = |boards: &[(String, &Value)]| {
        let lines = boards.iter().enumerate().map(|(at, (name, json))| {
            format!("// {name}\nexport const board{at}: Board = {json};\n")
        });
        let text: String = lines.collect();
        std::fs::write(
            &file,
            format!("import type {{ Board }} from './board';\n{text}"),
        )
        .unwrap();
        let compiler = "node_modules/typescript/bin/tsc";
        let flags = "--noEmit --skipLibCheck --strict --moduleResolution bundler --module esnext --target es2022";
        let path = file.display().to_string();
        let arguments: Vec<&str> = [compiler]
            .into_iter()
            .chain(flags.split(' '))
            .chain([path.as_str()])
            .collect();
        built.node(&arguments, "").unwrap()
    };
    let all = ours();
    let named: Vec<_> = all
        .iter()
        .map(|board| (short(&board.path), &board.json))
        .collect();
    let (sound, said) = check(&named);
    assert!(sound, "{said}");
    let mut bad = all[0].json.clone();
    bad["panels"][0]["desription"] = json!("A slip.");
    let (sound, said) = check(&[("bad".to_owned(), &bad)]);
    assert!(!sound && said.contains("desription"), "{said}");
    std::fs::remove_dir_all(place).unwrap();
}

/// Loki is chosen by labels that somebody writes: the services by `docs/syslog.md`, `docs/ssh-config.md`, `docs/remediator.md`, and whoever
/// ships the services' own logs.
#[test]
fn every_label_that_lines_are_chosen_by_is_one_that_is_written() {
    const WRITTEN: [&str; 7] = [
        "job",
        "site",
        "role",
        "device",
        "severity",
        "event",
        "service_name",
    ];
    for query in of_logs_and_traces() {
        let (text, place) = (query["query"].as_str().unwrap(), &query["place"]);
        if query["source"] != "loki" {
            continue;
        }
        let start = text.find('{').unwrap();
        let end = start + text[start..].find('}').unwrap();
        for matcher in text[start + 1..end].split(',') {
            let name = matcher.split(['=', '!']).next().unwrap();
            assert!(
                WRITTEN.contains(&name),
                "{place}: nobody writes the label `{name}`"
            );
        }
    }
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

/// The row of links that each page begins with.
fn links() -> Value {
    let links = dashboards::LINKS.map(|url| {
        let keeps = !url.starts_with("/a/");
        let url = if keeps {
            url.to_owned()
        } else {
            format!("{url}/devices")
        };
        let mut link =
            json!({"type": "link", "title": url, "url": url, "keepTime": keeps, "includeVars": keeps});
        if keeps && url != dashboards::LINKS[0] {
            link["placement"] = json!("inControlsMenu");
        }
        link
    });
    Value::from(links.to_vec())
}

/// A dashboard with one good panel of each kind that has a fault of its own, changed by `change`.
fn example(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let panel = |id: u64, kind: &str, title: &str, y: u64| {
        json!({"id": id, "type": kind, "title": title, "description": "Up or not.", "gridPos": {"x": 0, "y": y, "w": 12, "h": 4},
            "datasource": {"uid": "prom"}, "options": {}, "fieldConfig": {"defaults": {"unit": "short", "noValue": "No data"}, "overrides": []},
            "targets": [{"refId": "A", "expr": "max by (device) (up{site=\"$site\"})", "instant": true}]})
    };
    let mut stat = panel(1, "stat", "Up", 0);
    stat["targets"][0]["expr"] = json!("rate(up{site=\"$site\"}[$__rate_interval])");
    stat["options"] = json!({"colorMode": "background_solid"});
    stat["fieldConfig"]["defaults"]["thresholds"] =
        json!({"steps": [{"color": "transparent"}, {"color": "red", "value": 1}]});
    let mut states = panel(2, "state-timeline", "States", 4);
    states["options"] = json!({"mergeValues": true});
    states["fieldConfig"]["defaults"] = json!({"unit": "none", "color": {"mode": "palette-classic"},
        "mappings": [{"type": "value", "options": {"1": {"text": "Up"}}}]});
    let mut table = panel(3, "table", "Devices", 8);
    table["fieldConfig"]["defaults"] =
        json!({"custom": {"minWidth": 50}, "noValue": "No alert is firing"});
    table["fieldConfig"]["overrides"] =
        json!([all(), {"properties": [{"id": "custom.width", "value": 600}]}]);
    let mut map = panel(4, "geomap", "Sites", 12);
    map["options"] = json!({"view": {"id": "fit", "zoom": 13}, "basemap": {"type": "geojson"}});
    let mut lines = panel(5, "timeseries", "Over time", 16);
    lines["fieldConfig"]["defaults"]["custom"] = json!({"axisSoftMax": 1});
    let mut said = panel(6, "table", "Said", 20);
    said["datasource"]["uid"] = json!("loki");
    said["fieldConfig"] = table["fieldConfig"].clone();
    said["transformations"] = json!([{"id": "partitionByValues"}]);
    said["targets"][0]["expr"] = json!("{job=\"syslog\"} | line_format \"{{.sentence}}\"");
    let mut json = json!({
        "uid": "x", "title": "X", "description": "x", "schemaVersion": 41, "editable": false, "links": links(),
        "templating": {"list": [{"name": "site", "type": "query", "query": "label_values(up, site)"}]},
        "panels": [stat, states, table, map, lines, said]
    });
    change(&mut json);
    let dashboard = dashboards::parse(Path::new("x.json"), &json.to_string()).unwrap();
    let sources = ["loki", "prom"].map(str::to_owned).into();
    let mut problems = dashboards::dashboard_problems(&dashboard, &sources);
    let mut all = vec![dashboard];
    for uid in dashboards::LINKS
        .iter()
        .filter_map(|url| url.strip_prefix("/d/"))
    {
        let other = json!({"uid": uid}).to_string();
        all.push(dashboards::parse(Path::new(uid), &other).unwrap());
    }
    problems.extend(dashboards::set_problems(&all));
    problems
}

#[test]
fn a_good_example_passes() {
    assert_eq!(example(|_| {}), Vec::<String>::new());
    // Near misses: a state timeline that merges nothing may be coloured by thresholds; a closed row's queries are not asked; a legend
    // that is a table is the twin of its chart.
    let near = example(|json| {
        json["panels"][1]["fieldConfig"]["defaults"]["color"]["mode"] = json!("thresholds");
        json["panels"][1]["options"]["mergeValues"] = json!(false);
        json["panels"][4]["options"]["legend"] = json!({"displayMode": "table"});
        json["panels"][4]["targets"][0]["expr"] =
            json!("clamp_max(sum(ping_lost_total) / sum(ping_requests_total), 1)");
        let target = json["panels"][4]["targets"][0].clone();
        let mut inner = json["panels"][4].clone();
        (inner["id"], inner["gridPos"]["y"]) = (json!(8), json!(25));
        inner["targets"] = Value::from(vec![target; 30]);
        let row = json!({"id": 7, "type": "row", "title": "More", "collapsed": true, "gridPos": {"x": 0, "y": 24, "w": 24, "h": 1}, "panels": [inner]});
        json["panels"].as_array_mut().unwrap().push(row);
    });
    assert_eq!(near, Vec::<String>::new());
    // A text for "no data" that no cell gets, a heading that just fits, a column that takes the rest, a dim bar of a state timeline, an axis
    // that counts whole packets, and instants of now on a page that reaches into the future.
    let near = example(|json| {
        let table = &mut json["panels"][2];
        table["options"]["sortBy"] = json!([{"displayName": "Down", "desc": true}]);
        table["transformations"] = renamed();
        table["fieldConfig"]["overrides"] = columns(&[("Rate", 45), ("Down", 80)]);
        let overrides = table["fieldConfig"]["overrides"].as_array_mut().unwrap();
        overrides.extend([all(), least("Device", 67), least("Description", 96)]);
        json["panels"][1]["fieldConfig"]["defaults"]["mappings"][0]["options"]["1"]["color"] =
            json!("#37546B");
        json["panels"][4]["fieldConfig"]["defaults"]["unit"] = json!("pps");
        json["panels"][4]["fieldConfig"]["defaults"]["custom"]["axisSoftMax"] = json!(10);
        let mut since = columns(&[("Since", 140)]);
        let unit = json!({"id": "unit", "value": "dateTimeFromNow"});
        since[0]["properties"].as_array_mut().unwrap().push(unit);
        let overrides = json["panels"][2]["fieldConfig"]["overrides"].as_array_mut();
        overrides.unwrap().push(since[0].take());
        json["time"] = json!({"from": "now-24h", "to": "now+24h"});
        for at in [0, 2, 5] {
            json["panels"][at]["timeFrom"] = json!("1h");
        }
    });
    assert_eq!(near, Vec::<String>::new());
}

/// The override that keeps the text for "no data" out of cells.
fn all() -> Value {
    json!({"matcher": {"id": "byRegexp", "options": "/.*/"}, "properties": [{"id": "noValue", "value": ""}]})
}

/// The override of a column that takes what the others leave, and no less than its heading.
fn least(name: &str, pixels: u64) -> Value {
    json!({"matcher": {"id": "byName", "options": name}, "properties": [{"id": "custom.minWidth", "value": pixels}]})
}

/// Overrides that give columns their widths.
fn columns(widths: &[(&str, u64)]) -> Value {
    let rule = |(name, width): &(&str, u64)| json!({"matcher": {"id": "byName", "options": name}, "properties": [{"id": "custom.width", "value": width}]});
    widths.iter().map(rule).collect()
}

/// The columns Device and Rate, and a description that may be missing.
fn renamed() -> Value {
    json!([{"id": "organize", "options": {"renameByName": {"device": "Device", "ifAlias": "Description", "Value": "Rate"}}}])
}

type Change = fn(&mut Value);

fn each_is_found(faults: &[(&str, Change)]) {
    for (expected, change) in faults {
        let problems = example(change);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "expected `{expected}` in {problems:?}"
        );
    }
}

#[test]
fn each_fault_is_found() {
    each_is_found(&[
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
            second["id"] = json!(9);
            second["gridPos"]["x"] = json!(3);
            json["panels"].as_array_mut().unwrap().push(second);
        }),
        ("does not fit the grid", |json| {
            json["panels"][0]["gridPos"]["w"] = json!(25);
        }),
        ("leads to the dashboard `y`", |json| {
            json["panels"][0]["links"] = json!([{"url": "/d/y/y?${__url_time_range}"}]);
        }),
        ("sets `role`, which `x` does not have", |json| {
            json["panels"][0]["links"] = json!([{"url": "/d/x/x?var-role=a&${__url_time_range}"}]);
        }),
        ("loses the time range", |json| {
            json["panels"][0]["links"] = json!([{"url": "/d/x/x?var-site=${site}"}]);
        }),
    ]);
}

/// What was seen on a real screen, each as a kind.
#[test]
fn each_fault_that_was_seen_is_found() {
    each_is_found(&[
        ("shows ranges of thresholds", |json| {
            json["panels"][1]["fieldConfig"]["defaults"]["color"]["mode"] = json!("thresholds");
        }),
        ("its legend would show that text", |json| {
            json["panels"][1]["fieldConfig"]["defaults"]["noValue"] = json!("None");
        }),
        ("fills every empty cell", |json| {
            json["panels"][2]["fieldConfig"]["overrides"] = json!([]);
        }),
        ("does not say why it is empty", |json| {
            json["panels"][2]["fieldConfig"]["defaults"]["noValue"] = json!("");
        }),
        ("shows its headings alone", |json| {
            json["panels"][5]["transformations"] = json!([{"id": "merge"}]);
        }),
        ("shows its headings alone", |json| {
            let target = json["panels"][2]["targets"][0].clone();
            json["panels"][2]["targets"] = Value::from(vec![target; 2]);
        }),
        ("raw lines belong into a closed row", |json| {
            json["panels"][5]["type"] = json!("logs");
        }),
        ("repeat it for each value that there is", |json| {
            json["panels"][4]["type"] = json!("heatmap");
        }),
        ("tells of 1970", |json| {
            json["panels"][0]["fieldConfig"]["defaults"]["unit"] = json!("dateTimeFromNow");
        }),
        ("`1` has a colour and no word", |json| {
            json["panels"][1]["fieldConfig"]["defaults"]["mappings"] =
                json!([{"type": "value", "options": {"1": {"color": "#D55E00"}}}]);
        }),
        ("states by colour alone", |json| {
            json["panels"][1]["options"]["showValue"] = json!("never");
        }),
        ("its value by colour alone", |json| {
            json["panels"][0]["options"]["textMode"] = json!("name");
        }),
        ("names bounds of buckets", |json| {
            json["panels"][4]["targets"][0]["expr"] = json!(
                "sum(rate(ping_rtt_seconds_bucket{site=\"$site\",le=\"0.1\"}[$__rate_interval]))"
            );
        }),
        ("`Rate` is cut off on a phone", |json| {
            json["panels"][2]["transformations"] = renamed();
            json["panels"][2]["fieldConfig"]["overrides"] = json!([all(), least("Rate", 40)]);
        }),
        ("switches of annotations", |json| {
            json["annotations"] = json!({"list": [{"name": "Alerts"}]});
        }),
        ("its words in #37546B cannot be read", |json| {
            let up = json!({"type": "value", "options": {"1": {"text": "Up", "color": "#37546B"}}});
            json["panels"][2]["fieldConfig"]["overrides"] = json!([{"matcher": {"id": "byName", "options": "State"}, "properties": [
                {"id": "mappings", "value": [up]}, {"id": "custom.cellOptions", "value": {"type": "color-text"}}]}]);
        }),
        ("its words in #37546B cannot be read", |json| {
            json["panels"][3]["fieldConfig"]["defaults"]["thresholds"] =
                json!({"steps": [{"color": "#37546B"}]});
        }),
        ("the heading `Down` is cut off", |json| {
            json["panels"][2]["options"]["sortBy"] = json!([{"displayName": "Down", "desc": true}]);
            json["panels"][2]["fieldConfig"]["overrides"] = columns(&[("Down", 60)]);
        }),
        ("an empty text would read 0", |json| {
            json["panels"][2]["fieldConfig"]["defaults"]["unit"] = json!("none");
        }),
        ("`Maintenance, silent` is cut off by the width", |json| {
            let mut state = columns(&[("State", 130)]);
            let silent =
                json!({"type": "value", "options": {"2": {"text": "Maintenance, silent"}}});
            let property = json!({"id": "mappings", "value": [silent]});
            state[0]["properties"]
                .as_array_mut()
                .unwrap()
                .push(property);
            json["panels"][2]["fieldConfig"]["overrides"] = state;
        }),
        ("the age in `Since` loses its first digit", |json| {
            let mut since = columns(&[("Since", 100)]);
            let unit = json!({"id": "unit", "value": "dateTimeFromNow"});
            since[0]["properties"].as_array_mut().unwrap().push(unit);
            json["panels"][2]["fieldConfig"]["overrides"] = since;
        }),
        ("shows nothing else without scrolling", |json| {
            for at in [1, 2] {
                json["links"][at]["placement"] = json!(null);
            }
        }),
        ("leaves a side empty", |json| {
            json["panels"][2]["transformations"] = renamed();
            json["panels"][2]["fieldConfig"]["overrides"] =
                columns(&[("Device", 90), ("Rate", 80)]);
        }),
        ("count in thousandths", |json| {
            json["panels"][4]["fieldConfig"]["defaults"]["unit"] = json!("pps");
        }),
        ("asks for an instant in the future", |json| {
            json["time"] = json!({"from": "now-24h", "to": "now+24h"});
        }),
        ("hides the last columns", |json| {
            json["panels"][2]["fieldConfig"]["defaults"]["custom"] = json!({});
        }),
        ("wider than the panel", |json| {
            json["panels"][2]["gridPos"]["w"] = json!(11);
        }),
        ("near sites are one dot", |json| {
            json["panels"][3]["options"]["view"]["zoom"] = json!(4);
        }),
        ("land from the Internet", |json| {
            json["panels"][3]["options"]["basemap"]["type"] = json!("default");
        }),
        ("shrinks with the fault", |json| {
            json["panels"][0]["fieldConfig"]["defaults"]["unit"] = json!("percentunit");
            json["panels"][0]["targets"][0]["expr"] = json!("sum(up == bool 1) / count(up)");
        }),
        ("filled while nothing is wrong", |json| {
            json["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["color"] =
                json!("green");
        }),
        ("axis to 100", |json| {
            json["panels"][4]["fieldConfig"]["defaults"]["custom"] = json!({});
        }),
        ("has no legend", |json| {
            json["panels"][4]["options"]["legend"] = json!({"showLegend": false});
        }),
        ("lines as they came", |json| {
            json["panels"][5]["targets"][0]["expr"] = json!("{job=\"syslog\"}");
        }),
        ("loss over 100 %", |json| {
            json["panels"][4]["targets"][0]["expr"] =
                json!("sum(ping_lost_total) / sum(ping_requests_total)");
        }),
        ("it is made up", |json| {
            json["panels"][4]["targets"][0]["expr"] = json!(
                "histogram_quantile(0.99, sum by (le) (rate(ping_rtt_seconds_bucket[$__rate_interval])))"
            );
        }),
        ("makes every port or neighbour vanish", |json| {
            json["panels"][2]["targets"][0]["expr"] = json!(
                "max by (device) (ifOperStatus{device=\"r1\"}) and on (device) max_over_time(ifOperStatus{site=\"s\"}[1d])"
            );
        }),
        ("counts a neighbour twice", |json| {
            json["panels"][2]["targets"][0]["expr"] =
                json!("count(last_over_time(bgpPeerState{site=\"$site\"}[$__rate_interval]) == 6)");
        }),
        ("no rise of a counter", |json| {
            json["panels"][4]["targets"][0]["expr"] =
                json!("sum(rate(network_event_total[$__rate_interval]))");
        }),
        ("its title is cut off", |json| {
            json["panels"][0]["gridPos"]["w"] = json!(3);
            json["panels"][0]["title"] = json!("Devices that are down now");
        }),
        ("a word of the code", |json| {
            json["panels"][0]["description"] = json!("The books of the receiver.");
        }),
        ("a name of a series", |json| {
            json["panels"][0]["title"] = json!("ping_up");
        }),
        ("no table of the page has its figures", |json| {
            json["panels"][1]["targets"][0]["expr"] = json!("max by (device) (ping_up)");
        }),
        ("its links must be", |json| {
            json["links"].as_array_mut().unwrap().swap(0, 1);
        }),
        ("its links must be", |json| {
            json["links"].as_array_mut().unwrap().remove(3);
        }),
        ("loses the time or the variables", |json| {
            json["links"][1]["includeVars"] = json!(false);
        }),
        ("asks 25 queries", |json| {
            let target = json["panels"][0]["targets"][0].clone();
            json["panels"][0]["targets"] = Value::from(vec![target; 20]);
        }),
        ("has 5 tiles", |json| {
            for (id, y) in [(11, 30), (12, 40), (13, 50), (14, 60)] {
                let mut tile = json["panels"][0].clone();
                (tile["id"], tile["gridPos"]["y"]) = (json!(id), json!(y));
                json["panels"].as_array_mut().unwrap().push(tile);
            }
        }),
    ]);
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
