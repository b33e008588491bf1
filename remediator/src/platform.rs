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
const BUILT_IN: [(&str, &str); 1] = [("frr.yaml", include_str!("../platforms/frr.yaml"))];

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
    /// What a value of each parameter looks like: a regular expression for the whole of it.
    pub parameters: BTreeMap<String, String>,
    /// What the console may run.
    pub console: Vec<ConsoleCommand>,
    /// Answers that are understood.
    pub reads: BTreeMap<String, Read>,
    /// What can be done.
    pub steps: BTreeMap<String, Step>,
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
    /// Field by field a pattern whose first group is its value.
    pub fields: BTreeMap<String, String>,
}

/// Something that can be done.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it does.
    pub about: String,
    /// Lines typed in configuration mode.
    pub configure: Vec<String>,
}

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
        for (name, read) in &platform.reads {
            for (field, pattern) in read
                .fields
                .iter()
                .chain(read.absent.iter().map(|a| (name, a)))
            {
                pattern_of(
                    pattern,
                    &BTreeMap::from([("port".to_owned(), "x".to_owned())]),
                )
                .map_err(|message| wrong(format!("reads.{name}.fields.{field}"), message))?;
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
            let found = pattern_of(pattern, values)?;
            if let Some(value) = found.captures(answer).and_then(|groups| groups.get(1)) {
                fields.insert(name.clone(), value.as_str().trim_end().to_owned());
            }
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
