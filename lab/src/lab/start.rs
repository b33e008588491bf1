//! Bringing a lab up, from outside the box.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use super::state::{Process, Running, State};
use super::{END, Error, Lab, Life, Options, requirements};
use crate::certificates;
use crate::credentials::Credentials;
use crate::files::{file, tail};
use crate::inside::{Event, InBox, RELEASE};
use crate::topology::{self, Topology};

/// Time between two looks at whether it is to end.
const LOOK: Duration = Duration::from_millis(50);
/// How much longer than its own deadline the box may take to say so.
const GRACE: Duration = Duration::from_secs(10);

/// Builds a lab and returns when all of it is up, or says what did not come up. Progress lines go to stderr.
pub(crate) fn up(options: &Options) -> Result<Lab, Error> {
    let begun = Instant::now();
    requirements::check()?;
    let (origin, text) = topology::find(&options.topology)?;
    let topology = Topology::parse(&text, &origin)?;
    requirements::check_topology(&topology)?;
    let state = State::named(&options.name)?;
    if state.running().is_some() {
        return Err(Error::Running(options.name.clone()));
    }
    state.create()?;
    let lock = File::create(state.lock()).map_err(|error| Error::state(&state.lock(), error))?;
    if lock.try_lock().is_err() || state.running().is_some() {
        return Err(Error::Running(options.name.clone()));
    }
    state.clear()?;
    write_state(&state, &topology, &text)?;
    let mut child = spawn(&state, options)?;
    let result = follow(&state, &mut child, options, begun).and_then(|()| {
        if options.life == Life::Detached
            && let Some(mut lifeline) = child.stdin.take()
        {
            lifeline
                .write_all(RELEASE)
                .map_err(|_| Error::Gone(options.name.clone()))?;
        }
        Ok(())
    });
    match result {
        Ok(()) => Ok(Lab {
            name: options.name.clone(),
            topology,
            running: state
                .running()
                .ok_or_else(|| Error::Gone(options.name.clone()))?,
            state,
            keeper: (options.life == Life::Attached).then_some(child),
        }),
        Err(error) => {
            // Its first process ends with it, and everything with that.
            let first = processes(&child).map(|(_, first)| first);
            let _ = child.kill();
            let _ = child.wait();
            let _ = fs::remove_file(state.running_file());
            if matches!(error, Error::Interrupted(_)) {
                // Nobody will look at its logs, and who still runs would make the folder again.
                if let Some(first) = first {
                    first.gone(Instant::now() + END);
                }
                let _ = state.remove();
            }
            Err(error)
        }
    }
}

fn write_state(state: &State, topology: &Topology, text: &str) -> Result<(), Error> {
    let credentials = Credentials::generate().map_err(|error| Error::state(state.path(), error))?;
    let json = serde_json::to_string_pretty(&credentials)
        .map_err(|error| Error::state(state.path(), error.into()))?;
    certificates::write(state.path()).map_err(|error| Error::state(state.path(), error))?;
    let key = state.ssh_key();
    let ssh_config = ssh_config(state, topology, &credentials.user);
    for (path, text, mode) in [
        (state.topology_file(), text, 0o600),
        (state.credentials_file(), &json, 0o600),
        (state.ssh_config(), &ssh_config, 0o600),
    ] {
        file(&path, text, mode).map_err(|error| Error::state(&path, error))?;
    }
    let made = Command::new("ssh-keygen")
        .args([
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            &credentials.user,
            "-f",
        ])
        .arg(&key)
        .stdin(Stdio::null())
        .status();
    match made {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::state(
            &key,
            std::io::Error::other(format!("ssh-keygen: {status}")),
        )),
        Err(error) => Err(Error::state(&key, error)),
    }
}

fn ssh_config(state: &State, topology: &Topology, user: &str) -> String {
    let mut text = String::new();
    for router in topology.routers() {
        text.push_str(&format!(
            "Host {}\n  HostName {}\n",
            router.name, router.loopback
        ));
    }
    text.push_str(&format!(
        "Host *\n  User {user}\n  IdentityFile {key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n  \
         StrictHostKeyChecking yes\n  GlobalKnownHostsFile none\n",
        key = state.ssh_key().display(),
        known = state.known_hosts().display(),
    ));
    text
}

fn spawn(state: &State, options: &Options) -> Result<Child, Error> {
    let in_box = InBox {
        state: state.path().to_owned(),
        tun: options.user_space_links,
        deadline_seconds: options.deadline.as_secs(),
    };
    let path = state.logs().join("box.log");
    let failed = |error| Error::state(&path, error);
    let log = File::create(&path).map_err(failed)?;
    Command::new(std::env::current_exe().map_err(failed)?)
        .args(in_box.arguments("keeper"))
        .env("PATH", requirements::search_path())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(failed)
}

/// Shows the box's progress until it is ready.
fn follow(
    state: &State,
    child: &mut Child,
    options: &Options,
    begun: Instant,
) -> Result<(), Error> {
    let lines = read_lines(child);
    let end = Instant::now() + options.deadline + GRACE;
    loop {
        if options.interrupt.came() {
            return Err(Error::Interrupted(options.name.clone()));
        }
        let rest = end.saturating_duration_since(Instant::now());
        let event = match lines.recv_timeout(rest.min(LOOK)) {
            Ok(line) => serde_json::from_str(&line)
                .unwrap_or_else(|_| Event::Failed(format!("the box says {line:?}"))),
            Err(RecvTimeoutError::Timeout) if rest > LOOK => continue,
            Err(RecvTimeoutError::Timeout) => Event::Failed("the box does not answer".to_owned()),
            Err(RecvTimeoutError::Disconnected) => {
                let status = child
                    .wait()
                    .map_or_else(|error| error.to_string(), |status| status.to_string());
                Event::Failed(format!(
                    "the box ended: {status}: {}",
                    tail(&state.logs().join("box.log"))
                ))
            }
        };
        match event {
            Event::Progress(text) => {
                eprintln!(
                    "{:6.2} s  {}: {text}",
                    begun.elapsed().as_secs_f64(),
                    options.name
                );
                // The first line comes from inside, so the first process is there.
                if !state.running_file().exists() {
                    remember(state, child)?;
                }
            }
            Event::Ready => {
                eprintln!(
                    "{:6.2} s  {}: up",
                    begun.elapsed().as_secs_f64(),
                    options.name
                );
                return Ok(());
            }
            Event::Failed(text) => {
                return Err(Error::NotUp {
                    name: options.name.clone(),
                    reason: text,
                });
            }
        }
    }
}

fn read_lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// Writes down which processes the lab is.
fn remember(state: &State, child: &Child) -> Result<(), Error> {
    let path = state.running_file();
    let failed = |error| Error::state(&path, error);
    let lost = || {
        failed(std::io::Error::other(
            "the box's processes are not to be found",
        ))
    };
    let (outer, first) = processes(child).ok_or_else(lost)?;
    let running = Running {
        outer,
        first,
        user_namespace: !geteuid().is_root(),
    };
    let text = serde_json::to_string(&running).map_err(|error| failed(error.into()))?;
    file(&path, &text, 0o600).map_err(failed)
}

/// The outermost process of a box, and process 1 in it.
fn processes(child: &Child) -> Option<(Process, Process)> {
    let outer = Process::of(i32::try_from(child.id()).ok()?)?;
    Some((outer, outer.child()?))
}
