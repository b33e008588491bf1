//! `sotp-ssh-config record`: an anonymous transcript of a session with a device, from which the fixtures of a driver are made.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Parser as _;
use ssh::{Recording, Session};
use toolkit::chain;

use crate::collector::{host_keys, target};
use crate::config::Config;
use crate::hops::Hops;

/// Records what a device of the inventory says at the login, and answers to every command of its driver, without secrets, names and addresses.
///
/// FOLDER gets `session.txt`, the bytes of the device, and for each command a file `.raw` as `libs/ssh/testdata` has them. Read all of it before you
/// hand it on: names in the middle of other text are not known for such.
#[derive(Debug, clap::Parser)]
#[command(name = "sotp-ssh-config record", verbatim_doc_comment)]
struct Line {
    /// The configuration with the account that the device is bound to.
    #[arg(
        long = "config.file",
        value_name = "PATH",
        default_value = "ssh-config.yaml"
    )]
    config: PathBuf,
    #[command(flatten)]
    devices: devices::Flags,
    /// The device, by its name in the inventory.
    device: String,
    /// A folder that does not exist yet.
    folder: PathBuf,
}

/// Runs it with the arguments behind `record`.
pub fn record(args: impl Iterator<Item = OsString>) -> ExitCode {
    let name = OsString::from("sotp-ssh-config record");
    let line = match Line::try_parse_from(std::iter::once(name).chain(args)) {
        Ok(line) => line,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let recorded = match runtime {
        Ok(runtime) => runtime.block_on(run(&line)),
        Err(error) => Err(error.into()),
    };
    match recorded {
        Ok(files) => {
            println!(
                "{files} files in {}: read them before you hand them on",
                line.folder.display()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", chain(&*error));
            ExitCode::from(64)
        }
    }
}

async fn run(line: &Line) -> anyhow::Result<usize> {
    if line.folder.symlink_metadata().is_ok() {
        bail!(
            "{} is there already: expected a folder that does not exist yet",
            line.folder.display()
        );
    }
    let text = std::fs::read_to_string(&line.config)
        .with_context(|| format!("--config.file {}", line.config.display()))?;
    let config = Config::parse(&text, &line.config)?;
    let feed = line.devices.open().await?;
    let inventory = feed.current();
    let device = inventory
        .device(&line.device)
        .with_context(|| format!("no device of the inventory is called {}", line.device))?;
    if let Some(obstacle) = crate::collector::obstacle(&config, device) {
        bail!("{} cannot be asked: {obstacle}", line.device);
    }
    let missing = "its account or driver is missing";
    let credential = config.credential(device).context(missing)?;
    let driver = config.drivers.get(&device.platform).context(missing)?;
    let login = credential.login().map_err(anyhow::Error::msg)?;
    let keys = Arc::new(host_keys(&config));
    let hops = Hops::default();
    let target = target(&config, &inventory, device, &hops, &keys).await?;
    let mut session = Session::open_recorded(&target, &login, &driver, &keys).await?;
    let names = [
        (device.name.as_ref(), "r1"),
        (credential.user.as_str(), "bob"),
    ];
    let recording = Recording::of(&mut session, &names).await;
    session.close().await;
    write(&line.folder, &recording?, &driver)
}

/// Writes everything, or nothing.
fn write(folder: &Path, recording: &Recording, driver: &ssh::Driver) -> anyhow::Result<usize> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut name = folder.file_name().context("expected a folder")?.to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = folder.with_file_name(name);
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&beside)
        .with_context(|| beside.display().to_string())?;
    let written = || -> anyhow::Result<usize> {
        std::fs::write(beside.join("session.txt"), recording.text())?;
        let mut files = 1;
        for (command, lines) in recording.replay(driver)? {
            if driver.refusal(&lines).is_some() {
                continue;
            }
            let text = format!("$ {command}\n{}\n", lines.join("\n"));
            std::fs::write(beside.join(format!("{}.raw", slug(&command))), text)?;
            files += 1;
        }
        // A folder that came meanwhile is not taken the place of, unless it is empty.
        std::fs::rename(&beside, folder)?;
        Ok(files)
    };
    let written = written();
    if written.is_err() {
        let _ = std::fs::remove_dir_all(&beside);
    }
    written.with_context(|| folder.display().to_string())
}

/// A command as the name of a file.
fn slug(command: &str) -> String {
    let words = command.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_ascii_lowercase()
}
