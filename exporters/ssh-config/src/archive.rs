//! The archive: a git repository with one branch for each device.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

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

/// Versions of the configurations of all devices. Clones are the same one; its calls block.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    repository: Arc<Repository>,
    /// Held while a version is written: how many since something was packed.
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
        let mut since = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = self.repository.write(&[change])?;
        *since += 1;
        if *since >= PACK_AFTER {
            *since = 0;
            if let Err(error) = self.repository.pack() {
                tracing::warn!(%error, "the archive could not be packed; it goes on growing");
            }
        }
        self.written.notify_one();
        Ok(ids.into_iter().next().unwrap_or_default())
    }

    /// The newest versions of a device, newest first.
    pub(crate) fn versions(&self, device: &str, most: usize) -> Result<Vec<Version>, git::Error> {
        let mut left = most.min(MOST_VERSIONS);
        let mut versions = self.repository.versions(&reference(device), |_| {
            left = left.saturating_sub(1);
            left > 0
        })?;
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
    pub(crate) fn at(&self, device: &str, seconds: i64) -> Result<Option<Version>, git::Error> {
        self.repository.at(&reference(device), seconds)
    }

    /// The version of a device that a commit is; `None` when it is none of this device.
    pub(crate) fn version(
        &self,
        device: &str,
        commit: &str,
    ) -> Result<Option<Version>, git::Error> {
        let plain = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(version) = self.repository.version(commit)?.filter(|_| plain) else {
            return Ok(None);
        };
        let own = version
            .message
            .lines()
            .any(|line| line.strip_prefix("Device: ") == Some(device));
        Ok(own.then_some(version))
    }

    /// The text of a version.
    pub(crate) fn text(&self, commit: &str) -> Result<Option<String>, git::Error> {
        self.repository.text(commit, FILE)
    }
}

/// The branch of a device. Names of devices that git would not take are written with `%`.
fn reference(device: &str) -> String {
    let mut name = String::from("refs/heads/device/");
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
secret anyway.

    git log -p device/r1
    git diff 'device/r1@{yesterday}' device/r1            # in the archive itself
    git diff $(git rev-list -1 --before=yesterday origin/device/r1) origin/device/r1

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
        assert_eq!(again.text(&first).unwrap().unwrap(), "a\n");
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
