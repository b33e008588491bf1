//! The archive: a git repository with one branch for each device.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git::{Change, Logged, Repository, Version, logged};
use toolkit::trace::Origin;

/// The file of each commit.
pub(crate) const FILE: &str = "configuration";
/// What stands for the program in commits.
const OWN: &str = "sotp-ssh-config <sotp-ssh-config@localhost>";
/// Most versions that one list or walk takes.
pub(crate) const MOST_VERSIONS: usize = 1000;
/// Versions between two looks whether there is something to pack.
const PACK_AFTER: usize = 500;

/// What a history is of: the configuration of a device, or another of its answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    device: &'a str,
    output: Option<&'a str>,
}

impl<'a> From<&'a str> for Of<'a> {
    fn from(device: &'a str) -> Self {
        Self {
            device,
            output: None,
        }
    }
}

impl<'a> Of<'a> {
    /// An answer other than the configuration.
    pub(crate) fn output(device: &'a str, name: Option<&'a str>) -> Self {
        Self {
            device,
            output: name,
        }
    }

    fn reference(self) -> String {
        match self.output {
            None => reference(self.device),
            Some(_) => shown(self.device),
        }
    }

    fn file(self) -> String {
        self.output
            .map_or(FILE.to_owned(), |name| format!("{name}.txt"))
    }

    /// Whether a commit is one of its versions: each commit of answers names those that changed.
    fn is_changed_by(self, message: &str) -> bool {
        let field = |name: &str| {
            let lines = message.lines();
            lines.filter_map(|line| line.strip_prefix(name)).next()
        };
        field("Device: ") == Some(self.device)
            && match (self.output, field("Outputs: ")) {
                (None, None) => true,
                (Some(name), Some(names)) => names.split(' ').any(|own| own == name),
                _ => false,
            }
    }
}

/// How the writing of a version went: its commit.
type Outcome = Arc<Mutex<Option<Result<String, git::Error>>>>;

fn taken(outcome: &Outcome) -> Option<Result<String, git::Error>> {
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    outcome.take()
}

/// Versions of the configurations of all devices. Clones are the same one; its calls block.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    repository: Arc<Repository>,
    /// Versions that wait to be written, each with the place for how that went.
    queue: Arc<Mutex<Vec<(Change, Outcome)>>>,
    /// Held while versions are written: how many since something was packed.
    writer: Arc<Mutex<usize>>,
    /// Told of each version that was written.
    written: Arc<tokio::sync::Notify>,
}

/// Why a version is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    /// `schedule`, `syslog` or `api`.
    pub(crate) trigger: &'static str,
    /// Who made the change, where that is known.
    pub(crate) user: Option<String>,
    /// The trace in which it was asked for.
    pub(crate) origin: Option<Origin>,
}

impl Archive {
    /// The archive in the folder `data`.
    ///
    /// # Errors
    /// Git cannot be run, or refuses the folder.
    pub(crate) fn open(data: &Path) -> Result<Self, git::Error> {
        let folder = data.join("archive.git");
        let fresh = !folder.join("HEAD").exists();
        let repository = Repository::open(&folder, OWN)?;
        if fresh {
            repository.write(&[Change {
                reference: "refs/heads/main".to_owned(),
                author: OWN.to_owned(),
                seconds: jiff::Timestamp::now().as_second(),
                message: "What this is".to_owned(),
                files: vec![("README.md".to_owned(), README.to_owned())],
            }])?;
            // So that the head of each part of a difference names the section, also for who works in this folder.
            repository.run(&["config", "diff.configuration.xfuncname", "^[^ !#}].*$"])?;
            let attributes = folder.join("info/attributes");
            std::fs::write(&attributes, format!("{FILE} diff=configuration\n"))
                .map_err(git::Error::Run)?;
        }
        Ok(Self {
            repository: Arc::new(repository),
            queue: Arc::default(),
            writer: Arc::default(),
            written: Arc::default(),
        })
    }

    /// The newest configuration of a device.
    pub(crate) fn latest(&self, device: &str) -> Result<Option<String>, git::Error> {
        self.repository.text(&reference(device), FILE)
    }

