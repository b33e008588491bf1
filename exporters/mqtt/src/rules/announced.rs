//! Entities that announce themselves: Home Assistant's MQTT discovery (<https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>).
//!
//! A retained message at `PREFIX/COMPONENT/[NODE/]OBJECT/config` says where an entity publishes, how its value stands in the payload,
//! and its unit; one at `PREFIX/device/[NODE/]OBJECT/config` says so of every entity of a device at once. A table (data) says which of them
//! become which series; the rest is left alone. An entity becomes rules like any other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::number::Conversion;
use super::{Rule, ValueRule, is_label};
use crate::path::Path;
use crate::topic::Pattern;

/// Most entities of one announcement.
const MOST_ENTITIES: usize = 200;
/// The prefix of a table where nothing else is said.
pub(super) const PREFIX: &str = "homeassistant";
/// What an announcement of a device says for all its entities that do not say it themselves; each in full and abbreviated.
const SHARED: [(&str, &str); 8] = [
    ("state_topic", "stat_t"),
    ("availability", "avty"),
    ("availability_topic", "avty_t"),
    ("availability_template", "avty_tpl"),
    ("payload_available", "pl_avail"),
    ("payload_not_available", "pl_not_avail"),
    ("device", "dev"),
    ("~", "~"),
];

/// Which entities become which series.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// The first levels of the topics.
    pub(super) prefix: String,
    /// The family of whether an entity is there.
    pub(super) availability: Option<Arc<str>>,
    /// The first row that fits decides.
    pub(super) rows: Vec<Row>,
}

/// One row of the table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) component: String,
    pub(super) class: String,
    pub(super) unit: String,
    pub(super) metric: Arc<str>,
    pub(super) conversion: Conversion,
    /// What on and off are, of components that are one of the two.
    pub(super) on_off: (f64, f64),
}

/// What a message of discovery says.
#[derive(Debug, Clone)]
pub enum Announcement {
    /// There are entities.
    Entities {
        /// How many.
        count: usize,
        /// The rules that they are read by, each of one topic.
        rules: Vec<Arc<Rule>>,
    },
    /// What was announced there is gone.
    Gone,
    /// No row is for it, or it is read in a way that is not understood.
    Unused,
}

impl Table {
    /// The topics of announcements.
    pub(super) fn patterns(&self) -> [Pattern; 2] {
        ["+/+/config", "+/+/+/config"].map(|rest| {
            Pattern::parse(&format!("{}/{rest}", self.prefix)).expect("a prefix is short and exact")
        })
    }

