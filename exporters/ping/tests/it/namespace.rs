//! Network namespaces for one test: the test's own thread in one, more behind links.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

/// Set in a copy of the test binary that already runs as root of its own user namespace.
const INSIDE: &str = "SOTP_TEST_INSIDE_NAMESPACE";
/// The group that services of a test run with: `nogroup`.
pub(crate) const NOBODY: u32 = 65_534;

/// The namespace of the calling thread, with `lo` up and unprivileged ICMP for the group of the services alone.
pub(crate) struct Namespace {
    /// The services run as another user than the test.
    pub(crate) can_change_user: bool,
}

/// Puts the calling thread into a network namespace of its own; `test` is its full name. `None`: the test is done,
/// because it cannot run here (the reason is on standard error) or ran in another process.
pub(crate) fn enter(test: &str) -> Option<Namespace> {
    if std::env::var_os(INSIDE).is_some() {
        prepare("0 0");
        return Some(Namespace {
            can_change_user: false,
        });
    }
    if geteuid().is_root() {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            testkit::skip(format_args!("no network namespace can be made: {error}"));
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
        testkit::skip(format_args!(
            "not root and no user namespace can be made: {why}"
        ));
        return None;
    }
    let status = Command::new("unshare")
        .args(unshare)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in a user namespace");
    None
}

fn prepare(groups: &str) {
    ip("link set lo up");
    allow_groups(groups);
}

/// Sets `net.ipv4.ping_group_range` of the namespace of this thread.
pub(crate) fn allow_groups(range: &str) {
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", range).unwrap();
}

/// Runs `ip` with these arguments in the namespace of this thread.
pub(crate) fn ip(args: &str) {
    run(Command::new("ip").args(args.split(' ')), args);
}

fn run(command: &mut Command, what: &str) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {error}");
}

/// A namespace behind a link: `near` is our end of it, `far` the other.
pub(crate) struct Peer {
    holder: Child,
}

impl Peer {
    pub(crate) fn behind(near: &str, far: &str) -> Self {
        let peer = Self::apart();
        ip(&format!(
            "link add {near} type veth peer name {far} netns {}",
            peer.pid()
        ));
        ip(&format!("link set {near} up"));
        peer.ip(&format!("link set {far} up"));
        peer
    }

    /// A namespace without a link.
    fn apart() -> Self {
        let holder = Command::new("unshare")
            .args(["--net", "sleep", "300"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let peer = Self { holder };
        let namespace = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/net"));
        let ours = namespace("thread-self").unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while namespace(&peer.pid()).is_ok_and(|theirs| theirs == ours) {
            assert!(Instant::now() < deadline, "the namespace was not made");
            std::thread::sleep(Duration::from_millis(5));
        }
        peer.ip("link set lo up");
        peer
    }

    /// A namespace behind a link of this one: `near` is its end of it, `far` the other.
    pub(crate) fn beyond(&self, near: &str, far: &str) -> Self {
        let other = Self::apart();
        self.link(&other, near, far);
        other
    }

    /// Links this namespace with another one.
    pub(crate) fn link(&self, other: &Self, near: &str, far: &str) {
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

    /// Runs `ip` with these arguments there.
    pub(crate) fn ip(&self, args: &str) {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.pid(), "--net", "ip"])
            .args(args.split(' '));
        run(&mut command, args);
    }

    /// Sets a kernel setting there, by its path below `/proc/sys/net`.
    pub(crate) fn set(&self, path: &str, value: &str) {
        let mut command = Command::new("nsenter");
        let write = format!("echo {value} > /proc/sys/net/{path}");
        command.args(["--target", &self.pid(), "--net", "sh", "-c", &write]);
        run(&mut command, path);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
