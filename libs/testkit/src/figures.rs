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
    /// The peer's is at least this many times ours.
    Times(f64),
}

/// The figures of one benchmark, in the order in which they were found. Where there is a peer, less is better.
#[derive(Debug, Default)]
pub struct Figures {
    rows: Vec<Value>,
}

impl Figures {
    /// Adds a figure; `peer` has the peer's name and what it needed in the same run.
    pub fn add(&mut self, figure: &str, ours: f64, peer: Option<(&str, f64)>, goal: Option<Goal>) {
        let ratio = peer.map(|(_, theirs)| theirs / ours);
        let met = goal.and_then(|goal| match goal {
            Goal::AtMost(most) => Some(ours <= most),
            Goal::AtLeast(least) => Some(ours >= least),
            Goal::Times(least) => ratio.map(|ratio| ratio >= least),
        });
        let goal =
            goal.map(|(Goal::AtMost(number) | Goal::AtLeast(number) | Goal::Times(number))| number);
        self.rows.push(json!({
            "figure": figure, "ours": ours, "peer": peer.map(|p| p.1), "peer_name": peer.map(|p| p.0),
            "ratio": ratio, "goal": goal, "met": met,
        }));
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
}