    /// Component and names of the entity that a topic of announcements is about.
    fn names<'t>(&self, topic: &'t str) -> Option<(&'t str, &'t str, &'t str)> {
        let rest = topic.strip_prefix(&*self.prefix)?.strip_prefix('/')?;
        let mut levels = rest.strip_suffix("/config")?.split('/');
        let (component, first) = (levels.next()?, levels.next()?);
        let object = levels.next().unwrap_or(first);
        levels
            .next()
            .is_none()
            .then_some((component, first, object))
    }

    /// What a message says; `None` when its topic is none of announcements. Nothing of it is trusted.
    pub(super) fn read(&self, topic: &str, payload: &[u8]) -> Option<Announcement> {
        let (component, node, object) = self.names(topic)?;
        if payload.is_empty() {
            return Some(Announcement::Gone);
        }
        let Ok(map) = serde_json::from_slice::<Map<String, Json>>(payload) else {
            return Some(Announcement::Unused);
        };
        let all: Vec<_> = match component {
            "device" => self.of_device(node, &Entity::new(&map)),
            _ => {
                let one = self.entity(component, (node, object), &Entity::new(&map));
                one.into_iter().collect()
            }
        };
        let count = all.len();
        let mut rules: Vec<Arc<Rule>> = Vec::new();
        for rule in all.into_iter().flatten() {
            // The entities of a device tell of the same availability.
            if !rules.iter().any(|other| rule.same(other)) {
                rules.push(rule);
            }
        }
        Some(match count {
            0 => Announcement::Unused,
            count => Announcement::Entities { count, rules },
        })
    }

    /// The rules of each entity of a device, by the announcement of it all.
    fn of_device(&self, node: &str, device: &Entity<'_>) -> Vec<Vec<Arc<Rule>>> {
        let components = device.object("components", "cmps");
        let components = components.iter().flat_map(|components| components.0);
        let rules = components.filter_map(|(object, entity)| {
            let mut entity = Entity::new(entity.as_object()?);
            entity.1 = Some(device.0);
            let component = entity.text("platform", "p")?;
            self.entity(component, (node, object), &entity)
        });
        rules.take(MOST_ENTITIES).collect()
    }

    fn entity(
        &self,
        component: &str,
        (node, object): (&str, &str),
        entity: &Entity<'_>,
    ) -> Option<Vec<Arc<Rule>>> {
        let class = entity.text("device_class", "dev_cla").unwrap_or_default();
        let unit = entity.text("unit_of_measurement", "unit_of_meas");
        let unit = unit.unwrap_or_default();
        let fits =
            |row: &&Row| row.component == component && row.class == class && row.unit == unit;
        let row = self.rows.iter().find(fits)?;
        let path = template(
            entity
                .text("value_template", "val_tpl")
                .unwrap_or("{{ value }}"),
        )?;
        let device = entity.object("device", "dev");
        let name = device
            .as_ref()
            .and_then(|device| device.text("name", "name"));
        let sensor = name.filter(|name| is_label(name)).unwrap_or(node);
        if !is_label(sensor) || !is_label(object) {
            return None;
        }
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut conversion = row.conversion.clone();
        let binary = component != "sensor";
        if binary {
            let on = entity.text("payload_on", "pl_on").unwrap_or("ON");
            let off = entity.text("payload_off", "pl_off").unwrap_or("OFF");
            conversion.map = BTreeMap::from([
                (on.to_owned(), row.on_off.0),
                (off.to_owned(), row.on_off.1),
            ]);
        }
        let expires = entity
            .get("expire_after", "exp_aft")
            .and_then(Json::as_u64)
            .filter(|seconds| *seconds > 0);
        let expires = expires.map(|seconds| Duration::from_secs(seconds.min(2_592_000)));
        let topic = entity.topic("state_topic", "stat_t")?;
        let rule = |topic: &str, state, value| {
            let topic = Pattern::parse(topic).ok().filter(Pattern::is_exact)?;
            Some(Arc::new(Rule {
                topic,
                retained: None,
                state,
                stale_after: expires.filter(|_| !state),
                values: vec![value],
            }))
        };
        let value = ValueRule {
            metric: Arc::clone(&row.metric),
            path,
            when: Vec::new(),
            labels: vec![own("sensor", sensor), own("part", object)],
            conversion,
        };
        let mut rules = vec![rule(&topic, binary && expires.is_none(), value)?];
        if let (Some(metric), Some((topic, path, map))) = (&self.availability, availability(entity))
        {
            let value = ValueRule {
                metric: Arc::clone(metric),
                path,
                when: Vec::new(),
                labels: vec![own("sensor", sensor)],
                conversion: Conversion {
                    map,
                    ..Conversion::default()
                },
            };
            rules.extend(rule(&topic, true, value));
        }
        Some(rules)
    }
}

/// Where an entity says whether it is there, and by which texts. Of several the last: Zigbee2MQTT names its bridge first.
fn availability(entity: &Entity<'_>) -> Option<(String, Path, BTreeMap<String, f64>)> {
    let list = entity.get("availability", "avty");
    let last = list.and_then(|list| list.as_array().map_or(Some(list), |list| list.last()));
    let last = last.and_then(Json::as_object);
    let (at, topic, short) = match last {
        Some(last) => (Entity::new(last), "topic", "t"),
        None => (*entity, "availability_topic", "avty_t"),
    };
    let topic = entity.whole(at.text(topic, short)?);
    let short = at
        .text("value_template", "val_tpl")
        .filter(|_| last.is_some());
    let long = entity.text("availability_template", "avty_tpl");
    let path = template(short.or(long).unwrap_or("{{ value }}"))?;
    let on = at.text("payload_available", "pl_avail").unwrap_or("online");
    let off = at.text("payload_not_available", "pl_not_avail");
    let off = off.unwrap_or("offline");
    Some((
        topic,
        path,
        BTreeMap::from([(on.to_owned(), 1.0), (off.to_owned(), 0.0)]),
    ))
}

