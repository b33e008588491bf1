//! The subcommand: reads `generator.yml` and MIBs, writes `snmp.yml`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use serde::Deserialize;
use yaml::Spanned;

use super::{BAD_INPUT, arguments};
use crate::config::{self, Options};
use crate::generate::build::{self, Built};
use crate::generate::input::ModuleInput;
use crate::mib::{self, Mibs};

/// Problems of MIB files that are told one by one.
const MOST_REPORTED: usize = 50;

/// Makes snmp.yml out of MIBs and snmp_exporter's generator.yml.
#[derive(Debug, Parser)]
#[command(name = "sotp-snmp generate", version)]
pub struct Args {
    /// What to make: auths, and modules with walk, lookups, overrides and filters.
    #[arg(
        short = 'g',
        long,
        value_name = "FILE",
        default_value = "generator.yml"
    )]
    generator_path: PathBuf,
    /// Where to write it; `-` writes to standard output.
    #[arg(short = 'o', long, value_name = "FILE", default_value = "snmp.yml")]
    output_path: PathBuf,
    /// A folder of MIB files, with those below it; repeatable [default: the folders of net-snmp]
    #[arg(
        short = 'm',
        long = "mibs-dir",
        visible_alias = "snmp.mib-dir",
        value_name = "DIR"
    )]
    mibs_dir: Vec<PathBuf>,
    /// Write nothing when a MIB file has something wrong that loses definitions.
    #[arg(long, alias = "fail-on-parse-errors")]
    fail_on_problems: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    auths: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    modules: BTreeMap<String, Spanned<ModuleInput>>,
    #[serde(default, rename = "version")]
    _version: Option<i64>,
}

/// Runs it with the arguments behind `generate`.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Args = match arguments("sotp-snmp generate", args) {
        Ok(args) => args,
        Err(status) => return status,
    };
    match generate(&args) {
        Ok(messages) => {
            for line in messages {
                eprintln!("{line}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("sotp-snmp generate: {error}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

fn generate(args: &Args) -> Result<Vec<String>, String> {
    let folders = if args.mibs_dir.is_empty() {
        mib::usual_folders()
    } else {
        args.mibs_dir.clone()
    };
    let mibs = Mibs::load(&folders, None).map_err(|error| error.to_string())?;
    let mut messages: Vec<String> = mibs
        .problems()
        .iter()
        .take(MOST_REPORTED)
        .map(|problem| problem.text.clone())
        .collect();
    if mibs.problems().len() > MOST_REPORTED {
        messages.push(format!(
            "and {} more",
            mibs.problems().len() - MOST_REPORTED
        ));
    }
    if args.fail_on_problems && mibs.problems().iter().any(|problem| problem.severe) {
        return Err(format!("MIB files have problems:\n{}", messages.join("\n")));
    }
    let origin = &args.generator_path;
    let text = std::fs::read_to_string(origin)
        .map_err(|error| format!("{}: {error}", origin.display()))?;
    let (made, warnings) = text_of(&text, origin, &mibs)?;
    messages.extend(warnings);
    if args.output_path == Path::new("-") {
        print!("{made}");
    } else {
        // Beside it first, so that a service that follows the file never reads half of it.
        let beside = args.output_path.with_extension("new");
        std::fs::write(&beside, made)
            .and_then(|()| std::fs::rename(&beside, &args.output_path))
            .map_err(|error| format!("{}: {error}", args.output_path.display()))?;
    }
    Ok(messages)
}

/// The text of `snmp.yml`, and a sentence for everything that was left out.
///
/// # Errors
/// What is wrong with `text`, as `file:line:column: message`.
pub fn text_of(text: &str, origin: &Path, mibs: &Mibs) -> Result<(String, Vec<String>), String> {
    let file: File = yaml::parse(text, &config::RULES)
        .map_err(|mistakes| config::refused(&mistakes, text, origin).to_string())?;
    if file.modules.is_empty() {
        return Err(format!(
            "{}: no modules: expected at least one below `modules`",
            origin.display()
        ));
    }
    let mut out = String::from("# Written by sotp-snmp generate.\n");
    if file.auths.is_some() {
        // As written: a secret is a secret in both files, and a comment beside it may tell whose.
        out.push_str(&section(text, "auths"));
    }
    out.push_str("modules:\n");
    let mut warnings = Vec::new();
    for (name, input) in &file.modules {
        let built = build::module(mibs, &input.value).map_err(|error| {
            format!(
                "{}:{}:{}: modules.{name}: {error}",
                origin.display(),
                input.at.line,
                input.at.column
            )
        })?;
        let Built {
            module,
            warnings: more,
        } = built;
        warnings.extend(more.into_iter().map(|one| format!("modules.{name}: {one}")));
        let _ = writeln!(out, "  {}:", config::quoted(name));
        config::show_module(&module, &mut out);
    }
    config::parse(&out, Path::new("snmp.yml"), Options::default())
        .map(drop)
        .or_else(|error| {
            // Without auths the file is a part of a configuration, and its modules have been checked by now.
            if file.auths.is_none() && error.message.starts_with("no auths") {
                Ok(())
            } else {
                Err(format!("what was made is refused: {error}"))
            }
        })?;
    Ok((out, warnings))
}

/// The lines of a key of the top level, up to the next one.
fn section(text: &str, key: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        let top = line.starts_with(|c: char| !c.is_whitespace() && c != '#' && c != '-');
        if top {
            inside = line
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with(':'));
        }
        if inside {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}
