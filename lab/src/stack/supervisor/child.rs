//! One child of the supervisor, with everything that it starts itself.

use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::stack::process::Process;

/// A child whose whole process group is gone when this value is.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) pid: Pid,
}

impl Running {
    /// Starts the process in a group of its own, with its output in pipes.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn spawn(process: &Process) -> std::io::Result<Self> {
        let mut command = tied(&process.argv);
        command
            .envs(&process.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn()?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .unwrap_or_default();
        Ok(Self {
            child,
            pid: Pid::from_raw(id),
        })
    }

    /// Waits for its end.
    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.pid.as_raw() > 1 {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}

/// A command for `argv` that the kernel kills when the thread that started it is gone.
///
/// Standard Rust has no safe way to ask for that in the child, util-linux's `setpriv` has. Where it
/// is missing the command runs all the same and only an orderly end of the launcher ends it.
fn tied(argv: &[String]) -> Command {
    let mut command = match crate::stack::programs::on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(&argv[0]);
            command
        }
        None => Command::new(&argv[0]),
    };
    command.args(&argv[1..]);
    command
}
