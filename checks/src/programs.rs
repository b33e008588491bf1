//! What manifests say to our programs, held to what the programs know: flags, variables, ports and the keys of their configuration files,
//! from the reference that is written from their code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;
use services::Table;

use crate::{manifests, pods};

/// What the reference of a program says.
#[derive(Debug, Default)]
pub struct Reference {
    port: Option<u64>,
    flags: BTreeSet<String>,
    variables: BTreeSet<String>,
    /// Each key with what it takes; `NAME` stands for any.
    keys: Vec<(Vec<String>, String)>,
}

impl Reference {
    /// Reads a page of `docs/reference`.
    #[must_use]
    pub fn parse(page: &str) -> Self {
        let mut reference = Self::default();
        let mut keys = false;
        for line in page.lines() {
            if line.starts_with("## ") {
                keys = line.starts_with("## Keys of the configuration file");
            }
            if let Some((_, rest)) = line.split_once(" Port: ") {
                reference.port = rest.trim_end_matches('.').parse().ok();
            }
            let mut cells = line
                .strip_prefix("| `")
                .unwrap_or_default()
                .splitn(3, " | ");
            let (Some(first), Some(second)) = (cells.next(), cells.next()) else {
                continue;
            };
            let first = first.trim_end_matches('`');
            if first.starts_with("--") {
                let flag = first.split(['=', ' ', '`']).next().unwrap_or_default();
                reference.flags.insert(flag.to_owned());
                reference
                    .variables
                    .insert(second.trim_matches('`').to_owned());
            } else if keys {
                reference.keys.push((path(first), second.to_owned()));
            }
        }
        reference
    }

    /// The keys of a configuration that the program does not know.
    fn unknown(&self, config: &Value) -> Vec<String> {
        let mut unknown = Vec::new();
        // A program with a configuration of somebody else's form has no table of keys.
        if !self.keys.is_empty() {
            self.walk(config, &mut Vec::new(), &mut unknown);
        }
        unknown
    }

    fn walk(&self, value: &Value, at: &mut Vec<String>, unknown: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    at.push(key.clone());
                    if self.knows(at) {
                        self.walk(value, at, unknown);
                    } else {
                        unknown.push(at.join("."));
                    }
                    at.pop();
                }
            }
            Value::Array(items) => {
                at.push("[]".to_owned());
                items.iter().for_each(|item| self.walk(item, at, unknown));
                at.pop();
            }
            _ => {}
        }
    }

    /// Whether a path is a key, leads to one, or lies in one whose insides are not told.
    fn knows(&self, at: &[String]) -> bool {
        let fits = |known: &[String], at: &[String]| {
            known.iter().zip(at).all(|(known, one)| {
                known == one || (one != "[]" && known.chars().all(|c| c.is_ascii_uppercase()))
            })
        };
        let listed =
            |known: &(Vec<String>, String)| known.0.len() >= at.len() && fits(&known.0, at);
        self.keys.iter().any(listed)
            || (1..at.len()).any(|length| {
                let above = &at[..length];
                let mut below = self
                    .keys
                    .iter()
                    .filter(|(known, _)| known.len() > length && fits(known, above));
                let opaque = |(known, takes): &(Vec<String>, String)| {
                    known.len() == length && fits(known, above) && takes.contains("mapping")
                };
                below.next().is_none() && self.keys.iter().any(opaque)
            })
    }
}

/// `loki[].basic_auth.username`, one step each.
fn path(key: &str) -> Vec<String> {
    let steps = key.split('.').flat_map(|step| {
        let name = step.trim_end_matches("[]");
        let lists = (step.len() - name.len()) / 2;
        std::iter::once(name.to_owned()).chain(std::iter::repeat_n("[]".to_owned(), lists))
    });
    steps.collect()
}

/// A container of one of our programs.
#[derive(Debug)]
pub struct Ours<'a> {
    /// The program, `sotp-ping`.
    pub program: String,
    owner: String,
    container: &'a Value,
    /// Where its `ConfigMap`s are mounted, and their files.
    mounts: Vec<(PathBuf, &'a Value)>,
}

