//! The keys of a configuration file, from its type: for the default text, and for the reference page.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;
use yaml::{Node, Rules, Value};

/// One key of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it stands: `probe.interval`, `modules.NAME.timeout`, `loki[].url`.
    pub path: String,
    /// What it takes: `duration, 10ms to 1h`.
    pub kind: String,
    /// What holds when it is left out, as it would be written; `None` when nothing does.
    pub default: Option<String>,
    /// What it means: the first line of its doc comment and what follows it.
    pub meaning: String,
}

/// The keys of a file, in the order of its type.
#[derive(Debug)]
pub struct Keys {
    schema: Json,
    json: String,
    root: Node,
}

/// Widest line of a default text.
const WIDTH: usize = 120;

impl Keys {
    /// Of the file `T`, whose keys have the values of `default` when they are left out.
    ///
    /// # Panics
    /// When `T` does not serialise: an error of the programmer that the first test meets.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a type that does not serialise never works"
    )]
    pub fn of<T: JsonSchema + Serialize>(default: &T) -> Self {
        let schema = schemars::schema_for!(T).to_value();
        let json = serde_json::to_string(default).expect("a configuration serialises");
        let root = yaml::read(&json, &Rules::CONFIGURATION).expect("JSON is YAML");
        Self { schema, json, root }
    }

    /// The default as annotated YAML: every key with what it means above it, and the keys that have no default as comments.
    #[must_use]
    pub fn text(&self, head: &str) -> String {
        let mut out = String::new();
        comment(&mut out, head, 0);
        self.mapping(&mut out, &self.root, &self.schema, 0);
        out
    }

    /// Every key, those of lists and of named entries once.
    #[must_use]
    pub fn list(&self) -> Vec<Key> {
        let mut list = Vec::new();
        self.walk(&mut list, Some(&self.root), &self.schema, "");
        list
    }

    fn resolve<'a>(&'a self, schema: &'a Json) -> &'a Json {
        let inner = |name: &str| {
            let all = schema.get(name)?.as_array()?;
            all.iter()
                .find(|one| one.get("type").is_none_or(|kind| kind != "null"))
        };
        if let Some(name) = schema.get("$ref").and_then(Json::as_str) {
            let name = name.rsplit('/').next().unwrap_or_default();
            return self.schema["$defs"].get(name).unwrap_or(schema);
        }
        // An option of a type with a name of its own.
        match inner("anyOf") {
            Some(one) => self.resolve(one),
            None => schema,
        }
    }

    /// The properties of a mapping, in the order of `node`, and those that it lacks behind them.
    fn properties<'a>(
        &'a self,
        node: Option<&'a Node>,
        schema: &'a Json,
    ) -> Vec<(&'a str, &'a Json, Option<&'a Node>)> {
        let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        if let Some(Value::Map(entries)) = node.map(|node| &node.value) {
            for (key, node) in entries {
                if let Some(schema) = properties.get(&*key.name) {
                    all.push((&*key.name, schema, Some(node)));
                }
            }
        }
        for (name, schema) in properties {
            if !all.iter().any(|(have, ..)| have == name) {
                all.push((name.as_str(), schema, None));
            }
        }
        all
    }

    fn walk(&self, list: &mut Vec<Key>, node: Option<&Node>, schema: &Json, above: &str) {
        for (name, own, node) in self.properties(node, schema) {
            let path = if above.is_empty() {
                name.to_owned()
            } else {
                format!("{above}.{name}")
            };
            self.key(list, node, own, path);
        }
    }

    fn key(&self, list: &mut Vec<Key>, node: Option<&Node>, own: &Json, path: String) {
        let schema = self.resolve(own);
        let (inner, inner_path, inner_node) = if schema.get("properties").is_some() {
            (Some(schema), path.clone(), node)
        } else if let Some(named) = schema.get("additionalProperties").filter(|s| s.is_object()) {
            let first = match node.map(|node| &node.value) {
                Some(Value::Map(entries)) => entries.first().map(|(_, node)| node),
                _ => None,
            };
            (Some(self.resolve(named)), format!("{path}.NAME"), first)
        } else if let Some(items) = schema.get("items") {
            (Some(self.resolve(items)), format!("{path}[]"), None)
        } else {
            (None, String::new(), None)
        };
        let nested = inner.filter(|inner| inner.get("properties").is_some());
        list.push(Key {
            kind: self.kind(schema),
            default: node
                .filter(|_| {
                    nested.is_none() || !matches!(node.map(|n| &n.value), Some(Value::Map(_)))
                })
                .map(|node| self.flow(node)),
            meaning: meaning(own, schema),
            path,
        });
        if let Some(inner) = nested {
            self.walk(list, inner_node, inner, &inner_path);
        }
    }

    /// What a value may be.
    fn kind(&self, schema: &Json) -> String {
        let schema = self.resolve(schema);
        let text = |key: &str| schema.get(key).and_then(Json::as_str);
        let bounds = |least: Option<String>, most: Option<String>| match (least, most) {
            (Some(least), Some(most)) => format!(", {least} to {most}"),
            (Some(least), None) if least != "0" => format!(", {least} at least"),
            _ => String::new(),
        };
        if let Some(choices) = choices(schema) {
            return choices.join(", ");
        }
        let kind = match schema.get("type") {
            Some(Json::Array(kinds)) => kinds
                .iter()
                .filter_map(Json::as_str)
                .find(|kind| *kind != "null")
                .unwrap_or("value"),
            Some(Json::String(kind)) => kind,
            _ => "value",
        };
        match (text("x-format").or(text("format")), kind) {
            (Some("duration"), _) => {
                let own = |key| text(key).map(str::to_owned);
                format!("duration{}", bounds(own("x-least"), own("x-most")))
            }
            (Some("bytes"), _) => "size".to_owned(),
            (Some("ipv4"), _) => "IPv4 address".to_owned(),
            (Some("ipv6"), _) => "IPv6 address".to_owned(),
            (Some("ip"), _) => "IP address".to_owned(),
            (_, "integer") => {
                // The bounds of the type itself say nothing that a user would try.
                let most = schema
                    .get("maximum")
                    .filter(|_| schema.get("format").is_none());
                let own = |value: Option<&Json>| value.map(Json::to_string);
                format!(
                    "whole number{}",
                    bounds(own(schema.get("minimum")), own(most))
                )
            }
            (_, "number") => "number".to_owned(),
            (_, "boolean") => "true or false".to_owned(),
            (_, "string") => "text".to_owned(),
            (_, "array") => match schema.get("items") {
                Some(items) if self.resolve(items).get("properties").is_some() => {
                    "list of mappings".to_owned()
                }
                Some(items) => format!("list, each: {}", self.kind(items)),
                None => "list".to_owned(),
            },
            (_, "object") if schema.get("properties").is_none() => "mapping by name".to_owned(),
            (_, "object") => "mapping".to_owned(),
            (_, other) => other.to_owned(),
        }
    }

    fn mapping(&self, out: &mut String, node: &Node, schema: &Json, indent: usize) {
        let pad = " ".repeat(indent);
        for (name, own, node) in self.properties(Some(node), schema) {
            if indent == 0 {
                out.push('\n');
            }
            let target = self.resolve(own);
            comment(out, &self.remark(own, target), indent);
            let Some(node) = node else {
                out.push_str(&format!("{pad}# {name}:\n"));
                continue;
            };
            out.push_str(&format!("{pad}{name}:"));
            self.value(out, node, target, indent);
        }
    }

    /// What stands behind the colon.
    fn value(&self, out: &mut String, node: &Node, schema: &Json, indent: usize) {
        match &node.value {
            Value::Map(entries) if !entries.is_empty() && schema.get("properties").is_some() => {
                out.push('\n');
                self.mapping(out, node, schema, indent + 2);
            }
            Value::Map(entries) if !entries.is_empty() => {
                out.push('\n');
                let inner = schema
                    .get("additionalProperties")
                    .map(|one| self.resolve(one));
                for (key, node) in entries {
                    out.push_str(&format!("{:1$}{2}:", "", indent + 2, key.name));
                    self.value(out, node, inner.unwrap_or(&Json::Null), indent + 2);
                }
            }
            Value::List(items) if items.iter().any(|item| matches!(item.value, Value::Map(_))) => {
                out.push('\n');
                let inner = schema.get("items").map(|one| self.resolve(one));
                for item in items {
                    let mut text = String::new();
                    self.mapping(&mut text, item, inner.unwrap_or(&Json::Null), indent + 4);
                    // The dash stands before the first key; comments above it stay above.
                    let at = text
                        .lines()
                        .position(|line| !line.trim_start().starts_with('#'));
                    for (index, line) in text.lines().enumerate() {
                        let line = if Some(index) == at {
                            format!("{:1$}- {2}", "", indent + 2, line.trim_start())
                        } else {
                            line.to_owned()
                        };
                        out.push_str(&line);
                        out.push('\n');
                    }
                }
            }
            _ => {
                out.push(' ');
                out.push_str(&self.flow(node));
                out.push('\n');
            }
        }
    }

    /// A comment of the default text: what the key means, and what it takes.
    fn remark(&self, own: &Json, schema: &Json) -> String {
        let meaning = meaning(own, schema);
        let kind = self.kind(schema);
        let bounds = kind.split_once(", ").map(|(_, bounds)| bounds);
        match bounds.filter(|_| choices(schema).is_none() && !kind.starts_with("list")) {
            Some(bounds) => format!("{meaning} Takes {bounds}."),
            None => meaning,
        }
    }

    /// A value in one line.
    fn flow(&self, node: &Node) -> String {
        let join = |all: Vec<String>| all.join(", ");
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value, _) => value.to_string(),
            Value::Number(_) => node.spelled(&self.json).unwrap_or_default().to_owned(),
            Value::String(text) => scalar(text),
            Value::List(items) => {
                format!(
                    "[{}]",
                    join(items.iter().map(|item| self.flow(item)).collect())
                )
            }
            Value::Map(entries) => {
                let entry =
                    |(key, node): &(yaml::Key, Node)| format!("{}: {}", key.name, self.flow(node));
                format!("{{{}}}", join(entries.iter().map(entry).collect()))
            }
        }
    }
}

