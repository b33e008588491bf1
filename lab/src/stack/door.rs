//! A way to the parts for somebody's command without a certificate: plain ports that are open while it runs.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::process::Command;
use tokio::task::JoinSet;

use super::forward;

/// Runs the command; each socket of the state folder, `NAME.sock`, is behind the URL in `SOTP_NAME_URL` until it ends.
///
/// # Errors
/// The folder cannot be read, no port is free, or the command cannot be run.
pub(super) async fn run(state: &Path, command: &[String]) -> anyhow::Result<ExitCode> {
    let mut doors = JoinSet::new();
    let (program, arguments) = command.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    let entries = state.read_dir();
    for entry in entries
        .with_context(|| state.display().to_string())?
        .flatten()
    {
        let path = entry.path();
        if path.extension().is_none_or(|end| end != "sock") {
            continue;
        }
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        doors.spawn(forward::outer(listener, &path)?);
        command.env(variable(&name), format!("http://127.0.0.1:{port}"));
    }
    let status = command.status().await.with_context(|| program.clone())?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// The variable of a part, as in `SOTP_SSH_CONFIG_URL`.
fn variable(name: &str) -> String {
    let short = name.strip_prefix("sotp-").unwrap_or(name);
    format!("SOTP_{}_URL", short.replace('-', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_a_variable_without_our_prefix() {
        assert_eq!(variable("sotp-ssh-config"), "SOTP_SSH_CONFIG_URL");
        assert_eq!(variable("prometheus"), "SOTP_PROMETHEUS_URL");
    }
}
