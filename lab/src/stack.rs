//! The local stack: our services, Prometheus, Alertmanager and, where found, Grafana, Loki and Tempo.

mod args;
mod configs;
mod door;
mod doubles;
pub(crate) mod download;
pub(crate) mod fetch;
pub(crate) mod forward;
pub(crate) mod home;
pub(crate) mod http;
pub(crate) mod inner;
pub(crate) mod output;
pub(crate) mod pins;
pub(crate) mod plan;
pub(crate) mod ports;
mod process;
pub(crate) mod programs;
pub(crate) mod provision;
pub(crate) mod services;
mod ship;
pub(crate) mod state;
pub(crate) mod status;
mod supervisor;
pub(crate) mod table;
pub(crate) mod tell;
pub(crate) mod tls;
mod up;

pub(crate) use configs::template::Ssh;

use std::process::ExitCode;

pub(crate) use args::{Args, Common, Download, Install, Programs};
use args::{Command, Double};

/// Runs the subcommand and returns its exit status.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    match args.command {
        Command::Up(up) => runtime.block_on(up::run(*up)),
        Command::Install(install) => runtime.block_on(crate::doctor::run(&install)),
        Command::Inner { plan } => runtime.block_on(inner::run(&plan)),
        Command::Ship {
            url,
            folder,
            certificates,
        } => runtime.block_on(ship::run(&url, &folder, certificates.as_deref())),
        Command::Door { state, command } => runtime.block_on(door::run(&state, &command)),
        Command::Double(Double::Loki {
            address,
            certificates,
        }) => runtime.block_on(doubles::loki(address, certificates.as_deref())),
        Command::Double(Double::Tempo {
            addresses,
            certificates,
        }) => runtime.block_on(doubles::tempo(&addresses, certificates.as_deref())),
        Command::Double(Double::Grafana { setup }) => runtime.block_on(doubles::grafana(&setup)),
    }
}

/// One thread for everything: the kernel ties a child to the thread that started it, so that thread
/// must live as long as the program.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
