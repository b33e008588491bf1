//! What a benchmark found, as a table for people and as JSON for machines.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

/// What a figure has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Ours is at most this.
    AtMost(f64),
    /// Ours is at least this.
    AtLeast(f64),
    /// Ours is at most this far from nothing, above or below.
    Within(f64),
    /// Ours is this, however busy the machine is.
    Exactly(f64),
    /// The peer's is at least this many times ours.
    Times(f64),
}

/// The figures of one benchmark, in the order in which they were found. Where there is a peer, less is better.
#[derive(Debug, Default)]
pub struct Figures {
    rows: Vec<Value>,
    wrong: Vec<String>,
}

impl Figures {
    /// Adds a figure; `peer` has the peer's name and what it needed in the same run.
    pub fn add(&mut self, figure: &str, ours: f64, peer: Option<(&str, f64)>, goal: Option<Goal>) {
        let ratio = peer.map(|(_, theirs)| theirs / ours);
        let met = goal.and_then(|goal| match goal {
            Goal::AtMost(most) => Some(ours <= most),
            Goal::AtLeast(least) => Some(ours >= least),
            Goal::Within(most) => Some(ours.abs() <= most),
            Goal::Exactly(number) => Some(ours == number),
            Goal::Times(least) => ratio.map(|ratio| ratio >= least),
        });
        match (goal, ratio, peer) {
            (Some(Goal::Exactly(number)), ..) if ours != number => {
                self.wrong
                    .push(format!("{figure}: {ours} and not {number}"));
            }
            (Some(Goal::Times(least)), Some(ratio), Some((name, _))) if ratio < least / 2.0 => {
                self.wrong.push(format!(
                    "{figure}: {name} needs {ratio:.2} times what we do, expected {least}"
                ));
            }
            _ => {}
        }
        let goal = goal.map(
            |(Goal::AtMost(number)
             | Goal::AtLeast(number)
             | Goal::Within(number)
             | Goal::Exactly(number)
             | Goal::Times(number))| number,
        );
        self.rows.push(json!({
            "figure": figure, "ours": ours, "peer": peer.map(|p| p.1), "peer_name": peer.map(|p| p.0),
            "ratio": ratio, "goal": goal, "met": met,
        }));
    }

    /// Fails when something is wrong that does not depend on how fast or busy the machine is: what had to be exact is not, or a peer needs
    /// less than half as many times ours as expected.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn judge(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.wrong.is_empty(), "{}", self.wrong.join("; "));
        Ok(())
    }

    /// Prints the table and writes the list of `{figure, ours, peer, peer_name, ratio, goal, met}`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&self, path: &Path) -> anyhow::Result<()> {
        println!(
            "{:<60} {:>12} {:>12} {:<16} {:>8} {:>8} met",
            "figure", "ours", "peer", "", "ratio", "goal"
        );
        for row in &self.rows {
            let number = |name: &str| {
                row[name]
                    .as_f64()
                    .map_or("-".to_owned(), |value| format!("{value:.2}"))
            };
            println!(
                "{:<60} {:>12} {:>12} {:<16} {:>8} {:>8} {}",
                row["figure"].as_str().unwrap_or_default(),
                number("ours"),
                number("peer"),
                row["peer_name"].as_str().unwrap_or_default(),
                number("ratio"),
                number("goal"),
                row["met"]
                    .as_bool()
                    .map_or("-", |met| if met { "yes" } else { "NO" })
            );
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&self.rows)? + "\n";
        std::fs::write(path, text).with_context(|| format!("{} is not written", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_missed_or_cannot_be_judged() {
        let mut figures = Figures::default();
        figures.add("size", 120.0, None, Some(Goal::AtMost(120.0)));
        figures.add("size", 121.0, None, Some(Goal::AtMost(120.0)));
        figures.add("rate", 5.0, None, Some(Goal::AtLeast(5.0)));
        figures.add("rate", 4.9, None, Some(Goal::AtLeast(5.0)));
        figures.add("time", 2.0, Some(("peer", 30.0)), Some(Goal::Times(15.0)));
        figures.add("time", 2.1, Some(("peer", 30.0)), Some(Goal::Times(15.0)));
        figures.add("time", 2.0, None, Some(Goal::Times(15.0)));
        figures.add("time", 2.0, Some(("peer", 1.0)), None);
        let met: Vec<_> = figures
            .rows
            .iter()
            .map(|row| row["met"].as_bool())
            .collect();
        assert_eq!(
            met,
            [
                Some(true),
                Some(false),
                Some(true),
                Some(false),
                Some(true),
                Some(false),
                None,
                None
            ]
        );
        assert_eq!(figures.rows[4]["ratio"], 15.0);
        assert_eq!(figures.rows[4]["peer_name"], "peer");
    }

    #[test]
    fn a_judge_looks_at_what_no_machine_changes() {
        let judged = |ours, peer, goal| {
            let mut figures = Figures::default();
            figures.add("it", ours, peer, Some(goal));
            let met = figures.rows[0]["met"].as_bool();
            (met, figures.judge().is_ok())
        };
        assert_eq!(judged(0.0, None, Goal::Exactly(0.0)), (Some(true), true));
        assert_eq!(judged(1.0, None, Goal::Exactly(0.0)), (Some(false), false));
        assert_eq!(judged(-1.9, None, Goal::Within(2.0)), (Some(true), true));
        assert_eq!(judged(-2.1, None, Goal::Within(2.0)), (Some(false), true));
        let peer = |theirs| Some(("peer", theirs));
        assert_eq!(
            judged(1.0, peer(9.0), Goal::Times(10.0)),
            (Some(false), true)
        );
        assert_eq!(
            judged(1.0, peer(4.9), Goal::Times(10.0)),
            (Some(false), false)
        );
        assert_eq!(judged(9.0, None, Goal::AtMost(1.0)), (Some(false), true));
    }
}