impl<'a> Ours<'a> {
    /// All of a deployment.
    #[must_use]
    pub fn of(objects: &'a [Value], table: &Table) -> Vec<Self> {
        let mut found = Vec::new();
        for object in objects {
            let Some(pod) = pods::template(object) else {
                continue;
            };
            for container in list(&pod["spec"]["containers"]) {
                let image = container["image"].as_str().unwrap_or_default();
                let app = image.split(['@', ':']).next().unwrap_or_default();
                let program = table.service.iter().find(|service| {
                    let app_of = service.app.as_deref();
                    app_of.is_some_and(|name| app.ends_with(&format!("sotp/{name}")))
                });
                let Some(program) = program else {
                    continue;
                };
                let mounts = list(&container["volumeMounts"]).filter_map(|mount| {
                    let volume = list(&pod["spec"]["volumes"])
                        .find(|volume| volume["name"] == mount["name"])?;
                    let map = objects.iter().find(|object| {
                        object["kind"] == "ConfigMap"
                            && object["metadata"]["name"] == volume["configMap"]["name"]
                    })?;
                    Some((mount["mountPath"].as_str()?.into(), &map["data"]))
                });
                found.push(Self {
                    program: program.name.clone(),
                    owner: manifests::name(object),
                    mounts: mounts.collect(),
                    container,
                });
            }
        }
        found
    }

    /// Its arguments.
    pub fn arguments(&self) -> impl Iterator<Item = &'a str> {
        list(&self.container["args"]).filter_map(Value::as_str)
    }

    /// The text of a file that a `ConfigMap` brings.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&'a str> {
        self.mounts.iter().find_map(|(mount, data)| {
            let name = Path::new(path).strip_prefix(mount).ok()?;
            data[name.to_str()?].as_str()
        })
    }

    fn problems(&self, reference: &Reference) -> Vec<String> {
        let mut problems = Vec::new();
        let mut configs = String::new();
        for argument in self.arguments() {
            let (flag, value) = argument.split_once('=').unwrap_or((argument, ""));
            if !reference.flags.contains(flag) {
                problems.push(format!("{} has no flag {flag}", self.program));
            }
            // A file may also come from a Secret, whose content nobody knows here.
            if let Some(text) = self.file(value) {
                configs += text;
                if flag == "--config.file" {
                    match serde_saphyr::from_str::<Value>(text) {
                        Ok(config) => problems.extend(
                            reference
                                .unknown(&config)
                                .iter()
                                .map(|key| format!("{value}: {} has no key {key}", self.program)),
                        ),
                        Err(error) => problems.push(format!("{value}: {error}")),
                    }
                }
            } else if flag == "--config.file" {
                problems.push(format!("{value} comes from no ConfigMap"));
            }
        }
        for variable in list(&self.container["env"]) {
            let name = variable["name"].as_str().unwrap_or_default();
            if name.starts_with("SOTP_") && !reference.variables.contains(name) {
                problems.push(format!("{} has no variable {name}", self.program));
            }
        }
        for port in list(&self.container["ports"]) {
            let number = port["containerPort"].as_u64().unwrap_or_default();
            let listens = if port["name"] == "http" {
                reference.port == Some(number)
            } else {
                let listened = format!(":{number}");
                configs.match_indices(&listened).any(|(at, _)| {
                    !configs[at + listened.len()..].starts_with(|c: char| c.is_ascii_digit())
                })
            };
            if !listens {
                problems.push(format!("{} does not listen on {number}", self.program));
            }
        }
        problems
    }
}

/// What a deployment says to our programs and they do not know.
///
/// # Errors
/// The reference of a program is not there.
pub fn problems(objects: &[Value], root: &Path) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for one in Ours::of(objects, &Table::ours()?) {
        let page = one.program.trim_start_matches("sotp-");
        let page = root.join(format!("docs/reference/{page}.md"));
        let page = std::fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        let found = one.problems(&Reference::parse(&page));
        problems.extend(
            found
                .iter()
                .map(|problem| format!("{}: {problem}", one.owner)),
        );
    }
    Ok(problems)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
