//! Objects held to the schemas of their kinds: those that are built in by the strict schemas of several versions of Kubernetes, custom
//! resources by the types of their projects.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::tools;

/// The versions of Kubernetes that are supported upstream, by their last minor release.
pub const VERSIONS: [&str; 3] = ["1.35", "1.36", "1.37"];

/// Whether the kind of an object comes with somebody's definition of it.
#[must_use]
pub fn is_custom(object: &Value) -> bool {
    let group = object["apiVersion"]
        .as_str()
        .and_then(|version| version.split_once('/'))
        .map_or("", |(group, _)| group);
    group.contains('.') && !group.ends_with(".k8s.io")
}

/// What the strict schemas of each of [`VERSIONS`] say against objects of built-in kinds. `scratch` takes a file.
///
/// # Errors
/// The schemas cannot be had, or did not see every object.
pub fn built_in(root: &Path, objects: &[&Value], scratch: &Path) -> anyhow::Result<Vec<String>> {
    let python = tools::python(root)?.join("python");
    let file = written(objects, scratch, "built-in.json")?;
    let script = scratch.join("strict.py");
    std::fs::write(&script, include_str!("strict.py"))?;
    let (script, file) = (script.display().to_string(), file.display().to_string());
    let arguments: Vec<&str> = [&*script, &*file].into_iter().chain(VERSIONS).collect();
    let text = tools::run(python, &arguments)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = lines.pop().context("strict.py said nothing")?;
    let held: usize = last
        .strip_prefix("held ")
        .context("strict.py has another end")?
        .parse()?;
    ensure!(
        held + lines.len() == objects.len() * VERSIONS.len(),
        "{held} of {} objects were held to the schemas",
        objects.len()
    );
    Ok(lines)
}

/// What the types of their projects say against custom resources: bad values, and fields that they do not have. `scratch` takes nothing
/// that lasts.
///
/// # Errors
/// The types cannot be had.
pub fn custom(root: &Path, objects: &[&Value], scratch: &Path) -> anyhow::Result<Vec<String>> {
    let folder = tools::crds(root)?;
    // One at a time: the compiler's file lies beside the packages, where it finds them.
    let lock = std::fs::File::create(folder.join("objects.lock"))?;
    lock.lock().context("objects.lock")?;
    let file = written(objects, scratch, "custom.json")?;
    let said = |program: &Path, argument: &str, good: &[i32]| {
        let output = Command::new(program)
            .args(if program.ends_with("node") {
                vec!["check.js", argument]
            } else {
                vec!["-p", argument]
            })
            .current_dir(&folder)
            .output()
            .with_context(|| program.display().to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output
                .status
                .code()
                .is_some_and(|code| good.contains(&code)),
            "{}: {text}{}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(text)
    };
    let mut lines = said(Path::new("node"), &file.display().to_string(), &[0])?;
    // The compiler ends with 2 when it has found something.
    lines += &said(&folder.join("node_modules/.bin/tsc"), ".", &[0, 2])?;
    Ok(lines.lines().map(str::to_owned).collect())
}

fn written(objects: &[&Value], scratch: &Path, name: &str) -> anyhow::Result<std::path::PathBuf> {
    std::fs::create_dir_all(scratch)?;
    let file = scratch.canonicalize()?.join(name);
    std::fs::write(&file, serde_json::to_string(objects)?)?;
    Ok(file)
}
