//! Which tests run beside which.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::list::Test;

/// The rules of `checks/tests.toml`: each test is named by the beginning of its package and name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Those that begin first, in this order, since they are the longest.
    #[serde(default)]
    early: Vec<String>,
    /// Those that measure time or take the whole machine: nothing runs beside them.
    #[serde(default)]
    alone: Vec<String>,
    /// Those that share something of which there is one, by its name: one at a time, and before the others.
    #[serde(default)]
    one_at_a_time: BTreeMap<String, Vec<String>>,
}

/// Where a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// Beside any others.
    Anywhere,
    /// Beside others, but no second one of this group.
    Group(&'a str),
    /// With nothing beside it.
    Alone,
}

impl Rules {
    /// Reads the file.
    ///
    /// # Errors
    /// It has another form, or puts a name into two places.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let rules: Self = toml::from_str(text).context("checks/tests.toml")?;
        let mut names: Vec<&String> = rules.names().collect();
        names.sort();
        for pair in names.windows(2) {
            ensure!(
                !pair[1].starts_with(pair[0].as_str()),
                "checks/tests.toml: {} is in two places",
                pair[1]
            );
        }
        Ok(rules)
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.alone
            .iter()
            .chain(self.one_at_a_time.values().flatten())
    }

    /// How early a test begins: a smaller number before a greater one.
    #[must_use]
    pub fn turn(&self, test: &Test) -> usize {
        let early = self
            .early
            .iter()
            .position(|name| test.id().starts_with(name.as_str()));
        let grouped = matches!(self.place(test), Place::Group(_));
        early.unwrap_or(self.early.len() + usize::from(!grouped))
    }

    /// The place of a test.
    #[must_use]
    pub fn place(&self, test: &Test) -> Place<'_> {
        let id = test.id();
        let named = |names: &[String]| names.iter().any(|name| id.starts_with(name.as_str()));
        if named(&self.alone) {
            return Place::Alone;
        }
        let group = self.one_at_a_time.iter().find(|(_, names)| named(names));
        group.map_or(Place::Anywhere, |(group, _)| Place::Group(group))
    }

    /// The names that no test has.
    #[must_use]
    pub fn unknown(&self, all: &[Test]) -> Vec<&String> {
        self.names()
            .chain(&self.early)
            .filter(|name| !all.iter().any(|test| test.id().starts_with(name.as_str())))
            .collect()
    }
}
