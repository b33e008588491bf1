//! How long series are kept, held against what the forecast and the reporter read.

use std::path::Path;

use serde_json::Value;
use sotp_checks::{manifests, pods, root, tools};

/// Days in the month before the last, the last, and the longest until the report of the last must be out: the month after it.
const REPORTER_DAYS: u64 = 31 + 31 + 31;

/// The number behind `begin` in a file of the repository.
fn number(file: &str, begin: &str) -> u64 {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let (_, rest) = text
        .split_once(begin)
        .unwrap_or_else(|| panic!("no `{begin}` in {file}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number behind `{begin}` in {file}"))
}

#[test]
fn prometheus_keeps_what_the_forecast_and_the_reporter_read_everywhere() {
    let forecast = number(
        "exporters/forecast/src/history.rs",
        "pub const TREND_DAYS: usize = ",
    );
    // The oldest of its days is whole.
    let read = REPORTER_DAYS.max(forecast + 1);
    let flag = "--storage.tsdb.retention.time=";
    let mut kept = vec![
        ("compose.yaml", number("compose.yaml", flag)),
        (
            "the packages",
            number("packaging/sotp/prometheus.conf", flag),
        ),
        (
            "make up",
            number(
                "lab/src/stack/args.rs",
                "/// How long Prometheus keeps samples, as Prometheus writes it.\n    #[arg(long, value_name = \"TIME\", default_value = \"",
            ),
        ),
        (
            "make demo",
            number(
                "lab/src/demo/history.rs",
                "pub(super) const RETENTION: &str = \"",
            ),
        ),
    ];
    let root = root();
    let kubectl = tools::kubectl(&root);
    for overlay in ["all-in-one", "production"] {
        let folder = root.join("kustomize/overlays").join(overlay);
        let objects = manifests::build(&kubectl, &folder).unwrap().1;
        let runs = |name: &str| {
            objects.iter().any(|object| {
                object["metadata"]["name"] == name && pods::template(object).is_some()
            })
        };
        assert!(runs("forecast") && runs("reporter"), "{overlay}");
        kept.push((overlay, flagged(&objects, flag)));
        let hours = objects
            .iter()
            .find_map(|object| object["data"]["loki.yaml"].as_str())
            .and_then(|text| serde_saphyr::from_str::<Value>(text).ok())
            .and_then(|loki| {
                loki["limits_config"]["retention_period"]
                    .as_str()?
                    .trim_end_matches('h')
                    .parse::<u64>()
                    .ok()
            });
        assert_eq!(
            hours,
            Some(24 * flagged(&objects, flag)),
            "Loki of {overlay} keeps its lines as long"
        );
    }
    for (place, days) in &kept {
        assert!(*days >= read, "{place} keeps {days} days; {read} are read");
    }
    let hours = number("lab/compose/loki.yaml", "retention_period: ");
    assert_eq!(
        hours,
        24 * number("compose.yaml", flag),
        "Loki of compose.yaml"
    );
    let page = std::fs::read_to_string(root.join("docs/sizing.md")).unwrap();
    for said in [
        format!("{forecast} days"),
        REPORTER_DAYS.to_string(),
        format!("{} days", kept[0].1),
    ] {
        assert!(page.contains(&said), "docs/sizing.md does not say {said}");
    }
}

/// The days that Prometheus of a deployment is told to keep.
fn flagged(objects: &[Value], flag: &str) -> u64 {
    let arguments = objects
        .iter()
        .filter_map(pods::template)
        .flat_map(|pod| pod["spec"]["containers"].as_array().into_iter().flatten())
        .flat_map(|container| container["args"].as_array().into_iter().flatten())
        .filter_map(Value::as_str);
    let days = arguments
        .filter_map(|argument| argument.strip_prefix(flag)?.strip_suffix('d'))
        .next();
    days.and_then(|days| days.parse().ok()).unwrap()
}

/// What the page says of the volume is what the manifest says, and the patch that it shows hits.
#[test]
fn the_volume_of_prometheus_is_as_the_page_of_sizing_says() {
    let file = Path::new("kustomize/stack/prometheus/statefulset.yaml");
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let set: Value = serde_saphyr::from_str(&text).unwrap();
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"][3], "--storage.tsdb.retention.size=16GB");
    assert_eq!(
        set["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"],
        "20Gi"
    );
}
