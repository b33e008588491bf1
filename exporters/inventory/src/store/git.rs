//! The repository: commits of one file, and what the history says of it.
//!
//! It is written through `git fast-import`, one process for any number of commits, to a reference of our own
//! (`refs/sotp/BRANCH`), which nobody else moves: every version stays reachable there whatever is done to the branch.
//! The branch follows it, and only from where we know it to be. Reading is `git log`, `git cat-file`. The program is
//! used and not a library because its crash safety and formats are the reference, it costs nothing to build, and
//! nothing waits for it: changes are on disk in the journal before.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use super::disk::Disk;

pub(crate) use ::git::{Logged, author};

/// Why git did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// It could not be run.
    #[error("git cannot be run")]
    Run(#[source] io::Error),
    /// It said no.
    #[error("git {command}: {said}")]
    Refused { command: String, said: String },
    /// Both sides changed files that are not ours to merge.
    #[error("both sides changed {}; expected them to be merged with git", .0.join(", "))]
    Files(Vec<String>),
}

/// One commit to be made.
pub(crate) struct Commit<'a> {
    pub(crate) author: &'a str,
    /// Unix time.
    pub(crate) seconds: i64,
    pub(crate) message: &'a str,
    pub(crate) text: Box<dyn Fn() -> String + 'a>,
    /// A second parent, for a merge, which must be the first commit of a batch.
    pub(crate) merge: Option<&'a str>,
}

pub(crate) struct Git {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    file: String,
    branch: String,
}

/// Who commits what others wrote.
const COMMITTER: &str = "sotp-inventory <sotp-inventory@localhost>";

