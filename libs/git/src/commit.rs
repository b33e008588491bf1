//! Commits: how they are written to `git fast-import` and read from `git log`.

use std::io::{self, Write};

/// One commit to be made.
pub struct Commit<'a> {
    /// `name <address>`, see [`author`].
    pub author: &'a str,
    /// `name <address>` of the program that writes it.
    pub committer: &'a str,
    /// Unix time.
    pub seconds: i64,
    /// The message.
    pub message: &'a str,
    /// The commit that it follows; `None` for the first of a reference, or the one that was written before it there.
    pub from: Option<&'a str>,
    /// A second parent.
    pub merge: Option<&'a str>,
    /// A tree that takes the place of the parent's, before `files`.
    pub tree: Option<&'a str>,
}

/// Writes a commit of `files` (path and text) on `reference` in the form of `git fast-import`, with the mark `mark`.
///
/// # Errors
/// Those of `out`.
pub fn import(
    out: &mut dyn Write,
    reference: &str,
    mark: usize,
    commit: &Commit<'_>,
    files: &[(&str, &str)],
) -> io::Result<()> {
    let Commit {
        author,
        committer,
        seconds,
        message,
        ..
    } = commit;
    write!(
        out,
        "commit {reference}\nmark :{mark}\nauthor {author} {seconds} +0000\ncommitter {committer} {seconds} +0000\ndata {}\n{message}\n",
        message.len(),
    )?;
    if let Some(from) = commit.from {
        writeln!(out, "from {from}")?;
    }
    if let Some(merge) = commit.merge {
        writeln!(out, "merge {merge}")?;
    }
    if let Some(tree) = commit.tree {
        writeln!(out, "M 040000 {tree} \"\"")?;
    }
    for (path, text) in files {
        write!(out, "M 100644 inline {path}\ndata {}\n", text.len())?;
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// `name <address>` as an author may stand in a commit.
#[must_use]
pub fn author(name: &str, address: &str) -> String {
    let clean = |text: &str| -> String {
        text.chars()
            .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
            .take(256)
            .collect()
    };
    let name = clean(name);
    let name = if name.trim().is_empty() {
        "unknown"
    } else {
        name.trim()
    };
    format!("{name} <{}>", clean(address).trim())
}

/// One commit as the history tells it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its name, 40 hexadecimal digits.
    pub id: String,
    /// Those that it follows.
    pub parents: Vec<String>,
    /// Unix time of its author.
    pub seconds: i64,
    /// Name of its author.
    pub author: String,
    /// Its message, without trailing line ends.
    pub message: String,
}

impl Logged {
    /// What `git log` has to be told so that [`logged`] understands it; `-z` comes with it.
    pub const FORMAT: &'static str = "--format=%H%n%P%n%at%n%an%n%B";
}

/// What `git log -z` in [`Logged::FORMAT`] says.
#[must_use]
pub fn logged(said: &str) -> Vec<Logged> {
    let entries = said.split('\0').filter(|entry| !entry.trim().is_empty());
    entries.filter_map(entry).collect()
}

fn entry(entry: &str) -> Option<Logged> {
    let mut lines = entry.splitn(5, '\n');
    Some(Logged {
        id: lines.next()?.to_owned(),
        parents: lines.next()?.split(' ').map(str::to_owned).collect(),
        seconds: lines.next()?.parse().ok()?,
        author: lines.next()?.to_owned(),
        message: lines.next().unwrap_or_default().trim_end().to_owned(),
    })
}
