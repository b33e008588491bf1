//! What is known of a platform's command line: one YAML file each.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use regex::Regex;
use regex::bytes::Regex as Bytes;
use serde::{Deserialize, Serialize};
use toolkit::ConfigError;

mod raw;

pub(crate) use raw::Replace;

use crate::mask::Suspects;
use crate::textfsm::Template;
use crate::{Complete, Timer};

/// How commands reach the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Typed into a shell on a terminal, one login for all.
    #[default]
    Shell,
    /// A channel of its own for each command, without a terminal; the device tells its status.
    Exec,
}

/// How the lines of a configuration belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Structure {
    /// A line with more spaces in front belongs to the line above it.
    #[default]
    Indent,
    /// Lines that end with `{` hold what follows up to `}`.
    Braces,
    /// Each line stands for itself.
    Lines,
    /// `config …` and `edit …` hold what follows up to their `end` and `next`.
    Blocks,
    /// A line that begins with `/` holds what follows up to the next such line.
    Paths,
}

/// A way into configuration mode and out of it.
#[derive(Clone, Debug)]
pub(crate) struct Configure {
    pub(crate) enter: Vec<String>,
    pub(crate) commit: Vec<String>,
    pub(crate) leave: Vec<String>,
    pub(crate) abort: Vec<String>,
    pub(crate) timer: Option<Timed>,
    prompt: String,
    base_most: usize,
}

/// How a device is made to take a change back by itself; lines with places for a [`Timer`](crate::Timer).
#[derive(Clone, Debug)]
pub(crate) struct Timed {
    pub(crate) enter: Vec<String>,
    pub(crate) arm: Vec<String>,
    pub(crate) leave: Vec<String>,
    pub(crate) abort: Vec<String>,
    pub(crate) confirm: Vec<String>,
    pub(crate) revert: Vec<String>,
    pub(crate) ask: Option<Question>,
}

/// A question on the way to the prompt, and what it is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) ask: Bytes,
    pub(crate) send: String,
}

/// How privileged mode is entered.
#[derive(Debug)]
pub(crate) struct Privilege {
    pub(crate) when: Bytes,
    pub(crate) command: String,
    pub(crate) ask: Bytes,
}

/// Secrets of a section that nothing in their own line announces.
#[derive(Debug)]
pub(crate) struct Within {
    pub(crate) section: Regex,
    pub(crate) pattern: Regex,
}

/// A command that tells something of the device, and how its answer is read.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) command: String,
    pub(crate) template: Template,
    /// Values whose number is a series.
    pub(crate) numbers: Vec<String>,
}

/// An answer that is kept with its history beside the configuration.
#[derive(Clone, Debug)]
pub struct Output {
    name: String,
    command: String,
    drop: Option<Regex>,
}

/// First words of commands that only show something.
const SHOWS: [&str; 4] = ["show", "display", "get", "diagnose"];

impl Output {
    /// The answer to `command` under `name`, without lines that match one of `drop`.
    ///
    /// # Errors
    /// What was expected: a name of a-z, 0-9 and -; a command that only shows something; a regular expression.
    pub fn new(name: &str, command: &str, drop: &[String]) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            return Err("expected a name of a-z, 0-9 and -, of at most 40 characters".to_owned());
        }
        let mut words = command.split_whitespace();
        let shows = words.next().is_some_and(|word| SHOWS.contains(&word))
            || command.starts_with('/') && words.any(|word| word == "print");
        // A pipe may write into a file.
        let writes = command.contains(['>', ';', '\n', '\r', '?'])
            || ["redirect", "tee", "append", "save"]
                .iter()
                .any(|word| command.split(['|', ' ']).any(|own| own == *word));
        if !shows || writes || command.len() > 400 {
            return Err(
                "expected a command that only shows something: show, display, get, /… print"
                    .to_owned(),
            );
        }
        let all: Vec<String> = drop.iter().map(|own| format!("(?:{own})")).collect();
        let drop = match all.is_empty() {
            true => None,
            false => Some(Regex::new(&all.join("|")).map_err(|_| {
                "expected regular expressions (of the Rust crate regex)".to_owned()
            })?),
        };
        Ok(Self {
            name: name.to_owned(),
            command: command.to_owned(),
            drop,
        })
    }

    /// Its name, a file of the archive.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The command.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }

    /// `lines` without those that change by themselves, without trailing spaces and with at most one empty line in a row.
    #[must_use]
    pub fn normalise(&self, lines: &[String]) -> String {
        let mut text = String::new();
        for line in lines.iter().map(|line| line.trim_end()) {
            let gap = line.is_empty() && (text.is_empty() || text.ends_with("\n\n"));
            if !gap && !self.drop.as_ref().is_some_and(|drop| drop.is_match(line)) {
                text.push_str(line);
                text.push('\n');
            }
        }
        while text.ends_with("\n\n") {
            text.pop();
        }
        text
    }
}

