//! Files of rules as they are written, and the examples that they are held to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as File;
use std::sync::Arc;

use serde::Deserialize;
use toolkit::config::DurationIn;
use toolkit::{ConfigError, yaml};

use super::announced::{Announcement, Row, Table};
use super::number::Conversion;
use super::{LONGEST_LABEL, Metric, PREFIX, Rule, Rules, ValueRule, is_prefix};
use crate::metrics::OWN;
use crate::path::Path;
use crate::topic::{Pattern, is_label_name};

const NUMBERS: &str = "expected finite numbers, and none that is 0 to multiply or divide by";
/// Most rules, and most families, of all files.
const MOST: usize = 1_000;

/// A file of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    /// The families that its rules write, by name.
    metrics: BTreeMap<String, RawMetric>,
    #[serde(default)]
    rules: Vec<RawRule>,
    /// Which entities that announce themselves become series.
    #[serde(default)]
    announced: Option<RawTable>,
    /// Messages, and the samples that they must give.
    #[serde(default)]
    examples: Vec<RawExample>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetric {
    help: String,
    #[serde(default)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Gauge,
    Counter,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    topic: String,
    #[serde(default)]
    retained: Option<bool>,
    #[serde(default)]
    state: bool,
    #[serde(default)]
    stale_after: Option<DurationIn<1_000, 2_592_000_000>>,
    values: Vec<RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawValue {
    metric: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    when: BTreeMap<String, String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    map: BTreeMap<String, f64>,
    #[serde(default)]
    add: f64,
    #[serde(default = "one")]
    multiply: f64,
    #[serde(default = "one")]
    divide: f64,
}

fn one() -> f64 {
    1.0
}

/// A table of entities.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    prefix: String,
    #[serde(default)]
    availability: Option<String>,
    values: Vec<RawRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    #[serde(default = "sensor")]
    component: String,
    #[serde(default)]
    class: String,
    #[serde(default)]
    unit: String,
    metric: String,
    #[serde(default)]
    add: f64,
    #[serde(default = "one")]
    multiply: f64,
    #[serde(default = "one")]
    divide: f64,
    #[serde(default = "one")]
    on: f64,
    #[serde(default)]
    off: f64,
}

