use std::path::Path;
use std::process::Command;

use super::*;
use crate::config::{Options, parse};

fn receiver() -> (Receiver, Registry, Config) {
    let registry = Registry::new();
    let metrics = TrapMetrics::new(&registry).unwrap();
    let text = "auths:\n  public_v2: {}\n  v3: {version: 3, username: u, security_level: authPriv, auth_protocol: SHA, password: authpassword, \
                priv_protocol: AES, priv_password: privpassword}\nmodules: {m: {}}\n";
    (
        Receiver::new(metrics, Engine::random(), None),
        registry,
        parse(text, Path::new("t.yml"), Options::default()).unwrap(),
    )
}

/// What net-snmp's snmptrap sends.
fn sent(
    program: &str,
    args: &[&str],
) -> Option<(std::net::UdpSocket, std::process::Child, testkit::TempDir)> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let target = socket.local_addr().unwrap().to_string();
    let persistent = testkit::TempDir::new().unwrap();
    let args: Vec<String> = args
        .iter()
        .map(|arg| arg.replace("TARGET", &target))
        .collect();
    match Command::new(program)
        .args(args)
        .env("MIBS", "")
        .env("SNMP_PERSISTENT_DIR", persistent.path())
        .spawn()
    {
        Ok(child) => Some((socket, child, persistent)),
        Err(error) => {
            eprintln!("skipped: {program}: {error}");
            None
        }
    }
}

fn value(registry: &Registry, name: &str, label: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name);
    let metrics = family
        .map(|family| family.get_metric().to_vec())
        .unwrap_or_default();
    metrics
        .iter()
        .filter(|metric| metric.get_label().iter().any(|pair| pair.value() == label))
        .map(|metric| metric.get_counter().get_value())
        .sum()
}

#[test]
fn traps_of_every_version_from_net_snmp_count() {
    let (receiver, registry, config) = receiver();
    let v1 = [
        "-v1",
        "-c",
        "public",
        "TARGET",
        "1.3.6.1.4.1.8072.9",
        "127.0.0.1",
        "2",
        "0",
        "5",
        "1.3.6.1.2.1.2.2.1.1.7",
        "i",
        "7",
    ];
    let v1_own = [
        "-v1",
        "-c",
        "public",
        "TARGET",
        "1.3.6.1.4.1.8072.9",
        "127.0.0.1",
        "6",
        "17",
        "5",
    ];
    let v2 = [
        "-v2c",
        "-c",
        "public",
        "TARGET",
        "5",
        "1.3.6.1.6.3.1.1.5.4",
        "1.3.6.1.2.1.31.1.1.1.1.7",
        "s",
        "eth7",
    ];
    let v3 = [
        "-v3",
        "-e",
        "0x8000000001020304",
        "-u",
        "u",
        "-l",
        "authPriv",
        "-a",
        "SHA",
        "-A",
        "authpassword",
        "-x",
        "AES",
        "-X",
        "privpassword",
        "TARGET",
        "5",
        "1.3.6.1.6.3.1.1.5.1",
    ];
    let wrong = [
        "-v3",
        "-e",
        "0x8000000001020304",
        "-u",
        "u",
        "-l",
        "authPriv",
        "-a",
        "SHA",
        "-A",
        "otherpassword",
        "-x",
        "AES",
        "-X",
        "privpassword",
        "TARGET",
        "5",
        "1.3.6.1.6.3.1.1.5.1",
    ];
    let nobody = ["-v2c", "-c", "guess", "TARGET", "5", "1.3.6.1.6.3.1.1.5.4"];
    for args in [&v1[..], &v1_own, &v2, &v3, &wrong, &nobody] {
        let Some((socket, mut child, _persistent)) = sent("snmptrap", args) else {
            return;
        };
        let mut buffer = [0; 4096];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        child.wait().unwrap();
        assert_eq!(receiver.take(&buffer[..length], from, &config), None);
    }
    for (trap, count) in [
        ("linkDown", 1.0),
        ("1.3.6.1.4.1.8072.9.0.17", 1.0),
        ("linkUp", 1.0),
        ("coldStart", 1.0),
    ] {
        assert_eq!(value(&registry, "snmp_traps_total", trap), count, "{trap}");
    }
    assert_eq!(
        value(&registry, "snmp_traps_ignored_total", "not_authentic"),
        1.0
    );
    assert_eq!(
        value(&registry, "snmp_traps_ignored_total", "unknown_community"),
        1.0
    );
}

#[test]
fn an_inform_is_acknowledged() {
    let (receiver, registry, config) = receiver();
    let args = [
        "-v2c",
        "-c",
        "public",
        "-r",
        "0",
        "TARGET",
        "5",
        "1.3.6.1.6.3.1.1.5.3",
    ];
    let Some((socket, mut child, _persistent)) = sent("snmpinform", &args) else {
        return;
    };
    let mut buffer = [0; 4096];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    let acknowledgement = receiver.take(&buffer[..length], from, &config).unwrap();
    socket.send_to(&acknowledgement, from).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(value(&registry, "snmp_traps_total", "linkDown"), 1.0);
}

#[test]
fn senders_without_end_take_no_memory_without_end() {
    let (receiver, registry, config) = receiver();
    let trap = |number: u32| {
        let (mut name, mut value, mut pair, mut list, mut pdu) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        crate::oid::encode(&[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0], &mut name);
        crate::oid::encode(&[1, 3, 6, 1, 4, 1, number], &mut value);
        codec::push(0x06, &name, &mut pair);
        codec::push(0x06, &value, &mut pair);
        codec::push(0x30, &pair, &mut list);
        for number in [1, 0, 0] {
            codec::push_integer(number, &mut pdu);
        }
        codec::push(0x30, &list, &mut pdu);
        let (mut content, mut out) = (Vec::new(), Vec::new());
        codec::push_integer(1, &mut content);
        codec::push(0x04, b"public", &mut content);
        codec::push(0xa7, &pdu, &mut content);
        codec::push(0x30, &content, &mut out);
        out
    };
    for number in 0..PAIRS as u32 + 50 {
        receiver.take(&trap(number), "198.18.0.1:1".parse().unwrap(), &config);
    }
    assert_eq!(value(&registry, "snmp_traps_total", "other"), 50.0);
    receiver.take(b"nonsense", "198.18.0.1:1".parse().unwrap(), &config);
    assert_eq!(
        value(&registry, "snmp_traps_ignored_total", "malformed"),
        1.0
    );
}

proptest::proptest! {
    #[test]
    fn no_octets_make_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        fuzz(&bytes);
    }
}
