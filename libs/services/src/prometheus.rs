//! `prometheus.yml`: of the local stack, of `compose.yaml` and of Kubernetes.
//!
//! Only keys that the oldest supported Prometheus knows, Debian's 2.42.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::{Service, Table};

/// Shortest interval between two probes of a device, which take longer than scrapes of a page. It still puts two of them into the
/// dashboards' shortest window, four scrape intervals.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// Longest time that Prometheus waits for a page, as it does by itself.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How one Prometheus is reached by whom, and how often it asks.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// What the file says of itself: its first lines, each beginning with `#`.
    pub comment: &'a str,
    /// Scrape and evaluation interval.
    pub interval: Duration,
    /// Rule files, patterns allowed.
    pub rules: Vec<String>,
    /// Prometheus itself, as `host:port`.
    pub prometheus: String,
    /// Alertmanager, as `host:port`.
    pub alertmanager: String,
    /// blackbox_exporter, as `host:port`; it is only called where the inventory has checks.
    pub blackbox: String,
    /// Further jobs of one target each.
    pub others: Vec<(&'static str, String)>,
}

/// Where a service is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// At `host:port`.
    At(String),
    /// At each address that the DNS of the cluster gives for the port `http` of this service, in the namespace of Prometheus or in
    /// `sotp-SERVICE`, where a component puts it that gives it a right over its node.
    Pods(String),
}

impl Settings<'_> {
    /// The text of the file; `find` says where each service is, and leaves out those that are not there.
    pub fn text<'a>(
        &self,
        services: impl IntoIterator<Item = &'a Service>,
        inventory: &str,
        find: impl Fn(&Service) -> Option<Target>,
    ) -> String {
        let interval = duration(self.interval);
        let mut text = format!(
            "{}\nglobal:\n  scrape_interval: {interval}\n  scrape_timeout: {}\n  evaluation_interval: {interval}\n",
            self.comment,
            duration(self.interval.min(TIMEOUT)),
        );
        if !self.rules.is_empty() {
            text.push_str("rule_files:\n");
        }
        for rule in &self.rules {
            let _ = writeln!(text, "  - {}", quoted(rule));
        }
        let _ = write!(
            text,
            "alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: [{}]\nscrape_configs:\n",
            quoted(&self.alertmanager)
        );
        for service in services {
            let Some(target) = find(service) else {
                continue;
            };
            text.push_str(&job(&service.job, &target));
            if let (Some(probe), Target::At(exporter)) = (&service.probe, &target) {
                let _ = write!(
                    text,
                    "  # Each device that the inventory lists there.\n  - job_name: {}\n{}    metrics_path: {}\n    \
                     http_sd_configs:\n      - url: {}\n{}    relabel_configs:\n      \
                     - source_labels: [__address__]\n        target_label: __param_target\n      \
                     - source_labels: [__param_target]\n        target_label: instance\n      \
                     - target_label: __address__\n        replacement: {}\n",
                    quoted(&probe.job),
                    self.pace(),
                    probe.path,
                    quoted(&format!("{inventory}{}", probe.list)),
                    if self.interval < PROBE_INTERVAL {
                        format!("        refresh_interval: {interval}\n")
                    } else {
                        String::new()
                    },
                    quoted(exporter),
                );
            }
        }
        text.push_str(&self.others(inventory));
        let own = [
            ("prometheus", self.prometheus.clone()),
            ("alertmanager", self.alertmanager.clone()),
        ];
        for (name, target) in own.into_iter().chain(self.others.iter().cloned()) {
            text.push_str(&job(name, &Target::At(target)));
        }
        text
    }

    /// node_exporter of each Linux host of the inventory, and blackbox_exporter for its checks.
    fn others(&self, inventory: &str) -> String {
        let refresh = if self.interval < PROBE_INTERVAL {
            format!("        refresh_interval: {}\n", duration(self.interval))
        } else {
            String::new()
        };
        format!(
            "  # node_exporter of each Linux host that the inventory lists.\n  - job_name: \"node\"\n    http_sd_configs:\n      - url: {}\n{refresh}    \
             relabel_configs:\n      - source_labels: [device]\n        target_label: instance\n  \
             # blackbox_exporter asks what the inventory lists as checks.\n  - job_name: \"checks\"\n    metrics_path: /probe\n    \
             http_sd_configs:\n      - url: {}\n{refresh}    relabel_configs:\n      - source_labels: [__address__]\n        \
             target_label: __param_target\n      - source_labels: [__param_target]\n        target_label: instance\n      \
             - target_label: __address__\n        replacement: {}\n",
            quoted(&format!("{inventory}/sd/host")),
            quoted(&format!("{inventory}/sd/checks")),
            quoted(&self.blackbox),
        )
    }

    /// The interval of probes where it is not that of everything.
    fn pace(&self) -> String {
        if self.interval >= PROBE_INTERVAL {
            return String::new();
        }
        let pace = duration(PROBE_INTERVAL);
        format!("    scrape_interval: {pace}\n    scrape_timeout: {pace}\n")
    }
}

