//! What is done on the command line: a report into a folder, or made and sent once.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use jiff::Zoned;
use prometheus::Registry;
use toolkit::Configuration as _;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::month::Month;
use crate::store::{self, Store};
use crate::work::{self, Done, Work};

/// Exit status where a part of the report is missing.
const INCOMPLETE: u8 = 2;
/// Exit status of a wrong command line or configuration.
const USAGE: u8 = 64;

/// Makes reports without the service.
#[derive(Debug, Parser)]
#[command(name = "sotp-reporter", disable_version_flag = true)]
enum Command {
    /// Writes the report of a month into a folder: PDF, CSV and manifest.json.
    ///
    /// The exit status is 2 when a source did not answer for a part of it, which the first page names; 1 when there is no report.
    Render {
        #[command(flatten)]
        month: Which,
        /// Folder that the files are put in; it replaces one that is there.
        #[arg(long, value_name = "FOLDER")]
        output: PathBuf,
    },
    /// Makes the report of a month and sends it, once: what was sent before is success.
    ///
    /// The exit status is 2 when a source did not answer for a part of it: then it is not sent, unless --incomplete says so; 1 when it
    /// is not out for another reason.
    Run {
        #[command(flatten)]
        month: Which,
        /// Sends it although a part is missing, which its first page and its subject say.
        #[arg(long)]
        incomplete: bool,
    },
    /// Runs the service: reports by schedule, the interface and the series. It is what runs without a command, too.
    Serve {
        /// The flags of the service; `sotp-reporter --help` lists them.
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "FLAGS"
        )]
        flags: Vec<OsString>,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Configuration file; without it the built-in default holds.
    #[arg(long = "config.file", env = "SOTP_CONFIG_FILE", value_name = "PATH")]
    config: Option<PathBuf>,
    /// The month, as in 2026-10; the last one that is over unless given.
    #[arg(long, value_name = "MONTH")]
    month: Option<Month>,
}

/// Does what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    match args.get(1).and_then(|arg| arg.to_str()) {
        Some("render" | "run") => {}
        Some("serve") => {
            args.remove(1);
            return toolkit::main_from::<crate::Service>(args, |_| {});
        }
        _ => return toolkit::main_from::<crate::Service>(args, |_| {}),
    }
    let command = match Command::try_parse_from(args) {
        Ok(command) => command,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    // As the service does: clients take the process' provider of cryptography. An error says that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let which = match &command {
        Command::Render { month, .. } | Command::Run { month, .. } => month,
        Command::Serve { .. } => return ExitCode::from(USAGE),
    };
    let config = match read(which) {
        Ok(config) => config,
        Err(error) => {
            complain(&error);
            return ExitCode::from(USAGE);
        }
    };
    let now = Zoned::now().with_time_zone(config.zone.clone());
    let month = which.month.unwrap_or_else(|| Month::of(&now).before());
    let done = tokio::runtime::Runtime::new()
        .context("the threads of the program")
        .and_then(|runtime| {
            runtime.block_on(async {
                match command {
                    Command::Render { output, .. } => render(&config, month, &now, &output).await,
                    Command::Run { incomplete, .. } => run(&config, month, incomplete).await,
                    Command::Serve { .. } => Ok(USAGE),
                }
            })
        });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&error);
            let part = matches!(error.downcast_ref(), Some(work::Error::Incomplete(..)));
            ExitCode::from(if part { INCOMPLETE } else { 1 })
        }
    }
}

fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
}

fn read(which: &Which) -> anyhow::Result<Config> {
    let Some(path) = &which.config else {
        return Ok(Config::parse(Config::DEFAULT, "built-in default".as_ref())?);
    };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(Config::parse(&text, path)?)
}

/// A line that says how far it is, where somebody looks.
fn progress(what: &str, part: f64) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let _ = write!(out, "\rreading {what}: {:3.0} % ", part * 100.0);
        if part >= 1.0 {
            let _ = writeln!(out);
        }
    }
}

async fn render(
    config: &Config,
    month: Month,
    now: &Zoned,
    output: &std::path::Path,
) -> anyhow::Result<u8> {
    let closed = work::gather(config, month, now, &progress).await?;
    let bundle = work::build(config, &closed).await?;
    store::put(output, &bundle).with_context(|| output.display().to_string())?;
    let mut out = std::io::stdout();
    for file in &bundle.files {
        writeln!(out, "{}", output.join(&file.name).display())?;
    }
    let missing = &bundle.manifest.missing;
    for part in missing {
        writeln!(
            std::io::stderr(),
            "missing: {} from {} to {}: {}",
            part.what,
            part.from,
            part.to,
            part.why
        )?;
    }
    Ok(if missing.is_empty() { 0 } else { INCOMPLETE })
}

async fn run(config: &Config, month: Month, incomplete: bool) -> anyhow::Result<u8> {
    let store = Store::open(&config.data)
        .with_context(|| format!("the folder of the reports {}", config.data.display()))?;
    let metrics = Metrics::new(&Registry::new())?;
    let work = Work {
        config,
        store: &store,
        metrics: &metrics,
        incomplete,
        progress: &progress,
    };
    let done = if config.sends() {
        work.deliver(month).await?
    } else {
        work.keep(month).await?
    };
    let line = match &done {
        Done::Kept => format!("{month}: made, in {}", store.place(month).display()),
        Done::Sent(entry) => format!(
            "{month}: sent to {} recipients as {}",
            entry.to.len(),
            entry.message_id
        ),
        Done::AlreadySent(entry) => format!("{month}: already sent as {}", entry.message_id),
    };
    writeln!(std::io::stdout(), "{line}")?;
    let manifest = store.manifest(month)?;
    let part = manifest.is_some_and(|manifest| !manifest.missing.is_empty());
    let sent_before = matches!(done, Done::AlreadySent(_));
    Ok(if part && !sent_before { INCOMPLETE } else { 0 })
}
