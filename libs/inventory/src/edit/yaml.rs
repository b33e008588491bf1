//! Writing an entry as YAML, the way a person would: a block of keys, and short values in one line each.

use super::Entry;
use crate::node::{self, Node, Value};

/// Width at which a list or a mapping is broken into lines.
const WIDTH: usize = 100;

/// How strings are written.
#[derive(Clone, Copy, PartialEq)]
enum Quotes {
    /// Where they are needed.
    Needed,
    /// Always.
    Always,
}

/// `entry` as an item of a block list whose dashes stand at `indent`, with a final line feed.
///
/// What is written reads back as the same entry: it is tried, and every string is quoted where it would not.
pub(super) fn item(entry: &Entry, indent: usize) -> String {
    let json = entry.to_json();
    let Ok(root) = node::parse(&json) else {
        return format!("{:indent$}- {json}\n", "");
    };
    for quotes in [Quotes::Needed, Quotes::Always] {
        let mut text = String::new();
        if let Value::Map(keys) = &root.value {
            for (index, (key, node)) in keys.iter().enumerate() {
                let lead = if index == 0 { "- " } else { "  " };
                text.push_str(&format!("{:indent$}{lead}", ""));
                write(&mut text, &key.name, node, &json, indent + 2, quotes);
            }
        }
        if reads(&text, entry) {
            return text;
        }
    }
    format!("{:indent$}- {json}\n", "")
}

/// Whether `text`, one item of a block list, is `entry` and stands for itself.
pub(super) fn reads(text: &str, entry: &Entry) -> bool {
    let Ok(root) = node::parse(text) else {
        return false;
    };
    let Value::List(items) = &root.value else {
        return false;
    };
    let mut problems = crate::problem::Problems::new("");
    items.len() == 1
        && Entry::decode(entry.kind(), &items[0], text, &mut problems).as_ref() == Some(entry)
}

/// `key: value` and what belongs to it; the key stands at `indent`.
fn write(out: &mut String, key: &str, node: &Node, json: &str, indent: usize, quotes: Quotes) {
    let flow = flow(node, json, quotes);
    let line = format!("{key}: {flow}");
    if line.len() + indent <= WIDTH {
        out.push_str(&line);
        out.push('\n');
        return;
    }
    match &node.value {
        Value::Map(keys) => {
            out.push_str(&format!("{key}:\n"));
            for (key, node) in keys {
                out.push_str(&format!("{:1$}", "", indent + 2));
                write(out, &key.name, node, json, indent + 2, quotes);
            }
        }
        Value::List(items) => {
            out.push_str(&format!("{key}:\n"));
            for item in items {
                let item = self::flow(item, json, quotes);
                out.push_str(&format!("{:1$}- {item}\n", "", indent + 2));
            }
        }
        _ => {
            out.push_str(&line);
            out.push('\n');
        }
    }
}

fn flow(node: &Node, json: &str, quotes: Quotes) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value, _) => value.to_string(),
        Value::Number(_) => node.spelled(json).unwrap_or("null").to_owned(),
        Value::String(text) if quotes == Quotes::Needed && plain(text) => text.to_string(),
        Value::String(text) => serde_json::Value::from(&**text).to_string(),
        Value::List(items) => {
            let items = items.iter().map(|item| flow(item, json, quotes));
            format!("[{}]", joined(items.collect()))
        }
        Value::Map(keys) => {
            let keys = keys
                .iter()
                .map(|(key, node)| format!("{}: {}", key.name, flow(node, json, quotes)));
            format!("{{{}}}", joined(keys.collect()))
        }
    }
}

/// Whether `text` is the same string without quotes, wherever it stands.
fn plain(text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf",
    ];
    let charset = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ' ');
    let ends = |c: char| c.is_ascii_alphanumeric();
    // Anything that could be a number or a time is quoted, but for addresses and durations.
    let number = text.starts_with(|c: char| c.is_ascii_digit())
        && text.parse::<std::net::Ipv4Addr>().is_err()
        && !text.ends_with(['s', 'm', 'h']);
    text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(charset)
        && !number
        && !WORDS.contains(&&*text.to_ascii_lowercase())
}
