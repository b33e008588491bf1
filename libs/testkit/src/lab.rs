//! A network of the lab for a test: brought up by the real program, entered, and ended.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use crate::TempDir;

/// Longest life of one command of the program; it bounds every wait of its own.
const PATIENCE_SECONDS: &str = "240";

/// A lab of a test, up or not. On drop it is down, and what was started in it has ended.
#[derive(Debug)]
pub struct Lab {
    name: String,
    program: PathBuf,
    /// Where its state folder lies, and a place for files of the test.
    pub folder: TempDir,
    /// Running inside it.
    children: Vec<Child>,
}

/// What a command said on both outputs.
#[must_use]
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[expect(
    clippy::expect_used,
    reason = "a test cannot go on without its network"
)]
impl Lab {
    /// A lab of `program`, which is `sotp-lab`, that is not up yet.
    #[must_use]
    pub fn prepare(program: PathBuf, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            program,
            folder: TempDir::new().expect("a temporary folder"),
            children: Vec::new(),
        }
    }

    /// Brings one up; `topology` is a name or a file.
    #[must_use]
    pub fn up(name: &str, topology: &str) -> Self {
        let lab = Self::prepare(crate::services::program("sotp-lab"), name);
        lab.run(&["up", "--deadline", "90", "--topology", topology]);
        lab
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A subcommand of the program for this lab.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", PATIENCE_SECONDS])
            .arg(&self.program)
            .args([args[0], "--name", &self.name])
            .args(&args[1..])
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// A command inside a node, or inside `box`.
    #[must_use]
    pub fn inside(&self, node: &str, argv: &[&str]) -> Command {
        self.command(&[&["exec", node, "--"], argv].concat())
    }

    /// Runs a subcommand to its end; fails the test when it fails.
    pub fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().expect("timeout is there");
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        output
    }

    /// Starts a program in the box, which writes to this file of the folder.
    pub fn start(&mut self, log: &str, argv: &[&str]) {
        let log = std::fs::File::create(self.folder.join(log)).expect("a log");
        let mut command = self.inside("box", argv);
        let child = command.stdout(Stdio::null()).stderr(log).spawn();
        self.children.push(child.expect("timeout is there"));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // It may be down already.
        let _ = self.command(&["down"]).output();
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
