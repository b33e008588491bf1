//! What a triangle of routers must be: one by one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::SECOND;
use crate::net::{Net, said};
use crate::processes::eventually;

/// A daemon of a test inside the box, ended by `TERM` on drop, as its own writer expects it.
struct Inside(Child);

impl Inside {
    fn start(net: &Net, argv: &[&str]) -> Self {
        let mut command = net.inside("box", argv);
        Self(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

pub(super) fn protocols(net: &Net) {
    for router in ["r1", "r2", "r3"] {
        let ospf = net.show(router, "show ip ospf neighbor json");
        let neighbors = ospf["neighbors"].as_object().unwrap();
        assert_eq!(neighbors.len(), 2, "{router}: {ospf}");
        for neighbor in neighbors.values() {
            assert_eq!(
                neighbor[0]["nbrState"].as_str(),
                Some("Full/-"),
                "{router}: {ospf}"
            );
        }
        let bgp = net.show(router, "show bgp summary json");
        let peers = bgp["ipv4Unicast"]["peers"].as_object().unwrap();
        assert_eq!(peers.len(), 2, "{router}: {bgp}");
        for peer in peers.values() {
            assert_eq!(
                peer["state"].as_str(),
                Some("Established"),
                "{router}: {bgp}"
            );
        }
    }
    // Behind hosts it is BGP's route that counts; between routers there is only OSPF's.
    // The last adjacency to come up can move a route once more.
    for (prefix, protocol) in [("198.18.0.102/32", "bgp"), ("198.18.0.3/32", "ospf")] {
        let wanted = (protocol.to_owned(), "198.18.1.10".to_owned());
        let began = Instant::now();
        while selected(net, prefix) != wanted && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(selected(net, prefix), wanted, "{prefix}");
    }
}

/// Protocol and next hop of the route that r1 uses.
fn selected(net: &Net, prefix: &str) -> (String, String) {
    let routes = net.show("r1", &format!("show ip route {prefix} json"));
    let all = routes[prefix].as_array().unwrap();
    let route = all.iter().find(|route| route["selected"] == true).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&route["protocol"]), text(&route["nexthops"][0]["ip"]))
}

pub(super) fn status_and_inventory(net: &Net) {
    let status = net.status();
    let names: Vec<&str> = status["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["r1", "r2", "r3", "h1", "h2"]);
    for node in status["nodes"].as_array().unwrap() {
        for daemon in node["daemons"].as_array().unwrap() {
            assert!(
                daemon["pid"].is_u64() && daemon["restarts"] == 0,
                "{daemon}"
            );
        }
    }
    let table = said(&net.lab(&["status"]));
    for word in [
        "r1     ",
        "198.18.0.101",
        "r1-r2",
        "2/2",
        "ssh -F",
        &net.secret("password"),
    ] {
        assert!(table.contains(word.trim_end()), "{word}: {table}");
    }
    let yaml = said(&net.lab(&["inventory"]));
    let inventory = inventory::Inventory::parse(&yaml, Path::new("lab.yaml")).unwrap();
    assert_eq!(inventory.devices().len(), 5);
    let ports = yaml.lines().filter(|line| line.contains("desired: up"));
    let ports: Vec<&str> = ports.map(str::trim).collect();
    let wanted = ["to-r2", "to-r1"].map(|port| format!("ports: [{{name: {port}, desired: up}}]"));
    assert_eq!(ports, wanted, "of r1 and of r2");
    assert_eq!(inventory.sites().len(), 3);
}

pub(super) fn processes_tell_no_secret(net: &Net) {
    let secrets: Vec<String> = [
        "password",
        "snmp_community",
        "snmp_auth_password",
        "snmp_privacy_password",
    ]
    .map(|field| net.secret(field))
    .to_vec();
    let lines = net.mark.living();
    assert!(
        lines.iter().any(|line| line.contains("snmpd")),
        "{lines:#?}"
    );
    for line in lines {
        assert!(
            !secrets.iter().any(|secret| line.contains(secret)),
            "{line}"
        );
    }
    for file in [
        "credentials.json",
        "ssh_key",
        "ssh_config",
        "topology.toml",
        "running.json",
    ] {
        let mode = std::fs::metadata(net.state(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let host_key = net.exec(
        "r1",
        &[
            "stat",
            "-c",
            "%a",
            "/run/sotp-lab-box/nodes/r1/ssh/host_key",
        ],
    );
    assert_eq!(host_key.trim(), "600");
}

pub(super) fn isolation(net: &Net) {
    // An address without a device has nowhere to go, and there is no default route at all.
    let error = net.echo("box", "198.18.77.7").unwrap_err();
    assert!(error.contains("No route to host"), "{error}");
    let error = net.echo("box", "192.0.2.1").unwrap_err();
    assert!(error.contains("Network is unreachable"), "{error}");
    assert_eq!(net.exec("r2", &["hostname"]).trim(), "r2");
    assert_eq!(net.exec("box", &["hostname"]).trim(), "box");
    let interfaces = net.exec("r2", &["ls", "/sys/class/net"]);
    let interfaces: Vec<&str> = interfaces.split_whitespace().collect();
    assert_eq!(interfaces, ["lo", "mgmt", "to-r1", "to-r3"]);
    let status = net.inside("box", &["sh", "-c", "exit 7"]).status().unwrap();
    assert_eq!(status.code(), Some(7));
    for address in [
        "198.18.0.1",
        "198.18.0.2",
        "198.18.0.3",
        "198.18.0.101",
        "198.18.0.102",
    ] {
        net.assert_echo("box", address, SECOND);
    }
    net.assert_echo("h1", "198.18.0.102", SECOND);
}

/// A folder with net-snmp's client configuration, so that no secret is an argument.
fn snmp_client(net: &Net, version: &str, lines: &str) -> String {
    let folder = net.folder.join(format!("snmp-{version}"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("snmp.conf"),
        format!("defVersion {version}\n{lines}\n"),
    )
    .unwrap();
    folder.display().to_string()
}

pub(super) fn snmp(net: &Net) {
    let (user, community) = (net.secret("user"), net.secret("snmp_community"));
    let (auth, privacy) = (
        net.secret("snmp_auth_password"),
        net.secret("snmp_privacy_password"),
    );
    let v3 = |auth: &str| {
        format!(
            "defSecurityName {user}\ndefSecurityLevel authPriv\ndefAuthType SHA\ndefPrivType AES\n\
             defAuthPassphrase {auth}\ndefPrivPassphrase {privacy}"
        )
    };
    let good = [
        snmp_client(net, "2c", &format!("defCommunity {community}")),
        snmp_client(net, "3", &v3(&auth)),
    ];
    let get = |folder: &str, address: &str| {
        let conf = format!("SNMPCONFPATH={folder}");
        let state = format!("SNMP_PERSISTENT_DIR={folder}");
        // sysName, ospfRouterId, bgpLocalAs: of snmpd itself and of two daemons behind AgentX.
        let mut argv = vec![
            "env", "MIBS=", &conf, &state, "snmpget", "-r", "1", "-t", "1", "-Ovq", address,
        ];
        argv.extend([
            "1.3.6.1.2.1.1.5.0",
            "1.3.6.1.2.1.14.1.1.0",
            "1.3.6.1.2.1.15.2.0",
        ]);
        net.inside("box", &argv).output().unwrap()
    };
    for folder in &good {
        for (number, router) in ["r1", "r2", "r3"].into_iter().enumerate() {
            let number = number + 1;
            let output = get(folder, &format!("198.18.0.{number}"));
            let expected = format!("\"{router}\"\n198.18.0.{number}\n6500{number}\n");
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                expected,
                "{}",
                said(&output)
            );
        }
    }
    let wrong = snmp_client(net, "2c", "defCommunity public");
    assert!(!get(&wrong, "198.18.0.1").status.success());
    let wrong = snmp_client(net, "3", &v3("not-the-password"));
    assert!(!get(&wrong, "198.18.0.1").status.success());
    // Interfaces count what the hosts send.
    let conf = format!(
        "SNMPCONFPATH={}",
        snmp_client(net, "2c", &format!("defCommunity {community}"))
    );
    let argv = [
        "env",
        "MIBS=",
        &conf,
        "snmpwalk",
        "-Ovq",
        "198.18.0.1",
        "1.3.6.1.2.1.31.1.1.1.1",
    ];
    let names = net.exec("box", &argv);
    assert!(
        names.contains("to-h1") && names.contains("to-r2"),
        "{names}"
    );
}

pub(super) fn ssh(net: &Net) {
    let config = net.state("ssh_config");
    for router in ["r1", "r2", "r3"] {
        let version = net.exec("box", &["ssh", "-F", &config, router, "show version"]);
        assert!(
            version.starts_with("FRRouting") && version.contains(&format!("({router})")),
            "{version}"
        );
    }
    // A change by the login user is saved, and nothing but the answer is said.
    let saved = net
        .inside("box", &["ssh", "-F", &config, "r1", "write memory"])
        .output()
        .unwrap();
    assert!(
        saved.status.success() && !said(&saved).contains("pam"),
        "{}",
        said(&saved)
    );
    let file = net.exec("r1", &["cat", "/etc/frr/frr.conf"]);
    assert!(
        file.contains("log commands") && file.contains("router bgp 65001"),
        "{file}"
    );
    // A terminal and a dialogue: the prompt is the router's.
    let mut command = net.inside("box", &["ssh", "-tt", "-F", &config, "r3"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(
        child.stdin.as_mut().unwrap(),
        b"show ip ospf neighbor\nexit\n",
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        said(&output).contains("r3#") && said(&output).contains("Full/-"),
        "{}",
        said(&output)
    );
    // With the password alone, and not with another.
    for (password, opens) in [(net.secret("password"), true), ("wrong".to_owned(), false)] {
        let secret = net.folder.join("password");
        std::fs::write(&secret, password).unwrap();
        let ask = net.folder.join("askpass");
        std::fs::write(&ask, format!("#!/bin/sh\nexec cat {}\n", secret.display())).unwrap();
        std::fs::set_permissions(&ask, PermissionsExt::from_mode(0o700)).unwrap();
        let ask = format!("SSH_ASKPASS={}", ask.display());
        let mut argv = vec![
            "env",
            &ask,
            "SSH_ASKPASS_REQUIRE=force",
            "ssh",
            "-F",
            &config,
        ];
        argv.extend([
            "-o",
            "PreferredAuthentications=password",
            "-o",
            "NumberOfPasswordPrompts=1",
        ]);
        argv.extend(["r2", "show version"]);
        let output = net.inside("box", &argv).output().unwrap();
        assert_eq!(output.status.success(), opens, "{}", said(&output));
    }
}

pub(super) fn flows(net: &Net) {
    for (port, router) in [("2055", "r1"), ("4739", "r3")] {
        let folder = net.folder.join(format!("flows-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.display().to_string();
        let _collector = Inside::start(net, &["nfcapd", "-w", &path, "-p", port, "-t", "2"]);
        let filter = "src ip 198.18.0.101 and dst ip 198.18.0.102 and dst port 5201";
        // Protocol (6 is TCP, 17 is UDP), bytes, packets, seconds; one line a flow.
        let format = "fmt:%pr,%byt,%pkt,%td";
        eventually(&format!("flows of {router}"), 40 * SECOND, || {
            let mut command = Command::new("nfdump");
            command.args(["-R", &path, "-q", "-N", "-o", format, filter]);
            let lines = said(&command.output().unwrap());
            let flows: Vec<Vec<String>> = lines
                .lines()
                .map(|line| line.split(',').map(|word| word.trim().to_owned()).collect())
                .collect();
            for protocol in ["6", "17"] {
                let Some(flow) = flows.iter().find(|flow| flow[0] == protocol) else {
                    return Err(format!("no flow of protocol {protocol}: {lines}"));
                };
                let number = |field: usize| {
                    flow[field]
                        .parse::<f64>()
                        .map_err(|e| format!("{e}: {flow:?}"))
                };
                let (bytes, packets, seconds) = (number(1)?, number(2)?, number(3)?);
                // What was sent in one piece was also seen so: no packet is longer than the MTU.
                assert!(bytes / packets <= 1_500.0 && seconds >= 0.0, "{flow:?}");
            }
            Ok(())
        });
    }
}

pub(super) fn links_break_and_heal_and_syslog_tells(net: &Net) {
    let log = net.folder.join("collected");
    let conf = net.folder.join("rsyslog.conf");
    let text = format!(
        "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"514\")\n\
         template(name=\"raw\" type=\"string\" string=\"%fromhost-ip% %rawmsg%\\n\")\n\
         action(type=\"omfile\" file=\"{}\" template=\"raw\")\n",
        log.display()
    );
    std::fs::write(&conf, text).unwrap();
    let conf = conf.display().to_string();
    let _collector = Inside::start(net, &["rsyslogd", "-n", "-i", "NONE", "-f", &conf]);
    let line = |words: &[&str], limit: Duration| {
        eventually(&format!("a line with {words:?}"), limit, || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let found = text
                .lines()
                .find(|line| words.iter().all(|word| line.contains(word)));
            found.map(str::to_owned).ok_or(text)
        })
    };
    // The collector is there once it has heard one.
    eventually("the collector hears", 10 * SECOND, || {
        net.exec("r2", &["logger", "--tag", "test", "hello there"]);
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.contains("hello there").then_some(()).ok_or(text)
    });
    let hello = line(&["hello there"], SECOND);
    // RFC 5424: priority and version 1, then time, host, application.
    let words: Vec<&str> = hello.split(' ').collect();
    assert_eq!(
        (words[0], words[1], words[3], words[4]),
        ("198.18.255.2", "<13>1", "r2", "test"),
        "{hello}"
    );

    let broken = net.lab(&["break", "r3-h2"]);
    assert!(broken.status.success(), "{}", said(&broken));
    assert!(net.echo("box", "198.18.0.102").is_err());
    net.assert_echo("box", "198.18.0.3", SECOND);
    line(
        &[
            "198.18.255.3 ",
            " r3 netlink ",
            "LINK-3-UPDOWN: Interface to-h2, changed state to down",
        ],
        5 * SECOND,
    );
    // A cable that is cut leaves both ports as they shall be, without a carrier; ports that are shut say so of themselves.
    let port = |node: &str, port: &str| net.exec(node, &["ip", "-oneline", "link", "show", port]);
    for (node, peer) in [("r3", "to-h2"), ("h2", "to-r3")] {
        let said = port(node, peer);
        assert!(
            said.contains("<NO-CARRIER,BROADCAST,MULTICAST,UP>"),
            "{said}"
        );
    }
    assert!(net.lab(&["break", "r3-h2", "--shut"]).status.success());
    let shut = port("r3", "to-h2");
    assert!(shut.contains("<BROADCAST,MULTICAST>"), "{shut}");
    let healed = net.lab(&["heal", "r3-h2"]);
    assert!(healed.status.success(), "{}", said(&healed));
    net.assert_echo("box", "198.18.0.102", 5 * SECOND);
    net.assert_echo("h2", "198.18.0.101", 5 * SECOND);

    // Around the triangle when its short side is cut, and back.
    assert!(net.lab(&["break", "r3-r1"]).status.success());
    net.assert_echo("h1", "198.18.0.102", 10 * SECOND);
    assert_eq!(selected(net, "198.18.0.102/32").1, "198.18.1.2");
    line(
        &[" r1 bgpd ", "%ADJCHANGE: neighbor 198.18.1.10(r3)", "Down"],
        5 * SECOND,
    );
    line(&[" r1 ospfd ", "AdjChg: Nbr 198.18.0.3"], 5 * SECOND);
    let links = net.status()["links"].clone();
    let down: Vec<&Value> = links
        .as_array()
        .unwrap()
        .iter()
        .filter(|link| link["up"] == false)
        .collect();
    assert_eq!(down.len(), 1, "{links}");
    assert_eq!(down[0]["name"], "r1-r3");
    assert!(net.lab(&["heal"]).status.success());
    eventually("the short way again", 20 * SECOND, || {
        let next = selected(net, "198.18.0.102/32").1;
        if next == "198.18.1.10" {
            Ok(())
        } else {
            Err(next)
        }
    });

    let unknown = net.lab(&["break", "r1-r9"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(
        said(&unknown),
        "sotp-lab: no link r1-r9; there are r1-r2, r2-r3, r1-r3, r1-h1, r3-h2\n"
    );
    let plain = said(&net.lab(&["break", "r1-r2", "--loss", "5"]));
    assert!(plain.contains("link r1-r2 is plain"), "{plain}");
}

pub(super) fn a_daemon_that_dies_comes_back(net: &Net) {
    let daemon = |status: &Value, name: &str| {
        let daemons = status["nodes"][1]["daemons"].as_array().unwrap().clone();
        daemons
            .into_iter()
            .find(|daemon| daemon["name"] == name)
            .unwrap()
    };
    let before = daemon(&net.status(), "bgpd");
    net.exec("box", &["kill", "-KILL", &before["pid"].to_string()]);
    eventually("bgpd again, with its configuration", 20 * SECOND, || {
        let status = net.status();
        let now = daemon(&status, "bgpd");
        let peers = status["nodes"][1]["bgp"].as_array().unwrap().clone();
        let up = peers
            .iter()
            .filter(|peer| peer["state"] == "Established")
            .count();
        if now["restarts"] == 1 && now["pid"].is_u64() && up == 2 {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}
