//! The half of the launcher that runs inside a lab's namespaces.
//!
//! It starts what the plan says and ends when its standard input does, so that it cannot outlive the
//! outer half, whatever becomes of that.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::forward;
use super::output::Output;
use super::plan::Plan;
use super::status::Board;
use super::supervisor::{Again, Supervisor};
use super::tls::Certificates;

/// Between two looks at the certificates.
const HOUR: Duration = Duration::from_secs(3_600);
/// Parts that read their certificates at their start only, or keep them for their clients.
const AT_START: [&str; 5] = ["gate", "grafana", "loki", "ship", "tempo"];
/// Time for all processes to end by themselves.
pub(crate) const END: Duration = Duration::from_secs(10);

/// Carries out the plan in `file` until standard input ends or SIGTERM comes.
///
/// # Errors
/// The plan cannot be read, or not be started at all.
pub(crate) async fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let plan: Plan = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut forwards = JoinSet::new();
    for entry in &plan.forwards {
        let half = forward::inner(entry).with_context(|| entry.socket.display().to_string())?;
        forwards.spawn(half);
    }
    let supervisor = start(&plan)?;
    let mut input = tokio::io::stdin();
    let mut byte = [0];
    tokio::select! {
        _ = terminate.recv() => {}
        _ = input.read(&mut byte) => {}
    }
    supervisor.end(END).await;
    // Standard input is read on a thread that cannot be called back.
    std::process::exit(0);
}

/// Starts the processes of the plan under supervision.
///
/// # Errors
/// The log folder cannot be made, or the list of processes is at fault.
pub(crate) fn start(plan: &Plan) -> anyhow::Result<Supervisor> {
    let names = || plan.processes.iter().map(|process| process.name.as_str());
    let output = Output::new(names(), plan.show, Some(&plan.logs))
        .with_context(|| plan.logs.display().to_string())?;
    let board = Board::new(names(), Some(plan.status.clone()));
    let certificates = plan.certificates.as_deref().map(Certificates::of);
    let supervisor = Supervisor::start(
        plan.processes.clone(),
        Arc::new(output),
        Arc::new(board),
        certificates.as_ref(),
    )?;
    if let Some(certificates) = certificates {
        tokio::spawn(renewed(certificates, plan.parts(), supervisor.again()));
    }
    Ok(supervisor)
}

/// Renews certificates that are due, each hour. Who reads its files at its start only is started again.
async fn renewed(certificates: Certificates, parts: Vec<String>, again: Again) {
    loop {
        tokio::time::sleep(HOUR).await;
        match Certificates::renew(certificates.folder(), &parts) {
            Ok(names) => {
                for name in names
                    .iter()
                    .filter(|name| AT_START.contains(&name.as_str()))
                {
                    again.start(name);
                }
            }
            Err(error) => eprintln!("certificates are not renewed: {error:#}"),
        }
    }
}
