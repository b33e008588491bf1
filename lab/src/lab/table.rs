//! The status of a lab, for people and for programs.

use std::fmt::Write as _;

use serde_json::json;

use super::Lab;
use crate::credentials::Credentials;
use crate::inside::{BoxStatus, LinkStatus, Medium};
use crate::node::NodeStatus;
use crate::topology::{COLLECTOR, STATION};

/// The whole status as JSON; passwords stay in the file that it names.
pub(super) fn json(lab: &Lab, status: &BoxStatus, credentials: &Credentials) -> serde_json::Value {
    let nodes = lab
        .topology()
        .nodes
        .iter()
        .zip(&status.nodes)
        .map(|(node, now)| {
            json!({
                "name": node.name,
                "kind": if node.is_router() { "router" } else { "host" },
                "site": node.site,
                "role": node.role,
                "loopback": node.loopback,
                "management": node.management(),
                "asn": node.asn(),
                "pid": now.pid,
                "daemons": now.daemons,
                "ospf": now.ospf,
                "bgp": now.bgp,
            })
        });
    json!({
        "name": lab.name,
        "title": lab.topology().title,
        "pid": lab.running.outer.pid,
        "box_pid": lab.running.first.pid,
        "state": lab.state_dir(),
        "user": credentials.user,
        "credentials_file": lab.state.credentials_file(),
        "ssh_config": lab.state.ssh_config(),
        "collector": COLLECTOR,
        "station": STATION,
        "nodes": nodes.collect::<Vec<_>>(),
        "links": status.links,
    })
}

/// The whole status as a table, with how to log in.
pub(super) fn status(lab: &Lab, status: &BoxStatus, credentials: &Credentials) -> String {
    let mut out = format!("lab {}: {}\n\n", lab.name, lab.topology().title);
    let mut rows = vec![
        [
            "NODE",
            "SITE",
            "LOOPBACK",
            "MANAGEMENT",
            "OSPF FULL",
            "BGP UP",
            "DAEMONS",
        ]
        .map(str::to_owned),
    ];
    for (node, now) in lab.topology().nodes.iter().zip(&status.nodes) {
        rows.push([
            node.name.clone(),
            node.site.clone(),
            node.loopback.to_string(),
            node.management()
                .map_or_else(|| "-".to_owned(), |address| address.to_string()),
            share(now.ospf.iter().map(|one| one.state == "Full")),
            share(now.bgp.iter().map(|one| one.state == "Established")),
            daemons(now),
        ]);
    }
    columns(&mut out, &rows);
    out.push('\n');
    let mut rows =
        vec![["LINK", "NETWORK", "MEDIUM", "STATE", "DELAY AND LOSS"].map(str::to_owned)];
    for (link, now) in lab.topology().links.iter().zip(&status.links) {
        let medium = match now.medium {
            Medium::Veth => "veth",
            Medium::Netem => "netem",
            Medium::Tun => "tun",
        };
        let state = if now.up { "up" } else { "down" };
        rows.push([
            link.name.clone(),
            link.network.to_string(),
            medium.to_owned(),
            state.to_owned(),
            shape(now),
        ]);
    }
    columns(&mut out, &rows);
    let first = lab
        .topology()
        .routers()
        .next()
        .map_or("", |node| &node.name);
    let name = if lab.name == "lab" {
        String::new()
    } else {
        format!(" --name {}", lab.name)
    };
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "\nLog in (user {user}, password {password}):\n  \
         sotp-lab exec{name} box -- ssh -F {config} {first}\n  \
         sotp-lab exec{name} {first} -- vtysh\n\
         SNMP v2c community {community}; v3 user {user}, SHA {auth}, AES {privacy}\n\
         Flows go to {COLLECTOR} ports 2055 (NetFlow v9) and 4739 (IPFIX), syslog to port 514, in the box.\n\
         State and logs: {state}\n",
        user = credentials.user,
        password = credentials.password,
        config = lab.state.ssh_config().display(),
        community = credentials.snmp_community,
        auth = credentials.snmp_auth_password,
        privacy = credentials.snmp_privacy_password,
        state = lab.state_dir().display(),
    );
    out
}

/// `2/3`, or `-` when there are none.
fn share(good: impl Iterator<Item = bool>) -> String {
    let all: Vec<bool> = good.collect();
    if all.is_empty() {
        return "-".to_owned();
    }
    format!("{}/{}", all.iter().filter(|good| **good).count(), all.len())
}

fn daemons(now: &NodeStatus) -> String {
    if now.pid == 0 {
        return "does not answer".to_owned();
    }
    let one = |daemon: &crate::supervise::DaemonStatus| match (daemon.pid, daemon.restarts) {
        (None, _) => format!("{} (down)", daemon.name),
        (Some(_), 0) => daemon.name.clone(),
        (Some(_), restarts) => format!("{} (restarted {restarts})", daemon.name),
    };
    let names: Vec<String> = now.daemons.iter().map(one).collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(" ")
    }
}

fn shape(now: &LinkStatus) -> String {
    let Some(shape) = now.shape else {
        return "-".to_owned();
    };
    let mut text = format!(
        "{:?} + 0 to {:?}, {:.2} % lost",
        shape.delay,
        shape.jitter,
        shape.loss * 100.0
    );
    if now.medium == Medium::Tun && now.wire.is_none() {
        text.push_str("; its process does not answer");
    }
    if let Some(wire) = &now.wire {
        let _ = write!(
            text,
            "; so far {} delivered, {} lost, {} dropped",
            wire.delivered, wire.lost, wire.dropped
        );
    }
    text
}

/// Columns as wide as their widest cell; the last one as it is.
fn columns<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == N {
                out.push_str(cell);
            } else {
                let _ = write!(out, "{cell:<width$}  ", width = width(column));
            }
        }
        out.push('\n');
    }
}
