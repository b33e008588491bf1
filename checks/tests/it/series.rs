//! Every series that a dashboard or an alert names is one that somebody exposes or records.

use std::collections::{BTreeMap, BTreeSet};

use services::Table;
use sotp_checks::variables::{Values, label_values, names};
use sotp_checks::{alerts, dashboards, promql, root, series};
use testkit::Server;

/// Each series that is named, with one place that names it.
fn named() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for rule in alerts::rules(&root().join("alerts/rules")).unwrap() {
        let place = rule.alert.or(rule.record).unwrap();
        found.extend(
            promql::series(&rule.expr)
                .unwrap()
                .into_iter()
                .map(|name| (name, place.clone())),
        );
    }
    for dashboard in dashboards::read(&root().join("dashboards")).unwrap() {
        let queries = dashboard
            .queries()
            .into_iter()
            .filter(|query| query.is_prometheus())
            .map(|query| (query.text, query.place));
        let variables = dashboard
            .variables()
            .into_iter()
            .map(|variable| (variable.query, variable.name));
        for (text, place) in queries.chain(variables) {
            let mut values = Values::builtin(60, 1, 1);
            names(&text)
                .into_iter()
                .filter(|name| !name.starts_with("__"))
                .for_each(|name| values.set(name, "1"));
            let text = values.fill(&text).unwrap();
            let text = label_values(&text).map_or(text, |(selector, _)| selector);
            let place = format!("{} / {place}", dashboard.uid);
            found.extend(
                promql::series(&text)
                    .unwrap()
                    .into_iter()
                    .map(|name| (name, place.clone())),
            );
        }
    }
    found
}

/// The series that Debian's Prometheus and Alertmanager expose of themselves, with our rules loaded.
async fn theirs() -> BTreeSet<String> {
    let config =
        std::fs::read_to_string(root().join("alerts/alertmanager/alertmanager.yaml")).unwrap();
    let alertmanager = Server::alertmanager(&config).await.unwrap();
    let address = alertmanager.url.trim_start_matches("http://");
    let config = format!(
        "rule_files: ['{}/*.yaml']\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['{address}']}}]}}]}}\n",
        root().join("alerts/rules").display()
    );
    let prometheus = Server::prometheus(&config).await.unwrap();
    let mut known = series::exposed(&alertmanager.get("/metrics").await.unwrap());
    for _ in 0..100 {
        let page = series::exposed(&prometheus.get("/metrics").await.unwrap());
        // It lists an Alertmanager, and counts what goes to it, some seconds after the start.
        let complete = page.contains("prometheus_notifications_errors_total");
        known.extend(page);
        if complete {
            return known;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("Prometheus did not take up Alertmanager within 10 s");
}

#[tokio::test]
async fn every_series_that_is_named_exists() {
    let mut known: BTreeSet<String> = series::BUILTIN.map(str::to_owned).into();
    known.extend(series::ours(&root(), &Table::ours().unwrap()).unwrap());
    known.extend(theirs().await);
    known.extend(
        alerts::rules(&root().join("alerts/rules"))
            .unwrap()
            .into_iter()
            .filter_map(|rule| rule.record),
    );
    let named = named();
    assert!(named.len() > 20, "series are named");
    let unknown: Vec<_> = named
        .into_iter()
        .filter(|(name, _)| !known.contains(name))
        .collect();
    assert_eq!(unknown, [], "named, but exposed by nobody");
}

#[test]
fn every_recorded_series_is_used() {
    let named = named();
    for rule in alerts::rules(&root().join("alerts/rules")).unwrap() {
        if let Some(name) = rule.record {
            assert!(
                named.contains_key(&name),
                "{name} is recorded and used by nothing"
            );
        }
    }
}
