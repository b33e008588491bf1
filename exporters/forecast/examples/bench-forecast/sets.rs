//! The series that forecasts are held against.

use std::path::Path;

use anyhow::Context as _;
use sotp_forecast::history::{LEARNT_DAYS, Raw};
use sotp_forecast::{DAY, SLOT};

use crate::made;

/// A series and where forecasts of it begin.
pub(crate) struct Given {
    pub(crate) set: String,
    pub(crate) name: String,
    /// Slots of one value.
    pub(crate) wide: usize,
    pub(crate) begin: i64,
    pub(crate) values: Vec<f64>,
    pub(crate) origins: Vec<usize>,
}

impl Given {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut lines = text.lines();
        let head = lines.next().context("empty")?;
        let (step, begin) = head.split_once(' ').context("no beginning")?;
        let origins = lines.next().context("no origins")?.split_whitespace();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .context("no name")?;
        let (set, name) = stem.split_once("--").context("no set")?;
        Ok(Self {
            set: set.to_owned(),
            name: name.to_owned(),
            wide: step.parse::<usize>()? / 900,
            begin: begin.parse()?,
            origins: origins.map(str::parse).collect::<Result<_, _>>()?,
            values: lines.map(|line| line.parse().unwrap_or(f64::NAN)).collect(),
        })
    }

    /// The values of a day.
    pub(crate) fn day(&self) -> usize {
        DAY / self.wide
    }

    /// The values of the day after an origin.
    pub(crate) fn truth(&self, origin: usize) -> &[f64] {
        &self.values[origin..(origin + self.day()).min(self.values.len())]
    }

    /// What the service would have seen at an origin.
    pub(crate) fn raw(&self, origin: usize) -> Raw {
        let before = &self.values[origin.saturating_sub(LEARNT_DAYS * self.day())..origin];
        let slots = before
            .iter()
            .flat_map(|value| std::iter::repeat_n(*value, self.wide));
        Raw::new(slots, std::iter::empty())
    }

    pub(crate) fn end(&self, origin: usize) -> i64 {
        // The value at `begin` is that of the step that begins there; a slot is named by its end.
        self.begin + origin as i64 * self.wide as i64 * SLOT
    }

    /// Whether nothing came at a place, nor a day and a week before it.
    pub(crate) fn idle(&self, place: usize) -> bool {
        let before = |back: usize| place.checked_sub(back).map(|place| self.values[place]);
        [0, self.day(), 7 * self.day()].map(before) == [Some(0.0); 3]
    }
}

/// The series of a folder, and made-up links.
pub(crate) fn all(folder: &str) -> anyhow::Result<Vec<Given>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "csv"));
    paths.sort();
    let read =
        |path: &std::path::PathBuf| Given::read(path).with_context(|| path.display().to_string());
    let mut all: Vec<Given> = paths.iter().map(read).collect::<Result<_, _>>()?;
    all.extend(made::links().into_iter().map(|link| Given {
        set: "made-links".to_owned(),
        name: link.name.to_owned(),
        wide: 1,
        begin: made::BEGIN,
        origins: (0..8).map(|at| 28 * DAY + at * (DAY + 7 * 4)).collect(),
        values: link.values(38 * DAY),
    }));
    Ok(all)
}
