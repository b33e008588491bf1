//! The configuration of YACE, held to the keys that its documentation names (docs/configuration.md of version 0.61).

use std::collections::BTreeMap;

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
