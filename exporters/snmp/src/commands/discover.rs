//! The subcommand: looks for devices and prints what the inventory could import.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use ipnet::IpNet;

use super::{BAD_INPUT, arguments};
use crate::budget::Budget;
use crate::config::{self, Options};
use crate::discover::{self, Search};
use crate::engine::{Engine, Settings};
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::probe::{Prober, Ready};

/// Looks for devices and prints what the inventory could import; nothing is added.
///
/// Asks each address of the networks for sysName, sysObjectID and its neighbours by LLDP, OSPF and BGP, and those neighbours too.
/// Addresses are asked only with an auth of snmp.yml whose only_for.networks holds them; a network without such an auth is refused.
#[derive(Debug, Parser)]
#[command(name = "sotp-snmp discover", version)]
struct Args {
    /// Where to begin: networks in CIDR notation, or addresses.
    #[arg(required = true, value_name = "CIDR", value_parser = config::network)]
    networks: Vec<IpNet>,
    /// The snmp.yml with the auths; repeatable, and it may be a pattern.
    #[arg(long = "config.file", value_name = "FILE", default_value = "snmp.yml")]
    files: Vec<String>,
    /// Only with this auth; repeatable.
    #[arg(long, value_name = "NAME")]
    auth: Vec<String>,
    /// New addresses a second, at most 1000.
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// The site of what is found; without it, what sysLocation says.
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
    /// The UDP port that is asked.
    #[arg(long, value_name = "PORT", default_value_t = 161)]
    port: u16,
    /// Neighbours are not asked.
    #[arg(long)]
    no_follow: bool,
}

/// Runs it with the arguments behind `discover`.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Args = match arguments("sotp-snmp discover", args) {
        Ok(args) => args,
        Err(status) => return status,
    };
    match search(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sotp-snmp discover: {error:#}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

fn search(args: &Args) -> anyhow::Result<()> {
    let paths: Vec<PathBuf> = (args.files.iter())
        .flat_map(|file| config::matching(file).unwrap_or_default())
        .collect();
    let Some((first, further)) = paths.split_first() else {
        anyhow::bail!("{}: no such file", args.files.join(", "));
    };
    let text = std::fs::read_to_string(first).with_context(|| first.display().to_string())?;
    let further: Vec<String> = further
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let config = config::read(&text, first, &further, Options::default())?;
    let search = Search {
        networks: args.networks.clone(),
        auths: args.auth.clone(),
        per_second: args.rate.into(),
        port: args.port,
        follow: !args.no_follow,
    };
    let begin = discover::begin(&config, &search)?;
    let ready = Arc::new(Ready::new(config, 0));
    let budget = Budget::new(256 << 20);
    let settings = Settings {
        budget: budget.clone(),
        ..Settings::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let inside = runtime.enter();
    let prober = Arc::new(Prober {
        engine: Engine::start(settings).context("SNMP sockets cannot be bound")?,
        memory: Arc::default(),
        metrics: Metrics::new(&prometheus::Registry::new())?,
        // The auths say who may be asked.
        gate: Gate::new(None, Vec::new(), true),
        budget,
    });
    drop(inside);
    let told = |found: &discover::Found| {
        eprintln!(
            "{}: {} ({}, {})",
            found.address,
            found.identity.name,
            found.identity.object_id,
            found.identity.description
        );
    };
    let outcome = runtime.block_on(discover::run(&prober, &ready, &search, begin, told));
    for (address, by) in &outcome.beyond {
        eprintln!("{address}: not asked, no auth is for it: {by}");
    }
    eprintln!(
        "{} addresses asked, {} devices found",
        outcome.asked,
        outcome.found.len()
    );
    print!("{}", discover::csv(&outcome.found, args.site.as_deref()));
    Ok(())
}
