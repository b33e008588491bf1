//! Dashboards of Grafana in the classic form, and what a reader may expect of them.

mod looks;
mod rules;
mod said;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

pub use looks::LINKS;
pub use rules::{dashboard_problems, file_problems, set_problems};
pub use words::{Words, in_words, read_words, word_problems};

/// One dashboard file.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// Where it lies.
    pub path: PathBuf,
    /// Its name in links.
    pub uid: String,
    /// The file as it is.
    pub json: Value,
}

/// A panel that is not a row.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'a>(pub &'a Value);

/// A query together with the place that it stands at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Title of the panel, or what else holds the query.
    pub place: String,
    /// The name of the query within its place.
    pub name: String,
    /// Uid of the data source.
    pub source: String,
    /// The text, variables not yet replaced.
    pub text: String,
    /// Whether one instant is asked for rather than a range.
    pub instant: bool,
}

impl Query {
    /// Whether it is asked of Prometheus, not of Loki or Tempo.
    #[must_use]
    pub fn is_prometheus(&self) -> bool {
        !matches!(self.source.as_str(), "loki" | "tempo")
    }
}

/// A variable that is filled by a query of the form `label_values(selector, label)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name, without the dollar sign.
    pub name: String,
    /// The query that fills it.
    pub query: String,
    /// What stands for all values together, where the reader may choose that.
    pub all: Option<String>,
}

/// Reads every dashboard under `folder`, the app and provisioning files left out.
///
/// # Errors
/// When a file cannot be read, is not JSON, or has no uid.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Dashboard>> {
    let mut dashboards = Vec::new();
    for path in crate::files(folder, ".json")? {
        if path.starts_with(folder.join("app")) {
            continue;
        }
        dashboards.push(parse(&path, &std::fs::read_to_string(&path)?)?);
    }
    Ok(dashboards)
}

/// One dashboard from its text.
///
/// # Errors
/// When it is not JSON or has no uid.
pub fn parse(path: &Path, text: &str) -> anyhow::Result<Dashboard> {
    let json: Value =
        serde_json::from_str(text).with_context(|| format!("{} is not JSON", path.display()))?;
    let uid = json["uid"]
        .as_str()
        .with_context(|| format!("{} has no uid", path.display()))?
        .to_owned();
    Ok(Dashboard {
        path: path.to_path_buf(),
        uid,
        json,
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl Dashboard {
    /// Every panel, rows included, also those inside closed rows.
    pub fn all(&self) -> Vec<Panel<'_>> {
        list(&self.json["panels"])
            .flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"])))
            .map(Panel)
            .collect()
    }

    /// Every panel that shows something.
    pub fn panels(&self) -> Vec<Panel<'_>> {
        self.all()
            .into_iter()
            .filter(|panel| panel.kind() != "row")
            .collect()
    }

    /// Every variable that a query fills.
    #[must_use]
    pub fn variables(&self) -> Vec<Variable> {
        list(&self.json["templating"]["list"])
            .filter(|variable| variable["type"] == "query")
            .map(|variable| Variable {
                name: text(&variable["name"]),
                query: variable["query"]["query"]
                    .as_str()
                    .map_or_else(|| text(&variable["query"]), str::to_owned),
                all: (variable["includeAll"] == true)
                    .then(|| variable["allValue"].as_str().unwrap_or(".*").to_owned()),
            })
            .collect()
    }

    /// What the reader may type, with what stands there at first.
    #[must_use]
    pub fn typed(&self) -> Vec<(String, String)> {
        list(&self.json["templating"]["list"])
            .filter(|variable| variable["type"] == "textbox")
            .map(|variable| (text(&variable["name"]), text(&variable["query"])))
            .collect()
    }

    /// Every query of every panel and annotation.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        let panels = self.panels().into_iter().flat_map(|panel| panel.queries());
        let annotations = list(&self.json["annotations"]["list"])
            .filter(|annotation| annotation["target"]["expr"].is_string())
            .map(|annotation| Query {
                place: format!("annotation {}", text(&annotation["name"])),
                name: text(&annotation["target"]["refId"]),
                source: text(&annotation["datasource"]["uid"]),
                text: text(&annotation["target"]["expr"]),
                instant: false,
            });
        panels.chain(annotations).collect()
    }

    /// Every address in the dashboard, of links at its head and of links in its panels.
    #[must_use]
    pub fn links(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        collect(&self.json, &mut found);
        found
    }
}

/// Every `url` that is a text, wherever it stands.
fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(url) if name == "url" => drop(found.insert(url.clone())),
                    other => collect(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Panel<'_> {
    /// The kind of panel, such as `stat`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0["type"].as_str().unwrap_or_default()
    }

    /// The title, or its number when it has none.
    #[must_use]
    pub fn title(&self) -> String {
        match self.0["title"].as_str() {
            Some(title) if !title.is_empty() => title.to_owned(),
            _ => format!("panel {}", self.0["id"]),
        }
    }

    /// The queries of the panel.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        let own = text(&self.0["datasource"]["uid"]);
        list(&self.0["targets"])
            .map(|target| Query {
                place: self.title(),
                name: text(&target["refId"]),
                source: target["datasource"]["uid"]
                    .as_str()
                    .map_or_else(|| own.clone(), str::to_owned),
                // Tempo's queries are under another name.
                text: text(if target["expr"].is_string() {
                    &target["expr"]
                } else {
                    &target["query"]
                }),
                instant: target["instant"] == true,
            })
            .collect()
    }

    /// Left, top, width and height on the grid.
    #[must_use]
    pub fn grid(&self) -> Option<[u64; 4]> {
        let at = |name: &str| self.0["gridPos"][name].as_u64();
        Some([at("x")?, at("y")?, at("w")?, at("h")?])
    }
}
