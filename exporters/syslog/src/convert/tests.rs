use std::path::Path;

use super::*;
use crate::config::Config;

const PROMTAIL: &str = "
server: {http_listen_port: 9080}
clients:
  - url: http://loki:3100/loki/api/v1/push
    tenant_id: net
    external_labels: {a: b}
scrape_configs:
  - job_name: syslog
    syslog:
      listen_address: 0.0.0.0:1514
      listen_protocol: udp
      idle_timeout: 60s
      label_structured_data: true
      labels: {job: syslog}
    relabel_configs:
      - {source_labels: [__syslog_message_hostname], target_label: host}
  - job_name: files
    static_configs: []
";

const ALLOY: &str = "
// routers
loki.source.syslog \"net\" {
  listener {
    address       = \"0.0.0.0:6514\"
    protocol      = \"tcp\"
    labels        = { component = \"x\", n = [1, 2] }
    max_message_length = 16384
  }
  listener {
    address  = \"0.0.0.0:1514\"
    protocol = \"udp\"
  }
  forward_to = [loki.write.main.receiver]
}
loki.process \"p\" { stage.drop { older_than = \"1h\" } }
loki.write \"main\" {
  endpoint {
    url = \"http://loki:3100/loki/api/v1/push\"
    tenant_id = \"net\"
  }
}
";

#[test]
fn both_are_carried_over_and_what_is_not_is_said() {
    for (text, udp, tcp, notes) in [
        (
            PROMTAIL,
            1,
            0,
            vec![
                "label_structured_data is not",
                "no syslog listener",
                "external_labels",
                "server is not",
            ],
        ),
        (
            ALLOY,
            1,
            1,
            vec!["loki.process stage.drop is not carried over: nothing is dropped here"],
        ),
    ] {
        let converted = convert(text).unwrap();
        let yaml = converted.yaml();
        let config = Config::parse(&yaml, Path::new("converted.yaml"))
            .unwrap_or_else(|e| panic!("{e}\n{yaml}"));
        assert_eq!((config.udp.len(), config.tcp.len()), (udp, tcp), "{yaml}");
        assert_eq!(config.loki[0].tenant.as_deref(), Some("net"));
        for note in &notes {
            assert!(
                converted.notes.iter().any(|n| n.contains(note)),
                "{note}: {:?}",
                converted.notes
            );
        }
        assert_eq!(converted.notes.len(), notes.len(), "{:?}", converted.notes);
    }
}

#[test]
fn what_is_no_configuration_is_refused() {
    assert!(
        convert("a: 1")
            .unwrap_err()
            .contains("expected a syslog listener")
    );
    assert!(
        convert("loki.write \"x\" {")
            .unwrap_err()
            .contains("expected a name")
    );
    assert!(
        convert("loki.write \"x\" { a = \"")
            .unwrap_err()
            .contains("closing quote")
    );
}

#[test]
fn whatever_is_not_known_is_said() {
    let promtail = PROMTAIL
        .replace("      idle_timeout: 60s\n", "      max_connections: 7\n")
        .replace("clients:\n  - url", "client:\n    url")
        .replace("external_labels: {a: b}", "stream_lag_labels: x");
    let promtail = promtail
        .replace("    tenant_id: net", "    tenant_id: net\n    tls_config: {insecure_skip_verify: true}\n    basic_auth: {username_file: x}")
        .replace("  - job_name: files", "  - job_name: more\n    encoding: x\n    syslog: {listen_address: ':6514', max_message_length: 9000}\n  - job_name: files")
        .replace("      max_connections: 7\n", "      max_connections: 7\n      max_message_length: 8192\n");
    let converted = convert(&promtail).unwrap();
    assert_eq!(converted.endpoints.len(), 1);
    for note in [
        "syslog.max_connections is not",
        "stream_lag_labels is not",
        "tls_config.insecure_skip_verify is not",
        "basic_auth.username_file is not",
        "scrape_configs[1].encoding is not",
        "8192 was kept, 9000 was not",
    ] {
        assert!(
            converted.notes.iter().any(|n| n.contains(note)),
            "{note}: {:?}",
            converted.notes
        );
    }
    let alloy = ALLOY
        .replace(
            "protocol = \"udp\"",
            "protocol = \"udp\"\n rfc3164_cisco_components { enable_all = true }",
        )
        .replace(
            "tenant_id = \"net\"",
            "tenant_id = env(\"TENANT\") + `x`\n queue_config { capacity = \"10MiB\" }\n tls_config { insecure_skip_verify = true }\n basic_auth { username_file = \"x\" }",
        );
    let converted = convert(&alloy).unwrap();
    for note in [
        "listener.rfc3164_cisco_components is not",
        "endpoint.tenant_id is an expression",
        "endpoint.queue_config is not",
        "endpoint.tls_config.insecure_skip_verify is not",
        "endpoint.basic_auth.username_file is not",
    ] {
        assert!(
            converted.notes.iter().any(|n| n.contains(note)),
            "{note}: {:?}",
            converted.notes
        );
    }
    assert!(!converted.yaml().contains("tenant"));
}

