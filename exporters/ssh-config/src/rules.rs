//! Rules that configurations are held against: files, each with configurations that it must pass and must fail inside.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use inventory::Device;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ssh::{Drivers, Structure};
use toolkit::{ConfigError, yaml};

mod check;
mod value;
mod waiver;

use crate::tree::Tree;
use check::Pattern;
use toolkit::chain;
pub(crate) use waiver::Waiver;

/// The rules that hold when no folder is named.
const STARTER: [(&str, &str); 4] = [
    (
        "starter/datacentre.yaml",
        include_str!("../rules/datacentre.yaml"),
    ),
    ("starter/edge.yaml", include_str!("../rules/edge.yaml")),
    ("starter/frr.yaml", include_str!("../rules/frr.yaml")),
    ("starter/cisco.yaml", include_str!("../rules/cisco.yaml")),
];
/// Most rules; each is a series of each device.
const MOST: usize = 500;

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Worth knowing.
    Info,
    /// To be mended some day.
    Minor,
    /// To be mended.
    Major,
    /// To be mended now.
    Critical,
}

impl Severity {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    rules: Vec<RawRule>,
    #[serde(default)]
    waivers: Vec<waiver::RawWaiver>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    title: String,
    severity: Severity,
    why: String,
    /// Platforms that it is meant for.
    platforms: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    /// From the outermost line inwards; none for the top level.
    #[serde(default)]
    section: Vec<String>,
    /// Holds for each line of the section that matches; its named groups can stand in the patterns below as `{{name}}`.
    each: Option<String>,
    #[serde(default)]
    must: Vec<String>,
    #[serde(default)]
    must_not: Vec<String>,
    count: Option<RawCount>,
    /// One of these at least.
    #[serde(default)]
    one_of: Vec<String>,
    /// Lines that have to be there as they are.
    block: Option<RawBlock>,
    /// What every value of a line has to be.
    value: Option<RawValue>,
    /// The rule holds only for a configuration that has lines like all of these, wherever they stand,
    #[serde(default)]
    when: Vec<String>,
    /// and none like one of these.
    #[serde(default)]
    unless: Vec<String>,
    /// Whether a configuration without the section breaks the rule.
    #[serde(default)]
    section_required: bool,
    #[serde(default)]
    fix: String,
    tests: RawTests,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCount {
    pattern: String,
    #[serde(default)]
    min: usize,
    #[serde(default = "no_end")]
    max: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBlock {
    lines: Vec<String>,
    /// Whether they have to stand in this order.
    #[serde(default)]
    ordered: bool,
    /// Whether nothing else may stand in the section.
    #[serde(default)]
    exact: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawValue {
    /// With a group `value`.
    pattern: String,
    #[serde(default, rename = "in")]
    one_of: Vec<String>,
    min: Option<f64>,
    max: Option<f64>,
    #[serde(default)]
    in_network: Vec<String>,
}

fn no_end() -> usize {
    usize::MAX
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTests {
    /// What stands for variables of the inventory in the tests.
    #[serde(default)]
    vars: Vars,
    pass: Vec<String>,
    fail: Vec<String>,
}

/// Lines that have to be there.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) lines: Vec<String>,
    pub(crate) ordered: bool,
    pub(crate) exact: bool,
}

/// Variables of the inventory, by name: `device.name`, `device.site` and so on.
pub(crate) type Vars = std::collections::BTreeMap<String, String>;

/// What the inventory says of a device, as rules use it.
pub(crate) fn vars(device: &Device) -> Vars {
    let ip = |address: Option<String>| address.unwrap_or_default();
    [
        ("device.name", device.name.to_string()),
        ("device.site", device.site.to_string()),
        ("device.role", device.role.to_string()),
        ("device.platform", device.platform.to_string()),
        ("device.address", device.address.to_string()),
        (
            "device.ipv4",
            ip(device.ipv4.map(|address| address.to_string())),
        ),
        (
            "device.ipv6",
            ip(device.ipv6.map(|address| address.to_string())),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// How many lines may match.
#[derive(Debug)]
pub(crate) struct Count {
    pattern: Pattern,
    pub(crate) min: usize,
    pub(crate) max: usize,
}

/// A checked rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) severity: Severity,
    pub(crate) why: String,
    pub(crate) fix: String,
    platforms: Vec<String>,
    roles: Vec<String>,
    sites: Vec<String>,
    groups: Vec<String>,
    section: Vec<Regex>,
    section_required: bool,
    each: Option<Regex>,
    must: Vec<Pattern>,
    must_not: Vec<Pattern>,
    count: Option<Count>,
    one_of: Vec<Pattern>,
    block: Option<Block>,
    value: Option<value::Check>,
    when: Vec<Pattern>,
    unless: Vec<Pattern>,
    vars: Vars,
    pass: Vec<String>,
    fail: Vec<String>,
}

/// Where a configuration breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Breach {
    /// Number of the line, counted from 1; none when something is missing at the top level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// What the line belongs to, and the line.
    pub(crate) place: Vec<String>,
    /// What is wrong.
    pub(crate) message: String,
}

impl Rule {
    /// Whether it is meant for a device.
    pub(crate) fn is_for(&self, device: &Device) -> bool {
        let fits = |wanted: &[String], own: &str| {
            wanted.is_empty() || wanted.iter().any(|name| name == own)
        };
        fits(&self.platforms, &device.platform)
            && fits(&self.roles, &device.role)
            && fits(&self.sites, &device.site)
            && (self.groups.is_empty()
                || device
                    .groups
                    .iter()
                    .any(|own| self.groups.iter().any(|name| **name == **own)))
    }
}

/// The rules in force, in order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    all: Vec<Arc<Rule>>,
    waivers: Vec<Waiver>,
    files: Vec<PathBuf>,
}

impl Rules {
    /// Those that come with the program.
    pub(crate) fn starter() -> Self {
        let mut rules = Self::default();
        for (name, text) in STARTER {
            // A test reads each of them, so that none is ever missing.
            if let Ok((found, _)) = parse(text, Path::new(name)) {
                rules.all.extend(found);
            }
        }
        rules.all.sort_by(|a, b| a.id.cmp(&b.id));
        rules
    }

    /// Those in the `*.yaml` files of a folder.
    ///
    /// # Errors
    /// A file cannot be read, holds a mistake, or a rule of it fails its own tests.
    pub(crate) fn read(folder: &Path) -> Result<Self, ConfigError> {
        let unreadable =
            |path: &Path, error: std::io::Error| ConfigError::new(path, error.to_string());
        let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
        files.sort();
        let mut all: Vec<Arc<Rule>> = Vec::new();
        let mut waivers = Vec::new();
        for path in &files {
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
            let (rules, own) = parse(&text, path)?;
            waivers.extend(own.into_iter().map(|waiver| (path, waiver)));
            for rule in rules {
                if all.iter().any(|other| other.id == rule.id) {
                    return Err(ConfigError::new(
                        path,
                        format!("rule {}: expected an id that no other rule has", rule.id),
                    ));
                }
                all.push(rule);
            }
        }
        if all.len() > MOST {
            return Err(ConfigError::new(
                folder,
                format!("expected at most {MOST} rules, found {}", all.len()),
            ));
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        for (path, waiver) in &waivers {
            if !all.iter().any(|rule| rule.id == waiver.rule) {
                let message = format!("waiver of {}: expected the id of a rule", waiver.rule);
                return Err(ConfigError::new(path, message));
            }
        }
        let waivers = waivers.into_iter().map(|(_, waiver)| waiver).collect();
        Ok(Self {
            all,
            waivers,
            files,
        })
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.all.iter()
    }

    /// The waiver of a rule for a device that lasts longest, whether it has ended or not.
    pub(crate) fn waiver(&self, rule: &str, device: &Device) -> Option<&Waiver> {
        let fitting = self
            .waivers
            .iter()
            .filter(|waiver| waiver.is_for(rule, device));
        fitting.max_by_key(|waiver| waiver.until)
    }

    /// Their files.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

type Parsed = (Vec<Arc<Rule>>, Vec<Waiver>);

fn parse(text: &str, origin: &Path) -> Result<Parsed, ConfigError> {
    let raw: RawFile = yaml::parse(text, origin)?;
    let mut rules: Vec<Arc<Rule>> = Vec::new();
    for (number, raw) in raw.rules.into_iter().enumerate() {
        let at = |key: &str, message: &str| {
            ConfigError::at(text, origin, format!("rules[{number}].{key}"), message)
        };
        let regex = |key: String, pattern: &str| {
            // Captures are put in when the rule is held against something; any name will do for the check.
            let plain = check::template(pattern, |_| Some("x".to_owned()));
            Regex::new(&plain).map_err(|_| {
                at(
                    &key,
                    "expected a regular expression (of the Rust crate regex)",
                )
            })
        };
        let id_like = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if raw.id.is_empty() || raw.id.len() > 64 || !raw.id.chars().all(id_like) {
            return Err(at("id", "expected 1 to 64 of a-z, 0-9 and -"));
        }
        if rules.iter().any(|other| other.id == raw.id) {
            return Err(at("id", "expected an id that no other rule has"));
        }
        let says_nothing = raw.must.is_empty()
            && raw.must_not.is_empty()
            && raw.count.is_none()
            && raw.one_of.is_empty()
            && raw.block.is_none()
            && raw.value.is_none();
        if says_nothing {
            let expected = "expected must, must_not, count, one_of, block or value";
            return Err(at("id", expected));
        }
        if raw.platforms.is_empty() {
            return Err(at("platforms", "expected at least one platform"));
        }
        if raw.tests.pass.is_empty() || raw.tests.fail.is_empty() {
            return Err(at(
                "tests",
                "expected at least one configuration that passes and one that fails",
            ));
        }
        let mut section = Vec::new();
        for (step, pattern) in raw.section.iter().enumerate() {
            section.push(regex(format!("section[{step}]"), pattern)?);
        }
        let patterns = |key: &str, all: &[String]| {
            let one = |(step, pattern): (usize, &String)| {
                let checked = regex(format!("{key}[{step}]"), pattern)?;
                Ok(Pattern::new(pattern, checked))
            };
            all.iter().enumerate().map(one).collect::<Result<_, _>>()
        };
        let [must, must_not, one_of, when, unless]: [Vec<Pattern>; 5] = [
            patterns("must", &raw.must)?,
            patterns("must_not", &raw.must_not)?,
            patterns("one_of", &raw.one_of)?,
            patterns("when", &raw.when)?,
            patterns("unless", &raw.unless)?,
        ];
        let count = match raw.count {
            None => None,
            Some(own) => {
                let checked = regex("count.pattern".to_owned(), &own.pattern)?;
                if own.min > own.max {
                    return Err(at("count.min", "expected at most max"));
                }
                Some(Count {
                    pattern: Pattern::new(&own.pattern, checked),
                    min: own.min,
                    max: own.max,
                })
            }
        };
        let value = match raw.value {
            None => None,
            Some(own) => {
                let pattern = regex("value.pattern".to_owned(), &own.pattern)?;
                if !pattern
                    .capture_names()
                    .flatten()
                    .any(|name| name == "value")
                {
                    return Err(at("value.pattern", "expected a group (?P<value>…)"));
                }
                let check = value::Check {
                    pattern: Pattern::new(&own.pattern, pattern),
                    one_of: own.one_of,
                    min: own.min,
                    max: own.max,
                    networks: value::networks(&own.in_network)
                        .ok_or_else(|| at("value.in_network", "expected ADDRESS/LENGTH"))?,
                };
                if check.is_empty() {
                    return Err(at("value", "expected in, min, max or in_network"));
                }
                Some(check)
            }
        };
        let each = raw
            .each
            .as_deref()
            .map(|pattern| regex("each".to_owned(), pattern))
            .transpose()?;
        let rule = Rule {
            id: raw.id,
            title: raw.title,
            severity: raw.severity,
            why: raw.why,
            fix: raw.fix,
            platforms: raw.platforms,
            roles: raw.roles,
            sites: raw.sites,
            groups: raw.groups,
            section,
            section_required: raw.section_required,
            each,
            must,
            must_not,
            count,
            one_of,
            block: raw.block.map(|block| Block {
                lines: block.lines,
                ordered: block.ordered,
                exact: block.exact,
            }),
            value,
            when,
            unless,
            vars: raw.tests.vars,
            pass: raw.tests.pass,
            fail: raw.tests.fail,
        };
        if let Some((path, message)) = rule.tested() {
            return Err(at(&path, &message));
        }
        rules.push(Arc::new(rule));
    }
    let mut waivers = Vec::new();
    for (number, raw) in raw.waivers.into_iter().enumerate() {
        let wrong = |(key, message): (&str, &str)| {
            ConfigError::at(text, origin, format!("waivers[{number}].{key}"), message)
        };
        waivers.push(Waiver::try_from(raw).map_err(wrong)?);
    }
    Ok((rules, waivers))
}

impl Rule {
    /// The first of its own tests that goes wrong, by path, and how.
    fn tested(&self) -> Option<(String, String)> {
        let structure = self.structure();
        for (number, text) in self.pass.iter().enumerate() {
            if let Some(breach) = self
                .breaches(&Tree::parse(structure, text), &self.vars)
                .first()
            {
                return Some((
                    format!("tests.pass[{number}]"),
                    format!("expected that it passes, but: {}", breach.message),
                ));
            }
        }
        for (number, text) in self.fail.iter().enumerate() {
            if self
                .breaches(&Tree::parse(structure, text), &self.vars)
                .is_empty()
            {
                return Some((
                    format!("tests.fail[{number}]"),
                    "expected that it fails, but it passes".to_owned(),
                ));
            }
        }
        None
    }

    fn structure(&self) -> Structure {
        let driver = self
            .platforms
            .first()
            .and_then(|platform| Drivers::built_in().get(platform));
        driver.map_or(Structure::Indent, |driver| driver.structure())
    }
}

/// `sotp-ssh-config test-rules [FOLDER]`: runs the tests inside the rules.
pub fn test_rules(mut args: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let folder = args.next();
    if args.next().is_some()
        || folder
            .as_ref()
            .is_some_and(|folder| folder.to_string_lossy().starts_with('-'))
    {
        eprintln!(
            "Usage: sotp-ssh-config test-rules [FOLDER]\n\nRuns the tests inside the rules of a folder; without one, of the starter set."
        );
        return ExitCode::from(64);
    }
    let read = match &folder {
        Some(folder) => Rules::read(Path::new(folder)),
        None => Ok(Rules::starter()),
    };
    match read {
        Ok(rules) => {
            let tests: usize = rules
                .iter()
                .map(|rule| rule.pass.len() + rule.fail.len())
                .sum();
            println!("{} rules are good, {tests} tests passed", rules.all.len());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", chain(&error));
            ExitCode::from(64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Arc<Rule>>, String> {
        let parsed = parse(text, Path::new("rules.yaml")).map_err(|error| error.to_string())?;
        Ok(parsed.0)
    }

    #[test]
    fn starter_set_is_whole_and_its_own_tests_pass() {
        let mut count = 0;
        for (name, text) in STARTER {
            count += parse(text, Path::new(name))
                .unwrap_or_else(|error| panic!("{error}"))
                .0
                .len();
        }
        assert_eq!(Rules::starter().all.len(), count);
        assert!(count >= 30, "{count}");
    }

    #[test]
    fn rule_that_fails_its_own_tests_is_refused_with_its_place() {
        let rule = |tests: &str| {
            format!(
                "rules:\n  - id: a\n    title: A\n    severity: minor\n    why: because\n    platforms: [frr]\n    must: ['^log syslog']\n    tests: {tests}\n"
            )
        };
        assert!(parsed(&rule("{pass: ['log syslog'], fail: ['hostname a']}")).is_ok());
        let error = parsed(&rule("{pass: ['hostname a'], fail: ['hostname a']}")).unwrap_err();
        assert!(
            error.starts_with("rules.yaml:8:")
                && error.contains("rules[0].tests.pass[0]: expected that it passes"),
            "{error}"
        );
        let error = parsed(&rule("{pass: ['log syslog'], fail: ['log syslog']}")).unwrap_err();
        assert!(
            error.contains("rules[0].tests.fail[0]: expected that it fails"),
            "{error}"
        );
        let error = parsed(&rule("{pass: [], fail: []}")).unwrap_err();
        assert!(
            error.contains("expected at least one configuration that passes"),
            "{error}"
        );
    }
}
