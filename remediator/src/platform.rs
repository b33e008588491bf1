//! What is known of a platform's commands, as data: what the console may run, answers that are understood, typed steps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::{ConfigError, yaml};

use crate::text::{self, Unfit};

/// Files of the built-in platforms: a platform more is a file and a line here.
const BUILT_IN: [(&str, &str); 8] = [
    ("eos.yaml", include_str!("../platforms/eos.yaml")),
    ("frr.yaml", include_str!("../platforms/frr.yaml")),
    ("ios.yaml", include_str!("../platforms/ios.yaml")),
    ("iosxr.yaml", include_str!("../platforms/iosxr.yaml")),
    ("junos.yaml", include_str!("../platforms/junos.yaml")),
    ("linux.yaml", include_str!("../platforms/linux.yaml")),
    ("routeros.yaml", include_str!("../platforms/routeros.yaml")),
    ("vyos.yaml", include_str!("../platforms/vyos.yaml")),
];

/// The fields of an answer that was understood; a field that the answer does not have is absent.
pub type Fields = BTreeMap<String, String>;

/// A platform, checked.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Its name, as the inventory has it.
    pub platform: String,
    /// Further names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// For people.
    pub title: String,
    /// Whether a device may be left to take a change back by itself: not where it does so by starting anew.
    #[serde(default = "yes")]
    pub commit_confirm: bool,
    /// What a value of each parameter looks like: a regular expression for the whole of it.
    pub parameters: BTreeMap<String, String>,
    /// What the console may run.
    pub console: Vec<ConsoleCommand>,
    /// Answers that are understood.
    pub reads: BTreeMap<String, Read>,
    /// What can be done.
    pub steps: BTreeMap<String, Step>,
}

fn yes() -> bool {
    true
}

/// A command that the console may run.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleCommand {
    /// The command, with places for parameters.
    pub command: String,
    /// What it shows.
    pub about: String,
}

/// A command whose answer is understood.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The command.
    pub command: String,
    /// What the device says when it has no such thing.
    #[serde(default)]
    pub absent: Option<String>,
    /// Field by field how its value is found.
    pub fields: BTreeMap<String, Field>,
}

/// How the value of a field is found in an answer.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Field {
    /// The first group of the pattern.
    Group(String),
    /// The value beside the first pattern that is found.
    First(Vec<When>),
}

/// A value, and the pattern that stands for it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The pattern.
    pub when: String,
    /// The value.
    pub is: String,
}

/// Something that can be done, in one of three ways.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it does.
    pub about: String,
    /// Lines typed in configuration mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configure: Vec<String>,
    /// Commands that do something outside of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<String>,
    /// Commands that change nothing; their answers are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub look: Vec<String>,
}

/// How the lines of a step are typed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// In configuration mode.
    #[default]
    Configure,
    /// As commands that do something.
    Run,
    /// As commands that change nothing.
    Look,
}

impl Way {
    /// Whether it is the usual one.
    #[must_use]
    pub fn is_configure(&self) -> bool {
        *self == Self::Configure
    }
}

impl Step {
    /// How its lines are typed, and which.
    #[must_use]
    pub fn lines(&self) -> (Way, &[String]) {
        match (&*self.run, &*self.look) {
            ([], []) => (Way::Configure, &self.configure),
            ([], look) => (Way::Look, look),
            (run, _) => (Way::Run, run),
        }
    }

    fn sound(&self) -> bool {
        let ways = [&self.configure, &self.run, &self.look];
        ways.into_iter().filter(|way| !way.is_empty()).count() == 1
    }
}

/// What a runbook may fill in: the names of what is acted on.
pub const PLACES: [&str; 4] = ["device", "port", "neighbor", "unit"];

impl Platform {
    /// The platform in `text`.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let platform: Self = yaml::parse(text, origin)?;
        let wrong = |path: String, message: String| ConfigError::at(text, origin, path, message);
        for (name, form) in &platform.parameters {
            Regex::new(&format!("^(?:{form})$"))
                .map_err(|error| wrong(format!("parameters.{name}"), error.to_string()))?;
        }
        for (index, command) in platform.console.iter().enumerate() {
            for place in text::places(&command.command) {
                if !platform.parameters.contains_key(place) {
                    let message = format!("{{{place}}} is not among the parameters");
                    return Err(wrong(format!("console[{index}].command"), message));
                }
            }
        }
        let known = |path: &str, template: &str| {
            let unknown = text::places(template)
                .into_iter()
                .find(|place| !PLACES.contains(place));
            unknown.map_or(Ok(()), |place| {
                let expected = PLACES.join(", ");
                Err(wrong(
                    path.to_owned(),
                    format!("{{{place}}} is not known; expected one of {expected}"),
                ))
            })
        };
        let examples = PLACES.map(|place| (place.to_owned(), "x".to_owned()));
        let examples = BTreeMap::from(examples);
        for (name, read) in &platform.reads {
            known(&format!("reads.{name}.command"), &read.command)?;
            let absent = read.absent.iter().map(|pattern| ("absent", pattern));
            let fields = read.fields.iter().flat_map(|(field, how)| {
                let patterns = match how {
                    Field::Group(pattern) => vec![pattern],
                    Field::First(all) => all.iter().map(|one| &one.when).collect(),
                };
                patterns
                    .into_iter()
                    .map(move |pattern| (field.as_str(), pattern))
            });
            for (field, pattern) in fields.chain(absent) {
                pattern_of(pattern, &examples)
                    .map_err(|message| wrong(format!("reads.{name}.fields.{field}"), message))?;
            }
        }
        for (name, step) in &platform.steps {
            if !step.sound() {
                return Err(wrong(
                    format!("steps.{name}"),
                    "expected configure, run or look, one of them".to_owned(),
                ));
            }
            for line in step.lines().1 {
                known(&format!("steps.{name}"), line)?;
            }
        }
        Ok(platform)
    }

    /// A console command as it is sent: `template` stands in the list and every value has the form of its parameter.
    ///
    /// # Errors
    /// The command is not in the list, or a value is not fit.
    pub fn console(
        &self,
        template: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<String, (String, Unfit)> {
        let Some(known) = self.console.iter().find(|known| known.command == template) else {
            let known: Vec<&str> = self.console.iter().map(|known| &*known.command).collect();
            return Err(("command".to_owned(), Unfit::Form(known.join(", "))));
        };
        for (name, value) in values {
            text::fit(value).map_err(|unfit| (name.clone(), unfit))?;
            let form = self
                .parameters
                .get(name)
                .ok_or_else(|| (name.clone(), Unfit::Unknown(name.clone())))?;
            let whole = Regex::new(&format!("^(?:{form})$"))
                .map_err(|_| (name.clone(), Unfit::Form(form.clone())))?;
            if !whole.is_match(value) {
                return Err((name.clone(), Unfit::Form(form.clone())));
            }
        }
        text::fill(&known.command, values)
    }
}

