//! Many versions: how fast they are written, listed and read, beside one branch for all of them and `git log`.

use std::process::Command;
use std::time::Instant;

use git::{Change, Repository};
use testkit::TempDir;
use testkit::{Figures, Goal};

/// Devices that the versions are of.
const DEVICES: usize = 1000;
/// Versions that are written in one go.
const BATCH: usize = 1000;
const OWN: &str = "bench <bench@localhost>";

fn change(reference: String, number: usize, name: &str) -> Change {
    let text = format!("hostname r\n! {number}\nend\n");
    Change {
        reference,
        author: git::author("alice", ""),
        seconds: 1_700_000_000 + i64::try_from(number).unwrap(),
        message: format!("changed\n\nDevice: {name}"),
        files: vec![(name.to_owned(), text)],
    }
}

pub(super) fn measure(versions: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let own = Repository::open(&dir.path().join("own.git"), OWN)?;
    let one = Repository::open(&dir.path().join("one.git"), OWN)?;
    let device = |number: usize| format!("d{}", number % DEVICES);
    let began = Instant::now();
    for first in (0..versions).step_by(BATCH) {
        let changes: Vec<Change> = (first..versions.min(first + BATCH))
            .map(|number| {
                let name = device(number);
                change(format!("refs/heads/device/{name}"), number, "configuration")
            })
            .collect();
        own.write(&changes)?;
    }
    let written = began.elapsed().as_secs_f64();
    figures.add(
        "versions written per second, a thousand at a time",
        versions as f64 / written,
        None,
        None,
    );
    for first in (0..versions).step_by(BATCH) {
        let changes: Vec<Change> = (first..versions.min(first + BATCH))
            .map(|number| change("refs/heads/main".to_owned(), number, &device(number)))
            .collect();
        one.write(&changes)?;
    }
    let began = Instant::now();
    let count = 20;
    for number in 0..count {
        own.write(&[change(
            "refs/heads/device/d0".to_owned(),
            versions + number,
            "configuration",
        )])?;
    }
    let each = began.elapsed().as_secs_f64() * 1000.0 / count as f64;
    figures.add("one version written, ms", each, None, None);
    let began = Instant::now();
    let found = own.versions("refs/heads/device/d7", |_| true)?;
    let listed = began.elapsed().as_secs_f64() * 1000.0;
    let began = Instant::now();
    let said = Command::new("git")
        .current_dir(one.folder())
        .args(["log", "--format=%H", "main", "--", "d7"])
        .output()?;
    let theirs = began.elapsed().as_secs_f64() * 1000.0;
    let lines = String::from_utf8_lossy(&said.stdout).lines().count();
    anyhow::ensure!(
        lines == found.len(),
        "{lines} versions on one branch, {} on its own",
        found.len()
    );
    figures.add(
        "versions of one device listed, ms",
        listed,
        Some(("git log, one branch", theirs)),
        Some(Goal::Times(10.0)),
    );
    let began = Instant::now();
    let (newest, oldest) = (&found[0].id, &found[found.len() - 1].id);
    let (new, old) = (
        own.text(newest, "configuration")?,
        own.text(oldest, "configuration")?,
    );
    anyhow::ensure!(
        new.is_some() && old.is_some() && (new != old || found.len() == 1),
        "the texts are not there"
    );
    figures.add(
        "two versions read, ms",
        began.elapsed().as_secs_f64() * 1000.0,
        None,
        Some(Goal::AtMost(10.0)),
    );
    Ok(())
}
