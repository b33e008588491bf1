//! `prometheus.yml`.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::{duration, quoted};

/// Shortest interval between two SNMP scrapes of a device, which take longer than those of a page. It still puts two of them into the
/// dashboards' shortest window, four scrape intervals.
const SNMP_INTERVAL: Duration = Duration::from_secs(2);

/// Devices that the inventory service lists and an exporter is asked about.
#[derive(Debug, Clone)]
pub(crate) struct Discovered {
    /// URL of the list (`http_sd`).
    pub(crate) devices: String,
    /// The exporter, as `host:port`.
    pub(crate) exporter: String,
}

/// What Prometheus is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Scrape and evaluation interval.
    pub(crate) interval: Duration,
    /// Rule files.
    pub(crate) rules: Vec<PathBuf>,
    /// Alertmanager, as `host:port`.
    pub(crate) alertmanager: String,
    /// Job name and target, as `host:port`.
    pub(crate) jobs: Vec<(String, String)>,
    /// The devices that are asked over SNMP.
    pub(crate) snmp: Discovered,
}

impl Settings {
    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let interval = duration(self.interval);
        let timeout = duration(self.interval.min(Duration::from_secs(10)));
        let mut text = format!(
            "# Written anew at each start by `sotp-lab`.\n\
             global:\n  \
               scrape_interval: {interval}\n  \
               scrape_timeout: {timeout}\n  \
               evaluation_interval: {interval}\n"
        );
        if !self.rules.is_empty() {
            text.push_str("rule_files:\n");
        }
        for rule in &self.rules {
            let _ = writeln!(text, "  - {}", quoted(rule.to_string_lossy()));
        }
        let _ = write!(
            text,
            "alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: [{}]\n",
            quoted(&self.alertmanager)
        );
        text.push_str("scrape_configs:\n");
        for (job, target) in &self.jobs {
            let _ = write!(
                text,
                "  - job_name: {}\n    static_configs:\n      - targets: [{}]\n",
                quoted(job),
                quoted(target)
            );
        }
        let snmp = self.interval.max(SNMP_INTERVAL);
        let _ = write!(
            text,
            "  - job_name: snmp\n    scrape_interval: {}\n    scrape_timeout: {}\n    metrics_path: /snmp\n    \
             http_sd_configs:\n      - url: {}\n        refresh_interval: {}\n    relabel_configs:\n      \
             - source_labels: [__address__]\n        target_label: __param_target\n      \
             - source_labels: [__param_target]\n        target_label: instance\n      \
             - target_label: __address__\n        replacement: {}\n",
            duration(snmp),
            duration(snmp.min(Duration::from_secs(10))),
            quoted(&self.snmp.devices),
            duration(self.interval),
            quoted(&self.snmp.exporter),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn settings(interval: Duration, rules: Vec<PathBuf>) -> Settings {
        Settings {
            interval,
            rules,
            alertmanager: "127.0.0.1:9093".into(),
            jobs: vec![
                ("ping".into(), "127.0.0.1:19427".into()),
                ("prometheus".into(), "127.0.0.1:9090".into()),
            ],
            snmp: Discovered {
                devices: "http://127.0.0.1:19870/sd/snmp".into(),
                exporter: "127.0.0.1:19116".into(),
            },
        }
    }

    /// Prometheus's own tool reads what is written, with a rule file whose path needs quoting.
    #[test]
    fn promtool_accepts_it() {
        let folder = std::env::temp_dir().join(format!("sotp: \"prom\" {}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let rules = folder.join("a \"rule\".yaml");
        std::fs::write(
            &rules,
            "groups: [{name: a, rules: [{record: b:c, expr: 1}]}]",
        )
        .unwrap();
        for (interval, rules) in [(1, vec![rules.clone()]), (15, Vec::new())] {
            let file = folder.join("prometheus.yml");
            std::fs::write(
                &file,
                settings(Duration::from_secs(interval), rules.clone()).text(),
            )
            .unwrap();
            let check = Command::new("promtool")
                .args(["check", "config"])
                .arg(&file)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&check.stdout).into_owned()
                + &String::from_utf8_lossy(&check.stderr);
            assert!(check.status.success(), "{said}");
            assert_eq!(said.contains("1 rules found"), !rules.is_empty(), "{said}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_timeout_is_never_longer_than_the_interval() {
        let text = settings(Duration::from_millis(500), Vec::new()).text();
        assert!(text.contains("scrape_timeout: 500ms"), "{text}");
        let text = settings(Duration::from_secs(60), Vec::new()).text();
        assert!(text.contains("scrape_timeout: 10s"), "{text}");
    }
}