    /// Writes a version; answers its commit.
    pub(crate) fn store(
        &self,
        device: &str,
        text: &str,
        seconds: i64,
        reason: &Reason,
        [added, removed]: [usize; 2],
    ) -> Result<String, git::Error> {
        let by = match &reason.user {
            Some(user) => format!(" by {user}"),
            None => String::new(),
        };
        let user = reason.user.as_deref().unwrap_or_default();
        let message = format!(
            "{device}: changed{by} (+{added} -{removed})\n\nDevice: {device}\nTrigger: {}\nUser: {user}\nAdded: {added}\nRemoved: {removed}",
            reason.trigger
        );
        let change = Change {
            reference: reference(device),
            author: match &reason.user {
                Some(user) => git::author(user, ""),
                None => git::author("unknown", ""),
            },
            seconds,
            message,
            files: vec![(FILE.to_owned(), text.to_owned())],
        };
        self.write(change)
    }

    /// Writes a version, together with those that came while the ones before were written: git is started and the disk waited for once
    /// for all of them.
    fn write(&self, change: Change) -> Result<String, git::Error> {
        let outcome = Outcome::default();
        self.queue().push((change, Arc::clone(&outcome)));
        let mut since = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(written) = taken(&outcome) {
            return written;
        }
        let (changes, outcomes): (Vec<Change>, Vec<Outcome>) = self.queue().drain(..).unzip();
        let written = match self.repository.write(&changes) {
            Ok(ids) => ids.into_iter().map(Ok).collect(),
            Err(error) if changes.len() == 1 => vec![Err(error)],
            // One that git does not take is no reason for the others.
            Err(_) => changes.iter().map(|change| self.alone(change)).collect(),
        };
        *since += written.len();
        for (outcome, written) in outcomes.iter().zip(written) {
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
        }
        if *since >= PACK_AFTER {
            *since = 0;
            if let Err(error) = self.repository.pack() {
                tracing::warn!(%error, "the archive could not be packed; it goes on growing");
            }
        }
        self.written.notify_one();
        let missing = || std::io::Error::other("git does not say what became of it");
        taken(&outcome).unwrap_or_else(|| Err(git::Error::Run(missing())))
    }

    fn alone(&self, change: &Change) -> Result<String, git::Error> {
        let ids = self.repository.write(std::slice::from_ref(change))?;
        Ok(ids.into_iter().next().unwrap_or_default())
    }

    fn queue(&self) -> MutexGuard<'_, Vec<(Change, Outcome)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes those of `outputs` (name and text) that are others than before, as one version; answers the names of those.
    pub(crate) fn store_outputs(
        &self,
        device: &str,
        outputs: &[(String, String)],
        seconds: i64,
    ) -> Result<Vec<String>, git::Error> {
        let reference = shown(device);
        let mut files = Vec::new();
        let mut names = Vec::new();
        for (name, text) in outputs {
            let file = Of::output(device, Some(name)).file();
            if self.repository.text(&reference, &file)?.as_ref() != Some(text) {
                files.push((file, text.clone()));
                names.push(name.clone());
            }
        }
        if names.is_empty() {
            return Ok(names);
        }
        let message = format!(
            "{device}: {} changed\n\nDevice: {device}\nOutputs: {}",
            names.join(", "),
            names.join(" ")
        );
        self.write(Change {
            reference,
            author: OWN.to_owned(),
            seconds,
            message,
            files,
        })?;
        Ok(names)
    }

    /// The newest text of an answer.
    pub(crate) fn latest_output(
        &self,
        device: &str,
        name: &str,
    ) -> Result<Option<String>, git::Error> {
        let of = Of::output(device, Some(name));
        self.repository.text(&of.reference(), &of.file())
    }

