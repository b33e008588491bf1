//! `sotp-mqtt convert`: a configuration of mqtt2prometheus becomes ours.
//!
//! Source of its keys: `config.yaml.dist` and `pkg/config/config.go` of <https://github.com/hikhvar/mqtt2prometheus>.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value as Json;
use toolkit::yaml;

use crate::rules::Rules;

/// Keys that are not understood are named, not refused: versions differ in them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Theirs {
    mqtt: Mqtt,
    cache: Cache,
    json_parsing: JsonParsing,
    metrics: Vec<Metric>,
    #[serde(flatten)]
    other: BTreeMap<String, Json>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Mqtt {
    server: String,
    topic_path: String,
    device_id_regex: String,
    user: String,
    password: String,
    qos: u8,
    metric_per_topic_config: Option<PerTopic>,
    object_per_topic_config: Option<Json>,
    ca_cert: String,
    client_cert: String,
    client_key: String,
    client_id: String,
    #[serde(flatten)]
    other: BTreeMap<String, Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PerTopic {
    metric_name_regex: String,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Cache {
    timeout: Json,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct JsonParsing {
    separator: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metric {
    prom_name: String,
    mqtt_name: String,
    payload_field: String,
    help: String,
    #[serde(rename = "type")]
    kind: String,
    const_labels: BTreeMap<String, String>,
    sensor_name_filter: String,
    string_value_mapping: Option<Mapping>,
    mqtt_value_scale: Option<f64>,
    #[serde(flatten)]
    other: BTreeMap<String, Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Mapping {
    map: BTreeMap<String, f64>,
    error_value: Option<f64>,
}

impl Default for Mqtt {
    fn default() -> Self {
        let text = String::new;
        Self {
            server: "tcp://127.0.0.1:1883".to_owned(),
            topic_path: "v1/devices/me".to_owned(),
            device_id_regex: "(.*/)?(?P<deviceid>.*)".to_owned(),
            user: text(),
            password: text(),
            qos: 0,
            metric_per_topic_config: None,
            object_per_topic_config: None,
            ca_cert: text(),
            client_cert: text(),
            client_key: text(),
            client_id: text(),
            other: BTreeMap::new(),
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            timeout: "2m".into(),
        }
    }
}

impl Default for JsonParsing {
    fn default() -> Self {
        Self {
            separator: ".".to_owned(),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Converted {
    /// The configuration.
    pub config: String,
    /// The file of rules that it names.
    pub rules: String,
    /// The password, for a file of its own.
    pub password: Option<String>,
    /// What could not be carried over, and what is different now.
    pub notes: Vec<String>,
}

/// Turns a configuration of mqtt2prometheus into ours.
///
/// # Errors
/// It cannot be read, or nothing of it can be carried over.
pub fn convert(text: &str, origin: &Path) -> anyhow::Result<Converted> {
    let theirs: Theirs = yaml::parse(text, origin)?;
    let mut out = Converted::default();
    broker(&theirs, &mut out);
    rules(&theirs, &mut out)?;
    Rules::parse([(&*out.rules, Path::new("rules.yaml"))]).context("the rules that were made")?;
    Ok(out)
}

/// Writes the files.
pub(super) fn run(file: &Path, to: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let converted = convert(&text, file)?;
    for note in &converted.notes {
        writeln!(std::io::stderr(), "note: {note}")?;
    }
    let password = converted.password.as_deref();
    let files = [
        ("mqtt-password", password, 0o600),
        ("rules.yaml", Some(&*converted.rules), 0o644),
        ("mqtt.yaml", Some(&*converted.config), 0o644),
    ];
    for (name, text, mode) in files {
        let Some(text) = text else { continue };
        let path = to.join(name);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(mode).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| path.display().to_string())?;
        writeln!(std::io::stderr(), "wrote {}", path.display())?;
    }
    Ok(())
}

fn broker(theirs: &Theirs, out: &mut Converted) {
    let mqtt = &theirs.mqtt;
    let (scheme, host) = mqtt
        .server
        .split_once("://")
        .unwrap_or(("tcp", &mqtt.server));
    let ours = match scheme {
        "tcp" | "mqtt" => "mqtt",
        "ssl" | "tls" | "mqtts" | "tcps" => "mqtts",
        other => {
            out.notes.push(format!(
                "mqtt.server: {other} is not understood, mqtt is written"
            ));
            "mqtt"
        }
    };
    let host = host.trim_end_matches('/');
    // Certificates need TLS, which its library takes up by itself where there are some.
    let tls = !(mqtt.ca_cert.is_empty() && mqtt.client_cert.is_empty());
    let ours = if tls { "mqtts" } else { ours };
    let _ = write!(
        out.config,
        "brokers:\n  - name: main\n    url: {}\n    protocol: \"3.1.1\"\n    qos: {}\n",
        quoted(&format!("{ours}://{host}")),
        mqtt.qos.min(2)
    );
    for (key, value) in [
        ("client_id", &mqtt.client_id),
        ("username", &mqtt.user),
        ("ca_file", &mqtt.ca_cert),
        ("cert_file", &mqtt.client_cert),
        ("key_file", &mqtt.client_key),
    ] {
        if !value.is_empty() {
            let _ = writeln!(out.config, "    {key}: {}", quoted(value));
        }
    }
    if !mqtt.user.is_empty() {
        out.config.push_str("    password_file: mqtt-password\n");
        out.password = Some(mqtt.password.clone());
    }
    let timeout = match &theirs.cache.timeout {
        Json::String(text) => units::duration(text).ok().filter(|time| time.as_secs() > 0),
        _ => None,
    };
    let most = std::time::Duration::from_secs(2_592_000);
    let timeout = timeout.unwrap_or_else(|| {
        out.notes.push(
            "cache.timeout: readings that never end are not kept here, 720h is written".to_owned(),
        );
        most
    });
    let _ = write!(
        out.config,
        "rules: []\nrule_files: [rules.yaml]\nretained: true\nstale_after: {}\n",
        units::spelled(timeout.min(most))
    );
    let known = ["enable_profiling_metrics"];
    let unknown = theirs.other.keys().filter(|key| !known.contains(&&***key));
    out.notes.extend(unknown.map(|key| dropped(key)));
    let other = mqtt.other.keys();
    out.notes
        .extend(other.map(|key| dropped(&format!("mqtt.{key}"))));
    let encoding = mqtt
        .object_per_topic_config
        .as_ref()
        .and_then(|config| config["encoding"].as_str());
    if encoding.is_some_and(|encoding| encoding != "JSON") {
        out.notes
            .push(dropped("mqtt.object_per_topic_config.encoding"));
    }
    out.notes.push(
        "the label topic is not written; the levels of a topic become labels by rules".to_owned(),
    );
    out.notes
        .push("readings are shown without the time at which they came".to_owned());
}

fn dropped(key: &str) -> String {
    format!("{key}: there is nothing like it, dropped")
}

/// The topic of a metric as our rules write it, and whether the sensor is named in it.
fn topic(mqtt: &Mqtt, name: Option<&str>, notes: &mut Vec<String>) -> (String, bool) {
    let mut levels: Vec<String> = mqtt.topic_path.split('/').map(str::to_owned).collect();
    let place = |levels: &mut Vec<String>, regex: &str, group: &str, with: &str| {
        let parts = split(regex);
        let marked = format!("(?P<{group}>");
        // It need not begin or end where the topic does.
        let fits = |from: &usize| {
            let levels = levels[*from..].iter();
            let fits = |(part, level): (&&str, &String)| {
                part.is_empty() || part.contains('(') || level == "+" || part == level
            };
            parts.iter().zip(levels).all(fits)
        };
        let spare = levels.len().checked_sub(parts.len());
        let from = spare.and_then(|spare| (0..=spare).find(fits));
        let is_group = |part: &&str| part.starts_with(&marked) && part.ends_with(')');
        let at = match from.and_then(|from| Some(from + parts.iter().position(is_group)?)) {
            // What comes before it is anything: the last level.
            None if regex
                .trim_end_matches('$')
                .ends_with(&format!("{marked}.*)")) =>
            {
                Some(levels.len() - 1)
            }
            at => at,
        };
        match at.filter(|at| levels[*at] != "#") {
            Some(at) if levels[at] == "+" => with.clone_into(&mut levels[at]),
            Some(_) => return true,
            None => return false,
        }
        true
    };
    let sensor = place(&mut levels, &mqtt.device_id_regex, "deviceid", "{sensor}");
    if !sensor {
        notes.push(format!(
            "mqtt.device_id_regex: {} does not name one level of {}, there is no label sensor",
            mqtt.device_id_regex, mqtt.topic_path
        ));
    }
    if let (Some(name), Some(config)) = (name, &mqtt.metric_per_topic_config)
        && !place(&mut levels, &config.metric_name_regex, "metricname", name)
    {
        notes.push(format!(
            "metric_name_regex: {} does not name one level of {}, every topic is read",
            config.metric_name_regex, mqtt.topic_path
        ));
    }
    let named = levels.iter().any(|level| level == "{sensor}");
    (levels.join("/"), named)
}

/// A regular expression in parts between the slashes that are in no group.
fn split(regex: &str) -> Vec<&str> {
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    let regex = regex.strip_suffix('$').unwrap_or(regex);
    let (mut depth, mut from, mut parts) = (0_i32, 0, Vec::new());
    for (at, c) in regex.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '/' if depth == 0 => {
                parts.push(&regex[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&regex[from..]);
    parts
}

fn rules(theirs: &Theirs, out: &mut Converted) -> anyhow::Result<()> {
    let per_topic = theirs.mqtt.metric_per_topic_config.is_some();
    let separator = &theirs.json_parsing.separator;
    let mut metrics: BTreeMap<String, (String, bool)> = BTreeMap::new();
    // The values of each topic, in their order.
    let mut topics: Vec<(String, Vec<String>)> = Vec::new();
    for (index, metric) in theirs.metrics.iter().enumerate() {
        let at = format!("metrics[{index}] {}", metric.prom_name);
        let known = ["omit_timestamp"];
        let other: Vec<&String> = metric
            .other
            .keys()
            .filter(|key| !known.contains(&&***key))
            .collect();
        if other
            .iter()
            .any(|key| matches!(&***key, "expression" | "raw_expression"))
        {
            out.notes.push(format!(
                "{at}: an expression is a program, which is not run here; the metric is dropped"
            ));
            continue;
        }
        out.notes
            .extend(other.iter().map(|key| dropped(&format!("{at}.{key}"))));
        let counter = metric.kind == "counter";
        let mut name = metric.prom_name.clone();
        if counter && !name.ends_with("_total") {
            name.push_str("_total");
            out.notes.push(format!("{at}: a counter is called {name}"));
        }
        if !counter && let Some(base) = name.strip_suffix("_total") {
            name = format!("{base}_value");
            out.notes.push(format!(
                "{at}: a name that ends in _total is that of a counter, it is called {name}"
            ));
        }
        let (field, name_of_topic) = match per_topic {
            true => (&metric.payload_field, Some(&*metric.mqtt_name)),
            false => (&metric.mqtt_name, None),
        };
        let path: Vec<&str> = match separator.is_empty() {
            true => vec![field.as_str()],
            false => field.split(&**separator).collect(),
        };
        // `[0]` is a position in a list, which needs no brackets here.
        let bare = |key: &str| {
            let inner = key.strip_prefix('[')?.strip_suffix(']')?;
            inner
                .parse::<usize>()
                .ok()
                .map(|position| position.to_string())
        };
        let path: Vec<String> = path
            .iter()
            .map(|key| bare(key).unwrap_or_else(|| (*key).to_owned()))
            .collect();
        let unusable = |key: &String| key.is_empty() || key.contains(['.', '{', '}']);
        if !field.is_empty() && path.iter().any(unusable) {
            out.notes.push(format!(
                "{at}: a key that is empty or has a dot in it has no path here, dropped"
            ));
            continue;
        }
        let (mut pattern, named) = topic(&theirs.mqtt, name_of_topic, &mut out.notes);
        if !metric.sensor_name_filter.is_empty() {
            let exact = metric
                .sensor_name_filter
                .strip_prefix('^')
                .and_then(|rest| rest.strip_suffix('$'));
            match exact.filter(|text| {
                named
                    && text
                        .chars()
                        .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
            }) {
                Some(exact) => pattern = pattern.replace("{sensor}", exact),
                None => out.notes.push(format!(
                    "{at}: sensor_name_filter {} is no name, every sensor is taken",
                    metric.sensor_name_filter
                )),
            }
        }
        let help = match metric.help.trim() {
            "" => format!("{} of {}.", metric.mqtt_name, theirs.mqtt.topic_path),
            help => help.replace(char::is_control, " "),
        };
        let before = metrics
            .entry(name.clone())
            .or_insert_with(|| (help, counter));
        if before.1 != counter {
            out.notes
                .push(format!("{at}: it is a gauge and a counter, dropped"));
            continue;
        }
        let mut value = format!("{{metric: {}", quoted(&name));
        if !field.is_empty() {
            let _ = write!(value, ", path: {}", quoted(&path.join(".")));
        }
        if let Some(mapping) = &metric.string_value_mapping {
            let pairs = mapping
                .map
                .iter()
                .map(|(text, number)| format!("{}: {number}", quoted(text)));
            let pairs: Vec<String> = pairs.collect();
            let _ = write!(value, ", map: {{{}}}", pairs.join(", "));
            if mapping.error_value.is_some() {
                out.notes.push(format!(
                    "{at}: error_value is not written, other texts are refused and counted"
                ));
            }
        }
        if let Some(scale) = metric
            .mqtt_value_scale
            .filter(|scale| *scale != 0.0 && *scale != 1.0)
        {
            let _ = write!(value, ", multiply: {scale}");
        }
        // The inventory gives these.
        let own = ["device", "site", "role", "sensor"];
        let mut labels: BTreeMap<&str, &str> = BTreeMap::new();
        for (label, text) in &metric.const_labels {
            if own.contains(&&**label) || text.is_empty() {
                out.notes.push(format!(
                    "{at}: the label {label} is given otherwise here, dropped"
                ));
            } else {
                labels.insert(label, text);
            }
        }
        let exact = theirs.mqtt.device_id_regex.as_str();
        let last = pattern.rsplit('/').next().unwrap_or_default();
        if !pattern.contains("{sensor}")
            && exact.ends_with("(?P<deviceid>.*)")
            && !last.contains(['+', '#'])
        {
            labels.insert("sensor", last);
        }
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, text)| format!("{}: {}", quoted(label), quoted(text)))
            .collect();
        if !labels.is_empty() {
            let _ = write!(value, ", labels: {{{}}}", labels.join(", "));
        }
        value.push('}');
        match topics.iter_mut().find(|(topic, _)| *topic == pattern) {
            Some((_, values)) => values.push(value),
            None => topics.push((pattern, vec![value])),
        }
    }
    ensure!(
        !topics.is_empty(),
        "none of its metrics can be carried over: {}",
        out.notes.join("; ")
    );
    out.notes.sort();
    out.notes.dedup();
    out.rules.push_str(
        "# From a configuration of mqtt2prometheus. Add examples: docs/mqtt.md.\nmetrics:\n",
    );
    for (name, (help, counter)) in &metrics {
        let kind = if *counter { ", kind: counter" } else { "" };
        let _ = writeln!(
            out.rules,
            "  {}: {{help: {}{kind}}}",
            quoted(name),
            quoted(help)
        );
    }
    out.rules.push_str("rules:\n");
    for (topic, values) in &topics {
        let _ = writeln!(out.rules, "  - topic: {}\n    values:", quoted(topic));
        for value in values {
            let _ = writeln!(out.rules, "      - {value}");
        }
    }
    Ok(())
}

/// A double-quoted scalar (YAML 1.2 section 5.7).
fn quoted(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn converted(text: &str) -> Converted {
        let converted = convert(text, Path::new("x")).unwrap();
        let config = converted.config.replace("rule_files: [rules.yaml]\n", "");
        let config = config.replace("    password_file: mqtt-password\n", "");
        let config = config.replace("    username: \"bob\"\n", "");
        Config::parse(&config, Path::new("x")).unwrap();
        converted
    }

    #[test]
    fn json_of_each_topic_is_carried_over_and_what_is_not_is_named() {
        let out = converted(
            r#"
mqtt:
  server: tcp://192.0.2.1:1883
  user: bob
  password: hunter2
  topic_path: tele/+/SENSOR
  device_id_regex: "tele/(?P<deviceid>.*)/SENSOR"
  qos: 1
cache: {timeout: 24h}
json_parsing: {separator: "->"}
metrics:
  - {prom_name: energy_kwh, mqtt_name: ENERGY->Total, type: counter, help: used, mqtt_value_scale: 3.6}
  - {prom_name: state, mqtt_name: state, type: gauge, const_labels: {kind: lamp, site: x}, sensor_name_filter: "^lamp-1$", string_value_mapping: {error_value: 1, map: {off: 0, on: 1}}}
  - {prom_name: power, mqtt_name: P, type: gauge, sensor_name_filter: "^lamp.*", force_monotonicy: true}
  - {prom_name: product, mqtt_name: P, type: gauge, expression: "value * 2"}
"#,
        );
        assert_eq!(
            out.rules,
            r#"# From a configuration of mqtt2prometheus. Add examples: docs/mqtt.md.
metrics:
  "energy_kwh_total": {help: "used", kind: counter}
  "power": {help: "P of tele/+/SENSOR."}
  "state": {help: "state of tele/+/SENSOR."}
rules:
  - topic: "tele/{sensor}/SENSOR"
    values:
      - {metric: "energy_kwh_total", path: "ENERGY.Total", multiply: 3.6}
      - {metric: "power", path: "P"}
  - topic: "tele/lamp-1/SENSOR"
    values:
      - {metric: "state", path: "state", map: {"off": 0, "on": 1}, labels: {"kind": "lamp"}}
"#
        );
        assert!(
            out.config
                .contains("url: \"mqtt://192.0.2.1:1883\"\n    protocol: \"3.1.1\"\n    qos: 1\n"),
            "{}",
            out.config
        );
        assert!(
            out.config.contains("stale_after: 24h\n") && !out.config.contains("hunter2"),
            "{}",
            out.config
        );
        assert_eq!(out.password.as_deref(), Some("hunter2"));
        let notes = out.notes.join("\n");
        for what in [
            "force_monotonicy",
            "expression",
            "error_value",
            "the label site",
            "^lamp.*",
            "energy_kwh_total",
            "the label topic",
        ] {
            assert!(notes.contains(what), "{what}\n{notes}");
        }
        assert!(!notes.contains("hunter2"), "{notes}");
    }

    #[test]
    fn a_metric_for_each_topic_becomes_a_rule_for_each() {
        let out = converted(
            r#"
mqtt:
  topic_path: shellies/m1/emeter/+/+
  device_id_regex: "shellies/(.*)/emeter/(?P<deviceid>.*)/.*"
  metric_per_topic_config: {metric_name_regex: "shellies/(?P<deviceid>.*)/emeter/(.*)/(?P<metricname>.*)"}
metrics:
  - {prom_name: power, mqtt_name: power, type: gauge}
  - {prom_name: voltage, mqtt_name: voltage, type: gauge, payload_field: v.rms}
"#,
        );
        for line in [
            "  - topic: \"shellies/m1/emeter/{sensor}/power\"\n    values:\n      - {metric: \"power\"}\n",
            "  - topic: \"shellies/m1/emeter/{sensor}/voltage\"\n    values:\n      - {metric: \"voltage\", path: \"v.rms\"}\n",
        ] {
            assert!(out.rules.contains(line), "{}", out.rules);
        }
        assert!(out.config.contains("stale_after: 2m\n"), "{}", out.config);
    }

    /// Forms that stand in the examples of mqtt2prometheus.
    #[test]
    fn expressions_that_are_no_whole_topic_and_positions_in_lists_are_understood() {
        for (topic, regex, expected) in [
            (
                "qingping/+/up",
                "/(?P<deviceid>.+)/up$",
                "qingping/{sensor}/up",
            ),
            (
                "shellies/+/sensor/+",
                "shellies/(?P<deviceid>.*)/sensor",
                "shellies/{sensor}/sensor/+",
            ),
            ("devices/+", "(.*/)?(?P<deviceid>.*)", "devices/{sensor}"),
            ("a/b/+/c", "^b/(?P<deviceid>(.+))/c$", "a/b/{sensor}/c"),
            ("a/+/c", "x/(?P<deviceid>.+)", "a/+/c"),
        ] {
            let text = format!(
                "mqtt: {{topic_path: '{topic}', device_id_regex: '{regex}'}}\nmetrics: [{{prom_name: a, mqtt_name: 'data.[0].t', type: gauge}}, {{prom_name: b, mqtt_name: .t, type: gauge}}]"
            );
            let out = converted(&text);
            let line = format!(
                "  - topic: \"{expected}\"\n    values:\n      - {{metric: \"a\", path: \"data.0.t\"}}\n"
            );
            assert!(out.rules.contains(&line), "{topic}\n{}", out.rules);
            assert!(
                out.notes
                    .iter()
                    .any(|note| note.contains("metrics[1] b: a key"))
            );
        }
    }

    #[test]
    fn what_leaves_nothing_over_is_an_error_that_says_why() {
        let text = "metrics: [{prom_name: a, mqtt_name: b, type: gauge, expression: x}]";
        let error = convert(text, Path::new("x")).unwrap_err().to_string();
        assert!(error.contains("an expression is a program"), "{error}");
        assert!(convert("metrics: 5", Path::new("x")).is_err());
    }
}
