//! Facts about the build that `--version` and `sotp_build_info` tell.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SOTP_REVISION");
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    let rustc = output(&var("RUSTC"), &["--version"])
        .and_then(|line| line.split_whitespace().nth(1).map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=TOOLKIT_RUSTC={rustc}");
    println!("cargo::rustc-env=TOOLKIT_TARGET={}", var("TARGET"));
    println!(
        "cargo::rustc-env=TOOLKIT_REVISION={}",
        revision(&var("SOTP_REVISION"), &var("PROFILE"))
    );
}

/// A development build says so: naming a commit would rebuild everything at every commit, and be wrong for a dirty tree.
fn revision(given: &str, profile: &str) -> String {
    if !given.is_empty() {
        return given.to_owned();
    }
    if profile != "release" {
        return "development".to_owned();
    }
    if let Some(path) = output("git", &["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={path}");
    }
    output("git", &["describe", "--always", "--dirty", "--exclude=*"])
        .unwrap_or_else(|| "unknown".to_owned())
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let done = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(done.stdout).ok()?.trim().to_owned();
    (done.status.success() && !text.is_empty()).then_some(text)
}