/// A checked driver.
#[derive(Debug)]
pub struct Driver {
    platform: String,
    title: String,
    aliases: Vec<String>,
    transport: Transport,
    structure: Structure,
    pub(crate) width: u32,
    pub(crate) height: u32,
    learn: Bytes,
    base: Bytes,
    ignore: Option<Bytes>,
    log: Option<Bytes>,
    pager: Option<Bytes>,
    whole_pager: Option<Bytes>,
    any_pager: Option<Bytes>,
    errors: Option<Regex>,
    pub(crate) enter: String,
    pub(crate) login_suffix: String,
    pub(crate) questions: Vec<Question>,
    pub(crate) privilege: Option<Privilege>,
    pub(crate) prepare: Vec<String>,
    pub(crate) collect: Vec<String>,
    pub(crate) startup: Option<String>,
    pub(crate) facts: Vec<Fact>,
    outputs: Vec<Output>,
    changes: Vec<Regex>,
    pub(crate) comment: String,
    pub(crate) undo: String,
    complete: Complete,
    pub(crate) configure: Option<Configure>,
    pub(crate) quiet: Duration,
    pub(crate) answer: Duration,
    pub(crate) most: usize,
    pub(crate) drop: Option<Regex>,
    pub(crate) replace: Vec<Replace>,
    pub(crate) continued: Option<String>,
    pub(crate) author: Vec<Regex>,
    pub(crate) mask: Vec<Regex>,
    pub(crate) mask_within: Vec<Within>,
    pub(crate) unstable: Vec<Regex>,
    suspects: OnceLock<Suspects>,
}

