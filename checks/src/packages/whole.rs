//! The package `sotp`: every service, with Prometheus and Alertmanager of Debian set up for them, and what Grafana shows.

use std::path::PathBuf;

use anyhow::ensure;
use services::{Callers, Table};

use super::deb::{Control, Make};
use super::{CERTIFICATES, Packaged};

/// Packages of other publishers, which are not in Debian.
const ELSEWHERE: [&str; 3] = ["grafana", "loki", "tempo"];

pub(super) fn package(make: &Make, all: &[Packaged]) -> anyhow::Result<PathBuf> {
    let tree = make.tree("sotp")?;
    let mut conffiles = Vec::new();
    let mut conffile = |path: &str, text: String| {
        conffiles.push(path.to_owned());
        tree.file(path, text)
    };
    conffile("/etc/sotp/prometheus.yml", Table::ours()?.of_one_machine())?;
    conffile(
        "/etc/sotp/alertmanager.yaml",
        make.read("alerts/alertmanager/alertmanager.yaml")?,
    )?;
    conffile(
        "/etc/grafana/provisioning/dashboards/sotp.yaml",
        make.read("dashboards/provisioning/dashboards/sotp.yaml")?,
    )?;
    conffile(
        "/etc/grafana/provisioning/datasources/sotp.yaml",
        make.with_certificates("config/datasources.yaml", "grafana-server")?,
    )?;
    conffile("/etc/sotp/loki.yaml", loki(make)?)?;
    conffile("/etc/sotp/tempo.yaml", tempo(make)?)?;
    for part in ["prometheus", "alertmanager"] {
        let web = Callers::Parts.web_config();
        let web = make.with_certificates(&format!("web/{web}"), part)?;
        conffile(&format!("/etc/sotp/web/{part}.yaml"), web)?;
    }
    for (file, from) in [
        ("/usr/share/sotp-certs/parts.d/sotp", "parts"),
        ("/usr/lib/sysusers.d/sotp.conf", "sysusers.conf"),
    ] {
        tree.file(file, make.read(&format!("packaging/sotp/{from}"))?)?;
    }
    let app = make.app.join("plugin.json").is_file();
    if app {
        tree.copy(&make.app, "/usr/share/sotp/grafana-app", "")?;
        let path = "/etc/grafana/provisioning/plugins/sotp.yaml";
        let text = make.read("dashboards/provisioning/plugins/sotp.yaml")?;
        conffile(path, text)?;
    }
    for unit in [
        "prometheus",
        "prometheus-alertmanager",
        "grafana-server",
        "loki",
        "tempo",
    ] {
        let mut text = make.read(&format!("packaging/sotp/{unit}.conf"))?;
        if app && unit == "grafana-server" {
            text += &make.read("packaging/sotp/grafana-app.conf")?;
        }
        tree.file(
            &format!("/usr/lib/systemd/system/{unit}.service.d/sotp.conf"),
            text,
        )?;
    }
    conffile(
        "/etc/sotp/backup.env",
        make.read("packaging/sotp/backup.env")?,
    )?;
    for program in ["sotp-backup", "sotp-restore"] {
        let text = make.read(&format!("packaging/sotp/{program}"))?;
        tree.program(&format!("/usr/sbin/{program}"), text)?;
    }
    for unit in [
        "sotp-backup.service",
        "sotp-backup.timer",
        "sotp-certificate@.path",
        "sotp-certificate@.service",
    ] {
        let text = make.read(&format!("packaging/sotp/{unit}"))?;
        tree.file(&format!("/usr/lib/systemd/system/{unit}"), text)?;
    }
    make.scripts(&tree, "sotp-backup.timer", "sotp")?;
    let from = |folder: &str| make.root.join(folder);
    tree.copy(&from("alerts/rules"), "/usr/share/sotp/rules", ".yaml")?;
    tree.copy(
        &from("alerts/runbooks"),
        "/usr/share/doc/sotp/runbooks",
        ".md",
    )?;
    tree.copy(
        &from("dashboards/network"),
        "/usr/share/sotp/dashboards/network",
        ".json",
    )?;
    tree.file(
        "/usr/share/doc/sotp/README.md",
        make.read("docs/packages.md")?,
    )?;
    tree.file(
        "/usr/share/doc/sotp/backup.md",
        make.read("docs/backup.md")?,
    )?;
    let services = all
        .iter()
        .map(|one| format!("{} (= {})", one.service.name, make.version));
    let mut depends: Vec<String> = services.collect();
    depends.extend(
        [
            "sotp-audit",
            "sotp-certs",
            "prometheus",
            "prometheus-alertmanager",
        ]
        .map(str::to_owned),
    );
    let control = Control {
        name: "sotp",
        architecture: "all",
        depends,
        recommends: ["restic", "sqlite3"].map(str::to_owned).to_vec(),
        suggests: ELSEWHERE.map(str::to_owned).to_vec(),
        about: "watches a network: every service of SOTP, with Prometheus, alerts and dashboards",
    };
    make.build(&tree, &control, &conffiles)
}

/// The configuration of Loki of the cluster, for this machine.
fn loki(make: &Make) -> anyhow::Result<String> {
    let text = make.read("kustomize/stack/loki/loki.yaml")?;
    let folder = format!("{CERTIFICATES}/loki");
    let tls = format!(
        "  http_listen_address: 127.0.0.1\n  http_listen_port: 3100\n  http_tls_config: {{cert_file: {folder}/tls.crt, key_file: {folder}/tls.key, \
         client_auth_type: RequireAndVerifyClientCert, client_ca_file: {folder}/ca.crt}}\n"
    );
    changed(
        &text,
        &[
            ("in the cluster", "on one machine"),
            ("  http_listen_port: 3100\n", &tls),
            ("inside the pod", "on this machine"),
            (" /loki", " /var/lib/loki"),
        ],
    )
}

/// The configuration of Tempo of the cluster with TLS, for this machine.
fn tempo(make: &Make) -> anyhow::Result<String> {
    let text = make.with_certificates("config/tempo.yaml", "tempo")?;
    let port = "  http_listen_port: 3200\n";
    // Loki has the usual port of both.
    // Nothing of the whole sends by gRPC, and who does need show no certificate.
    let by_grpc = "        # Grafana's own spans: it has no certificate to show here.
        grpc:
          endpoint: \"0.0.0.0:4317\"
          tls:
            cert_file: /var/lib/sotp-certs/tempo/tls.crt
            key_file: /var/lib/sotp-certs/tempo/tls.key
";
    let listen = format!("  http_listen_address: 127.0.0.1\n{port}  grpc_listen_port: 9096\n");
    changed(
        &text,
        &[
            ("in the cluster", "on one machine"),
            (port, &listen),
            ("inside the pod", "on this machine"),
            (by_grpc, ""),
            ("0.0.0.0:4318", "127.0.0.1:4318"),
            ("on its volume", "here"),
            (" /var/tempo", " /var/lib/tempo"),
        ],
    )
}

/// `text` with other words in the place of these, each of which is in it.
fn changed(text: &str, changes: &[(&str, &str)]) -> anyhow::Result<String> {
    changes
        .iter()
        .try_fold(text.to_owned(), |text, (old, new)| {
            ensure!(
                text.contains(old),
                "expected `{old}` in the configuration of the cluster"
            );
            Ok(text.replace(old, new))
        })
}
