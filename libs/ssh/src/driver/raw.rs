//! The form of a driver file, and its check.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use regex::Regex;
use regex::bytes::Regex as Bytes;
use serde::Deserialize;
use toolkit::ConfigError;

use super::{
    Configure, Driver, Fact, Output, Privilege, Question, Structure, Timed, Transport, Within,
};
use crate::Complete;
use crate::textfsm::Template;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDriver {
    platform: String,
    title: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    transport: Transport,
    #[serde(default)]
    structure: Structure,
    #[serde(default = "width")]
    width: u32,
    #[serde(default = "height")]
    height: u32,
    /// What ends a line that is typed.
    #[serde(default = "enter")]
    enter: String,
    /// What is written behind the account at the login: settings of the terminal, on platforms that take them so.
    #[serde(default)]
    login_suffix: String,
    prompt: Option<RawPrompt>,
    /// Lines that the device's log writes into the terminal.
    #[serde(default)]
    log: Vec<String>,
    /// What a pager shows at the end of a line.
    #[serde(default)]
    pager: Vec<String>,
    /// Beginnings of lines that say that a command was not taken.
    #[serde(default)]
    errors: Vec<String>,
    /// What may be asked between login and prompt.
    #[serde(default)]
    login: Vec<RawQuestion>,
    privilege: Option<RawPrivilege>,
    #[serde(default)]
    prepare: Vec<String>,
    collect: Vec<String>,
    /// The command for the configuration that the device starts with.
    startup: Option<String>,
    /// Commands that tell of the device itself.
    #[serde(default)]
    facts: Vec<RawFact>,
    /// Commands whose answers are kept with their history beside the configuration.
    #[serde(default)]
    outputs: Vec<RawOutput>,
    /// Lines of its log that say that the configuration was changed, with a group `user` where they name somebody.
    #[serde(default)]
    changes: Vec<String>,
    /// What a comment begins with.
    #[serde(default = "comment")]
    comment: String,
    /// The word in front of a line that takes it back.
    #[serde(default = "undo")]
    undo: String,
    complete: RawComplete,
    configure: Option<RawConfigure>,
    /// Longest silence within an answer.
    #[serde(default = "quiet")]
    quiet_seconds: u64,
    /// Longest time of one answer.
    #[serde(default = "answer")]
    answer_seconds: u64,
    /// Largest answer.
    #[serde(default = "most")]
    answer_bytes: usize,
    #[serde(default)]
    normalise: RawNormalise,
    /// Lines of the configuration that say who changed it last, with a group `user`.
    #[serde(default)]
    author: Vec<String>,
    #[serde(default)]
    mask: Vec<String>,
    /// Secrets that are such in one section only.
    #[serde(default)]
    mask_within: Vec<RawWithin>,
    /// Secrets that the device encrypts anew each time it shows them.
    #[serde(default)]
    unstable: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWithin {
    section: String,
    pattern: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFact {
    command: String,
    /// A TextFSM template.
    template: String,
    #[serde(default)]
    numbers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOutput {
    name: String,
    command: String,
    /// Lines that change by themselves.
    #[serde(default)]
    drop: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrompt {
    learn: String,
    base: String,
    #[serde(default)]
    ignore: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuestion {
    ask: String,
    send: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrivilege {
    when: String,
    command: String,
    ask: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawComplete {
    last_line: Option<String>,
    header: Option<String>,
    every_line: Option<String>,
    #[serde(default)]
    braces: bool,
    #[serde(default)]
    blocks: bool,
    #[serde(default)]
    status: bool,
    #[serde(default)]
    twice: bool,
    #[serde(default)]
    broken: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfigure {
    enter: Vec<String>,
    #[serde(default)]
    commit: Vec<String>,
    leave: Vec<String>,
    abort: Vec<String>,
    prompt: String,
    #[serde(default = "base_most")]
    base_most: usize,
    timer: Option<RawTimer>,
}

/// How a device is made to take a change back by itself. `{minutes}`, `{seconds}` and `{time}` (`HH:MM:SS`) stand for how long it waits, `{name}`
/// for the name of the change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTimer {
    /// In the place of `enter` of the section around it.
    enter: Option<Vec<String>>,
    /// In the place of `commit`.
    #[serde(default)]
    arm: Vec<String>,
    /// In the place of `leave`.
    leave: Option<Vec<String>>,
    /// In the place of `abort`.
    abort: Option<Vec<String>>,
    /// What keeps the change.
    confirm: Vec<String>,
    /// What takes it back at once.
    #[serde(default)]
    revert: Vec<String>,
    /// What the device asks when the timer is set.
    ask: Option<String>,
    /// What that is answered with.
    #[serde(default)]
    say: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNormalise {
    #[serde(default)]
    drop: Vec<String>,
    #[serde(default)]
    replace: Vec<RawReplace>,
    /// What stands at the end of a line that goes on in the next.
    continued: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReplace {
    pattern: String,
    with: String,
}

fn enter() -> String {
    "\n".to_owned()
}
fn width() -> u32 {
    511
}
fn height() -> u32 {
    1000
}
fn comment() -> String {
    "!".to_owned()
}
fn undo() -> String {
    "no".to_owned()
}
fn quiet() -> u64 {
    20
}
fn answer() -> u64 {
    120
}
fn most() -> usize {
    16 << 20
}
fn base_most() -> usize {
    usize::MAX
}

/// A volatile part of a line, and what stands in its place.
#[derive(Debug)]
pub(crate) struct Replace {
    pub(crate) pattern: Regex,
    pub(crate) with: String,
}

/// Where errors are found.
struct Place<'a> {
    text: &'a str,
    origin: &'a Path,
}

impl Place<'_> {
    fn error(&self, path: &str, message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.text, self.origin, path, message)
    }

    fn regex(&self, path: &str, pattern: &str) -> Result<Regex, ConfigError> {
        Regex::new(pattern).map_err(|_| {
            self.error(
                path,
                "expected a regular expression (of the Rust crate regex)",
            )
        })
    }

    fn bytes(&self, path: &str, pattern: &str) -> Result<Bytes, ConfigError> {
        Bytes::new(pattern).map_err(|_| {
            self.error(
                path,
                "expected a regular expression (of the Rust crate regex)",
            )
        })
    }

    /// Each pattern alone, so that an error names the right one, and then all in one.
    fn one_of(&self, path: &str, patterns: &[String]) -> Result<Option<String>, ConfigError> {
        for (number, pattern) in patterns.iter().enumerate() {
            self.regex(&format!("{path}[{number}]"), pattern)?;
        }
        let all: Vec<String> = patterns
            .iter()
            .map(|pattern| format!("(?:{pattern})"))
            .collect();
        Ok((!all.is_empty()).then(|| all.join("|")))
    }

    /// Patterns, each with the group `group`.
    fn grouped(
        &self,
        path: &str,
        patterns: &[String],
        group: &str,
    ) -> Result<Vec<Regex>, ConfigError> {
        let one = |(number, pattern): (usize, &String)| {
            let path = format!("{path}[{number}]");
            let regex = self.regex(&path, pattern)?;
            match regex.capture_names().flatten().any(|name| name == group) {
                true => Ok(regex),
                false => Err(self.error(&path, format!("expected a group (?P<{group}>…)"))),
            }
        };
        patterns.iter().enumerate().map(one).collect()
    }

    fn any_bytes(&self, path: &str, patterns: &[String]) -> Result<Option<Bytes>, ConfigError> {
        let all = self.one_of(path, patterns)?;
        all.map(|all| self.bytes(path, &all)).transpose()
    }

    fn any(&self, path: &str, patterns: &[String]) -> Result<Option<Regex>, ConfigError> {
        let all = self.one_of(path, patterns)?;
        all.map(|all| self.regex(path, &all)).transpose()
    }
}

pub(super) fn check(text: &str, origin: &Path) -> Result<Driver, ConfigError> {
    let raw: RawDriver = toolkit::yaml::parse(text, origin)?;
    let place = Place { text, origin };
    let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    for (path, value) in std::iter::once(("platform", &raw.platform))
        .chain(raw.aliases.iter().map(|alias| ("aliases", alias)))
    {
        if value.is_empty() || !value.chars().all(name) {
            return Err(place.error(path, "expected a name of a-z, 0-9, - and _"));
        }
    }
    if raw.collect.is_empty() {
        return Err(place.error("collect", "expected at least one command"));
    }
    let prompt = match (raw.transport, raw.prompt) {
        (Transport::Shell, None) => {
            return Err(place.error(
                "prompt",
                "expected learn and base, since commands are typed into a shell",
            ));
        }
        (_, Some(prompt)) => prompt,
        // No line is ever compared with it.
        (Transport::Exec, None) => RawPrompt {
            learn: "$.^".to_owned(),
            base: "$.^".to_owned(),
            ignore: Vec::new(),
        },
    };
    let complete = complete(&place, raw.transport, &raw.complete)?;
    let configure = match raw.configure {
        None => None,
        Some(raw) => {
            place.bytes("configure.prompt", &raw.prompt.replace("{base}", "x"))?;
            if !raw.prompt.contains("{base}") {
                return Err(place.error(
                    "configure.prompt",
                    "expected {base}, where the learned name stands",
                ));
            }
            let timer = match raw.timer {
                None => None,
                Some(timer) => Some(Timed {
                    enter: timer.enter.unwrap_or_else(|| raw.enter.clone()),
                    arm: timer.arm,
                    leave: timer.leave.unwrap_or_else(|| raw.leave.clone()),
                    abort: timer.abort.unwrap_or_else(|| raw.abort.clone()),
                    confirm: timer.confirm,
                    revert: timer.revert,
                    ask: timer
                        .ask
                        .map(|ask| place.bytes("configure.timer.ask", &ask))
                        .transpose()?
                        .map(|ask| Question {
                            ask,
                            send: timer.say,
                        }),
                }),
            };
            Some(Configure {
                timer,
                enter: raw.enter,
                commit: raw.commit,
                leave: raw.leave,
                abort: raw.abort,
                prompt: raw.prompt,
                base_most: raw.base_most,
            })
        }
    };
    let mut questions = Vec::new();
    for (number, question) in raw.login.iter().enumerate() {
        questions.push(Question {
            ask: place.bytes(&format!("login[{number}].ask"), &question.ask)?,
            send: question.send.clone(),
        });
    }
    let privilege = match raw.privilege {
        None => None,
        Some(raw) => Some(Privilege {
            when: place.bytes("privilege.when", &raw.when)?,
            command: raw.command,
            ask: place.bytes("privilege.ask", &raw.ask)?,
        }),
    };
    let mut replace = Vec::new();
    for (number, raw) in raw.normalise.replace.into_iter().enumerate() {
        replace.push(Replace {
            pattern: place.regex(
                &format!("normalise.replace[{number}].pattern"),
                &raw.pattern,
            )?,
            with: raw.with,
        });
    }
    let mask = place.grouped("mask", &raw.mask, "secret")?;
    let unstable = place.grouped("unstable", &raw.unstable, "secret")?;
    let mut mask_within = Vec::new();
    for (number, raw) in raw.mask_within.iter().enumerate() {
        let path = format!("mask_within[{number}].pattern");
        let pattern = place.grouped(&path, std::slice::from_ref(&raw.pattern), "secret")?;
        let section = place.regex(&format!("mask_within[{number}].section"), &raw.section)?;
        mask_within.extend(pattern.into_iter().map(|pattern| Within {
            section: section.clone(),
            pattern,
        }));
    }
    let author = place.grouped("author", &raw.author, "user")?;
    let mut facts = Vec::new();
    for (number, raw) in raw.facts.into_iter().enumerate() {
        let template = Template::parse(&raw.template).map_err(|error| {
            place.error(&format!("facts[{number}].template"), error.to_string())
        })?;
        if let Some(other) = raw.numbers.iter().find(|name| !template.has(name)) {
            let message = format!("expected a value of the template, found {other}");
            return Err(place.error(&format!("facts[{number}].numbers"), message));
        }
        facts.push(Fact {
            command: raw.command,
            template,
            numbers: raw.numbers,
        });
    }
    let mut outputs: Vec<Output> = Vec::new();
    for (number, raw) in raw.outputs.iter().enumerate() {
        let place_of = format!("outputs[{number}].name");
        let output = Output::new(&raw.name, &raw.command, &raw.drop)
            .map_err(|message| place.error(&place_of, message))?;
        if raw.name == "startup" || outputs.iter().any(|other| other.name == output.name) {
            let expected =
                "expected a name that no other output has; startup is the startup configuration";
            return Err(place.error(&place_of, expected));
        }
        outputs.push(output);
    }
    let mut changes = Vec::new();
    for (number, pattern) in raw.changes.iter().enumerate() {
        changes.push(place.regex(&format!("changes[{number}]"), pattern)?);
    }
    let pager = place.one_of("pager", &raw.pager)?;
    Ok(Driver {
        learn: place.bytes("prompt.learn", &format!("^(?:{})$", prompt.learn))?,
        base: place.bytes("prompt.base", &prompt.base)?,
        ignore: place.any_bytes("prompt.ignore", &prompt.ignore)?,
        log: place.any_bytes("log", &raw.log)?,
        whole_pager: pager
            .as_ref()
            .map(|pager| place.bytes("pager", &format!(r"^\s*(?:{pager})\s*$")))
            .transpose()?,
        any_pager: place.any_bytes("pager", &raw.pager)?,
        pager: pager
            .as_ref()
            .map(|pager| place.bytes("pager", &format!(r"(?:{pager})\s*$")))
            .transpose()?,
        errors: place.any("errors", &raw.errors)?,
        drop: place.any("normalise.drop", &raw.normalise.drop)?,
        platform: raw.platform,
        title: raw.title,
        aliases: raw.aliases,
        transport: raw.transport,
        structure: raw.structure,
        width: raw.width,
        height: raw.height,
        enter: raw.enter,
        login_suffix: raw.login_suffix,
        questions,
        privilege,
        prepare: raw.prepare,
        collect: raw.collect,
        startup: raw.startup,
        facts,
        outputs,
        changes,
        comment: raw.comment,
        undo: raw.undo,
        complete,
        configure,
        quiet: Duration::from_secs(raw.quiet_seconds),
        answer: Duration::from_secs(raw.answer_seconds),
        most: raw.answer_bytes,
        replace,
        continued: raw.normalise.continued,
        author,
        mask,
        mask_within,
        unstable,
        suspects: OnceLock::new(),
    })
}

fn complete(
    place: &Place<'_>,
    transport: Transport,
    raw: &RawComplete,
) -> Result<Complete, ConfigError> {
    let regex = |path: &str, pattern: &Option<String>| {
        let pattern = pattern.as_deref();
        pattern.map(|own| place.regex(path, own)).transpose()
    };
    let complete = Complete {
        last_line: regex("complete.last_line", &raw.last_line)?,
        header: regex("complete.header", &raw.header)?,
        every_line: regex("complete.every_line", &raw.every_line)?,
        braces: raw.braces,
        blocks: raw.blocks,
        status: raw.status,
        twice: raw.twice,
        broken: place.any("complete.broken", &raw.broken)?,
    };
    // A header alone says nothing of the end.
    let whole = complete.last_line.is_some()
        || complete.braces
        || complete.blocks
        || complete.status
        || complete.twice;
    if !whole || complete.status && transport != Transport::Exec {
        let expected =
            "expected one of last_line, braces, blocks, twice, or (with transport: exec) status";
        return Err(place.error("complete", expected));
    }
    Ok(complete)
}