    /// The newest versions of a device, newest first.
    pub(crate) fn versions<'a>(
        &self,
        of: impl Into<Of<'a>>,
        most: usize,
    ) -> Result<Vec<Version>, git::Error> {
        let of = of.into();
        let mut left = most.min(MOST_VERSIONS);
        let mut looked = 0;
        let mut versions = self.repository.versions(&of.reference(), |version| {
            looked += 1;
            left = left.saturating_sub(usize::from(of.is_changed_by(&version.message)));
            left > 0 && looked < 2 * MOST_VERSIONS
        })?;
        versions.retain(|version| of.is_changed_by(&version.message));
        versions.truncate(most);
        Ok(versions)
    }

    /// Versions of all devices from one time to another (Unix seconds), the newest first, each with its device.
    pub(crate) fn between(
        &self,
        from: i64,
        to: i64,
        most: usize,
    ) -> Result<Vec<(String, Version)>, git::Error> {
        let (from, to) = (from.max(0), to.max(0));
        let said = self.repository.run(&[
            "log",
            "-z",
            "--branches=device/*",
            &format!("--max-age={from}"),
            &format!("--min-age={to}"),
            &format!("--max-count={most}"),
            Logged::FORMAT,
        ])?;
        let one = |logged: Logged| {
            let device = logged
                .message
                .lines()
                .find_map(|line| line.strip_prefix("Device: "))?
                .to_owned();
            let version = Version {
                id: logged.id,
                parent: logged.parents.into_iter().find(|parent| !parent.is_empty()),
                seconds: logged.seconds,
                author: logged.author,
                message: logged.message,
            };
            Some((device, version))
        };
        Ok(logged(&said).into_iter().filter_map(one).collect())
    }

    /// Waits for a version that nobody has waited for yet.
    pub(crate) async fn written(&self) {
        self.written.notified().await;
    }

    /// Sends every branch to another repository.
    pub(crate) fn push(&self, url: &str) -> Result<(), git::Error> {
        let refs = "+refs/heads/*:refs/heads/*";
        self.repository
            .run(&["push", "--quiet", "--prune", "--", url, refs])
            .map(|_| ())
    }

    /// The version that held at a time.
    pub(crate) fn at<'a>(
        &self,
        of: impl Into<Of<'a>>,
        seconds: i64,
    ) -> Result<Option<Version>, git::Error> {
        let of = of.into();
        let then =
            |version: &Version| version.seconds <= seconds && of.is_changed_by(&version.message);
        let versions = self
            .repository
            .versions(&of.reference(), |version| !then(version))?;
        Ok(versions.into_iter().next_back().filter(then))
    }

    /// The version that a commit is, or the nearest one before it.
    pub(crate) fn before(&self, of: Of<'_>, commit: &str) -> Result<Option<Version>, git::Error> {
        let own = |version: &Version| of.is_changed_by(&version.message);
        let versions = self.repository.versions(commit, |version| !own(version))?;
        Ok(versions.into_iter().next_back().filter(own))
    }

    /// The version of a device that a commit is; `None` when it is none of this device.
    pub(crate) fn version<'a>(
        &self,
        of: impl Into<Of<'a>>,
        commit: &str,
    ) -> Result<Option<Version>, git::Error> {
        let of = of.into();
        let plain = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(version) = self.repository.version(commit)?.filter(|_| plain) else {
            return Ok(None);
        };
        Ok(of.is_changed_by(&version.message).then_some(version))
    }

    /// The text of a version.
    pub(crate) fn text<'a>(
        &self,
        of: impl Into<Of<'a>>,
        commit: &str,
    ) -> Result<Option<String>, git::Error> {
        self.repository.text(commit, &of.into().file())
    }
}

/// The branch of a device's configuration.
fn reference(device: &str) -> String {
    branch("device", device)
}

/// The branch of its other answers.
fn shown(device: &str) -> String {
    branch("show", device)
}

/// Names of devices that git would not take are written with `%`.
fn branch(kind: &str, device: &str) -> String {
    let mut name = format!("refs/heads/{kind}/");
    let bytes = device.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let doubled = *byte == b'.' && (bytes.get(at + 1) == Some(&b'.') || at + 1 == bytes.len());
        let lock = *byte == b'.' && device[at..].eq(".lock");
        if doubled || lock {
            name.push_str("%2E");
        } else {
            name.push(char::from(*byte));
        }
    }
    name
}

const README: &str = "# Configurations of the network

