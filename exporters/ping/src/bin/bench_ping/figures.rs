//! The rows of the table and of the file.

use std::path::Path;

use serde_json::{Value, json};

#[derive(Default)]
pub(crate) struct Figures {
    rows: Vec<Value>,
    wrong: Vec<String>,
}

impl Figures {
    /// What must be zero, however busy the machine is.
    pub(crate) fn exact(&mut self, figure: &str, off: f64) {
        if off != 0.0 {
            self.wrong.push(format!("{figure}: {off}"));
        }
        self.goal(figure, off, 0.0);
    }

    /// Fails when something that does not depend on how busy the machine is was wrong.
    pub(crate) fn judge(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.wrong.is_empty(), "{}", self.wrong.join("; "));
        Ok(())
    }

    /// A figure of ours with a goal it may not exceed.
    pub(crate) fn goal(&mut self, figure: &str, ours: f64, goal: f64) {
        self.push(
            figure,
            ours,
            None,
            None,
            None,
            Some(goal),
            Some(ours.abs() <= goal),
        );
    }

    pub(crate) fn plain(&mut self, figure: &str, ours: f64) {
        self.push(figure, ours, None, None, None, None, None);
    }

    /// A figure beside a peer's; the peer's must be at least `goal` times ours.
    pub(crate) fn ratio(
        &mut self,
        figure: &str,
        ours: Option<f64>,
        peer: f64,
        name: &str,
        goal: f64,
    ) {
        if let Some(ours) = ours {
            let ratio = peer / ours;
            if ratio < goal / 2.0 {
                self.wrong.push(format!(
                    "{figure}: {name} costs {ratio:.2} times ours, expected {goal}"
                ));
            }
            self.push(
                figure,
                ours,
                Some(peer),
                Some(name),
                Some(ratio),
                Some(goal),
                Some(ratio >= goal),
            );
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one per column")]
    fn push(
        &mut self,
        figure: &str,
        ours: f64,
        peer: Option<f64>,
        peer_name: Option<&str>,
        ratio: Option<f64>,
        goal: Option<f64>,
        met: Option<bool>,
    ) {
        self.rows.push(json!({
            "figure": figure, "ours": ours, "peer": peer, "peer_name": peer_name, "ratio": ratio, "goal": goal, "met": met,
        }));
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<62} {:>10} {:>10} {:>7} {:>6} met  peer",
            "figure", "ours", "peer", "ratio", "goal"
        );
        for row in &self.rows {
            let number = |key: &str| {
                row[key]
                    .as_f64()
                    .map_or("-".into(), |value| format!("{value:.2}"))
            };
            let met = row["met"]
                .as_bool()
                .map_or("-", |met| if met { "yes" } else { "no" });
            println!(
                "{:<62} {:>10} {:>10} {:>7} {:>6} {met:<4} {}",
                row["figure"].as_str().unwrap_or_default(),
                number("ours"),
                number("peer"),
                number("ratio"),
                number("goal"),
                row["peer_name"].as_str().unwrap_or_default(),
            );
        }
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, serde_json::to_vec_pretty(&self.rows)?)?;
        Ok(())
    }
}