impl Table {
    /// The file of `compose.yaml`.
    #[must_use]
    pub fn of_compose(&self) -> String {
        let settings = Settings {
            comment: "# Prometheus of compose.yaml, written by `make tables`. Has not been run in a container by the project; promtool has checked it.",
            ..containers()
        };
        let text = settings.text(&self.service, &self.inventory(), |service| {
            Some(Target::At(format!(
                "{}:{}",
                service.app.as_ref()?,
                service.port
            )))
        });
        where_they_lie(&text)
    }

    /// The file of Kubernetes.
    #[must_use]
    pub fn of_kubernetes(&self) -> String {
        self.of_cluster() + COMPONENTS
    }

    /// The same without the jobs of components.
    fn of_cluster(&self) -> String {
        let settings = Settings {
            comment: "# Written by `make tables`. Devices are known by the services that measure them; Prometheus itself needs no list of them\n\
                      # and no right in the cluster.",
            ..containers()
        };
        settings.text(&self.service, &self.inventory(), |service| {
            let app = service.app.as_ref()?;
            Some(if service.pods {
                Target::Pods(app.clone())
            } else {
                Target::At(format!("{app}:{}", service.port))
            })
        })
    }

    /// The file of Kubernetes where our own parts speak TLS to each other (`kustomize/components/tls`).
    #[must_use]
    pub fn of_kubernetes_with_tls(&self) -> String {
        where_they_lie(&self.of_cluster()) + COMPONENTS
    }

    /// The file of the packages, where everything is on one machine.
    #[must_use]
    pub fn of_one_machine(&self) -> String {
        let here = |port: u16| format!("127.0.0.1:{port}");
        let settings = Settings {
            comment: "# Prometheus of the package sotp, written as the package is made.",
            rules: vec!["/usr/share/sotp/rules/*.yaml".to_owned()],
            prometheus: here(9090),
            alertmanager: here(9093),
            blackbox: here(9115),
            ..containers()
        };
        let inventory = self.get("sotp-inventory").map_or(0, |service| service.port);
        let inventory = format!("http://{}", here(inventory));
        let text = settings.text(&self.service, &inventory, |service| {
            Some(Target::At(here(service.port)))
        });
        let file = |name: &str| Path::new("/var/lib/sotp-certs/prometheus").join(name);
        with_tls(&text, &file("ca.crt"), &file("tls.crt"), &file("tls.key"))
    }

    /// The inventory service in containers.
    fn inventory(&self) -> String {
        let port = self.get("sotp-inventory").map_or(0, |service| service.port);
        format!("http://inventory:{port}")
    }
}

/// What components of kustomize bring: as long as one is not there, its name is unknown to the DNS, which is no target and no error.
const COMPONENTS: &str = r#"  # node_exporter of each node of the cluster: the component node-exporter.
  - job_name: "cluster-node"
    dns_sd_configs:
      - names: [node-exporter.sotp-nodes]
        type: A
        port: 9100
    relabel_configs:
      # As the hosts of the inventory, so that the same alerts and panels hold.
      - target_label: job
        replacement: node
      - target_label: role
        replacement: cluster-node
      - source_labels: [__address__]
        regex: '(.*):\d+'
        target_label: device
  # YACE for CloudWatch: the component cloudwatch. Each metric costs a call.
  - job_name: "cloudwatch"
    scrape_interval: 1m
    dns_sd_configs:
      - names: [cloudwatch]
        type: A
        port: 5000
    relabel_configs:
      - target_label: instance
        replacement: cloudwatch
    metric_relabel_configs:
      # Databases of the inventory (/sd/yace.yml) have its labels.
      - regex: custom_tag_(device|site|role)
        action: labelmap
      - regex: custom_tag_(device|site|role)
        action: labeldrop