/// What the values of an enumeration are called.
fn choices(schema: &Json) -> Option<Vec<String>> {
    let name = |value: &Json| value.as_str().map(|name| format!("`{name}`"));
    if let Some(all) = schema.get("enum").and_then(Json::as_array) {
        return Some(all.iter().filter_map(name).collect());
    }
    let all = schema.get("oneOf").and_then(Json::as_array)?;
    let names: Vec<String> = all
        .iter()
        .filter_map(|one| name(one.get("const")?))
        .collect();
    (names.len() == all.len()).then_some(names)
}

/// The doc comment of a key, else that of its type; of an enumeration with those of its values.
fn meaning(own: &Json, schema: &Json) -> String {
    let text = |of: &Json| {
        of.get("description")
            .and_then(Json::as_str)
            .map(str::to_owned)
    };
    let mut meaning = text(own)
        .or_else(|| text(schema))
        .unwrap_or_default()
        .replace('\n', " ");
    for one in schema
        .get("oneOf")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
    {
        if let (Some(name), Some(said)) = (one.get("const").and_then(Json::as_str), text(one)) {
            meaning.push_str(&format!(" `{name}`: {}", said.replace('\n', " ")));
        }
    }
    meaning
}

/// A string as YAML, in quotes where it needs them.
fn scalar(text: &str) -> String {
    let plain = !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./:+".contains(c))
        && !text.ends_with(':');
    let same = yaml::read(text, &Rules::CONFIGURATION)
        .is_ok_and(|node| matches!(&node.value, Value::String(read) if &**read == text));
    if plain && same {
        text.to_owned()
    } else {
        Json::from(text).to_string()
    }
}

