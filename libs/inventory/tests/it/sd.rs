//! Discovery, as Prometheus reads it.

use std::path::Path;

use inventory::sd::{Job, render};
use inventory::{Inventory, Shard};
use serde_json::{Value, json};

fn answer(job: Job) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/full.good.yaml");
    let inventory = Inventory::read(&path).unwrap();
    serde_json::from_slice(&render(&inventory, job, Shard::default())).unwrap()
}

fn labels(device: &str, site: &str, role: &str, platform: &str) -> Value {
    json!({"device": device, "site": site, "role": role, "platform": platform})
}

fn also(mut labels: Value, more: &[(&str, &str)]) -> Value {
    for (name, value) in more {
        labels[*name] = json!(value);
    }
    labels
}

#[test]
fn each_job_lists_its_targets() {
    let (r1, r2) = (
        labels("r1", "prague", "core", "frr"),
        labels("r2.example.net", "tokyo", "core", "frr"),
    );
    assert_eq!(
        answer(Job::Ping),
        json!([
            {"targets": ["192.0.2.1"], "labels": r1},
            {"targets": ["r2.example.net"], "labels": r2},
        ])
    );
    let snmp = also(
        r1.clone(),
        &[("__param_module", "if_mib,bgp4"), ("__param_auth", "other")],
    );
    assert_eq!(
        answer(Job::Snmp),
        json!([{"targets": ["192.0.2.1"], "labels": snmp}])
    );
    assert_eq!(
        answer(Job::Ssh),
        json!([
            {"targets": ["192.0.2.1:2222"], "labels": also(r1.clone(), &[("__param_credentials", "lab")])},
            {"targets": ["r2.example.net:22"], "labels": also(r2.clone(), &[("__param_credentials", "lab")])},
        ])
    );
    assert_eq!(
        answer(Job::Flow),
        json!([{"targets": ["192.0.2.101", "2001:db8::101"], "labels": r1}])
    );
    assert_eq!(
        answer(Job::Syslog),
        json!([
            {"targets": ["192.0.2.1", "2001:db8::1"], "labels": r1},
            {"targets": ["198.51.100.2"], "labels": r2},
        ])
    );
    assert_eq!(
        answer(Job::Mqtt),
        json!([{"targets": ["2001:db8::10"], "labels": labels("10", "", "", "")}])
    );
}

#[test]
fn an_empty_inventory_gives_an_empty_list() {
    for job in Job::ALL {
        assert_eq!(render(&Inventory::default(), job, Shard::default()), b"[]");
        assert_eq!(job.as_str().parse::<Job>().unwrap(), job);
    }
}

#[test]
fn an_unusual_snmp_port_stands_in_the_target() {
    let text = "devices: [{name: a, address: '2001:db8::1', snmp: {port: 1161}}]";
    let inventory = Inventory::parse(text, Path::new("t")).unwrap();
    let list: Value =
        serde_json::from_slice(&render(&inventory, Job::Snmp, Shard::default())).unwrap();
    assert_eq!(list[0]["targets"], json!(["[2001:db8::1]:1161"]));
    // The device picks the modules that fit it.
    assert_eq!(list[0]["labels"]["__param_module"], "auto");
    assert_eq!(list[0]["labels"].get("__param_auth"), None);
}

#[test]
fn checks_hosts_and_cloud_resources_become_lists_and_configurations() {
    let text = "\
sites: [{name: ams}]
groups: [{name: pages, defaults: {checks: {tls: ['443'], http: ['https://a.example/x?y=1']}}}]
devices:
  - {name: w, address: '2001:db8::1', site: ams, role: host, platform: linux, groups: [pages], ping: {enabled: false},
     checks: {tcp: ['22', 'db.example:5432', '22'], dns: [Example.NET., b.example]}}
  - {name: off, address: 192.0.2.2, groups: [pages], checks: {enabled: false}, host: {port: 9000}}
  - {name: not, address: 192.0.2.3, role: host, platform: linux, host: {enabled: false}}
  - {name: router, address: 192.0.2.4, role: router, platform: linux}
  - {name: orders, address: orders.example, site: ams, role: database, cloud: {region: eu-central-1, rds: orders-prod}}
";
    let inventory = Inventory::parse(text, Path::new("t")).unwrap();
    let answer = |job| -> Value {
        serde_json::from_slice(&render(&inventory, job, Shard::default())).unwrap()
    };
    let w = labels("w", "ams", "host", "linux");
    let group = |targets: Value, more: &[(&str, &str)]| json!({"targets": targets, "labels": also(w.clone(), more)});
    let dns = |name: &str, module: &str| {
        let more = [
            ("check", "dns"),
            ("__param_module", module),
            ("query", name),
        ];
        group(json!(["[2001:db8::1]:53"]), &more)
    };
    assert_eq!(
        answer(Job::Checks),
        json!([
            group(
                json!(["https://a.example/x?y=1"]),
                &[("check", "http"), ("__param_module", "http")]
            ),
            group(
                json!(["[2001:db8::1]:22", "db.example:5432"]),
                &[("check", "tcp"), ("__param_module", "tcp")]
            ),
            group(
                json!(["[2001:db8::1]:443"]),
                &[("check", "tls"), ("__param_module", "tls")]
            ),
            dns("example.net", "dns_example.net"),
            dns("b.example", "dns_b.example"),
        ])
    );
    assert_eq!(
        answer(Job::Host),
        json!([
            {"targets": ["[2001:db8::1]:9100"], "labels": w},
            {"targets": ["192.0.2.2:9000"], "labels": labels("off", "", "", "")},
        ])
    );
    let blackbox = inventory::sd::blackbox(&inventory);
    assert_eq!(blackbox.matches("prober: dns").count(), 2, "{blackbox}");
    let yace = inventory::sd::yace(&inventory);
    assert!(
        yace.contains("value: \"orders-prod\"") && yace.matches("- name: ").count() == 1,
        "{yace}"
    );
}
