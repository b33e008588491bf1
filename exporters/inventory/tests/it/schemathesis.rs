//! The tool schemathesis, in a folder of its own under `target`; other services' tests take it from here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::fcntl::{Flock, FlockArg};

/// The tool; why it cannot be had where the registry cannot be reached.
fn tool(target: &Path) -> Result<PathBuf, String> {
    let folder = target.join("schemathesis");
    let tool = folder.join("bin/schemathesis");
    // Several tests may want it at once, and whoever comes second finds it whole.
    let lock = std::fs::File::create(target.join("schemathesis.lock"));
    let lock = lock.map_err(|error| error.to_string())?;
    let _alone =
        Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error.to_string())?;
    if tool.exists() {
        return Ok(tool);
    }
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let from = said.char_indices().rev().nth(400).map_or(0, |(at, _)| at);
            Err(said[from..].to_owned())
        }
        Err(error) => Err(error.to_string()),
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let packages = ["-q", "--disable-pip-version-check", "schemathesis==4.32.5"];
    run(Command::new(folder.join("bin/pip"))
        .arg("install")
        .args(packages))?;
    Ok(tool)
}

/// Runs it on the document at `place`, a URL or a file, as `user:password`, with what is to be tried; `None`, and it is said, where there is no tool.
pub(crate) async fn run(place: String, user: &str, args: &[&str], folder: &Path) -> Option<Output> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let target = target
        .map(|above| above.join("target"))
        .find(|target| target.join("debug").exists())?;
    let tool = match tokio::task::spawn_blocking(move || tool(&target))
        .await
        .unwrap()
    {
        Ok(tool) => tool,
        Err(reason) => {
            testkit::skip(format!("schemathesis cannot be installed: {reason}"));
            return None;
        }
    };
    let mut command = Command::new(tool);
    command
        .args(["run", &place, "--auth", user])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance"])
        .args(["--seed", "7", "--generation-deterministic", "--no-color", "--request-timeout", "20"])
        .args(args)
        .current_dir(folder);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .ok()
}
