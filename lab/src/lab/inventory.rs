//! The inventory of a lab, in the form that every service of this project reads.

use std::fmt::Write as _;

use crate::topology::{Kind, Topology};

/// What all routers and all hosts have in common.
const GROUPS: &str = "groups:
  - name: lab-routers
    defaults:
      platform: frr
      ping: {enabled: true, interval: 1s, timeout: 1s}
      snmp: {module: 'system,if_mib,vitals,bgp,ospf', auth: lab_v3, port: 161}
      ssh: {port: 22, credentials: lab}
  - name: lab-hosts
    defaults:
      platform: linux
      ping: {enabled: true, interval: 1s, timeout: 1s}
devices:
";

/// Sites, groups and devices of this topology as YAML.
pub(super) fn yaml(topology: &Topology) -> String {
    let mut out =
        String::from("# The devices of a running lab, written by `sotp-lab inventory`.\nsites:\n");
    let o = &mut out;
    // Writing to a string cannot fail; names are plain words by the topology's own rules or quoted here.
    for site in &topology.sites {
        let _ = writeln!(
            o,
            "  - name: {}\n    region: {}\n    latitude: {}\n    longitude: {}",
            quoted(&site.name),
            quoted(&site.region),
            site.latitude,
            site.longitude
        );
    }
    o.push_str(GROUPS);
    for (index, node) in topology.nodes.iter().enumerate() {
        let group = if node.is_router() {
            "lab-routers"
        } else {
            "lab-hosts"
        };
        let _ = writeln!(
            o,
            "  - name: {}\n    address: {}\n    site: {}\n    role: {}\n    groups: [{group}]",
            quoted(&node.name),
            node.loopback,
            quoted(&node.site),
            quoted(&node.role)
        );
        let Kind::Router {
            management, flow, ..
        } = &node.kind
        else {
            continue;
        };
        let _ = writeln!(o, "    mqtt: {{topics: ['tele/{}/+']}}", sensor(&node.name));
        // What leaves over the management network carries that address.
        let _ = writeln!(o, "    syslog: {{sources: [{management}]}}");
        if flow.is_some() {
            let _ = writeln!(o, "    flow: {{sources: [{management}]}}");
        }
        let interfaces = topology.interfaces(index);
        let wanted: Vec<String> = interfaces
            .iter()
            .filter(|interface| interface.link.desired_up)
            .map(|interface| format!("{{name: {}, desired: up}}", interface.name))
            .collect();
        if !wanted.is_empty() {
            let _ = writeln!(o, "    ports: [{}]", wanted.join(", "));
        }
    }
    out
}

/// The name of the sensor beside a router, a level of its topics.
pub(super) fn sensor(router: &str) -> String {
    format!("rack-{router}")
}

/// A YAML double-quoted scalar.
fn quoted(text: &str) -> String {
    // A JSON string is one.
    serde_json::Value::from(text).to_string()
}
