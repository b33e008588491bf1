//! The dashboards in another language: the English ones, and one list that has every text of theirs.
//!
//! Columns and legends are named in one place of a panel and spoken of in others (what an override is for, what a table is sorted by), so that a
//! name is changed in all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::looks::{heading, states};
use super::{Dashboard, list};

/// Texts in English, each with what stands for it.
pub type Words = BTreeMap<String, String>;

/// Panels whose fields are named for the drawing, not for people.
const DRAWN: [&str; 2] = ["geomap", "nodeGraph"];
/// Members that are shown as they are.
const SHOWN: [&str; 4] = ["title", "description", "noValue", "label"];

/// Reads a list of words.
///
/// # Errors
/// It cannot be read, or is no mapping of texts.
pub fn read_words(path: &Path) -> anyhow::Result<Words> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_saphyr::from_str(&text).with_context(|| path.display().to_string())
}

/// A text without what stands in it for a name: nothing is left of what needs no translation.
fn has_words(text: &str) -> bool {
    let mut bare = String::new();
    let mut depth = 0_usize;
    for letter in text.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            letter if depth == 0 => bare.push(letter),
            _ => {}
        }
    }
    bare.chars().any(char::is_alphabetic)
}

/// One dashboard in the language of `words`, and the texts that they lack.
#[must_use]
pub fn in_words(dashboard: &Dashboard, words: &Words) -> (Value, BTreeSet<String>) {
    let mut missing = BTreeSet::new();
    let mut json = dashboard.json.clone();
    {
        let mut told = |text: &str| {
            if !has_words(text) {
                return text.to_owned();
            }
            words.get(text).cloned().unwrap_or_else(|| {
                missing.insert(text.to_owned());
                text.to_owned()
            })
        };
        shown(&mut json, &mut told);
        for annotation in json["annotations"]["list"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            text(&mut annotation["name"], &mut told);
        }
        for panel in json["panels"].as_array_mut().into_iter().flatten() {
            named(panel, &mut told);
            widen(panel);
            for inner in panel["panels"].as_array_mut().into_iter().flatten() {
                named(inner, &mut told);
                widen(inner);
            }
        }
        // "6 of 7": put together by the query, and looked at by what colours it.
        let of = told(" of ");
        parts(&mut json, &of);
        lines(&mut json, &mut told);
    }
    (json, missing)
}

/// Columns whose headings or states have become longer than they are wide.
fn widen(panel: &mut Value) {
    let mut rules = panel["fieldConfig"]["overrides"].take();
    for rule in rules.as_array_mut().into_iter().flatten() {
        let wanted = rule["matcher"]["options"]
            .as_str()
            .map(|name| heading(panel, name));
        let wanted = wanted.filter(|_| rule["matcher"]["id"] == "byName");
        let wanted = wanted.map(|wanted| wanted.max(states(&rule["properties"])));
        for property in rule["properties"].as_array_mut().into_iter().flatten() {
            let sized = ["custom.width", "custom.minWidth"]
                .iter()
                .any(|id| property["id"] == *id);
            let width = sized.then(|| property["value"].as_u64()).flatten();
            if let (Some(wanted), Some(width)) = (wanted, width) {
                property["value"] = wanted.max(width).into();
            }
        }
    }
    if !rules.is_null() {
        panel["fieldConfig"]["overrides"] = rules;
    }
}

fn text(value: &mut Value, told: &mut impl FnMut(&str) -> String) {
    if let Value::String(own) = value {
        *own = told(own);
    }
}

/// Titles, descriptions and the like, wherever they stand, and the words of mappings.
fn shown(value: &mut Value, told: &mut impl FnMut(&str) -> String) {
    match value {
        Value::Object(members) => {
            // An override says which member it is.
            let mappings = members.get("id").is_some_and(|id| id == "mappings");
            for (key, member) in members {
                match key.as_str() {
                    "value" if mappings => mapped(member, told),
                    key if SHOWN.contains(&key) => text(member, told),
                    "mappings" => mapped(member, told),
                    _ => shown(member, told),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| shown(member, told)),
        _ => {}
    }
}

fn mapped(value: &mut Value, told: &mut impl FnMut(&str) -> String) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match key.as_str() {
                    "text" => text(member, told),
                    _ => mapped(member, told),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| mapped(member, told)),
        _ => {}
    }
}