Written by sotp-ssh-config. Each device has a branch, `device/NAME`, with one file, `configuration`: normalised, and with fingerprints
(`<masked:1a2b3c4d>`) in the place of secrets. The author of a commit is who made the change, where the device's log told. Treat this repository as
secret anyway. The branch `show/NAME` has what the device answers to further commands (`startup.txt`, `version.txt` …).

    git log -p device/r1
    git diff $(git rev-list -1 --before=yesterday device/r1) device/r1               # in the archive itself
    git diff $(git rev-list -1 --before=yesterday origin/device/r1) origin/device/r1 # in a clone

For section names in the heads of differences:

    git config diff.configuration.xfuncname '^[^ !#}].*$'
    echo 'configuration diff=configuration' >> .git/info/attributes
";

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(user: Option<&str>) -> Reason {
        Reason {
            origin: None,
            trigger: "syslog",
            user: user.map(str::to_owned),
        }
    }

    #[test]
    fn versions_carry_who_and_why_and_are_those_of_their_device_only() {
        let dir = testkit::TempDir::new().unwrap();
        let archive = Archive::open(dir.path()).unwrap();
        assert_eq!(archive.latest("r1").unwrap(), None);
        let first = archive
            .store("r1", "a\n", 100, &reason(None), [1, 0])
            .unwrap();
        let second = archive
            .store("r1", "b\n", 200, &reason(Some("alice")), [1, 1])
            .unwrap();
        archive
            .store("r2", "c\n", 150, &reason(Some("bob")), [1, 0])
            .unwrap();
        let again = Archive::open(dir.path()).unwrap();
        assert_eq!(again.latest("r1").unwrap().unwrap(), "b\n");
        let versions = again.versions("r1", 10).unwrap();
        assert_eq!(versions.len(), 2);
        assert_eq!(
            (versions[0].id.as_str(), versions[0].author.as_str()),
            (second.as_str(), "alice")
        );
        assert!(versions[0].message.starts_with(
            "r1: changed by alice (+1 -1)\n\nDevice: r1\nTrigger: syslog\nUser: alice\n"
        ));
        assert_eq!(again.versions("r1", 1).unwrap().len(), 1);
        assert_eq!(again.at("r1", 199).unwrap().unwrap().id, first);
        assert!(again.version("r2", &first).unwrap().is_none());
        assert!(
            again
                .version("r1", "refs/heads/device/r2")
                .unwrap()
                .is_none()
        );
        assert_eq!(again.text("r1", &first).unwrap().unwrap(), "a\n");
        let around = again.between(140, 210, 10).unwrap();
        let found: Vec<_> = around
            .iter()
            .map(|(device, version)| (device.as_str(), version.seconds))
            .collect();
        assert_eq!(found, [("r1", 200), ("r2", 150)]);
        let copy = testkit::TempDir::new().unwrap();
        let copy = Repository::open(&copy.path().join("copy.git"), OWN).unwrap();
        again.push(&copy.folder().display().to_string()).unwrap();
        assert_eq!(copy.references("refs/heads/device/").unwrap().len(), 2);
        assert_eq!(copy.text(&second, FILE).unwrap().unwrap(), "b\n");
    }

    /// What the README says, in the archive and in a clone of it.
    #[test]
    fn git_shows_what_changed_since_yesterday() {
        let dir = testkit::TempDir::new().unwrap();
        let archive = Archive::open(dir.path()).unwrap();
        let now = jiff::Timestamp::now().as_second();
        for (text, days) in [("a\n", 3), ("b\n", 2), ("c\n", 0)] {
            let at = now - days * 24 * 3600;
            archive
                .store("r1", text, at, &reason(None), [1, 1])
                .unwrap();
        }
        let run = |folder: &str, command: &str| {
            let output = std::process::Command::new("sh")
                .current_dir(dir.join(folder))
                .args(["-c", command])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{command}: {said}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        run(".", "git clone -q archive.git clone");
        let commands = README.lines().map(str::trim);
        let commands: Vec<&str> = commands
            .filter(|line| line.starts_with("git diff "))
            .collect();
        assert_eq!(commands.len(), 2);
        for (folder, command) in ["archive.git", "clone"].iter().zip(commands) {
            let said = run(folder, command);
            assert!(said.ends_with("\n-b\n+c\n"), "{folder}: {command}: {said}");
        }
    }

    /// Each gets its own commit, and one whose name git refuses spoils no other.
    #[test]
    fn versions_that_come_at_once_are_written_together() {
        let dir = testkit::TempDir::new().unwrap();
        let archive = Archive::open(dir.path()).unwrap();
        let names: Vec<String> = (0..40).map(|number| format!("r{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).chain(["a..b"]).collect();
        // Until all of them wait, nobody writes.
        let held = archive.writer.lock().unwrap();
        let results: Vec<_> = std::thread::scope(|scope| {
            let store = |name: &&str| {
                let (archive, name) = (archive.clone(), (*name).to_owned());
                scope.spawn(move || match name.as_str() {
                    "a..b" => archive.write(Change {
                        reference: "refs/heads/a..b".to_owned(),
                        author: OWN.to_owned(),
                        seconds: 100,
                        message: "no name of a branch".to_owned(),
                        files: Vec::new(),
                    }),
                    name => archive.store(name, name, 100, &reason(None), [1, 0]),
                })
            };
            let threads: Vec<_> = names.iter().map(store).collect();
            while archive.queue().len() < names.len() {
                std::thread::yield_now();
            }
            drop(held);
            let joined = threads.into_iter().map(|thread| thread.join().unwrap());
            joined.collect()
        });
        for (name, result) in names.iter().zip(results) {
            match result {
                Ok(id) => {
                    assert_ne!(*name, "a..b");
                    assert_eq!(archive.text(*name, &id).unwrap().as_deref(), Some(*name));
                    assert_eq!(archive.latest(name).unwrap().as_deref(), Some(*name));
                }
                Err(_) => assert_eq!(*name, "a..b"),
            }
        }
        assert!(archive.queue().is_empty());
    }

    #[test]
    fn answers_have_a_history_of_their_own_each() {
        let dir = testkit::TempDir::new().unwrap();
        let archive = Archive::open(dir.path()).unwrap();
        let both = |version: &str, startup: &str| {
            [("version", version), ("startup", startup)]
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
        };
        let write = |at, version, startup| {
            let outputs = both(version, startup);
            archive.store_outputs("r1", &outputs, at).unwrap()
        };
        archive
            .store("r1", "a\n", 100, &reason(None), [1, 0])
            .unwrap();
        assert_eq!(write(100, "17.9\n", "a\n"), ["version", "startup"]);
        assert!(write(200, "17.9\n", "a\n").is_empty(), "nothing changed");
        assert_eq!(write(300, "17.9\n", "b\n"), ["startup"]);
        assert_eq!(write(400, "17.12\n", "b\n"), ["version"]);
        let of = |name| Of::output("r1", Some(name));
        let seconds = |name| -> Vec<i64> {
            let versions = archive.versions(of(name), 10).unwrap();
            versions.iter().map(|version| version.seconds).collect()
        };
        assert_eq!(seconds("version"), [400, 100]);
        assert_eq!(seconds("startup"), [300, 100]);
        assert!(seconds("inventory").is_empty());
        assert_eq!(archive.versions("r1", 10).unwrap().len(), 1);
        let held = archive.at(of("version"), 399).unwrap().unwrap();
        assert_eq!(held.seconds, 100);
        let text = archive.text(of("version"), &held.id).unwrap();
        assert_eq!(text.as_deref(), Some("17.9\n"));
        assert!(archive.version("r1", &held.id).unwrap().is_none());
        assert!(archive.version(of("startup"), &held.id).unwrap().is_some());
        let latest = archive.latest_output("r1", "version").unwrap();
        assert_eq!(latest.as_deref(), Some("17.12\n"));
    }

    #[test]
    fn every_name_of_a_device_is_a_branch() {
        let dir = testkit::TempDir::new().unwrap();
        let archive = Archive::open(dir.path()).unwrap();
        for name in ["a..b", "a.", "a.lock", "A_b-1.example.net"] {
            archive
                .store(name, "x\n", 1, &reason(None), [1, 0])
                .unwrap();
            assert_eq!(archive.latest(name).unwrap().unwrap(), "x\n", "{name}");
        }
    }
}
