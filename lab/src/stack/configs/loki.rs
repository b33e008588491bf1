//! `loki.yaml`: one process, files, memory for its ring.

use std::path::Path;

use certs::Files;

use super::quoted;

/// The text of the file; `data` is Loki's folder, `port` its HTTP port, `alertmanager` a URL.
pub(crate) fn text(
    data: &Path,
    port: u16,
    grpc: u16,
    alertmanager: &str,
    tls: Option<&Files>,
) -> String {
    let path = |path: &Path| quoted(path.to_string_lossy());
    let client = tls.map_or_else(String::new, |files| {
        format!(
            "  alertmanager_client:\n    tls_ca_path: {}\n    tls_cert_path: {}\n    tls_key_path: {}\n",
            path(&files.authority),
            path(&files.certificate),
            path(&files.key)
        )
    });
    let folder = |name: &str| quoted(data.join(name).to_string_lossy());
    format!(
        "# Written anew at each start by `sotp-lab`.
auth_enabled: false
analytics:
  reporting_enabled: false
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {port}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: {grpc}
common:
  instance_addr: 127.0.0.1
  path_prefix: {root}
  replication_factor: 1
  ring:
    kvstore:
      store: inmemory
  storage:
    filesystem:
      chunks_directory: {chunks}
      rules_directory: {rules}
schema_config:
  configs:
    - from: 2024-01-01
      store: tsdb
      object_store: filesystem
      schema: v13
      index:
        prefix: index_
        period: 24h
limits_config:
  allow_structured_metadata: true
ruler:
  alertmanager_url: {alertmanager}
{client}",
        root = quoted(data.to_string_lossy()),
        chunks = folder("chunks"),
        rules = folder("rules"),
        alertmanager = quoted(alertmanager),
    )
}
