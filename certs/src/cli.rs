//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use certs::{Authority, Part};
use clap::Parser;

/// Gives each part of the stack a certificate of this machine's own authority, which is made at the first run. What holds for more than a
/// third of its lifetime is left as it is.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Folder of the authority and of the parts' folders.
    #[arg(long, value_name = "DIR", env = "SOTP_CERTS_FOLDER")]
    folder: PathBuf,
    /// Lifetime of a certificate, such as 720h.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = units::duration)]
    lifetime: Duration,
    /// Names and addresses that every part is called by, beside its own name.
    #[arg(
        long,
        value_name = "HOST,…",
        value_delimiter = ',',
        default_value = "localhost,127.0.0.1"
    )]
    hosts: Vec<String>,
    /// Goes on, and renews what is due each hour.
    #[arg(long)]
    watch: bool,
    /// The parts, each with the group that may read its key where that is not the user's own.
    #[arg(value_name = "NAME[:GROUP]", required = true)]
    parts: Vec<String>,
}

/// Gives and renews certificates; once, or for as long as it runs.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    loop {
        match renewed(arguments) {
            Ok(names) if names.is_empty() => {}
            Ok(names) => println!("renewed: {}", names.join(" ")),
            Err(error) => {
                eprintln!("sotp-certs: {error:#}");
                if !arguments.watch {
                    return ExitCode::FAILURE;
                }
            }
        }
        if !arguments.watch {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(Duration::from_secs(3_600).min(arguments.lifetime / 6));
    }
}

/// Renews what is due; the names of the parts that it gave a certificate.
fn renewed(arguments: &Arguments) -> anyhow::Result<Vec<String>> {
    let authority = Authority::open(&arguments.folder)?;
    let mut renewed = Vec::new();
    for part in &arguments.parts {
        let (name, group) = match part.split_once(':') {
            Some((name, group)) => (name, Some(group.to_owned())),
            None => (part.as_str(), None),
        };
        let mut hosts = arguments.hosts.clone();
        hosts.push(name.to_owned());
        hosts.sort();
        hosts.dedup();
        let part = Part {
            name: name.to_owned(),
            hosts,
            group,
        };
        let given = authority.renew(&part, arguments.lifetime);
        if given.with_context(|| format!("the certificate of {name}"))? {
            renewed.push(part.name);
        }
    }
    Ok(renewed)
}
