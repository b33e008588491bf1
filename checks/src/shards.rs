//! The configurations of the collecting Prometheus servers of `kustomize/overlays/scale-out`, made of that of the one that does all.

use std::fmt::Write as _;

/// How many there are.
pub const COUNT: u16 = 2;

/// Jobs with a share of the devices for each; of the others the first has all.
const SHARED: [&str; 4] = ["snmp-exporter", "snmp", "node", "prometheus"];

/// The file of collector `index` of `of`: no rules, no history, its share of the devices, and everything pushed to Mimir.
#[must_use]
pub fn collector(whole: &str, index: u16, of: u16) -> String {
    let (head, jobs) = whole.split_once("scrape_configs:\n").unwrap_or((whole, ""));
    let global = head
        .find("global:")
        .map_or("", |at| &head[at..])
        .split("rule_files:")
        .next()
        .unwrap_or_default();
    let mut text = format!(
        "# Written by `make tables`. Collector {index} of {of}: it asks for its share of the devices, keeps nothing, and pushes everything to Mimir, where the\n\
         # rules are evaluated.\n{}remote_write:\n  - url: \"http://mimir:80/api/v1/push\"\nscrape_configs:\n",
        global
            .lines()
            .filter(|line| !line.contains("evaluation_interval"))
            .fold(String::new(), |text, line| text + line + "\n"),
    );
    for block in blocks(jobs) {
        let name = block
            .split_once("job_name: \"")
            .and_then(|(_, rest)| rest.split('"').next())
            .unwrap_or_default();
        if index > 0 && !SHARED.contains(&name) {
            continue;
        }
        let block = block
            .replace("\"snmp:", &format!("\"snmp-shard-{index}:"))
            .replace(
                "- targets: [\"localhost:9090\"]\n",
                &format!(
                    "- targets: [\"localhost:9090\"]\n        labels: {{instance: prometheus-shard-{index}}}\n"
                ),
            );
        for line in block.lines() {
            let list = line.trim_start().starts_with("- url: ") && line.contains("/sd/");
            let line = if list {
                line.trim_end_matches('"').to_owned() + &format!("?shard={index}&of={of}\"")
            } else {
                line.to_owned()
            };
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// Each job with the comment before it.
fn blocks(jobs: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut comment = String::new();
    for line in jobs.lines() {
        if line.starts_with("  # ") {
            comment = format!("{line}\n");
        } else if line.starts_with("  - job_name") {
            blocks.push(std::mem::take(&mut comment) + line + "\n");
        } else if let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks
}
