//! What a user meets of a service, as files that its tests hold it to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::wait::eventually;

/// The variable that makes the files new instead of comparing: `SOTP_UPDATE=1`.
const UPDATE: &str = "SOTP_UPDATE";

/// The golden files of a package, `tests/golden/`, and the program that they are of.
#[derive(Debug)]
pub struct Golden {
    folder: PathBuf,
    binary: PathBuf,
}

impl Golden {
    /// Of the program `binary` (`env!("CARGO_BIN_EXE_…")`) of the package in `package` (`env!("CARGO_MANIFEST_DIR")`).
    pub fn new(binary: impl AsRef<Path>, package: impl AsRef<Path>) -> Self {
        Self {
            folder: package.as_ref().join("tests/golden"),
            binary: binary.as_ref().to_owned(),
        }
    }

    /// Holds `--help` to `help.txt` and `--config.print-default` to `config.txt`.
    ///
    /// # Panics
    /// They differ, or the program fails.
    pub fn command_line(&self) {
        self.holds("help.txt", &self.said("--help"));
        self.holds("config.txt", &self.said("--config.print-default"));
    }

    /// Holds the series of a page to `file`, such as `metrics.txt`: names, kinds, help and label names, no values.
    ///
    /// # Panics
    /// They differ.
    pub fn series(&self, file: &str, page: &str) {
        self.holds(file, &series(page));
    }

    /// The same with the first page that has every sample of `needed`, each named by how its line begins; the page is asked for at least twice,
    /// since the series of the server come with its first answer.
    ///
    /// # Errors
    /// A sample does not come within half a minute.
    ///
    /// # Panics
    /// The series differ.
    pub async fn metrics<F>(
        &self,
        file: &str,
        needed: &[&str],
        mut ask: impl FnMut() -> F,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<String>>,
    {
        ask().await?;
        let page = eventually(Duration::from_secs(30), || {
            let page = ask();
            async {
                let page = page.await?;
                let missing = needed
                    .iter()
                    .find(|start| !page.lines().any(|line| line.starts_with(**start)));
                match missing {
                    Some(start) => Err(anyhow::anyhow!("no {start} in\n{page}")),
                    None => Ok(page),
                }
            }
        });
        self.series(file, &page.await?);
        Ok(())
    }

    /// Holds a text to `file`.
    ///
    /// # Panics
    /// They differ; the message has the lines that do.
    pub fn holds(&self, file: &str, text: &str) {
        hold(&self.folder.join(file), text);
    }

    fn said(&self, flag: &str) -> String {
        let output = Command::new(&self.binary)
            .arg(flag)
            // The width of the help is that of a terminal of a hundred columns.
            .env_remove("COLUMNS")
            .output();
        let output =
            output.unwrap_or_else(|error| unreachable!("{}: {error}", self.binary.display()));
        assert!(
            output.status.success(),
            "{flag}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned() + "\n"
    }
}

/// Holds a text to the file at `path`; with `SOTP_UPDATE=1` the file is written anew.
///
/// # Panics
/// They differ; the message has the lines that do.
#[expect(clippy::panic, reason = "a test that does not hold ends here")]
pub fn hold(path: &Path, text: &str) {
    if std::env::var_os(UPDATE).is_some() {
        let folder = path.parent().unwrap_or(Path::new("."));
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text));
        assert!(written.is_ok(), "{}: {written:?}", path.display());
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    if golden != text {
        panic!(
            "{} differs from the code; {UPDATE}=1 makes it new\n{}",
            path.display(),
            difference(&golden, text)
        );
    }
}

/// The families of a page of series, sorted by name: `# HELP`, `# TYPE`, and the family once for each set of label names that it has.
fn series(page: &str) -> String {
    #[derive(Default)]
    struct Family<'a> {
        head: Vec<&'a str>,
        kind: &'a str,
        labels: BTreeSet<Vec<String>>,
    }
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    for line in page.lines() {
        let words = line
            .strip_prefix("# HELP ")
            .or_else(|| line.strip_prefix("# TYPE "));
        if let Some((name, rest)) = words.and_then(|words| words.split_once(' ')) {
            let family = families.entry(name).or_default();
            // Two pages may say it twice.
            if !family.head.contains(&line) {
                family.head.push(line);
            }
            if line.starts_with("# TYPE ") {
                family.kind = rest;
            }
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let parts: &[&str] = match name.rsplit_once('_') {
            Some((base, "bucket" | "sum" | "count"))
                if families
                    .get(base)
                    .is_some_and(|one| matches!(one.kind, "histogram" | "summary")) =>
            {
                &[base]
            }
            _ => &[],
        };
        let family = families.entry(parts.first().unwrap_or(&name)).or_default();
        family.labels.insert(label_names(line));
    }
    let mut text = String::new();
    for (name, family) in families {
        for line in family.head {
            let _ = writeln!(text, "{line}");
        }
        for labels in family.labels {
            let _ = writeln!(text, "{name}{{{}}}", labels.join(","));
        }
    }
    text
}

/// The label names of a sample but those of its bucket, sorted.
fn label_names(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut name, mut quoted, mut escaped) = (String::new(), false, false);
    let inside = line.split_once('{').map_or("", |(_, rest)| rest);
    for c in inside.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '}' => break,
            '=' => names.push(std::mem::take(&mut name)),
            ',' | ' ' => name.clear(),
            c => name.push(c),
        }
    }
    names.retain(|name| name != "le" && name != "quantile");
    names.sort();
    names
}

/// The lines that only one of two texts has.
fn difference(old: &str, new: &str) -> String {
    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) =
        (old.lines().collect(), new.lines().collect());
    let gone = old
        .lines()
        .filter(|line| !after.contains(line))
        .map(|line| format!("- {line}\n"));
    let come = new
        .lines()
        .filter(|line| !before.contains(line))
        .map(|line| format!("+ {line}\n"));
    let lines: String = gone.chain(come).collect();
    if lines.is_empty() {
        "the same lines in another order".to_owned()
    } else {
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP b_seconds Time.\n# TYPE b_seconds histogram\nb_seconds_bucket{path=\"/a{}\\\",x=\\\"\",le=\"1\"} 1\n\
                        b_seconds_sum{path=\"/\"} 2\nb_seconds_count{path=\"/\"} 3\n\
                        # HELP a_total A.\n# TYPE a_total counter\na_total 1\na_total{y=\"1\",x=\"2\"} 2\na_total{x=\"3\",y=\"2\"} 9\n";

    #[test]
    fn a_family_stands_once_for_each_set_of_labels() {
        assert_eq!(
            series(PAGE),
            "# HELP a_total A.\n# TYPE a_total counter\na_total{}\na_total{x,y}\n\
             # HELP b_seconds Time.\n# TYPE b_seconds histogram\nb_seconds{path}\n"
        );
        assert_eq!(
            series(&PAGE.replace(" 9\n", " 10\n")),
            series(PAGE),
            "values do not matter"
        );
    }

    #[test]
    fn lines_that_differ_are_said() {
        assert_eq!(difference("a\nb\n", "b\nc\n"), "- a\n+ c\n");
        assert_eq!(
            difference("a\nb\n", "b\na\n"),
            "the same lines in another order"
        );
    }
}
