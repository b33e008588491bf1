//! A bare repository with a history of its own for each text.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::commit::{Commit, import};
use crate::{Error, Objects, packed, run};

/// References from which on they are moved together.
const MANY: usize = 4;
/// The branch that commits are made on before references are moved. It ends as it began, so that it never exists.
const NOWHERE: &str = "refs/heads/import";
/// Objects that are kept in files of their own when they are written together; more of them become a pack, which is one file to wait for.
const LOOSE: &str = "fastimport.unpackLimit=12";

/// One version of a text, newest first in lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its commit, 40 hexadecimal digits.
    pub id: String,
    /// The version before.
    pub parent: Option<String>,
    /// Unix time of its author.
    pub seconds: i64,
    /// Name of its author.
    pub author: String,
    /// Its message, without trailing line ends.
    pub message: String,
}

/// A version to be written.
#[derive(Clone, Debug)]
pub struct Change {
    /// The reference that holds the history, such as `refs/heads/device/r1`.
    pub reference: String,
    /// `name <address>`, see [`crate::author`].
    pub author: String,
    /// Unix time.
    pub seconds: i64,
    /// The message.
    pub message: String,
    /// Path and text of each file.
    pub files: Vec<(String, String)>,
}

/// The repository in a folder, with one writer.
#[derive(Debug)]
pub struct Repository {
    folder: PathBuf,
    committer: String,
    objects: Objects,
}

impl Repository {
    /// The bare repository in `folder`, made when there is none. `committer` is `name <address>` of the program.
    ///
    /// # Errors
    /// The folder cannot be made, or git cannot be run or refuses it.
    pub fn open(folder: &Path, committer: &str) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(Error::Run)?;
        let repository = Self {
            folder: folder.to_owned(),
            committer: committer.to_owned(),
            objects: Objects::new(folder),
        };
        if !folder.join("HEAD").exists() {
            repository.run(&["init", "-q", "--bare", "--initial-branch=main"])?;
        }
        Ok(repository)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes versions, in one go: all of them are on disk afterwards. Answers their commits, in order.
    ///
    /// # Errors
    /// Git refused; then none of them counts as written.
    pub fn write(&self, changes: &[Change]) -> Result<Vec<String>, Error> {
        let mut tips: BTreeMap<&str, Option<String>> = BTreeMap::new();
        for change in changes {
            if !tips.contains_key(change.reference.as_str()) {
                tips.insert(&change.reference, self.tip(&change.reference)?);
            }
        }
        let plain = |reference: &&str| packed::takes(&self.folder, reference);
        if tips.len() >= MANY && tips.keys().all(plain) {
            let ids = self.import(changes, &tips, Some(NOWHERE))?;
            let mut moves = BTreeMap::new();
            for (change, id) in changes.iter().zip(&ids) {
                let reference = change.reference.as_str();
                let from = tips.get(reference).and_then(Option::as_deref);
                moves.insert(reference, packed::Move { from, to: id });
            }
            if packed::set(&self.folder, &moves).map_err(Error::Run)? {
                return Ok(ids);
            }
        }
        self.import(changes, &tips, None)
    }

    /// Makes the commits, each behind the one before it on its reference, the first behind that of `tips`. With `onto` no reference is moved.
    fn import(
        &self,
        changes: &[Change],
        tips: &BTreeMap<&str, Option<String>>,
        onto: Option<&str>,
    ) -> Result<Vec<String>, Error> {
        let mut feed = |out: &mut dyn Write| -> io::Result<()> {
            let mut last: BTreeMap<&str, usize> = BTreeMap::new();
            for (number, change) in (1..).zip(changes) {
                let reference = change.reference.as_str();
                let from = match last.insert(reference, number) {
                    Some(before) => Some(format!(":{before}")),
                    None => tips.get(reference).cloned().flatten(),
                };
                if let Some(onto) = onto {
                    writeln!(out, "reset {onto}")?;
                }
                let commit = Commit {
                    author: &change.author,
                    committer: &self.committer,
                    seconds: change.seconds,
                    message: &change.message,
                    from: from.as_deref(),
                    merge: None,
                    tree: None,
                };
                let files = change.files.iter();
                let files: Vec<(&str, &str)> = files
                    .map(|(path, text)| (path.as_str(), text.as_str()))
                    .collect();
                import(out, onto.unwrap_or(reference), number, &commit, &files)?;
            }
            if let Some(onto) = onto {
                writeln!(out, "reset {onto}")?;
            }
            for number in 1..=changes.len() {
                writeln!(out, "get-mark :{number}")?;
            }
            writeln!(out, "done")
        };
        let settings = ["-c", LOOSE];
        let args = ["fast-import", "--quiet", "--done", "--cat-blob-fd=1"];
        let said = self.fed(&[&settings[..], &args].concat(), &mut feed)?;
        Ok(said.split_whitespace().map(str::to_owned).collect())
    }

