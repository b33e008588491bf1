//! What cargo built, and the tests in it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

/// A test binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Its package.
    pub package: String,
    /// The target it was built from, as in `it`.
    pub target: String,
    /// The file.
    pub executable: PathBuf,
    /// The folder of the package, in which its tests run.
    pub folder: PathBuf,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Where it is.
    pub binary: Binary,
    /// Its name in there.
    pub name: String,
    /// Whether it says of itself that it is not run.
    pub ignored: bool,
}

impl Test {
    /// How people name it: package and test.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{} {}", self.binary.package, self.name)
    }
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
    #[serde(default)]
    package_id: String,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// The test binaries among the messages of cargo, one JSON object a line.
///
/// # Errors
/// A line is none, or none is a test binary.
pub fn built(messages: &str) -> anyhow::Result<Vec<Binary>> {
    let mut found = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Message = serde_json::from_str(line).context("a message of cargo")?;
        let (Some(target), Some(profile), Some(executable)) =
            (message.target, message.profile, message.executable)
        else {
            continue;
        };
        if message.reason != "compiler-artifact" || !profile.test {
            continue;
        }
        found.push(Binary {
            package: package(&message.package_id).to_owned(),
            target: target.name,
            executable,
            folder: message
                .manifest_path
                .parent()
                .unwrap_or(&message.manifest_path)
                .to_owned(),
        });
    }
    ensure!(!found.is_empty(), "cargo built no test");
    found.sort_by(|a, b| (&a.package, &a.target).cmp(&(&b.package, &b.target)));
    Ok(found)
}

/// The name in a package id, `path+file:///folder/NAME#VERSION` or `…#NAME@VERSION`.
fn package(id: &str) -> &str {
    let (path, rest) = id.rsplit_once('#').unwrap_or(("", id));
    match rest.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next().unwrap_or(path),
    }
}

/// The tests of a binary.
///
/// # Errors
/// It does not list them.
pub fn tests(binary: &Binary) -> anyhow::Result<Vec<Test>> {
    let ask = |more: &[&str]| {
        let output = Command::new(&binary.executable)
            .args(["--list", "--format", "terse"])
            .args(more)
            .current_dir(&binary.folder)
            .stdin(Stdio::null())
            .output()
            .with_context(|| binary.executable.display().to_string())?;
        ensure!(
            output.status.success(),
            "{} does not list its tests",
            binary.executable.display()
        );
        let text = String::from_utf8(output.stdout)?;
        let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
        anyhow::Ok(names.map(str::to_owned).collect::<Vec<_>>())
    };
    let ignored = ask(&["--ignored"])?;
    let all = ask(&[])?.into_iter().map(|name| Test {
        binary: binary.clone(),
        ignored: ignored.contains(&name),
        name,
    });
    Ok(all.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_binaries_are_found_among_what_cargo_says() {
        let artifact = |test: bool, id: &str| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"package_id\":\"{id}\",\"manifest_path\":\"/w/a/Cargo.toml\",\
                 \"target\":{{\"name\":\"it\"}},\"profile\":{{\"test\":{test}}},\"executable\":\"/w/t/it-1\"}}\n"
            )
        };
        let text = artifact(true, "path+file:///w/a#sotp-a@0.1.0")
            + &artifact(false, "path+file:///w/b#0.1.0")
            + &artifact(true, "path+file:///w/b#0.1.0")
            + "{\"reason\":\"build-finished\",\"success\":true}\n";
        let found = built(&text).unwrap();
        let packages: Vec<_> = found.iter().map(|one| one.package.as_str()).collect();
        assert_eq!(packages, ["b", "sotp-a"]);
        assert_eq!(found[0].folder, PathBuf::from("/w/a"));
        assert!(built("").is_err());
    }

    /// This very binary.
    #[test]
    fn a_binary_lists_its_tests() {
        let binary = Binary {
            package: "checks".into(),
            target: "lib".into(),
            executable: std::env::current_exe().unwrap(),
            folder: "/".into(),
        };
        let found = tests(&binary).unwrap();
        let this = found
            .iter()
            .find(|test| test.name.ends_with("a_binary_lists_its_tests"));
        assert!(!this.unwrap().ignored);
    }
}
