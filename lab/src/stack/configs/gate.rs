//! `nginx.conf` of the gate: between Grafana and its data sources only reading passes, and people reach Grafana through it, so that what their
//! browsers measure finds sotp-rum on Grafana's own origin. What it lets pass is `dashboards/gate/` of the checkout.

use std::fmt::Write as _;
use std::path::Path;

use certs::Files;

use super::quoted;

/// One source behind the gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// Its name in `allowed.conf`.
    pub(crate) name: &'static str,
    /// Where Grafana asks.
    pub(crate) gate: u16,
    /// Where the source listens.
    pub(crate) behind: u16,
}

/// Where people reach Grafana.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Front {
    /// Where the launcher's door leads.
    pub(crate) gate: u16,
    /// Where Grafana listens.
    pub(crate) grafana: u16,
    /// Where sotp-rum listens.
    pub(crate) rum: u16,
}

/// The text of the file; `data` is the gate's folder, `shipped` the folder with the files that it includes.
pub(crate) fn text(
    data: &Path,
    shipped: &Path,
    sources: &[Source],
    front: Front,
    tls: Option<&Files>,
) -> String {
    let path = |path: &Path| quoted(path.to_string_lossy());
    let mut text = format!(
        "# Written anew at each start by `sotp-lab`.
worker_processes 1;
daemon off;
pid {pid};
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    server_tokens off;
",
        pid = path(&data.join("nginx.pid")),
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let folder = path(&data.join(kind));
        let _ = writeln!(text, "    {kind}_temp_path {folder};");
    }
    if let Some(files) = tls {
        let (own, key) = (path(&files.certificate), path(&files.key));
        let authority = path(&files.authority);
        let _ = write!(
            text,
            "    ssl_certificate {own};
    ssl_certificate_key {key};
    ssl_client_certificate {authority};
    ssl_verify_client on;
    ssl_protocols TLSv1.2 TLSv1.3;
    proxy_ssl_certificate {own};
    proxy_ssl_certificate_key {key};
    proxy_ssl_trusted_certificate {authority};
    proxy_ssl_verify on;
    proxy_ssl_name localhost;
    proxy_ssl_server_name on;
"
        );
    }
    let (ssl, way) = if tls.is_some() {
        (" ssl", "https")
    } else {
        ("", "http")
    };
    let _ = writeln!(text, "    include {};", path(&shipped.join("allowed.conf")));
    for Source { name, gate, behind } in sources {
        let include = path(&shipped.join("source.conf"));
        let _ = write!(
            text,
            "    upstream {name} {{ server 127.0.0.1:{behind}; }}
    server {{
        listen 127.0.0.1:{gate}{ssl};
        set $gate {name};
        set $way {way};
        include {include};
    }}
"
        );
    }
    let Front { gate, grafana, rum } = front;
    let include = path(&shipped.join("front.conf"));
    let _ = write!(
        text,
        "    upstream grafana {{ server 127.0.0.1:{grafana}; }}
    upstream rum {{ server 127.0.0.1:{rum}; }}
    server {{
        listen 127.0.0.1:{gate}{ssl};
        set $gate rum;
        set $way {way};
        set $grafana_way {way};
        include {include};
    }}
"
    );
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// nginx itself reads it where it is installed.
    #[test]
    fn nginx_takes_the_file_and_it_listens_on_loopback_only() {
        let folder = std::env::temp_dir().join(format!("sotp-gate \"{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/gate");
        let source = |name, gate| Source {
            name,
            gate,
            behind: 9,
        };
        let sources = [source("loki", 3101), source("tempo", 3201)];
        let front = Front {
            gate: 3010,
            grafana: 9,
            rum: 9,
        };
        crate::stack::tls::Certificates::renew(&folder.join("tls"), ["gate"]).unwrap();
        let files = Files::of(&folder.join("tls"), "gate");
        for tls in [None, Some(&files)] {
            let text = text(&folder, &shipped, &sources, front, tls);
            for line in text.lines().filter(|line| line.contains("listen")) {
                assert!(line.contains("listen 127.0.0.1:"), "{line}");
                assert_eq!(line.contains(" ssl;"), tls.is_some(), "{line}");
            }
            let file = folder.join("nginx.conf");
            std::fs::write(&file, &text).unwrap();
            if let Some(nginx) = crate::stack::programs::on_path("nginx") {
                let mut command = std::process::Command::new(nginx);
                let output = command
                    .args(["-t", "-e", "stderr", "-c"])
                    .arg(&file)
                    .output();
                let output = output.unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{said}\n{text}");
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
