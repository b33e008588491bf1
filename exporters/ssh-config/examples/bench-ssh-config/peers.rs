//! netmiko and scrapli, each with a hundred threads, in a process of Python, and twenty RANCIDs at a time.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use testkit::TempDir;
use testkit::debian::Unpacked;

use super::Found;

/// Installed once; both of one year, so that a run of today and one of tomorrow compare.
const PACKAGES: [&str; 3] = [
    "netmiko==4.6.0",
    "scrapli==2025.1.30",
    "ssh2-python==1.1.2.post1",
];
const SCRIPT: &str = include_str!("peers.py");

/// A Python that has them.
pub(super) fn python(folder: &Path) -> anyhow::Result<PathBuf> {
    let python = folder.join("bin/python");
    let run = |command: &mut Command| -> anyhow::Result<()> {
        let output = command.output().context("python3")?;
        anyhow::ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    };
    if !folder.join("done").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run(Command::new(&python)
            .args(["-m", "pip", "install", "-q"])
            .args(PACKAGES))?;
        std::fs::write(folder.join("done"), "")?;
    }
    Ok(python)
}

/// One of them on so many devices of the farm.
pub(super) fn run(python: &Path, peer: &str, port: u16, devices: usize) -> anyhow::Result<Found> {
    let folder = TempDir::new()?;
    let mut command = match peer {
        "rancid" => rancid(python, folder.path(), port)?,
        _ => Command::new(python),
    };
    let output = command
        .args(["-c", SCRIPT, peer, &port.to_string(), &devices.to_string()])
        .output()
        .context("python")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> = said
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [good, seconds, cpu, memory] = numbers[..] else {
        anyhow::bail!(
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
                .lines()
                .last()
                .unwrap_or_default()
        );
    };
    anyhow::ensure!(
        good as usize == devices,
        "{good} of {devices} devices answered it: {said}"
    );
    Ok(Found {
        rate: good / seconds,
        cpu: cpu * 1000.0 / good,
        memory,
        peak: memory,
        first: good / seconds,
    })
}

/// A Python for which Debian's package of RANCID is installed, in a mount namespace of its own, which takes root.
fn rancid(python: &Path, folder: &Path, port: u16) -> anyhow::Result<Command> {
    use std::os::unix::fs::PermissionsExt as _;
    let package = Unpacked::new("rancid")?;
    let write = |name: &str, text: String| -> anyhow::Result<()> {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(())
    };
    let at = folder.display();
    write(
        "ssh_config",
        "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
            .to_owned(),
    )?;
    write(
        ".cloginrc",
        format!(
            "add user * sotp\nadd password * bench bench\nadd autoenable * 1\nadd method * ssh:{port}\nadd sshcmd * {{ssh\\ -F\\ {at}/ssh_config}}\n"
        ),
    )?;
    let over = |place: &str| {
        format!(
            "mount -t overlay overlay -o lowerdir={}:/{place} /{place}",
            package.path(place).display()
        )
    };
    let script = format!(
        "{} && {} && cd {at} && exec \"$@\"",
        over("etc"),
        over("usr")
    );
    let python = std::path::absolute(python)?;
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            &script,
            "sh",
        ])
        .arg(python)
        .env("HOME", folder)
        .env("PERL5LIB", "/usr/share/perl5/rancid");
    Ok(command)
}
