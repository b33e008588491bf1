//! `tempo.yaml`: one process, files, OTLP in.

use std::path::Path;

use certs::Files;

use super::quoted;

/// Ports that Tempo listens on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// Its HTTP interface.
    pub(crate) http: u16,
    /// Its own gRPC interface.
    pub(crate) grpc: u16,
    /// OTLP over gRPC.
    pub(crate) otlp_grpc: u16,
    /// OTLP over HTTP.
    pub(crate) otlp_http: u16,
}

/// The text of the file; `data` is Tempo's folder.
pub(crate) fn text(data: &Path, ports: Ports, tls: Option<&Files>) -> String {
    let path = |path: &Path| quoted(path.to_string_lossy());
    // Only Grafana sends by gRPC, and it has no certificate to show there (`pkg/infra/tracing` of 12.3).
    let by_grpc = tls.map_or_else(String::new, |files| {
        format!(
            "\n          tls:\n            cert_file: {}\n            key_file: {}",
            path(&files.certificate),
            path(&files.key),
        )
    });
    let by_http = tls.map_or_else(String::new, |files| {
        format!(
            "{by_grpc}\n            client_ca_file: {}",
            path(&files.authority)
        )
    });
    // Tempo, unlike Loki, has no flags for it.
    let screens = tls.map_or_else(String::new, |files| {
        format!(
            "\n  http_tls_config:\n    cert_file: {}\n    key_file: {}\n    client_auth_type: RequireAndVerifyClientCert\n    client_ca_file: {}",
            path(&files.certificate),
            path(&files.key),
            path(&files.authority)
        )
    });
    let folder = |name: &str| quoted(data.join(name).to_string_lossy());
    format!(
        "# Written anew at each start by `sotp-lab`.
stream_over_http_enabled: true
usage_report:
  reporting_enabled: false
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {http}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: {grpc}
  graceful_shutdown_timeout: 500ms{screens}
memberlist:
  bind_addr: [127.0.0.1]
  advertise_addr: 127.0.0.1
distributor:
  receivers:
    otlp:
      protocols:
        grpc:
          endpoint: \"127.0.0.1:{otlp_grpc}\"{by_grpc}
        http:
          endpoint: \"127.0.0.1:{otlp_http}\"{by_http}
# All that it writes lies in its folder: without these it wants one of the system's, which an ordinary user has not.
live_store:
  wal:
    path: {live}
  shutdown_marker_dir: {live}
block_builder:
  wal:
    path: {builder}
backend_scheduler:
  local_work_path: {scheduler}
backend_worker:
  finish_on_shutdown_timeout: 200ms
storage:
  trace:
    backend: local
    wal:
      path: {wal}
    local:
      path: {blocks}
",
        http = ports.http,
        grpc = ports.grpc,
        otlp_grpc = ports.otlp_grpc,
        otlp_http = ports.otlp_http,
        live = folder("live-store"),
        builder = folder("block-builder"),
        scheduler = folder("scheduler"),
        wal = folder("wal"),
        blocks = folder("blocks"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Their own programs are not at hand: this proves YAML and loopback, not that they start.
    #[test]
    fn loki_and_tempo_files_are_yaml_and_name_no_other_address_than_loopback() {
        let data = Path::new("/state/a \"b\"");
        let ports = Ports {
            http: 3200,
            grpc: 9096,
            otlp_grpc: 4317,
            otlp_http: 4318,
        };
        let files = Files::of(data, "part");
        for text in [
            text(data, ports, None),
            text(data, ports, Some(&files)),
            super::super::loki::text(data, 3100, 9095, "http://127.0.0.1:9093", None),
            super::super::loki::text(data, 3100, 9095, "http://127.0.0.1:9093", Some(&files)),
        ] {
            let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(value["server"]["http_listen_address"], "127.0.0.1");
            assert_eq!(value["server"]["grpc_listen_address"], "127.0.0.1");
            assert!(text.contains(r#"/state/a \"b\""#), "{text}");
            assert!(
                !text.contains("0.0.0.0") && !text.contains("localhost"),
                "{text}"
            );
            assert!(!text.contains("/var/"), "{text}");
        }
    }

    /// With 3 s and 2 s it took 2.1 s to end, which the launcher does not always wait for; with these 0.6 s, seen of 3.1 on a busy machine.
    #[test]
    fn nothing_keeps_it_from_ending_within_a_second() {
        let ports = Ports {
            http: 3200,
            grpc: 9096,
            otlp_grpc: 4317,
            otlp_http: 4318,
        };
        let text = text(Path::new("/state"), ports, None);
        let file: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let worker = &file["backend_worker"]["finish_on_shutdown_timeout"];
        let server = &file["server"]["graceful_shutdown_timeout"];
        for wait in [worker, server] {
            let wait = wait.as_str().and_then(|text| text.strip_suffix("ms"));
            assert!(wait.unwrap().parse::<u32>().unwrap() <= 500, "{text}");
        }
    }

    /// Its certificate cannot be shown to Tempo by Grafana, so that one without is let in there, and nowhere else.
    #[test]
    fn only_the_port_of_grafana_takes_spans_from_who_shows_no_certificate() {
        let ports = Ports {
            http: 3200,
            grpc: 9096,
            otlp_grpc: 4317,
            otlp_http: 4318,
        };
        let files = Files::of(Path::new("/state"), "part");
        let text = text(Path::new("/state"), ports, Some(&files));
        let file: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let protocols = &file["distributor"]["receivers"]["otlp"]["protocols"];
        for protocol in ["grpc", "http"] {
            assert!(protocols[protocol]["tls"]["key_file"].is_string(), "{text}");
        }
        assert!(protocols["grpc"]["tls"]["client_ca_file"].is_null());
        assert!(protocols["http"]["tls"]["client_ca_file"].is_string());
        assert_eq!(
            file["server"]["http_tls_config"]["client_auth_type"],
            "RequireAndVerifyClientCert"
        );
    }
}
