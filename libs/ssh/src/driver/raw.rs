//! The form of a driver file, and its check.

use std::path::Path;
use std::time::Duration;

use regex::Regex;
use regex::bytes::Regex as Bytes;
use serde::Deserialize;
use toolkit::ConfigError;

use super::{Complete, Configure, Driver, Privilege, Question, Structure, Transport};

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
    /// What a comment begins with.
    #[serde(default = "comment")]
    comment: String,
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
    #[serde(default)]
    mask: Vec<String>,
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
    #[serde(default)]
    braces: bool,
    #[serde(default)]
    status: bool,
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
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNormalise {
    #[serde(default)]
    drop: Vec<String>,
    #[serde(default)]
    replace: Vec<RawReplace>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReplace {
    pattern: String,
    with: String,
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
    let complete = match (
        &raw.complete.last_line,
        raw.complete.braces,
        raw.complete.status,
    ) {
        (Some(last), false, false) => Complete::LastLine(place.regex("complete.last_line", last)?),
        (None, true, false) => Complete::Braces,
        (None, false, true) if raw.transport == Transport::Exec => Complete::Status,
        _ => {
            return Err(place.error(
                "complete",
                "expected one of last_line, braces, or (with transport: exec) status",
            ));
        }
    };
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
            Some(Configure {
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
    let mut mask = Vec::new();
    for (number, pattern) in raw.mask.iter().enumerate() {
        let path = format!("mask[{number}]");
        let regex = place.regex(&path, pattern)?;
        if !regex.capture_names().flatten().any(|name| name == "secret") {
            return Err(place.error(&path, "expected a group (?P<secret>…)"));
        }
        mask.push(regex);
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
        questions,
        privilege,
        prepare: raw.prepare,
        collect: raw.collect,
        comment: raw.comment,
        complete,
        configure,
        quiet: Duration::from_secs(raw.quiet_seconds),
        answer: Duration::from_secs(raw.answer_seconds),
        most: raw.answer_bytes,
        replace,
        mask,
    })
}