/// Names of columns and legends, and whatever speaks of them.
fn named(panel: &mut Value, told: &mut impl FnMut(&str) -> String) {
    if DRAWN.iter().any(|kind| panel["type"] == *kind) {
        // What the legend says of a field that has a name of the drawing.
        let overrides = panel["fieldConfig"]["overrides"].as_array_mut();
        for rule in overrides.into_iter().flatten() {
            for property in rule["properties"].as_array_mut().into_iter().flatten() {
                if property["id"] == "displayName" {
                    text(&mut property["value"], told);
                }
            }
        }
        // A node graph takes no such property; its fields keep the names of the drawing under the new ones.
        if panel["type"] == "nodeGraph" {
            let steps = panel["transformations"].as_array_mut();
            for step in steps.into_iter().flatten() {
                let names = step["options"]["renameByName"].as_object_mut();
                for name in names.into_iter().flat_map(serde_json::Map::values_mut) {
                    text(name, told);
                }
            }
        }
        return;
    }
    let mut names = BTreeMap::new();
    let mut rename = |value: &mut Value| {
        if let Value::String(own) = value {
            let new = told(own);
            names.insert(std::mem::replace(own, new.clone()), new);
        }
    };
    for target in panel["targets"].as_array_mut().into_iter().flatten() {
        rename(&mut target["legendFormat"]);
    }
    for step in panel["transformations"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        let columns = step["options"]["renameByName"].as_object_mut();
        columns
            .into_iter()
            .flat_map(serde_json::Map::values_mut)
            .for_each(&mut rename);
    }
    let overrides = panel["fieldConfig"]["overrides"].as_array_mut();
    for property in overrides
        .into_iter()
        .flatten()
        .filter_map(|one| one["properties"].as_array_mut())
        .flatten()
        .filter(|property| property["id"] == "displayName")
    {
        rename(&mut property["value"]);
    }
    let again = |value: &mut Value| {
        if let Some(new) = value.as_str().and_then(|own| names.get(own)) {
            *value = new.clone().into();
        }
    };
    for one in panel["fieldConfig"]["overrides"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        if one["matcher"]["id"] == "byName" {
            again(&mut one["matcher"]["options"]);
        }
    }
    for column in panel["options"]["sortBy"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        again(&mut column["displayName"]);
    }
}

/// What stands between the two numbers of "6 of 7".
fn parts(value: &mut Value, of: &str) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match (key.as_str(), member) {
                    ("expr", Value::String(query)) => {
                        *query = query.replace("\" of \"", &format!("\"{of}\""));
                    }
                    ("pattern", Value::String(pattern)) => *pattern = pattern.replace(" of ", of),
                    (_, member) => parts(member, of),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| parts(member, of)),
        _ => {}
    }
}

/// What a query itself says: `label_replace(…, "Line", "begins", "", "")`, and the same for the label `of`.
fn lines(value: &mut Value, told: &mut impl FnMut(&str) -> String) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match (key.as_str(), member) {
                    ("expr", Value::String(query)) => {
                        for before in ["\"Line\", \"", "\"of\", \""] {
                            *query = replaced(query, before, told);
                        }
                    }
                    (_, member) => lines(member, told),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| lines(member, told)),
        _ => {}
    }
}

/// A query in which the replacements of `label_replace` after `before` are in the other language.
fn replaced(query: &str, before: &str, told: &mut impl FnMut(&str) -> String) -> String {
    let mut pieces = query.split(before);
    let mut new = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // In a list of labels the next one is no text: nothing but a replacement is followed by a label and its pattern.
        let (said, rest) = piece.split_once('"').unwrap_or((piece, ""));
        let after: Vec<&str> = rest.splitn(5, '"').collect();
        let replacement = matches!(after[..], [", ", _, ", ", _, end] if end.starts_with(')'));
        let said = if replacement {
            told(said)
        } else {
            said.to_owned()
        };
        new += &format!("{before}{said}\"{rest}");
    }
    new
}

/// Texts that no dashboard has any more, and those that some have and the list lacks; and tables of which two columns would have one name.
#[must_use]
pub fn word_problems(dashboards: &[Dashboard], words: &Words) -> Vec<String> {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for dashboard in dashboards {
        let (json, missing) = in_words(dashboard, words);
        let path = dashboard.path.display();
        problems.extend(
            missing
                .iter()
                .map(|text| format!("{path}: no word for {text:?}")),
        );
        let all: Words = words
            .keys()
            .map(|text| (text.clone(), format!("\u{1}{text}")))
            .collect();
        let marked = in_words(dashboard, &all).0.to_string();
        used.extend(
            words
                .keys()
                .filter(|text| {
                    let inside = serde_json::to_string(&format!("\u{1}{text}")).unwrap_or_default();
                    marked.contains(inside.trim_matches('"'))
                })
                .cloned(),
        );
        let panels =
            list(&json["panels"]).flat_map(|one| std::iter::once(one).chain(list(&one["panels"])));
        for panel in panels.filter(|panel| DRAWN.iter().all(|kind| panel["type"] != *kind)) {
            for step in list(&panel["transformations"]) {
                let columns = step["options"]["renameByName"].as_object();
                let columns: Vec<&str> = columns
                    .into_iter()
                    .flat_map(serde_json::Map::values)
                    .filter_map(Value::as_str)
                    .collect();
                let apart: BTreeSet<&&str> = columns.iter().collect();
                if apart.len() < columns.len() {
                    problems.push(format!(
                        "{path}: {}: two columns have one name",
                        panel["title"]
                    ));
                }
            }
        }
    }
    problems.extend(
        words
            .keys()
            .filter(|text| !used.contains(*text))
            .map(|text| format!("no dashboard says {text:?}")),
    );
    problems
}
