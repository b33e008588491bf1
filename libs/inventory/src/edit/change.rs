//! What an edit changes, value by value.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Entry;

/// What happened to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// It was not there before.
    Add,
    /// It was another one before.
    Replace,
    /// It is no longer there.
    Remove,
}

/// One value that changed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// What happened.
    pub op: Op,
    /// Where: `devices/r1/ping/interval`.
    pub path: String,
    /// The value before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The values that differ between two states of one entry; an entry that comes or goes is one change.
#[must_use]
pub fn changes(before: Option<&Entry>, after: Option<&Entry>) -> Vec<Change> {
    let Some(either) = after.or(before) else {
        return Vec::new();
    };
    let path = format!("{}/{}", either.kind().list(), either.name());
    let value = |entry: &Entry| serde_json::from_str(&entry.to_json()).unwrap_or(Value::Null);
    let mut list = Vec::new();
    compare(path, before.map(value), after.map(value), &mut list);
    list
}

fn compare(path: String, before: Option<Value>, after: Option<Value>, list: &mut Vec<Change>) {
    let op = match (before, after) {
        (None, None) => return,
        (Some(a), Some(b)) if a == b => return,
        (Some(Value::Object(mut a)), Some(Value::Object(mut b))) => {
            let mut keys: Vec<String> = a.keys().chain(b.keys()).cloned().collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let sides = (a.remove(&key), b.remove(&key));
                compare(format!("{path}/{key}"), sides.0, sides.1, list);
            }
            return;
        }
        (before @ None, after) => (Op::Add, before, after),
        (before, after @ None) => (Op::Remove, before, after),
        (before, after) => (Op::Replace, before, after),
    };
    list.push(Change {
        op: op.0,
        path,
        before: op.1,
        after: op.2,
    });
}