impl Git {
    /// The repository in `folder`, which is made when there is none.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        file: &str,
        branch: &str,
    ) -> Result<Self, GitError> {
        let git = Self {
            disk,
            folder: folder.to_owned(),
            file: file.to_owned(),
            branch: branch.to_owned(),
        };
        if !folder.join(".git").exists() {
            git.run(&["init", "-q", "--initial-branch", branch])?;
        }
        Ok(git)
    }

    /// The folder of our own in the repository.
    pub(crate) fn private(&self) -> Result<PathBuf, GitError> {
        let said = self.run(&["rev-parse", "--absolute-git-dir"])?;
        Ok(PathBuf::from(said.trim()).join("sotp"))
    }

    fn branch_reference(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    fn own_reference(&self) -> String {
        format!("refs/sotp/{}", self.branch)
    }

    /// Our last commit; where we have made none, that of the branch.
    pub(crate) fn head(&self) -> Result<Option<String>, GitError> {
        match self.resolve(&self.own_reference())? {
            Some(own) => Ok(Some(own)),
            None => self.branch_head(),
        }
    }

    /// The last commit of the branch.
    pub(crate) fn branch_head(&self) -> Result<Option<String>, GitError> {
        self.resolve(&self.branch_reference())
    }

    /// Moves the branch to `commit`; it must stand at `from`.
    pub(crate) fn publish(&self, commit: &str, from: Option<&str>) -> Result<(), GitError> {
        let reference = self.branch_reference();
        self.run(&["update-ref", &reference, commit, from.unwrap_or_default()])
            .map(|_| ())
    }

    /// Makes a commit of others the last of ours, which it must follow.
    pub(crate) fn forward(&self, commit: &str) -> Result<(), GitError> {
        self.run(&["update-ref", &self.own_reference(), commit])
            .map(|_| ())
    }

    /// The files by which it shows whether somebody moved the branch.
    pub(crate) fn watched(&self) -> Result<[PathBuf; 3], GitError> {
        let said = self.run(&["rev-parse", "--git-common-dir"])?;
        let common = self.folder.join(said.trim());
        Ok([
            common.join(self.branch_reference()),
            common.join("packed-refs"),
            common.join("reftable/tables.list"),
        ])
    }

    /// The commit that `name` stands for.
    pub(crate) fn resolve(&self, name: &str) -> Result<Option<String>, GitError> {
        let name = format!("{name}^{{commit}}");
        match self.run(&["rev-parse", "--verify", "-q", "--end-of-options", &name]) {
            Ok(id) => Ok(Some(id.trim().to_owned())),
            Err(GitError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file as it was in a commit; `None` when it was not there.
    pub(crate) fn file_at(&self, commit: &str) -> Result<Option<String>, GitError> {
        let object = format!("{commit}:{}", self.file);
        match self.run(&["cat-file", "blob", &object]) {
            Ok(text) => Ok(Some(text)),
            Err(GitError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes commits, one on the other, the first on `from`, where ours must end; answers the last one.
    pub(crate) fn commit(
        &self,
        from: Option<&str>,
        commits: &[Commit<'_>],
    ) -> Result<String, GitError> {
        let tree = match (from, commits.first().and_then(|first| first.merge)) {
            (Some(ours), Some(theirs)) => self.merge_files(ours, theirs)?,
            _ => None,
        };
        let mut feed = |out: &mut dyn Write| -> io::Result<()> {
            for (index, commit) in commits.iter().enumerate() {
                let own = ::git::Commit {
                    author: commit.author,
                    committer: COMMITTER,
                    seconds: commit.seconds,
                    message: commit.message,
                    from: from.filter(|_| index == 0),
                    merge: commit.merge,
                    tree: tree.as_deref().filter(|_| index == 0),
                };
                let text = (commit.text)();
                let files = [(self.file.as_str(), text.as_str())];
                ::git::import(out, &self.own_reference(), index + 1, &own, &files)?;
            }
            write!(out, "get-mark :{}\ndone\n", commits.len())
        };
        // A pack of its own is written once; loose objects would be packed, unpacked and deflated again.
        let args = [
            "-c",
            "fastimport.unpackLimit=1",
            "fast-import",
            "--quiet",
            "--done",
            "--cat-blob-fd=1",
        ];
        Ok(self.fed(&args, &mut feed)?.trim().to_owned())
    }

    /// Brings the index in line with the last commit, for people who use git in the folder.
    pub(crate) fn tidy(&self) -> Result<(), GitError> {
        self.run(&["symbolic-ref", "-q", "HEAD"])
            .ok()
            .filter(|head| head.trim() == self.branch_reference())
            .map_or(Ok(()), |_| {
                self.run(&["reset", "-q", "--no-refresh", "--", &self.file])
                    .map(|_| ())
            })
    }

    /// Packs loose objects.
    pub(crate) fn pack(&self) -> Result<(), GitError> {
        self.run(&["-c", "gc.auto=2000", "gc", "--auto", "--quiet"])
            .map(|_| ())
    }

    /// The newest `most` commits that lead to `from` and change the file, newest first.
    pub(crate) fn log(&self, from: &str, most: usize) -> Result<Vec<Logged>, GitError> {
        let most = format!("--max-count={most}");
        let said = self.run(&[
            "log",
            "-z",
            // Each side of a merge is told of, also where only one of them was kept.
            "--full-history",
            "--topo-order",
            Logged::FORMAT,
            &most,
            "--end-of-options",
            from,
            "--",
            &self.file,
        ])?;
        Ok(::git::logged(&said))
    }

    /// Whether the history of the branch holds `id`.
    pub(crate) fn holds(&self, id: &str, head: &str) -> bool {
        self.run(&["merge-base", "--is-ancestor", id, head]).is_ok()
    }

    /// The best common ancestor.
    pub(crate) fn base(&self, a: &str, b: &str) -> Result<Option<String>, GitError> {
        match self.run(&["merge-base", a, b]) {
            Ok(id) => Ok(Some(id.trim().to_owned())),
            Err(GitError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The other files of two commits merged, as a tree; `None` where they have nothing in common to merge by.
    pub(crate) fn merge_files(&self, ours: &str, theirs: &str) -> Result<Option<String>, GitError> {
        let args = [
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--no-messages",
            "--allow-unrelated-histories",
            ours,
            theirs,
        ];
        let output = self.output(&args, &mut |_| Ok(()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let mut parts = said.split('\0').filter(|part| !part.is_empty());
        let tree = parts.next().map(str::to_owned);
        match output.status.code() {
            Some(0) => Ok(tree),
            // What is ours is merged entry by entry.
            Some(1) => {
                let mut files: Vec<String> = parts
                    .filter(|name| *name != self.file)
                    .map(str::to_owned)
                    .collect();
                files.dedup();
                files.truncate(20);
                if files.is_empty() {
                    Ok(tree)
                } else {
                    Err(GitError::Files(files))
                }
            }
            _ => Err(refused(&args, &output)),
        }
    }

    /// Fetches a branch of `url`; answers its commit, `None` when the other side has no such branch yet.
    pub(crate) fn fetch(&self, url: &str, branch: &str) -> Result<Option<String>, GitError> {
        let name = format!("refs/heads/{branch}");
        let listed = self.run(&["ls-remote", "--heads", "--end-of-options", url, &name])?;
        if listed.trim().is_empty() {
            return Ok(None);
        }
        let own = format!("refs/remotes/sotp/{branch}");
        let spec = format!("+{name}:{own}");
        self.run(&["fetch", "-q", "--no-tags", "--end-of-options", url, &spec])?;
        self.resolve(&own)
    }

    /// Pushes `commit` to a branch of `url`, forward only.
    pub(crate) fn push(&self, url: &str, branch: &str, commit: &str) -> Result<(), GitError> {
        let spec = format!("{commit}:refs/heads/{branch}");
        self.run(&["push", "-q", "--end-of-options", url, &spec])
            .map(|_| ())
    }

    /// Three texts merged line by line; `None` where both sides changed the same lines.
    pub(crate) fn merge_text(
        &self,
        folder: &Path,
        [ours, base, theirs]: [&str; 3],
    ) -> Result<Option<String>, GitError> {
        let paths = ["ours", "base", "theirs"].map(|name| folder.join(format!("merge-{name}")));
        for (path, text) in paths.iter().zip([ours, base, theirs]) {
            self.disk
                .write(path, text.as_bytes())
                .map_err(GitError::Run)?;
        }
        let shown = paths.each_ref().map(|path| path.display().to_string());
        match self.run(&["merge-file", "-p", &shown[0], &shown[1], &shown[2]]) {
            Ok(text) => Ok(Some(text)),
            Err(GitError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn run(&self, args: &[&str]) -> Result<String, GitError> {
        self.fed(args, &mut |_| Ok(()))
    }

    fn fed(
        &self,
        args: &[&str],
        input: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<String, GitError> {
        let output = self.output(args, input)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(refused(args, &output))
    }

    fn output(
        &self,
        args: &[&str],
        input: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Output, GitError> {
        self.disk
            .git(&self.folder, args, input)
            .map_err(GitError::Run)
    }
}

fn refused(args: &[&str], output: &Output) -> GitError {
    match ::git::Error::refused(args, output) {
        ::git::Error::Refused { command, said } => GitError::Refused { command, said },
        ::git::Error::Run(error) => GitError::Run(error),
    }
}
