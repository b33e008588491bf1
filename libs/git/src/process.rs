//! `git` as a process.

use std::io::{self, BufWriter, Write};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Longest time for what git does with another host.
const FAR: Duration = Duration::from_secs(60);

/// Bytes that git is given at once.
const PIECE: usize = 32 << 10;

/// Nothing of the user's own settings, no questions, known words.
pub(crate) const ENVIRONMENT: [(&str, &str); 4] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_ALLOW_PROTOCOL", "file:https:ssh"),
    ("LC_ALL", "C"),
];

/// Runs `git` in a folder with what `input` writes on its standard input, and waits until all of it is on disk.
///
/// It uses no other repository than that of the folder, runs no hooks, and is given up on after a minute where it talks to
/// another host.
///
/// # Errors
/// It could not be started, or `input` failed although git was content.
pub fn run(
    folder: &Path,
    args: &[&str],
    input: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<Output> {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .envs(ENVIRONMENT)
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder))
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .args(["-c", "core.fsync=all", "-c", "core.hooksPath=/dev/null"])
        .args(["-c", "gc.auto=0", "-c", "core.quotePath=false"])
        // Another host may be slow, and is then given up on.
        .args([
            "-c",
            "http.lowSpeedLimit=1000",
            "-c",
            "http.lowSpeedTime=20",
        ])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn()?;
    let fed = match child.stdin.take() {
        Some(stdin) => {
            let mut stdin = BufWriter::with_capacity(PIECE, stdin);
            input(&mut stdin).and_then(|()| stdin.flush())
        }
        None => Ok(()),
    };
    let far = matches!(args.first(), Some(&("fetch" | "push" | "ls-remote")));
    let output = if far {
        within(child, FAR)?
    } else {
        child.wait_with_output()?
    };
    // When git ended early, what it says is more telling than the broken pipe.
    if output.status.success() {
        fed?;
    }
    Ok(output)
}

/// What `child` says, or an error after `limit`; then it is ended with everything that it started.
fn within(child: Child, limit: Duration) -> io::Result<Output> {
    let group = Pid::from_raw(child.id().cast_signed());
    let (sender, receiver) = mpsc::channel();
    let waiting = std::thread::Builder::new()
        .name("git".to_owned())
        .spawn(move || {
            let _ = sender.send(child.wait_with_output());
        })?;
    let output = receiver.recv_timeout(limit).unwrap_or_else(|_| {
        let _ = killpg(group, Signal::SIGKILL);
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the other side did not answer within {} s", limit.as_secs()),
        ))
    });
    let _ = waiting.join();
    output
}