"#;

fn containers() -> Settings<'static> {
    Settings {
        comment: "",
        interval: Duration::from_secs(15),
        rules: vec!["/etc/prometheus/rules/*.yaml".to_owned()],
        prometheus: "localhost:9090".to_owned(),
        alertmanager: "alertmanager:9093".to_owned(),
        blackbox: "blackbox-exporter:9115".to_owned(),
        others: Vec::new(),
    }
}

/// The same file with TLS wherever one of our own parts is called: `certificate` and `key` are what Prometheus shows, `authority` is that of
/// those whom it calls.
#[must_use]
pub fn with_tls(plain: &str, authority: &Path, certificate: &Path, key: &Path) -> String {
    let path = |path: &Path| quoted(&path.to_string_lossy());
    let open = format!(
        "{{ca_file: {}, cert_file: {}, key_file: {}",
        path(authority),
        path(certificate),
        path(key)
    );
    let mut text = String::new();
    for line in plain.lines() {
        let (line, tls) = match line {
            "    - static_configs:" => (
                "    - scheme: https".to_owned(),
                format!("      tls_config: {open}}}\n      static_configs:\n"),
            ),
            // node_exporter of a host is none of our own, nor is blackbox_exporter.
            "  - job_name: \"node\"" | "  - job_name: \"checks\"" => {
                (line.to_owned(), String::new())
            }
            _ if line.starts_with("  - job_name: ") => (
                line.to_owned(),
                format!("    scheme: https\n    tls_config: {open}}}\n"),
            ),
            _ if line.contains("- url: \"http://") => (
                line.replace("http://", "https://"),
                format!("        tls_config: {open}}}\n"),
            ),
            _ => (line.to_owned(), String::new()),
        };
        text.push_str(&line);
        text.push('\n');
        text.push_str(&tls);
        // A pod has the certificate of its service, whatever its own name is.
        let service = text
            .trim_end()
            .rsplit_once("names: [_http._tcp.")
            .filter(|(_, end)| !end.contains('\n'));
        if let Some((before, name)) = service
            && let Some(at) = before.rfind(&open)
        {
            let name = format!(
                ", server_name: {}",
                name.split([',', ']']).next().unwrap_or_default()
            );
            text.insert_str(at + open.len(), &name);
        }
    }
    text
}

/// The same in containers, each of which has its certificate at one place.
fn where_they_lie(plain: &str) -> String {
    let file = |name: &str| Path::new("/etc/sotp-tls").join(name);
    with_tls(plain, &file("ca.crt"), &file("tls.crt"), &file("tls.key"))
}

fn job(name: &str, target: &Target) -> String {
    let name = quoted(name);
    match target {
        Target::At(address) => format!(
            "  - job_name: {name}\n    static_configs:\n      - targets: [{}]\n",
            quoted(address)
        ),
        // `ping-0.ping.NAMESPACE.svc.cluster.local:19427` is `ping-0:19427` to people.
        Target::Pods(service) => format!(
            "  # Every pod of the StatefulSet, by its stable name.\n  - job_name: {name}\n    dns_sd_configs:\n      \
             - names: [_http._tcp.{service}, _http._tcp.{service}.sotp-{service}]\n        type: SRV\n        refresh_interval: 15s\n    relabel_configs:\n      \
             - source_labels: [__address__]\n        regex: '([^.]+)\\..*:(\\d+)'\n        target_label: instance\n        \
             replacement: $1:$2\n"
        ),
    }
}

