//! A lab of a test: brought up by the real program, entered, and ended.

use std::fmt::Display;
use std::ops::Deref;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::Lab;
pub(crate) use testkit::lab::said;

use crate::processes::{LAB, Mark, eventually};

/// A lab whose processes are marked, so that a test finds any that are left.
#[derive(Debug)]
pub(crate) struct Net {
    lab: Lab,
    pub(crate) mark: Mark,
    /// What `up` took.
    pub(crate) took: Duration,
}

impl Net {
    /// Brings a lab up; fails the test when it does not come up.
    pub(crate) fn up(name: &str, topology: &str) -> Self {
        let mut net = Self::prepare(name);
        let began = Instant::now();
        let output = net.lab(&["up", "--deadline", "60", "--topology", topology]);
        assert!(output.status.success(), "{}", said(&output));
        net.took = began.elapsed();
        eprintln!("{topology} is up after {:.1} s", net.took.as_secs_f64());
        net
    }

    /// A lab that is not up yet.
    pub(crate) fn prepare(name: &str) -> Self {
        Self {
            lab: Lab::prepare(LAB.into(), name),
            mark: Mark::new(),
            took: Duration::ZERO,
        }
    }

    /// A subcommand of the program, with this lab's name and the mark.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.lab.command(args);
        command.env(Mark::KEY, self.mark.word());
        command
    }

    /// Runs a subcommand to its end.
    pub(crate) fn lab(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// A command inside a node, or inside `box`.
    pub(crate) fn inside(&self, node: &str, argv: &[&str]) -> Command {
        self.command(&[&["exec", node, "--"], argv].concat())
    }

    /// Runs a command inside a node and gives what it printed; fails the test when the command fails.
    pub(crate) fn exec(&self, node: &str, argv: &[&str]) -> String {
        let output = self.inside(node, argv).output().unwrap();
        assert!(
            output.status.success(),
            "{node}: {argv:?}: {}",
            said(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// A `show` command of a router, as JSON.
    pub(crate) fn show(&self, router: &str, command: &str) -> Value {
        serde_json::from_str(&self.exec(router, &["vtysh", "-c", command])).unwrap()
    }

    /// Whether one echo request from this node is answered within a second.
    pub(crate) fn echo(&self, node: &str, address: &str) -> Result<f64, String> {
        let output = self
            .inside(node, &[LAB, "inside", "echo", address])
            .output()
            .unwrap();
        if !output.status.success() {
            return Err(said(&output));
        }
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .map_err(|error| format!("{error}"))
    }

    pub(crate) fn assert_echo(&self, node: &str, address: &str, limit: Duration) {
        eventually(&format!("{node} reaches {address}"), limit, || {
            self.echo(node, address)
        });
    }

    /// A file of the state folder.
    pub(crate) fn state(&self, name: impl Display) -> String {
        let file = self.folder.join(format!("sotp-lab/{}/{name}", self.name()));
        file.display().to_string()
    }

    /// The whole status.
    pub(crate) fn status(&self) -> Value {
        let output = self.lab(&["status", "--json"]);
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The credentials of the routers.
    pub(crate) fn secret(&self, field: &str) -> String {
        let text = std::fs::read_to_string(self.state("credentials.json")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        json[field].as_str().unwrap().to_owned()
    }
}

impl Deref for Net {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}
