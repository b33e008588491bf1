//! Every call by which the store touches the disk, so that tests can let any of them fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Longest time for what git does with another host.
const FAR: Duration = Duration::from_secs(60);

/// What the store asks of the operating system and of `git`.
pub(crate) trait Disk: Send + Sync + 'static {
    /// The content of a file; `None` when there is none.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Adds to the end of a file and waits until it is on disk.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file and waits until that is on disk.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Writes a whole file.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Waits until a file or folder is on disk.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Puts a file in the place of another.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Runs `git` in a folder with what `input` writes on its standard input.
    fn git(
        &self,
        folder: &Path,
        args: &[&str],
        input: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Output>;
}

/// The disk as it is.
pub(crate) struct Real;

impl Disk for Real {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_data()
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(path, bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn git(
        &self,
        folder: &Path,
        args: &[&str],
        input: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Output> {
        let mut command = Command::new("git");
        // Nothing of the user's own settings, no questions, no repository but this one, and everything on disk before it ends.
        command
            .current_dir(folder)
            .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ALLOW_PROTOCOL", "file:https:ssh")
            .env("LC_ALL", "C")
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
            Some(mut stdin) => input(&mut stdin),
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
