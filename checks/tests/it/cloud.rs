//! The configuration of YACE, held to the keys that its documentation names (docs/configuration.md of version 0.61).

use std::collections::BTreeMap;

use inventory::Inventory;
use serde::Deserialize;
use sotp_checks::root;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(rename = "apiVersion")]
    api_version: String,
    discovery: Discovery,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Discovery {
    #[serde(default)]
    exported_tags_on_metrics: BTreeMap<String, Vec<String>>,
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    #[serde(rename = "type")]
    kind: String,
    regions: Vec<String>,
    period: u64,
    length: u64,
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    name: String,
    statistics: Vec<String>,
}

/// A configuration without discovery (`type Static` of version 0.67).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(rename = "apiVersion")]
    api_version: String,
    #[serde(rename = "static")]
    jobs: Vec<Static>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Static {
    name: String,
    namespace: String,
    regions: Vec<String>,
    dimensions: Vec<BTreeMap<String, String>>,
    custom_tags: Vec<BTreeMap<String, String>>,
    metrics: Vec<StaticMetric>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StaticMetric {
    name: String,
    statistics: Vec<String>,
    period: u64,
    length: u64,
}

/// As YACE names a series: `aws_rds_cpuutilization_average`. A capital behind a small letter begins a word.
fn series(metric: &str, statistic: &str) -> String {
    let mut name = "aws_rds_".to_owned();
    let mut small = false;
    for c in metric.chars() {
        if c.is_uppercase() && small {
            name.push('_');
        }
        small = c.is_lowercase();
        name.extend(c.to_lowercase());
    }
    format!("{name}_{}", statistic.to_lowercase())
}

#[test]
fn the_example_for_rds_has_the_form_of_yace_and_brings_what_alerts_and_panels_ask_for() {
    let path = root().join("examples/yace-rds.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let config: Config = serde_saphyr::from_str(&text).unwrap();
    // kustomize reads no file outside of a component's folder.
    let of_kubernetes = root().join("kustomize/components/cloudwatch/yace.yaml");
    assert_eq!(std::fs::read_to_string(of_kubernetes).unwrap(), text);
    assert_eq!(config.api_version, "v1alpha1");
    assert!(
        config
            .discovery
            .exported_tags_on_metrics
            .contains_key("AWS/RDS")
    );
    let [job] = &config.discovery.jobs[..] else {
        panic!("one job was expected")
    };
    assert_eq!(job.kind, "AWS/RDS");
    assert!(!job.regions.is_empty() && job.length >= job.period && job.period % 60 == 0);
    let names: Vec<String> = job
        .metrics
        .iter()
        .flat_map(|metric| {
            metric
                .statistics
                .iter()
                .map(|statistic| series(&metric.name, statistic))
        })
        .collect();
    let wanted = sotp_checks::series::BUILTIN
        .iter()
        .filter(|name| name.starts_with("aws_rds_"));
    for name in wanted {
        assert!(
            names.iter().any(|have| have == name),
            "{name} is not in {names:?}"
        );
    }
}

#[test]
fn what_the_inventory_writes_for_yace_has_its_form_and_brings_what_alerts_and_panels_ask_for() {
    let text = "devices: [{name: orders, address: orders.example, cloud: {region: eu-central-1, rds: orders-prod}}, {name: r1, address: 192.0.2.1}]";
    let inventory = Inventory::parse(text, std::path::Path::new("x")).unwrap();
    let config: Listed = serde_saphyr::from_str(&inventory::sd::yace(&inventory)).unwrap();
    assert_eq!(config.api_version, "v1alpha1");
    let [job] = &config.jobs[..] else {
        panic!("one database was expected")
    };
    assert_eq!((&*job.name, &*job.namespace), ("orders", "AWS/RDS"));
    assert_eq!(job.regions, ["eu-central-1"]);
    assert_eq!(job.dimensions[0]["value"], "orders-prod");
    let tags: Vec<(&str, &str)> = job
        .custom_tags
        .iter()
        .map(|tag| (&*tag["key"], &*tag["value"]))
        .collect();
    assert_eq!(tags, [("device", "orders"), ("site", ""), ("role", "")]);
    assert!(
        job.metrics
            .iter()
            .all(|metric| metric.period == 60 && metric.length >= 60)
    );
    let names: Vec<String> = job
        .metrics
        .iter()
        .map(|metric| series(&metric.name, &metric.statistics[0]))
        .collect();
    let builtin = sotp_checks::series::BUILTIN.iter();
    for name in builtin.filter(|name| name.starts_with("aws_rds_")) {
        assert!(
            names.iter().any(|have| have == name),
            "{name} is not in {names:?}"
        );
    }
}