fn sensor() -> String {
    "sensor".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExample {
    /// Announcements that come before it.
    #[serde(default)]
    announced: Vec<RawMessage>,
    topic: String,
    payload: String,
    samples: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMessage {
    topic: String,
    payload: String,
}

type Wrong = (String, String);

fn wrong<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T, Wrong> {
    Err((path.into(), message.into()))
}

impl Rules {
    /// Reads files of rules, each a text with where it comes from.
    ///
    /// # Errors
    /// The first thing that is wrong, with file and place; an example that does not give what it says is wrong.
    pub fn parse<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a File)>,
    ) -> Result<Self, ConfigError> {
        let mut rules = Self::default();
        for (text, origin) in files {
            let raw: Raw = yaml::parse(text, origin)?;
            rules
                .add(raw)
                .map_err(|(path, message)| ConfigError::at(text, origin, path, message))?;
        }
        Ok(rules)
    }

    fn add(&mut self, raw: Raw) -> Result<(), Wrong> {
        for (name, metric) in &raw.metrics {
            self.declare(name, metric)
                .or_else(|message| wrong(format!("metrics.{name}"), message))?;
        }
        let mut own = Self {
            metrics: self.metrics.clone(),
            rules: Vec::new(),
            announced: Vec::new(),
        };
        if let Some(table) = raw.announced {
            let table = table
                .check(&raw.metrics, &own)
                .map_err(|(path, message)| (format!("announced.{path}"), message))?;
            own.announced.push(table);
        }
        for (index, rule) in raw.rules.into_iter().enumerate() {
            let rule = rule
                .check(&raw.metrics, &own)
                .map_err(|(path, message)| (format!("rules[{index}].{path}"), message))?;
            own.rules.push(rule);
        }
        // A file is held to its examples alone, so that they do not depend on what else is configured.
        for (index, example) in raw.examples.iter().enumerate() {
            own.holds(example)
                .or_else(|message| wrong(format!("examples[{index}]"), message))?;
        }
        self.rules.append(&mut own.rules);
        self.announced.append(&mut own.announced);
        if self.rules.len() > MOST || self.metrics.len() > MOST {
            return wrong("rules", format!("expected at most {MOST} in all"));
        }
        Ok(())
    }

    fn declare(&mut self, name: &str, raw: &RawMetric) -> Result<(), String> {
        let counter = raw.kind == Kind::Counter;
        let good = name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
            && name.len() <= 128
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
        let family = |name: &str| name.strip_suffix("_total").map(str::to_owned);
        if !good {
            return Err("expected a name of letters, digits and _".to_owned());
        }
        if counter != family(name).is_some() {
            return Err(
                "expected a name that ends in _total for a counter, and for no other".to_owned(),
            );
        }
        if OWN.contains(&name)
            || ["sotp_", "process_", "http_"]
                .iter()
                .any(|p| name.starts_with(p))
        {
            return Err(
                "expected another name, this one is a series of the service itself".to_owned(),
            );
        }
        if raw.help.trim().is_empty() || raw.help.contains(char::is_control) {
            return Err("expected a sentence in help".to_owned());
        }
        let metric = Metric {
            help: raw.help.clone(),
            counter,
        };
        // A name that several files use means the same in all of them: the name holds the unit.
        self.metrics.entry(name.into()).or_insert(metric);
        Ok(())
    }

    fn holds(&self, example: &RawExample) -> Result<(), String> {
        let matching = self.matching(&example.topic);
        let mut announced = Vec::new();
        for message in &example.announced {
            match self.announcement(&message.topic, message.payload.as_bytes()) {
                Some(Announcement::Entities { rules, .. }) => announced.extend(rules),
                Some(_) => {}
                None => return Err(format!("{} is no topic of announcements", message.topic)),
            }
        }
        announced.retain(|rule| rule.topic.matches(&example.topic).is_some());
        let payload = example.payload.as_bytes();
        let read = self
            .read(&matching, &announced, payload, (false, true))
            .map_err(|error| error.to_string())?;
        let mut found: Vec<(String, f64)> = read
            .samples
            .iter()
            .map(|one| {
                (
                    format!("{}{{{}}}", one.metric, one.labels.as_str()),
                    one.value,
                )
            })
            .collect();
        let mut expected = Vec::new();
        for sample in &example.samples {
            let read = sample
                .rsplit_once(' ')
                .and_then(|(series, value)| Some((series.to_owned(), value.parse::<f64>().ok()?)));
            expected.push(read.ok_or("expected samples such as NAME{LABELS} VALUE")?);
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        // Conversions round; what people write down does not.
        let near = |(a, b): (&(String, f64), &(String, f64))| {
            a.0 == b.0 && (a.1 - b.1).abs() <= 1e-12 * b.1.abs()
        };
        let same = found.len() == expected.len() && found.iter().zip(&expected).all(near);
        if same && read.refused.is_empty() {
            return Ok(());
        }
        let found: Vec<String> = found
            .iter()
            .map(|(series, value)| format!("{series} {value}"))
            .collect();
        let refused: Vec<&str> = read.refused.iter().map(|one| one.as_str()).collect();
        Err(format!(
            "the example gives [{}]{}, not what it says",
            found.join(", "),
            if refused.is_empty() {
                String::new()
            } else {
                format!(" and refuses {}", refused.join(", "))
            }
        ))
    }
}

impl RawTable {
    fn check(self, declared: &BTreeMap<String, RawMetric>, rules: &Rules) -> Result<Table, Wrong> {
        let family = |path: String, name: &str| {
            let known = rules.metrics.get_key_value(name);
            match known.filter(|_| declared.contains_key(name)) {
                Some((metric, _)) => Ok(Arc::clone(metric)),
                None => wrong(path, format!("expected one of metrics, found {name:?}")),
            }
        };
        if !is_prefix(&self.prefix) {
            return wrong("prefix", PREFIX);
        }
        if self.values.len() > MOST {
            return wrong("values", format!("expected at most {MOST}"));
        }
        let availability = self.availability.as_deref();
        let availability = availability.map(|name| family("availability".to_owned(), name));
        let mut rows = Vec::new();
        for (index, row) in self.values.into_iter().enumerate() {
            let numbers = [row.add, row.multiply, row.divide, row.on, row.off];
            if !numbers.iter().all(|n| n.is_finite()) || row.multiply * row.divide == 0.0 {
                return wrong(format!("values[{index}].multiply"), NUMBERS);
            }
            rows.push(Row {
                metric: family(format!("values[{index}].metric"), &row.metric)?,
                component: row.component,
                class: row.class,
                unit: row.unit,
                conversion: Conversion {
                    map: BTreeMap::new(),
                    add: row.add,
                    multiply: row.multiply,
                    divide: row.divide,
                },
                on_off: (row.on, row.off),
            });
        }
        Ok(Table {
            prefix: self.prefix,
            availability: availability.transpose()?,
            rows,
        })
    }
}

impl RawRule {
    fn check(self, declared: &BTreeMap<String, RawMetric>, rules: &Rules) -> Result<Rule, Wrong> {
        let topic = Pattern::parse(&self.topic).map_err(|message| ("topic".to_owned(), message))?;
        if self.values.is_empty() || self.values.len() > MOST {
            return wrong("values", format!("expected 1 to {MOST} values"));
        }
        if self.state && self.stale_after.is_some() {
            return wrong(
                "stale_after",
                "expected none beside state: a state holds until the next",
            );
        }
        let mut values = Vec::new();
        for (index, value) in self.values.into_iter().enumerate() {
            let at = |(path, message): Wrong| (format!("values[{index}].{path}"), message);
            values.push(value.check(&topic, declared, rules).map_err(at)?);
        }
        Ok(Rule {
            topic,
            retained: self.retained,
            state: self.state,
            stale_after: self.stale_after.map(|time| *time),
            values,
        })
    }
}

impl RawValue {
    fn check(
        self,
        topic: &Pattern,
        declared: &BTreeMap<String, RawMetric>,
        rules: &Rules,
    ) -> Result<ValueRule, Wrong> {
        let Some((metric, _)) = rules
            .metrics
            .get_key_value(&*self.metric)
            .filter(|_| declared.contains_key(&self.metric))
        else {
            return wrong(
                "metric",
                format!("expected one of metrics, found {:?}", self.metric),
            );
        };
        let path = Path::parse(&self.path).map_err(|message| ("path".to_owned(), message))?;
        let mut when = Vec::new();
        for (key, expected) in self.when {
            let place = format!("when.{key}");
            when.push((
                Path::parse(&key).map_err(|message| (place, message))?,
                expected,
            ));
        }
        let numbers = [self.add, self.multiply, self.divide];
        if numbers
            .iter()
            .chain(self.map.values())
            .any(|n| !n.is_finite())
            || self.multiply == 0.0
            || self.divide == 0.0
        {
            return wrong("multiply", NUMBERS);
        }
        let mut seen: BTreeSet<&str> = ["device", "site", "role", "le", "quantile"].into();
        let fixed = self.labels.keys().map(String::as_str);
        for name in topic.names().chain(path.names()).chain(fixed) {
            if !is_label_name(name) || !seen.insert(name) {
                return wrong(
                    "labels",
                    format!(
                        "{name:?} is no name of a label, stands there twice, or is one that the inventory gives"
                    ),
                );
            }
        }
        if self
            .labels
            .values()
            .any(|value| value.is_empty() || value.len() > LONGEST_LABEL)
        {
            return wrong(
                "labels",
                format!("expected values of 1 to {LONGEST_LABEL} bytes"),
            );
        }
        Ok(ValueRule {
            metric: Arc::clone(metric),
            path,
            when,
            labels: self.labels.into_iter().collect(),
            conversion: Conversion {
                map: self.map,
                add: self.add,
                multiply: self.multiply,
                divide: self.divide,
            },
        })
    }
}