impl Driver {
    /// The driver in `text`; `origin` names it in errors.
    ///
    /// # Errors
    /// The text is not a driver; the error names line, path and what was expected.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        raw::check(text, origin)
    }

    /// Name of the platform, as in the inventory.
    #[must_use]
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// What people call it.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Other names of the platform.
    #[must_use]
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// How commands reach the device.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// How the lines of its configuration belong together.
    #[must_use]
    pub fn structure(&self) -> Structure {
        self.structure
    }

    /// What shows that a configuration is whole.
    #[must_use]
    pub fn complete(&self) -> &Complete {
        &self.complete
    }

    /// Whether the configuration that the device starts with can be compared with the running one.
    #[must_use]
    pub fn has_startup(&self) -> bool {
        self.startup.is_some()
    }

    /// Whether a configuration counts as whole only when a second reading is the same.
    #[must_use]
    pub fn is_read_twice(&self) -> bool {
        self.complete.twice
    }

    /// The commands of its configuration.
    #[must_use]
    pub fn commands(&self) -> &[String] {
        &self.collect
    }

    /// The answers that are kept beside the configuration.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Whether a line of the device's log says that its configuration was changed, and by whom where it does: `None` when it
    /// says no such thing, `Some(None)` when it names nobody.
    #[must_use]
    pub fn change(&self, line: &str) -> Option<Option<String>> {
        let found = self.changes.iter().find_map(|regex| regex.captures(line))?;
        let user = found.name("user").map(|user| user.as_str().trim());
        Some(user.filter(|user| !user.is_empty()).map(str::to_owned))
    }

    /// Whether it knows lines of its log that say so.
    #[must_use]
    pub fn tells_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Every command that shows something, in order: after the login, of the configuration, of what the device is.
    pub(crate) fn every_command(&self) -> Vec<String> {
        let facts = self.facts.iter().map(|fact| &fact.command);
        self.prepare
            .iter()
            .chain(&self.collect)
            .chain(&self.startup)
            .chain(facts)
            .chain(self.outputs.iter().map(|output| &output.command))
            .cloned()
            .collect()
    }

    /// What a comment begins with.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The word in front of a line that takes it back.
    #[must_use]
    pub fn undo(&self) -> &str {
        &self.undo
    }

    /// Whether it can change a configuration.
    #[must_use]
    pub fn can_configure(&self) -> bool {
        self.configure.is_some()
    }

    /// What it knows of changes that a device takes back by itself.
    pub(crate) fn timed(&self) -> Option<&Timed> {
        self.configure.as_ref()?.timer.as_ref()
    }

    /// The lines in front of those of a change and behind them that make a device take it back when `timer` is over, and those that
    /// confirm it; `None` where its devices cannot.
    #[must_use]
    pub fn timer_lines(&self, timer: &Timer) -> Option<[Vec<String>; 3]> {
        let timed = self.timed()?;
        let filled = |lines: &[String]| lines.iter().map(|line| timer.fill(line)).collect();
        Some([
            filled(&timed.enter),
            filled(&timed.arm),
            filled(&timed.confirm),
        ])
    }

    /// The first line of `lines` that says that the command was not taken. Looked for where devices say so: in the first three
    /// lines and the last one.
    #[must_use]
    pub fn refusal<'a, L: AsRef<str>>(&self, lines: &'a [L]) -> Option<&'a str> {
        let errors = self.errors.as_ref()?;
        let lines = || lines.iter().map(AsRef::as_ref);
        let written = || lines().filter(|line: &&str| !line.trim().is_empty());
        written()
            .take(3)
            .chain(written().next_back())
            .find(|line| errors.is_match(line))
    }

    /// Lines that may hold a secret, wherever they stand.
    pub(crate) fn suspects(&self) -> &Suspects {
        let all = || self.mask.iter().chain(&self.unstable).collect::<Vec<_>>();
        self.suspects.get_or_init(|| Suspects::new(&all()))
    }

    pub(crate) fn is_prompt(&self, line: &[u8]) -> bool {
        self.learn.is_match(line)
    }

    pub(crate) fn prompt_base(&self, prompt: &[u8]) -> Vec<u8> {
        let base = self.base.captures(prompt).and_then(|found| found.get(1));
        base.map_or(prompt, |base| base.as_bytes()).to_vec()
    }

    /// The pattern of the prompts of configuration mode.
    pub(crate) fn configure_prompt(&self, base: &[u8]) -> Option<String> {
        let configure = self.configure.as_ref()?;
        let base = &base[..base.len().min(configure.base_most)];
        let base = regex::escape(&String::from_utf8_lossy(base));
        Some(format!(
            "^(?:{})",
            configure.prompt.replace("{base}", &base)
        ))
    }

    pub(crate) fn is_ignored(&self, line: &[u8]) -> bool {
        self.ignore
            .as_ref()
            .is_some_and(|regex| regex.is_match(line))
    }

    /// Whether a line is a question on the way to the prompt, or stands around the prompt.
    pub(crate) fn is_asked(&self, line: &[u8]) -> bool {
        let privilege = self.privilege.as_ref();
        self.is_ignored(line)
            || self.questions.iter().any(|own| own.ask.is_match(line))
            || privilege.is_some_and(|own| own.ask.is_match(line) || line == own.command.as_bytes())
    }

    pub(crate) fn is_log(&self, line: &[u8]) -> bool {
        self.log.as_ref().is_some_and(|regex| regex.is_match(line))
    }

    pub(crate) fn is_pager(&self, line: &[u8]) -> bool {
        self.pager
            .as_ref()
            .is_some_and(|regex| regex.is_match(line))
    }

    pub(crate) fn is_whole_pager(&self, line: &[u8]) -> bool {
        self.whole_pager
            .as_ref()
            .is_some_and(|regex| regex.is_match(line))
    }

    /// Whether `line` holds text of a pager anywhere.
    pub(crate) fn holds_pager(&self, line: &[u8]) -> bool {
        self.any_pager
            .as_ref()
            .is_some_and(|regex| regex.is_match(line))
    }
}