#[test]
fn what_is_printed_is_taken_by_our_own_check() {
    let small = PROMTAIL.replace("idle_timeout: 60s", "max_message_length: 64");
    let mut converted = convert(&small).unwrap();
    let yaml = converted.checked().unwrap();
    assert!(Config::parse(&yaml, Path::new("converted.yaml")).is_ok());
    assert!(
        converted
            .notes
            .iter()
            .any(|n| n.contains("the default holds") && n.contains("message_bytes")),
        "{:?}",
        converted.notes
    );
    for (clients, note, url) in [
        (
            "",
            "no Loki was found",
            "http://127.0.0.1:3100/loki/api/v1/push",
        ),
        (
            "clients: [{url: 'loki:3100/loki/api/v1/push'}]\n",
            "has no scheme: http was taken",
            "http://loki:3100/loki/api/v1/push",
        ),
    ] {
        let text = format!(
            "{clients}scrape_configs: [{{job_name: a, syslog: {{listen_address: ':1514', listen_protocol: udp, \
             tls_config: {{cert_file: a, key_file: b}}}}}}]\n"
        );
        let mut converted = convert(&text).unwrap();
        let config = Config::parse(&converted.checked().unwrap(), Path::new("converted.yaml"));
        assert_eq!(config.unwrap().loki[0].url, url);
        for note in [note, "tls_config of :1514 is left out"] {
            assert!(
                converted.notes.iter().any(|n| n.contains(note)),
                "{:?}",
                converted.notes
            );
        }
    }
}

#[test]
fn a_table_says_where_each_label_is_now() {
    for (text, rows) in [
        (
            PROMTAIL.replace(
                "    relabel_configs:\n",
                "    pipeline_stages: [{labels: {level: , peer: }}]\n    relabel_configs:\n      - {source_labels: [__syslog_message_app_name], target_label: unit}\n",
            ),
            vec![
                ("host", "label device", "{device="),
                ("job", "label job", "{job="),
                ("level", "label severity", "{severity="),
                ("peer", "no label", "|= "),
                ("unit", "metadata process", "| process="),
            ],
        ),
        (
            ALLOY.to_owned()
                + "loki.relabel \"r\" { rule {\n source_labels = [\"__syslog_connection_ip_address\"]\n target_label = \"from\" } }\n\
                   loki.process \"l\" { stage.labels { values = { facility = \"\", } } }\n",
            vec![
                ("component", "no label", "|= "),
                ("facility", "metadata facility", "| facility="),
                ("from", "metadata source_ip", "| source_ip="),
                ("n", "no label", "|= "),
            ],
        ),
    ] {
        let table = convert(&text).unwrap().table();
        let lines: Vec<&str> = table.lines().skip(1).collect();
        assert_eq!(lines.len(), rows.len(), "{table}");
        for (line, (label, now, query)) in lines.iter().zip(rows) {
            assert!(line.starts_with(&format!("{label} ")), "{line}");
            assert!(line.contains(now) && line.contains(query), "{line}");
        }
    }
}

#[test]
fn relays_are_told_to_stay_in_front() {
    for text in [
        "module(load=\"imudp\")\n*.* @@loki:1514\n",
        "@version: 4.8\nsource s_net { network(); };\n",
    ] {
        let error = convert(text).unwrap_err();
        assert!(error.contains("stay in front"), "{error}");
    }
}

#[test]
fn stages_and_filters_are_named() {
    let staged = PROMTAIL.replace(
        "    relabel_configs:\n",
        "    pipeline_stages:\n      - drop: {expression: debug}\n      - labels: {a: b}\n    relabel_configs:\n      - {source_labels: [__syslog_message_severity], regex: debug, action: drop}\n",
    );
    let converted = convert(&staged).unwrap();
    for note in [
        "pipeline_stages[0].drop is not carried over: nothing is dropped here",
        "relabel_configs[0] (drop by __syslog_message_severity) is not carried over: nothing is dropped here",
    ] {
        assert!(
            converted.notes.iter().any(|n| n.contains(note)),
            "{note}: {:?}",
            converted.notes
        );
    }
}