/// What an entity says of itself, whose keys may be abbreviated, and what its device says for it.
#[derive(Clone, Copy)]
struct Entity<'j>(&'j Map<String, Json>, Option<&'j Map<String, Json>>);

impl<'j> Entity<'j> {
    fn new(map: &'j Map<String, Json>) -> Self {
        Self(map, None)
    }

    fn get(&self, long: &str, short: &str) -> Option<&'j Json> {
        let of = |map: &'j Map<String, Json>| map.get(long).or(map.get(short));
        let shared = self.1.filter(|_| SHARED.contains(&(long, short)));
        of(self.0).or(shared.and_then(of))
    }

    fn text(&self, long: &str, short: &str) -> Option<&'j str> {
        self.get(long, short)?.as_str()
    }

    fn object(&self, long: &str, short: &str) -> Option<Entity<'j>> {
        self.get(long, short)?.as_object().map(Entity::new)
    }

    fn topic(&self, long: &str, short: &str) -> Option<String> {
        self.text(long, short).map(|topic| self.whole(topic))
    }

    /// A topic with `~` at its beginning or end in place of the base topic.
    fn whole(&self, topic: &str) -> String {
        let base = self.text("~", "~").unwrap_or_default();
        if let Some(rest) = topic.strip_prefix('~') {
            return format!("{base}{rest}");
        }
        match topic.strip_suffix('~') {
            Some(rest) => format!("{rest}{base}"),
            None => topic.to_owned(),
        }
    }
}

/// The path of a template that only picks a value: `{{ value }}`, `{{ value_json.a.b }}`, `{{ value_json['a'] | float }}`. `None` of any other:
/// templates are programs, and none are run here.
fn template(text: &str) -> Option<Path> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let mut parts = inner.split('|').map(str::trim);
    let value = parts.next()?;
    let harmless = |filter: &str| {
        let name = filter.split('(').next().unwrap_or_default().trim();
        matches!(name, "float" | "int" | "round" | "is_defined")
    };
    if !parts.all(harmless) {
        return None;
    }
    if value == "value" {
        return Path::parse("").ok();
    }
    let rest = value.strip_prefix("value_json")?;
    let keys = rest
        .replace("['", ".")
        .replace("[\"", ".")
        .replace('[', ".");
    let keys = keys.replace("']", "").replace("\"]", "").replace(']', "");
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ' | ':');
    let keys = keys
        .strip_prefix('.')
        .filter(|keys| keys.chars().all(plain))?;
    Path::parse(keys).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_that_pick_a_value_are_understood_and_no_others() {
        for (text, json, expected) in [
            ("{{ value }}", "5", Some("5")),
            ("{{ value_json.a.b }}", r#"{"a":{"b":1}}"#, Some("1")),
            (
                "{{value_json['a b'] | float(0) | round(1)}}",
                r#"{"a b":2}"#,
                Some("2"),
            ),
            (r#"{{ value_json["a"][1] }}"#, r#"{"a":[7,8]}"#, Some("8")),
            ("{{ value_json.a * 2 }}", r#"{"a":1}"#, None),
            ("{{ value_json.a | multiply(3) }}", r#"{"a":1}"#, None),
            ("{% if value %}1{% endif %}", "1", None),
            ("{{ states('x') }}", "1", None),
            ("{{ value_json }}", "1", None),
            ("", "1", None),
        ] {
            let json: Json = json.parse().unwrap();
            let path = template(text);
            let found = path.as_ref().and_then(|path| path.first(&json));
            assert_eq!(
                found.map(ToString::to_string).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