impl Read {
    /// The command for these values.
    ///
    /// # Errors
    /// A value is missing or not fit.
    pub fn command(&self, values: &BTreeMap<String, String>) -> Result<String, (String, Unfit)> {
        text::fill_known(&self.command, values)
    }

    /// What `answer` says; `None` when the device has no such thing.
    ///
    /// # Errors
    /// A pattern cannot be built for these values.
    pub fn understand(
        &self,
        answer: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<Option<Fields>, String> {
        if let Some(absent) = &self.absent
            && pattern_of(absent, values)?.is_match(answer)
        {
            return Ok(None);
        }
        let mut fields = Fields::new();
        for (name, pattern) in &self.fields {
            let value = match pattern {
                Field::Group(pattern) => {
                    let found = pattern_of(pattern, values)?;
                    let groups = found.captures(answer);
                    groups.and_then(|groups| Some(groups.get(1)?.as_str().trim_end().to_owned()))
                }
                Field::First(all) => {
                    let mut value = None;
                    for one in all {
                        if pattern_of(&one.when, values)?.is_match(answer) {
                            value = Some(one.is.clone());
                            break;
                        }
                    }
                    value
                }
            };
            fields.extend(value.map(|value| (name.clone(), value)));
        }
        Ok(Some(fields))
    }
}

/// The pattern with the values in their places, quoted.
fn pattern_of(pattern: &str, values: &BTreeMap<String, String>) -> Result<Regex, String> {
    let mut text = pattern.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{name}}}"), &regex::escape(value));
    }
    Regex::new(&text).map_err(|error| error.to_string())
}

/// The platforms by name and alias.
#[derive(Debug, Clone)]
pub struct Platforms(BTreeMap<String, Arc<Platform>>);

impl Platforms {
    /// The built-in ones.
    ///
    /// # Errors
    /// A built-in file is wrong; a test holds that none is.
    pub fn built_in() -> Result<Self, ConfigError> {
        let mut all = BTreeMap::new();
        for (file, text) in BUILT_IN {
            let platform = Arc::new(Platform::parse(text, Path::new(file))?);
            for name in platform.aliases.iter().chain([&platform.platform]) {
                all.insert(name.clone(), Arc::clone(&platform));
            }
        }
        Ok(Self(all))
    }

    /// The platform called `name`, or of which that is an alias.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Platform>> {
        self.0.get(name)
    }

    /// Each of them once.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Platform>> {
        self.0
            .iter()
            .filter(|(name, platform)| **name == platform.platform)
            .map(|(_, platform)| platform)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("port".to_owned(), name.to_owned())])
    }

    #[test]
    fn shut_port_of_the_running_configuration_is_told_from_its_neighbours() {
        let platforms = Platforms::built_in().unwrap();
        let read = &platforms.get("frr").unwrap().reads["port_config"];
        let config = "!\ninterface r2\n description link r1-r2\n ip ospf cost 10\nexit\n!\ninterface r3\n description sotp-hold: card dies\n shutdown\nexit\n!\ninterface r30\n ip ospf cost 1\nexit\n!\nend\n";
        let fields = |name: &str| read.understand(config, &port(name)).unwrap().unwrap();
        assert_eq!(fields("r2").get("shutdown"), None);
        assert_eq!(fields("r2")["description"], "link r1-r2");
        assert_eq!(fields("r3")["shutdown"], "shutdown");
        assert_eq!(fields("r30").get("shutdown"), None);
        assert_eq!(fields("r30").get("description"), None);
        assert!(fields("r").is_empty() && fields("r.").is_empty());
    }

    #[test]
    fn console_takes_what_is_listed_and_nothing_else() {
        let platforms = Platforms::built_in().unwrap();
        let frr = platforms.get("frrouting").unwrap();
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(
            frr.console("show version", &BTreeMap::new()).unwrap(),
            "show version"
        );
        assert_eq!(
            frr.console("show interface {ifname}", &one("ifname", "r2"))
                .unwrap(),
            "show interface r2"
        );
        for (command, values) in [
            ("show running-config", BTreeMap::new()),
            ("configure terminal", BTreeMap::new()),
            ("show version\nconfigure", BTreeMap::new()),
            ("show interface {ifname}", one("ifname", "r2\nconfigure")),
            ("show interface {ifname}", one("ifname", "-r2")),
            ("show interface {ifname}", one("port", "r2")),
            ("show ip route {ip}", one("ip", "example.net")),
            ("show version", one("ifname", "r2")),
        ] {
            assert!(
                frr.console(command, &values).is_err(),
                "{command} {values:?}"
            );
        }
    }
}
