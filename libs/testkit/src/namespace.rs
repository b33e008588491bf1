//! Network namespaces for one test: the test's own thread in one, more behind links.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use crate::wait::until;

/// Set in a copy of the test binary that already runs as root of its own user namespace.
const INSIDE: &str = "SOTP_TEST_INSIDE_NAMESPACE";
/// The group that services of a test run with: `nogroup`.
pub const NOBODY: u32 = 65_534;
/// How long a namespace without a link lives at most, in seconds.
const LIFE: &str = "300";

/// The namespace of the calling thread, with `lo` up and unprivileged ICMP for the group of the services alone.
#[derive(Debug)]
pub struct Namespace {
    /// The services run as another user than the test.
    pub can_change_user: bool,
}

/// Puts the calling thread into a network namespace of its own; `test` is its full name. `None`: the test is done,
/// because it cannot run here (the reason is on standard error) or ran in another process.
///
/// # Panics
/// The test failed in that other process.
#[must_use]
pub fn enter(test: &str) -> Option<Namespace> {
    if std::env::var_os(INSIDE).is_some() {
        prepare("0 0");
        return Some(Namespace {
            can_change_user: false,
        });
    }
    if geteuid().is_root() {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            crate::skip::skip(format_args!("no network namespace can be made: {error}"));
            return None;
        }
        prepare(&format!("{NOBODY} {NOBODY}"));
        return Some(Namespace {
            can_change_user: true,
        });
    }
    let unshare = ["--user", "--map-root-user", "--net"];
    let possible = Command::new("unshare").args(unshare).arg("true").output();
    if !possible
        .as_ref()
        .is_ok_and(|output| output.status.success())
    {
        let why = possible.map_or_else(
            |error| error.to_string(),
            |output| String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        );
        crate::skip::skip(format_args!(
            "not root and no user namespace can be made: {why}"
        ));
        return None;
    }
    let own = std::env::current_exe().unwrap_or_default();
    let status = Command::new("unshare")
        .args(unshare)
        .arg(own)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{test} failed in a user namespace"
    );
    None
}

fn prepare(groups: &str) {
    ip("link set lo up");
    allow_groups(groups);
}

/// Sets `net.ipv4.ping_group_range` of the namespace of this thread.
///
/// # Panics
/// It cannot be set.
pub fn allow_groups(range: &str) {
    let written = std::fs::write("/proc/sys/net/ipv4/ping_group_range", range);
    assert!(written.is_ok(), "ping_group_range: {written:?}");
}

/// Runs `ip` with these arguments in the namespace of this thread.
///
/// # Panics
/// It fails.
pub fn ip(args: &str) {
    done(Command::new("ip").args(args.split(' ')), args);
}

/// What a command says that must succeed.
fn done(command: &mut Command, what: &str) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => unreachable!("{what}: {error}"),
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Another namespace, which ends with this value.
#[derive(Debug)]
pub struct Peer {
    holder: Child,
}

impl Peer {
    /// One without a link, with `lo` up.
    ///
    /// # Panics
    /// It cannot be made, as most often for somebody who is not root.
    #[must_use]
    pub fn apart() -> Self {
        let holder = Command::new("unshare")
            .args(["--net", "sleep", LIFE])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let holder = match holder {
            Ok(holder) => holder,
            Err(error) => unreachable!("unshare: {error}"),
        };
        let peer = Self { holder };
        let namespace = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/net")).ok();
        let (ours, theirs) = (namespace("thread-self"), peer.pid());
        until("the namespace is made", Duration::from_secs(5), || {
            let made = namespace(&theirs).is_some_and(|theirs| Some(theirs) != ours);
            made.then_some(()).ok_or_else(String::new)
        });
        peer.ip("link set lo up");
        peer
    }

    /// One behind a link of the namespace of this thread: `near` is our end of it, `far` the other.
    #[must_use]
    pub fn behind(near: &str, far: &str) -> Self {
        let peer = Self::apart();
        let pid = peer.pid();
        ip(&format!(
            "link add {near} type veth peer name {far} netns {pid}"
        ));
        ip(&format!("link set {near} up"));
        peer.ip(&format!("link set {far} up"));
        peer
    }

    /// One behind a link of this one: `near` is its end of it, `far` the other.
    #[must_use]
    pub fn beyond(&self, near: &str, far: &str) -> Self {
        let other = Self::apart();
        self.link(&other, near, far);
        other
    }

    /// Links this namespace with another one.
    pub fn link(&self, other: &Self, near: &str, far: &str) {
        let pid = other.pid();
        self.ip(&format!(
            "link add {near} type veth peer name {far} netns {pid}"
        ));
        self.ip(&format!("link set {near} up"));
        other.ip(&format!("link set {far} up"));
    }

    fn pid(&self) -> String {
        self.holder.id().to_string()
    }

    /// A call of a program there.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid(), "--net", "--", program]);
        command
    }

    /// Runs a program there and gives what it says.
    ///
    /// # Panics
    /// It fails.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        done(
            self.command(program).args(args),
            &format!("{program} {args:?}"),
        )
    }

    /// Runs `ip` with these arguments there.
    pub fn ip(&self, args: &str) {
        let words: Vec<&str> = args.split(' ').collect();
        let _ = self.run("ip", &words);
    }

    /// Sets a kernel setting there, by its path below `/proc/sys/net`.
    pub fn set(&self, path: &str, value: &str) {
        let write = format!("echo {value} > /proc/sys/net/{path}");
        let _ = self.run("sh", &["-c", &write]);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
