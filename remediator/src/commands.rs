//! What is done on the command line without the service: `test` and `plan` of runbooks.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::platform::{Platforms, Way};
use crate::runbook::{Check, Runbook, can_be, files};
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
    /// Print what a runbook would ask and type on a device of a platform. Nothing is reached.
    Plan {
        /// A file with a runbook, or the name of a built-in one.
        runbook: String,
        /// The platform of the device.
        platform: String,
        /// The port, neighbour or unit.
        thing: Option<String>,
        /// The name of the device.
        #[arg(long, default_value = "DEVICE")]
        device: String,
    },
}

/// Does what the command line asks for in place of running the service.
#[must_use]
pub fn early() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let command = args.nth(1)?;
    if command != "test" && command != "plan" {
        return None;
    }
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            let _ = error.print();
            return Some(ExitCode::from(if error.use_stderr() { 64 } else { 0 }));
        }
    };
    let done = match command {
        Command::Test { paths } => test(&paths),
        Command::Plan {
            runbook,
            platform,
            thing,
            device,
        } => plan(&runbook, &platform, &device, thing.as_deref()).map(|()| 0),
    };
    Some(match done {
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

/// Prints every line that would reach a device.
fn plan(name: &str, platform: &str, device: &str, thing: Option<&str>) -> anyhow::Result<()> {
    let platforms = Platforms::built_in()?;
    let built_in = crate::runbook::Runbooks::built_in(&platforms)?;
    let runbook = match built_in.get(name) {
        Some(runbook) => (**runbook).clone(),
        None => read(Path::new(name), &platforms)?,
    };
    let platform = platforms.get(platform).ok_or_else(|| {
        let known: Vec<&str> = platforms.iter().map(|one| &*one.platform).collect();
        anyhow::anyhow!(
            "there is no platform {platform:?}; expected one of {}",
            known.join(", ")
        )
    })?;
    anyhow::ensure!(
        runbook.suits(platform),
        "{} is not for {}: the platform lacks some of its steps or answers",
        runbook.name,
        platform.title
    );
    match (runbook.target.thing(), thing) {
        (Some((kind, _)), None) => {
            anyhow::bail!("expected the {kind} that {} acts on", runbook.name)
        }
        (Some((kind, _)), Some(thing)) => {
            anyhow::ensure!(can_be(kind, thing), "{thing:?} is no {kind}");
        }
        (None, Some(_)) => anyhow::bail!("{} acts on a whole device", runbook.name),
        (None, None) => {}
    }
    let values = crate::decide::values(&runbook, device, thing);
    let unfit = |(place, unfit): (String, crate::text::Unfit)| anyhow::anyhow!("{place}: {unfit}");
    let mut out = std::io::stdout();
    let lists = [
        (
            "asks before",
            vec![
                &runbook.precheck,
                &runbook.precheck_snmp,
                &runbook.hold,
                &runbook.person,
            ],
        ),
        ("asks afterwards", vec![&runbook.postcheck]),
    ];
    let asks = |out: &mut std::io::Stdout, (title, lists): &(&str, Vec<&Vec<Check>>)| {
        let mut asked = Vec::new();
        for check in lists.iter().flat_map(|list| list.iter()) {
            let line = match (&check.read, &check.promql) {
                (Some(read), _) => platform.reads[read].command(&values).map_err(unfit)?,
                (_, Some(query)) => format!("Prometheus: {query}"),
                _ => match &check.snmp {
                    Some(series) => format!("SNMP: {series}"),
                    None => continue,
                },
            };
            if !asked.contains(&line) {
                asked.push(line);
            }
        }
        for line in asked {
            writeln!(out, "{title}: {line}")?;
        }
        anyhow::Ok(())
    };
    let types = |out: &mut std::io::Stdout, title: &str, steps: &[String]| {
        let steps = crate::decide::planned(steps, platform, &values).map_err(anyhow::Error::msg)?;
        for step in steps {
            let way = match step.way {
                Way::Configure => "configures",
                Way::Run => "runs",
                Way::Look => "looks",
            };
            for line in step.lines {
                writeln!(out, "{title}{way}: {line}")?;
            }
        }
        anyhow::Ok(())
    };
    asks(&mut out, &lists[0])?;
    if runbook.proposes.is_some() {
        writeln!(
            out,
            "proposes: the lines back to the last version that kept the rule, by sotp-ssh-config; nothing is typed"
        )?;
    }
    let armed = crate::decide::timed(&runbook, platform, &values);
    if let Some(timer) = &armed {
        for line in &timer.before {
            writeln!(out, "with a timer of {} min: {line}", timer.minutes)?;
        }
    }
    types(&mut out, "", &runbook.steps)?;
    if let Some(timer) = &armed {
        for line in &timer.after {
            writeln!(out, "with a timer of {} min: {line}", timer.minutes)?;
        }
    }
    asks(&mut out, &lists[1])?;
    for line in armed.iter().flat_map(|timer| &timer.confirm) {
        writeln!(out, "confirms: {line}")?;
    }
    types(&mut out, "if it does not help, ", &runbook.rollback)
}

fn read(file: &Path, platforms: &Platforms) -> anyhow::Result<Runbook> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    Ok(Runbook::parse(&text, file, platforms)?)
}