/// `text` as comment lines.
fn comment(out: &mut String, text: &str, indent: usize) {
    let width = WIDTH - indent - 2;
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > width {
                out.push_str(&format!("{:indent$}# {line}\n", ""));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        out.push_str(format!("{:indent$}# {line}", "").trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use units::{DurationIn, Ranged};

    use super::*;

    /// How it is done.
    #[derive(Serialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum How {
        /// By one.
        Slow,
        /// By all.
        #[expect(dead_code, reason = "a choice that is not the default")]
        Fast,
    }

    /// One of them.
    #[derive(Serialize, JsonSchema)]
    struct One {
        /// Its address.
        address: String,
        /// Where it is kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    }

    #[derive(Serialize, JsonSchema)]
    struct Example {
        /// From one to the next.
        interval: DurationIn<10, 3_600_000>,
        /// How many at once.
        count: Ranged<u8, 1, 64>,
        how: How,
        /// Networks.
        networks: Vec<String>,
        /// Who is asked.
        servers: Vec<One>,
        /// By name.
        named: BTreeMap<String, One>,
        /// Not there unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<Ranged<u8, 1, 9>>,
    }

    fn keys() -> Keys {
        let one = || One {
            address: ":53".to_owned(),
            file: None,
        };
        Keys::of(&Example {
            interval: DurationIn::from_millis(1_000),
            count: Ranged::new(1).unwrap(),
            how: How::Slow,
            networks: Vec::new(),
            servers: vec![one()],
            named: BTreeMap::from([("main".to_owned(), one())]),
            limit: None,
        })
    }

    #[test]
    fn the_default_text_has_every_key_with_its_meaning() {
        assert_eq!(
            keys().text("An example."),
            "# An example.\n\
             \n# From one to the next. Takes 10ms to 1h.\ninterval: 1s\n\
             \n# How many at once. Takes 1 to 64.\ncount: 1\n\
             \n# How it is done. `slow`: By one. `fast`: By all.\nhow: slow\n\
             \n# Networks.\nnetworks: []\n\
             \n# Who is asked.\nservers:\n    # Its address.\n  - address: \":53\"\n    # Where it is kept.\n    # file:\n\
             \n# By name.\nnamed:\n  main:\n    # Its address.\n    address: \":53\"\n    # Where it is kept.\n    # file:\n\
             \n# Not there unless given. Takes 1 to 9.\n# limit:\n"
        );
    }

    #[test]
    fn the_list_has_types_defaults_and_meanings() {
        let list = keys().list();
        let shown: Vec<String> = list
            .iter()
            .map(|key| {
                let default = key.default.as_deref().unwrap_or("-");
                format!("{} | {} | {default} | {}", key.path, key.kind, key.meaning)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "interval | duration, 10ms to 1h | 1s | From one to the next.",
                "count | whole number, 1 to 64 | 1 | How many at once.",
                "how | `slow`, `fast` | slow | How it is done. `slow`: By one. `fast`: By all.",
                "networks | list, each: text | [] | Networks.",
                "servers | list of mappings | [{address: \":53\"}] | Who is asked.",
                "servers[].address | text | - | Its address.",
                "servers[].file | text | - | Where it is kept.",
                "named | mapping by name | - | By name.",
                "named.NAME.address | text | \":53\" | Its address.",
                "named.NAME.file | text | - | Where it is kept.",
                "limit | whole number, 1 to 9 | - | Not there unless given.",
            ]
        );
    }
}
