//! What is done on the command line without the service: `test` and `plan` of runbooks.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::platform::Platforms;
use crate::runbook::{Runbook, files};
use crate::trial;

/// The flag whose default is larger here: a webhook may have 4 MiB.
const BODY: (&str, &str) = ("--web.max-body-bytes", "SOTP_WEB_MAX_BODY_BYTES");

/// Works on runbooks without the service.
#[derive(Debug, Parser)]
#[command(name = "sotp-remediator", disable_version_flag = true)]
enum Command {
    /// Run the cases of runbooks: recorded answers with the decision that they have to lead to.
    ///
    /// Without a path, those of the built-in runbooks. Nothing is reached. The exit status is 1 when a case fails.
    Test {
        /// Files with runbooks, or folders of them.
        paths: Vec<PathBuf>,
    },
}

/// Does what the command line asks for in place of running the service.
#[must_use]
pub fn early() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let command = args.nth(1)?;
    if command != "test" {
        return None;
    }
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            let _ = error.print();
            return Some(ExitCode::from(if error.use_stderr() { 64 } else { 0 }));
        }
    };
    let Command::Test { paths } = command;
    Some(match test(&paths) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(64)
        }
    })
}

/// The command line, with the bound of a webhook's body where nothing else is said.
pub fn arguments() -> Vec<std::ffi::OsString> {
    let mut args: Vec<_> = std::env::args_os().collect();
    let said = args
        .iter()
        .any(|arg| arg.to_string_lossy().starts_with(BODY.0))
        || std::env::var_os(BODY.1).is_some();
    if !said {
        args.insert(
            1.min(args.len()),
            format!("{}={}", BODY.0, crate::webhook::MAX_BODY).into(),
        );
    }
    args
}

/// Runs the cases; answers how many failed.
fn test(paths: &[PathBuf]) -> anyhow::Result<usize> {
    let platforms = Platforms::built_in()?;
    let mut runbooks: Vec<Runbook> = Vec::new();
    if paths.is_empty() {
        let built_in = crate::runbook::Runbooks::built_in(&platforms)?;
        runbooks.extend(built_in.iter().map(|runbook| (**runbook).clone()));
    }
    for path in paths {
        let all = if path.is_dir() {
            files(path)?
        } else {
            vec![path.clone()]
        };
        for file in all {
            runbooks.push(read(&file, &platforms)?);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut failed, mut run) = (0, 0);
    let mut out = std::io::stdout();
    for runbook in &runbooks {
        for case in &runbook.cases {
            run += 1;
            match runtime.block_on(trial::run(runbook, case, &platforms)) {
                Ok(()) => writeln!(out, "ok      {}: {}", runbook.name, case.name)?,
                Err(why) => {
                    failed += 1;
                    writeln!(out, "FAILED  {}: {}: {why}", runbook.name, case.name)?;
                }
            }
        }
    }
    writeln!(
        out,
        "{run} cases of {} runbooks, {failed} failed",
        runbooks.len()
    )?;
    Ok(failed)
}

fn read(file: &Path, platforms: &Platforms) -> anyhow::Result<Runbook> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    Ok(Runbook::parse(&text, file, platforms)?)
}
