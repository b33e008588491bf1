//! The reference page of a service, written from the code: its flags, its keys, its series.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::Service;
use crate::config::Keys;

/// The page of `S`. `keys` are those of its file, when it has one of its own; `series` are titles with golden pages of `/metrics`: lines
/// `# HELP`, `# TYPE` and `name{label,label}`.
#[must_use]
pub fn page<S: Service>(keys: Option<&Keys>, series: &[(&str, &str)]) -> String {
    let name = S::IDENTITY.name;
    let mut out = format!(
        "# Reference of {name}\n\nWritten from the code by `make reference`; a test fails when the two differ. Port: {}.\n",
        S::IDENTITY.port
    );
    flags::<S>(&mut out);
    if let Some(keys) = keys {
        out.push_str(
            "\n## Keys of the configuration file\n\n`--config.print-default` prints them with their defaults. Durations: `250ms`, `1.5s`, \
             `1m30s`, `1h`, `2d`. Unknown keys are refused.\n\n| Key | Takes | Default | Meaning |\n|---|---|---|---|\n",
        );
        for key in keys.list() {
            let default = key.default.map(|text| code(&text)).unwrap_or_default();
            let _ = writeln!(
                out,
                "| {} | {} | {default} | {} |",
                code(&key.path),
                cell(&key.kind),
                cell(&key.meaning)
            );
        }
    }
    for (title, golden) in series {
        let _ = write!(
            out,
            "\n## {title}\n\n| Series | Type | Labels | Meaning |\n|---|---|---|---|\n"
        );
        table(&mut out, golden);
    }
    out
}

fn flags<S: Service>(out: &mut String) {
    let mut command = crate::flags::command::<S>();
    command.build();
    out.push_str("\n## Flags\n\nA flag goes before its variable of the environment.\n");
    let headings: BTreeSet<&str> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !is_of_clap(arg))
        .map(|arg| arg.get_help_heading().unwrap_or("Options"))
        .collect();
    for heading in headings {
        let _ = write!(
            out,
            "\n### {heading}\n\n| Flag | Variable | Default | Meaning |\n|---|---|---|---|\n"
        );
        let of = |arg: &&clap::Arg| {
            !arg.is_hide_set()
                && !is_of_clap(arg)
                && arg.get_help_heading().unwrap_or("Options") == heading
        };
        for arg in command.get_arguments().filter(of) {
            let Some(long) = arg.get_long() else { continue };
            let value = if arg.get_action().takes_values() {
                let names = arg.get_value_names().unwrap_or_default();
                names.iter().map(|name| format!("={name}")).collect()
            } else {
                String::new()
            };
            let default: Vec<String> = arg
                .get_default_values()
                .iter()
                .filter(|_| arg.get_action().takes_values())
                .map(|value| code(&value.to_string_lossy()))
                .collect();
            let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let variable = arg.get_env().map(|name| code(&name.to_string_lossy()));
            let choices: Vec<String> = arg
                .get_possible_values()
                .iter()
                .filter(|_| arg.get_action().takes_values())
                .map(|value| match value.get_help() {
                    Some(help) => format!(" {}: {help}.", code(value.get_name())),
                    None => format!(" {}", code(value.get_name())),
                })
                .collect();
            if !help.ends_with(['.', ']']) {
                help.push('.');
            }
            let _ = writeln!(
                out,
                "| {} | {} | {} | {}{} |",
                code(&format!("--{long}{value}")),
                variable.unwrap_or_default(),
                default.join(", "),
                cell(&help),
                cell(&choices.concat())
            );
        }
    }
}

/// `--help` and `--version`.
fn is_of_clap(arg: &clap::Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version")
}

/// A golden page as rows.
fn table(out: &mut String, golden: &str) {
    let lines: Vec<&str> = golden.lines().collect();
    for line in &lines {
        let Some((name, help)) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let after = |start: &str| lines.iter().find_map(|line| line.strip_prefix(start));
        let kind = after(&format!("# TYPE {name} ")).unwrap_or_default();
        let labels = after(&format!("{name}{{")).and_then(|rest| rest.strip_suffix('}'));
        let labels: Vec<String> = labels
            .unwrap_or_default()
            .split(',')
            .filter(|label| !label.is_empty())
            .map(code)
            .collect();
        let _ = writeln!(
            out,
            "| {} | {kind} | {} | {} |",
            code(name),
            labels.join(", "),
            cell(help)
        );
    }
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

/// Text that does not end the cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace('\n', " ")
        .trim_end()
        .to_owned()
}