/// A string as a YAML double-quoted scalar (YAML 1.2 §5.7).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A duration as Prometheus reads it; whole milliseconds.
fn duration(time: Duration) -> String {
    match time.as_millis() {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(interval: Duration) -> String {
        let settings = Settings {
            interval,
            rules: vec!["/a \"b\"\t/c.yaml".to_owned()],
            others: vec![("loki", "loki:3100".to_owned())],
            ..containers()
        };
        let table = Table::ours().unwrap();
        settings.text(&table.service, "http://i:1", |service| {
            (service.name != "sotp-ping").then(|| Target::At(format!("h:{}", service.port)))
        })
    }

    #[test]
    fn a_service_that_is_not_there_has_no_job() {
        let text = text(Duration::from_secs(15));
        assert!(
            text.contains("job_name: \"inventory\"") && text.contains("job_name: \"loki\""),
            "{text}"
        );
        assert!(!text.contains("job_name: \"ping\""), "{text}");
    }

    #[test]
    fn the_timeout_is_never_longer_than_the_interval() {
        assert!(text(Duration::from_millis(500)).contains("  scrape_timeout: 500ms\n"));
        assert!(text(Duration::from_secs(60)).contains("  scrape_timeout: 10s\n"));
    }

    #[test]
    fn devices_are_probed_no_more_often_than_they_can_answer() {
        let quick = text(Duration::from_secs(1));
        assert!(
            quick.contains("    scrape_interval: 2s\n    scrape_timeout: 2s\n"),
            "{quick}"
        );
        assert!(!text(Duration::from_secs(15)).contains("    scrape_interval: 2s"));
    }

    /// Prometheus's own tool reads what is written, with a rule file whose path needs quoting.
    #[test]
    fn promtool_accepts_it() {
        let folder = std::env::temp_dir().join(format!("sotp: \"prom\" {}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let rule = folder.join("a \"rule\".yaml");
        std::fs::write(
            &rule,
            "groups: [{name: a, rules: [{record: b:c, expr: 1}]}]",
        )
        .unwrap();
        for (seconds, rules) in [(1, vec![rule.display().to_string()]), (15, Vec::new())] {
            let settings = Settings {
                interval: Duration::from_secs(seconds),
                rules,
                ..containers()
            };
            let table = Table::ours().unwrap();
            let text = settings.text(&table.service, "http://i:1", |service| {
                Some(if service.pods {
                    Target::Pods("p".to_owned())
                } else {
                    Target::At("h:1".to_owned())
                })
            });
            let file = folder.join("prometheus.yml");
            std::fs::write(&file, text).unwrap();
            let check = std::process::Command::new("promtool")
                .args(["check", "config"])
                .arg(&file)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&check.stdout).into_owned()
                + &String::from_utf8_lossy(&check.stderr);
            assert!(check.status.success(), "{said}");
            assert_eq!(
                said.contains("1 rules found"),
                !settings.rules.is_empty(),
                "{said}"
            );
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    const TLS: &str = r#"{ca_file: "/etc/sotp-tls/ca.crt", cert_file: "/etc/sotp-tls/tls.crt", key_file: "/etc/sotp-tls/tls.key""#;

    /// Each job but those of node_exporter and blackbox_exporter, each list of devices, and Alertmanager; a pod by the name of its service.
    #[test]
    fn with_tls_all_of_our_own_are_called_by_it() {
        let table = Table::ours().unwrap();
        let (plain, tls) = (table.of_cluster(), table.of_kubernetes_with_tls());
        assert_eq!(tls.matches(COMPONENTS).count(), 1, "as they are");
        let tls = tls.trim_end_matches(COMPONENTS);
        let count = |text: &str, what: &str| text.matches(what).count();
        assert!(!tls.contains("http://"), "{tls}");
        assert_eq!(
            count(tls, "scheme: https"),
            count(&plain, "- job_name: ") - 2 + 1
        );
        assert_eq!(
            count(tls, TLS),
            count(tls, "scheme: https") + count(&plain, "- url: ")
        );
        assert!(tls.contains("- job_name: \"node\"\n    http_sd_configs:"));
        let pods = table.service.iter().filter(|service| service.pods);
        for service in pods {
            let job = format!("job_name: \"{}\"", service.job);
            let (_, rest) = tls.split_once(&job).unwrap();
            let own = rest.split("job_name").next().unwrap();
            let name = service.app.as_deref().unwrap();
            assert_eq!(count(own, &format!(", server_name: {name}}}")), 1, "{own}");
        }
        assert_eq!(count(tls, "server_name"), count(&plain, "type: SRV"));
    }

    #[test]
    fn a_path_is_quoted() {
        assert!(text(Duration::from_secs(1)).contains(r#"  - "/a \"b\"\u0009/c.yaml""#));
    }
}
