//! Blocks of Prometheus' database from text, by promtool.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::series::{World, all};
use crate::{Network, Period};

/// What one text and so one block covers, in seconds: the longest that a Prometheus which keeps 100 days makes by itself, so that it has
/// nothing to rewrite. Its blocks begin at multiples of it.
const BLOCK: i64 = 162 * 3_600;

/// Time between two looks at a promtool.
const LOOK: Duration = Duration::from_millis(10);

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be written.
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// promtool could not be run.
    #[error("promtool cannot be run")]
    Run(#[source] io::Error),
    /// promtool said no.
    #[error("promtool tsdb create-blocks-from openmetrics: {0}")]
    Refused(String),
    /// It was to stop.
    #[error("it was stopped")]
    Stopped,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Series.
    pub series: usize,
    /// Samples.
    pub samples: usize,
}

/// Writes the history of a network into Prometheus' data folder, which no Prometheus may be using. `scratch` is a folder for the texts,
/// which are gone afterwards; a few hundred megabytes at a time. It stops soon after `stop` says so.
///
/// # Errors
/// A file cannot be written, or promtool is not there or does not make the blocks.
pub fn write(
    network: &Network,
    period: Period,
    promtool: &Path,
    data: &Path,
    scratch: &Path,
    stop: impl Fn() -> bool,
) -> Result<Summary, Error> {
    let world = World::new(network, period);
    let mut series = all(network, period);
    let mut samples = 0;
    let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut running: Vec<Making> = Vec::new();
    let mut from = period.from;
    let mut text = String::new();
    while from <= period.to {
        if stop() {
            return Err(Error::Stopped);
        }
        let to = ((from.div_euclid(BLOCK) + 1) * BLOCK).min(period.to + 1);
        text.clear();
        for one in &mut series {
            one.append(&world, from, to, &mut text);
        }
        samples += text.lines().count();
        text.push_str("# EOF\n");
        let file = scratch.join(format!("history-{from}.txt"));
        std::fs::write(&file, &text).map_err(|error| Error::File(file.clone(), error))?;
        if running.len() >= at_once {
            running.remove(0).end(&stop)?;
        }
        running.push(Making::start(promtool, file, data)?);
        // The next minute after the end, whatever second a block ends at.
        from += (to - from + crate::STEP - 1) / crate::STEP * crate::STEP;
    }
    for making in running {
        making.end(&stop)?;
    }
    Ok(Summary {
        series: series.len(),
        samples,
    })
}

/// A promtool at work.
struct Making {
    child: Option<Child>,
    file: PathBuf,
}

impl Making {
    fn start(promtool: &Path, file: PathBuf, data: &Path) -> Result<Self, Error> {
        let child = Command::new(promtool)
            .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
            // Debian's promtool takes it without listing it.
            .arg(format!("--max-block-duration={}h", BLOCK / 3_600))
            .args([&file, data])
            // What it leaves when it is ended goes with the folder.
            .env("TMPDIR", file.parent().unwrap_or(data))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::Run)?;
        Ok(Self {
            child: Some(child),
            file,
        })
    }

    fn end(mut self, stop: &impl Fn() -> bool) -> Result<(), Error> {
        while let Some(child) = &mut self.child {
            if stop() {
                return Err(Error::Stopped);
            }
            if child.try_wait().map_err(Error::Run)?.is_some() {
                break;
            }
            std::thread::sleep(LOOK);
        }
        let Some(child) = self.child.take() else {
            return Ok(());
        };
        let output = child.wait_with_output().map_err(Error::Run)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::Refused(said.trim().chars().take(400).collect()))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // One that has ended by itself needs no ending.
            let _ = child.kill();
            let _ = child.wait();
        }
        // It is in a folder that goes as a whole should this fail.
        let _ = std::fs::remove_file(&self.file);
    }
}