    /// The newest commit of a reference.
    ///
    /// # Errors
    /// Git cannot be run.
    pub fn tip(&self, reference: &str) -> Result<Option<String>, Error> {
        let found = self.objects.get(&format!("{reference}^{{commit}}"));
        Ok(found.map_err(Error::Run)?.map(|(id, _)| id))
    }

    /// The commit that `name` stands for.
    ///
    /// # Errors
    /// Git cannot be run.
    pub fn version(&self, name: &str) -> Result<Option<Version>, Error> {
        let found = self
            .objects
            .get(&format!("{name}^{{commit}}"))
            .map_err(Error::Run)?;
        Ok(found.and_then(|(id, bytes)| version(id, &bytes)))
    }

    /// The newest versions of a reference, as long as `more` says so of the one at hand.
    ///
    /// # Errors
    /// Git cannot be run.
    pub fn versions(
        &self,
        reference: &str,
        mut more: impl FnMut(&Version) -> bool,
    ) -> Result<Vec<Version>, Error> {
        let mut found = Vec::new();
        let mut next = self.version(reference)?;
        while let Some(version) = next {
            let parent = version.parent.clone();
            let on = more(&version);
            found.push(version);
            next = match parent.filter(|_| on) {
                Some(parent) => self.version(&parent)?,
                None => None,
            };
        }
        Ok(found)
    }

    /// The version of a reference that held at a time (Unix seconds).
    ///
    /// # Errors
    /// Git cannot be run.
    pub fn at(&self, reference: &str, seconds: i64) -> Result<Option<Version>, Error> {
        let versions = self.versions(reference, |version| version.seconds > seconds)?;
        Ok(versions
            .into_iter()
            .next_back()
            .filter(|version| version.seconds <= seconds))
    }

    /// A file of a commit or reference; `None` when it was not there.
    ///
    /// # Errors
    /// Git cannot be run.
    pub fn text(&self, commit: &str, path: &str) -> Result<Option<String>, Error> {
        let found = self
            .objects
            .get(&format!("{commit}:{path}"))
            .map_err(Error::Run)?;
        Ok(found.map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// References below a prefix, each with its newest commit.
    ///
    /// # Errors
    /// Git cannot be run.
    pub fn references(&self, prefix: &str) -> Result<Vec<(String, String)>, Error> {
        let said = self.run(&["for-each-ref", "--format=%(refname) %(objectname)", prefix])?;
        let pairs = said.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs
            .map(|(name, id)| (name.to_owned(), id.to_owned()))
            .collect())
    }

    /// Packs loose objects when there are many.
    ///
    /// # Errors
    /// Git cannot be run or refused.
    pub fn pack(&self) -> Result<(), Error> {
        self.run(&["-c", "gc.auto=2000", "gc", "--auto", "--quiet"])
            .map(|_| ())
    }

    /// What `git` says to a command.
    ///
    /// # Errors
    /// Git cannot be run or refused.
    pub fn run(&self, args: &[&str]) -> Result<String, Error> {
        self.fed(args, &mut |_| Ok(()))
    }

    fn fed(
        &self,
        args: &[&str],
        input: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<String, Error> {
        let output = run(&self.folder, args, input).map_err(Error::Run)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(Error::refused(args, &output)),
        }
    }
}

/// A commit object: headers, an empty line, the message.
fn version(id: String, bytes: &[u8]) -> Option<Version> {
    let text = String::from_utf8_lossy(bytes);
    let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
    };
    let author = header("author")?;
    let (name, rest) = author.split_once('<')?;
    let seconds = rest.split_once('>')?.1.split_whitespace().next()?;
    Some(Version {
        id,
        parent: header("parent").map(str::to_owned),
        seconds: seconds.parse().ok()?,
        author: name.trim().to_owned(),
        message: message.trim_end().to_owned(),
    })
}
