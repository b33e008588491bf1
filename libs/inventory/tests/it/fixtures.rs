//! Every file in `testdata`: the good ones parse, each bad one gives exactly its errors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use inventory::Inventory;

fn files(verdict: &str) -> BTreeMap<String, PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let named = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path
            .file_name()?
            .to_str()?
            .strip_suffix(verdict)?
            .to_owned();
        Some((name, path))
    };
    std::fs::read_dir(dir).unwrap().filter_map(named).collect()
}

fn parse(path: &Path) -> Result<Inventory, String> {
    let origin = PathBuf::from(path.file_name().unwrap());
    Inventory::parse(&std::fs::read_to_string(path).unwrap(), &origin)
        .map_err(|error| error.to_string())
}

#[test]
fn good_files_parse_and_their_json_form_gives_the_same_inventory() {
    let files = files(".good.yaml");
    assert!(files.len() >= 5, "{files:?}");
    for (name, path) in files {
        let inventory = parse(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let json = String::from_utf8(inventory.json().to_vec()).unwrap();
        let again = Inventory::parse(&json, Path::new("json")).unwrap();
        assert_eq!(again.version(), inventory.version(), "{name}");
        assert_eq!(again.devices(), inventory.devices(), "{name}");
        assert_eq!(again.sites(), inventory.sites(), "{name}");
        assert_eq!(again.document(), inventory.document(), "{name}");
    }
}

#[test]
fn bad_files_give_exactly_their_errors() {
    let files = files(".bad.yaml");
    let expected: BTreeMap<&str, &str> = EXPECTED.iter().copied().collect();
    let mut wrong = String::new();
    for (name, path) in &files {
        let error = parse(path).map(|_| ()).expect_err(name);
        if expected.get(name.as_str()) != Some(&error.as_str()) {
            wrong.push_str(&format!("== {name}\n{error}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(
        files.len(),
        expected.len(),
        "an expected error without its file"
    );
}

/// Name of the file, and its whole error.
const EXPECTED: &[(&str, &str)] = &[
    (
        "addresses",
        r#"addresses.bad.yaml:2:24: devices[0].address: "192.0.2.256" is not an address; expected an IPv4 address, an IPv6 address or a DNS name
addresses.bad.yaml:3:24: devices[1].address: "2001:db8::g" is not an address; expected an IPv4 address, an IPv6 address or a DNS name
addresses.bad.yaml:4:24: devices[2].address: 0.0.0.0 is the unspecified address; expected the address of one device
addresses.bad.yaml:5:24: devices[3].address: 224.0.0.1 is a multicast address; expected the address of one device
addresses.bad.yaml:6:24: devices[4].address: 255.255.255.255 is the broadcast address; expected the address of one device
addresses.bad.yaml:7:24: devices[5].address: ::ffff:192.0.2.1 is an IPv4 address written as IPv6; expected the address of one device
addresses.bad.yaml:8:33: devices[6].addresses.ipv4: "2001:db8::1" is not an IPv4 address; expected one like 192.0.2.1
addresses.bad.yaml:9:33: devices[7].addresses.ipv6: "192.0.2.1" is not an IPv6 address; expected one like 2001:db8::1
addresses.bad.yaml:10:24: devices[8].address: 192.0.2.9 differs from 192.0.2.10 under addresses; expected the same
addresses.bad.yaml:11:24: devices[9].address: "-bad-.example" is not an address; expected an IPv4 address, an IPv6 address or a DNS name
addresses.bad.yaml:12:24: devices[10].address: "192.0.2.0/24" is not an address; expected an IPv4 address, an IPv6 address or a DNS name"#,
    ),
    (
        "addresses-twice",
        r#"addresses-twice.bad.yaml:6:14: devices[1].address: the address 192.0.2.1 is taken by devices[0].address on line 3; expected each once
addresses-twice.bad.yaml:10:13: devices[2].addresses.ipv6: the address 2001:db8::1 is taken by devices[0].addresses.ipv6 on line 4; expected each once
addresses-twice.bad.yaml:14:14: devices[4].address: the address core.example.net is taken by devices[3].address on line 12; expected each once"#,
    ),
    (
        "alias-bomb",
        r#"alias-bomb.bad.yaml:6:28: aliases repeat too much; expected 500000 values at most"#,
    ),
    (
        "coordinates",
        r#"coordinates.bad.yaml:2:25: sites[0].latitude: 91 is out of bounds; expected degrees from -90 to 90
coordinates.bad.yaml:3:39: sites[1].longitude: -180.5 is out of bounds; expected degrees from -180 to 180
coordinates.bad.yaml:4:5: sites[2]: one coordinate alone; expected both latitude and longitude, or neither
coordinates.bad.yaml:5:25: sites[3].latitude: expected a number, found ".nan"
coordinates.bad.yaml:6:23: sites[4].region: "a?" does not do; expected at most 128 characters and no control characters"#,
    ),
    (
        "custom-tag",
        r#"custom-tag.bad.yaml:1:36: unsupported tag `!!python/object:os.system`"#,
    ),
    (
        "device-not-a-mapping",
        r#"device-not-a-mapping.bad.yaml:2:5: devices[0]: expected a mapping, found "r1""#,
    ),
    (
        "devices-not-a-list",
        r#"devices-not-a-list.bad.yaml:2:3: devices: expected a list, found a mapping"#,
    ),
    (
        "jobs",
        r#"jobs.bad.yaml:4:20: devices[0].snmp.module: "" is not a name; expected 1 to 64 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
jobs.bad.yaml:4:39: devices[0].snmp.auth: "a b" is not a name; expected 1 to 64 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
jobs.bad.yaml:4:52: devices[0].snmp.port: port 0 cannot be reached; expected 1 to 65535
jobs.bad.yaml:5:17: devices[0].ssh.port: port 0 cannot be reached; expected 1 to 65535
jobs.bad.yaml:5:33: devices[0].ssh.credentials: "../etc" is not a name; expected 1 to 64 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
jobs.bad.yaml:6:21: devices[0].flow.sources: an empty list; expected 1 to 16 entries, or no such key
jobs.bad.yaml:7:24: devices[0].syslog.sources[0]: "host" is not an IP address; expected one like 192.0.2.1 or 2001:db8::1
jobs.bad.yaml:7:30: devices[0].syslog.sources[1]: 224.0.0.1 is a multicast address; expected the address of one device
jobs.bad.yaml:8:23: devices[0].mqtt.client_id: "a?b" does not do; expected at most 128 characters and no control characters
jobs.bad.yaml:8:40: devices[0].mqtt.topics[0]: "a/#/b" is not an MQTT topic filter; expected one like site/+/temperature or site/#
jobs.bad.yaml:8:49: devices[0].mqtt.topics[1]: "a+" is not an MQTT topic filter; expected one like site/+/temperature or site/#
jobs.bad.yaml:8:55: devices[0].mqtt.topics[2]: "" is not an MQTT topic filter; expected one like site/+/temperature or site/#"#,
    ),
    (
        "checks",
        r#"checks.bad.yaml:4:21: devices[0].checks.http[0]: not the address of a page; expected one like https://shop.example.net/health, without a user
checks.bad.yaml:4:33: devices[0].checks.http[1]: not the address of a page; expected one like https://shop.example.net/health, without a user
checks.bad.yaml:4:63: devices[0].checks.tcp[0]: "0" is not where a connection goes to; expected a port of the device like 443, or one like db.example.net:5432
checks.bad.yaml:4:68: devices[0].checks.tcp[1]: "a:b" is not where a connection goes to; expected a port of the device like 443, or one like db.example.net:5432
checks.bad.yaml:4:75: devices[0].checks.tcp[2]: ":80" is not where a connection goes to; expected a port of the device like 443, or one like db.example.net:5432
checks.bad.yaml:4:89: devices[0].checks.dns[0]: "-" is not an address; expected an IPv4 address, an IPv6 address or a DNS name
checks.bad.yaml:4:100: devices[0].checks.tls: an empty list; expected 1 to 16 entries, or no such key
checks.bad.yaml:5:18: devices[0].host.port: port 0 cannot be reached; expected 1 to 65535
checks.bad.yaml:6:12: devices[0].cloud: no region; expected one like eu-central-1"#,
    ),
    (
        "one-address",
        r#"one-address.bad.yaml:3:25: devices[1].address: the address 192.0.2.1 is taken by devices[0].address on line 2; expected each once
one-address.bad.yaml:5:25: devices[3].address: the address 192.0.2.1 is taken by devices[2].address on line 4; expected each once"#,
    ),
    (
        "zones",
        r#"zones.bad.yaml:2:24: devices[0].address: "2001:db8::1%eth0" has a zone; expected one with a link-local address (fe80::/10) only
zones.bad.yaml:3:24: devices[1].address: "" is not a name; expected 1 to 15 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
zones.bad.yaml:4:24: devices[2].address: "an-interface-too-long" is not a name; expected 1 to 15 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
zones.bad.yaml:6:24: devices[4].address: the address fe80::1%eth0 is taken by devices[3].address on line 5; expected each once
zones.bad.yaml:7:24: devices[5].address: "192.0.2.1%eth0" is not an address; expected an IPv4 address, an IPv6 address or a DNS name
zones.bad.yaml:8:33: devices[6].addresses.ipv6: "2001:db8::1%eth0" has a zone; expected one with a link-local address (fe80::/10) only"#,
    ),
    (
        "key-twice",
        r#"key-twice.bad.yaml:4:5: duplicate key "name"; expected each once"#,
    ),
    (
        "maintenance",
        r#"maintenance.bad.yaml:5:44: devices[0].maintenance[0].end: 2026-01-01T00:00:00Z is not after the start; expected a later time
maintenance.bad.yaml:6:17: devices[0].maintenance[1].start: "2026-01-01 00:00" is not a time; expected RFC 3339 with an offset, like 2026-03-01T22:00:00Z
maintenance.bad.yaml:6:40: devices[0].maintenance[1].end: "tomorrow" is not a time; expected RFC 3339 with an offset, like 2026-03-01T22:00:00Z
maintenance.bad.yaml:7:74: devices[0].maintenance[2].reason: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..." does not do; expected at most 200 characters and no control characters"#,
    ),
    (
        "missing",
        r#"missing.bad.yaml:2:5: sites[0]: "name" is missing
missing.bad.yaml:4:5: groups[0]: "name" is missing
missing.bad.yaml:6:5: devices[0]: "name" is missing
missing.bad.yaml:7:5: devices[1]: no address; expected address, or addresses with ipv4 or ipv6
missing.bad.yaml:9:12: devices[2].address: expected a string, found nothing"#,
    ),
    (
        "names",
        r#"names.bad.yaml:2:11: sites[0].name: "" is not a name; expected 1 to 64 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
names.bad.yaml:3:11: sites[1].name: "Praha 1" is not a name; expected 1 to 64 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
names.bad.yaml:5:11: groups[0].name: "-x" is not a name; expected 1 to 64 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
names.bad.yaml:7:11: devices[0].name: "rü1" is not a name; expected 1 to 128 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
names.bad.yaml:9:11: devices[0].role: "a?b" is not a name; expected 1 to 64 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
names.bad.yaml:10:16: devices[0].tags[1]: "no good" is not a name; expected 1 to 64 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
names.bad.yaml:11:11: devices[1].name: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..." is not a name; expected 1 to 128 ASCII letters, digits, ".", "_" or "-", the first a letter or digit
names.bad.yaml:13:15: devices[1].platform: "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp..." is not a name; expected 1 to 64 ASCII letters, digits, ".", "_" or "-", the first a letter or digit"#,
    ),
    (
        "names-twice",
        r#"names-twice.bad.yaml:3:11: sites[1].name: the site name "lab" is taken by sites[0].name on line 2; expected each once
names-twice.bad.yaml:6:11: groups[1].name: the group name "g" is taken by groups[0].name on line 5; expected each once
names-twice.bad.yaml:10:11: devices[1].name: the device name "r1" is taken by devices[0].name on line 8; expected each once"#,
    ),
    (
        "no-family-left",
        r#"no-family-left.bad.yaml:6:5: devices[0]: the device has no address of the families that its groups name; expected one"#,
    ),
    (
        "not-a-mapping",
        r#"not-a-mapping.bad.yaml:1:1: expected a mapping with sites, groups, devices, credentials, found a list"#,
    ),
    (
        "not-utf-8-escape",
        r#"not-utf-8-escape.bad.yaml:2:11: while parsing a quoted scalar, did not find expected hexadecimal number"#,
    ),
    (
        "not-yaml",
        r#"not-yaml.bad.yaml:2:3: "-" is only valid inside a block"#,
    ),
    (
        "ping",
        r#"ping.bad.yaml:2:52: devices[0].ping.interval: "1" is not a duration in bounds; expected one such as 250ms, 1.5s or 1m30s, from 10ms to 1h
ping.bad.yaml:3:52: devices[1].ping.interval: "9ms" is not a duration in bounds; expected one such as 250ms, 1.5s or 1m30s, from 10ms to 1h
ping.bad.yaml:4:52: devices[2].ping.interval: "2h" is not a duration in bounds; expected one such as 250ms, 1.5s or 1m30s, from 10ms to 1h
ping.bad.yaml:4:65: devices[2].ping.timeout: "61s" is not a duration in bounds; expected one such as 250ms, 1.5s or 1m30s, from 10ms to 1m
ping.bad.yaml:5:52: devices[3].ping.families: an empty list; expected ipv4, ipv6 or both (enabled: false switches ping off)
ping.bad.yaml:6:52: devices[4].ping.families: the device has no ipv6 address; expected one, or another family
ping.bad.yaml:7:53: devices[5].ping.families[0]: unknown value "ipv5"; expected one of ipv4, ipv6
ping.bad.yaml:8:52: devices[6].ping.interval: "1..5s" is not a duration in bounds; expected one such as 250ms, 1.5s or 1m30s, from 10ms to 1h
ping.bad.yaml:9:49: devices[7].ping.burst: 0 is out of bounds; expected 1 to 100
ping.bad.yaml:10:57: devices[8].ping.burst_spacing: "9ms" is not a duration in bounds; expected one such as 250ms, 1.5s or 1m30s, from 10ms to 1m
ping.bad.yaml:11:52: devices[9].ping.records: unknown value "some"; expected one of one, all"#,
    ),
    (
        "ports",
        r#"ports.bad.yaml:4:14: devices[0].desired: unknown value "down"; expected one of up, any
ports.bad.yaml:8:16: devices[1].ports[0].name: "eth 0; reload" is not a pattern of ports; expected 1 to 64 of ASCII letters, digits and "*", ".", "_", "/", ":", "-", the first a letter, a digit or "*"
ports.bad.yaml:9:16: devices[1].ports[1].name: "" is not a pattern of ports; expected 1 to 64 of ASCII letters, digits and "*", ".", "_", "/", ":", "-", the first a letter, a digit or "*"
ports.bad.yaml:13:9: devices[2].ports[0]: "name" is missing"#,
    ),
    (
        "sources-of-a-name",
        r#"sources-of-a-name.bad.yaml:2:5: devices[0]: a DNS name does not tell what the device sends from; expected flow.sources"#,
    ),
    (
        "sources-twice",
        r#"sources-twice.bad.yaml:11:21: devices[1].flow.sources: the flow source 192.0.2.1 is taken by devices[0].flow.sources on line 8; expected each once
sources-twice.bad.yaml:13:5: devices[3].syslog.sources: the syslog source 198.51.100.1 is taken by devices[2].syslog.sources on line 12; expected each once"#,
    ),
    (
        "too-deep",
        r#"too-deep.bad.yaml:1:26: nested too deep; expected 16 levels at most"#,
    ),
    (
        "too-many",
        r#"too-many.bad.yaml:4:11: devices[0].tags: 33 entries; expected 32 at most"#,
    ),
    (
        "two-documents",
        r#"two-documents.bad.yaml:2:1: a second document begins here; expected one"#,
    ),
    (
        "unknown-keys",
        r#"unknown-keys.bad.yaml:1:1: unknown key "site"; expected one of sites, groups, devices, credentials
unknown-keys.bad.yaml:4:5: sites[0]: unknown key "regoin"; expected one of name, region, latitude, longitude
unknown-keys.bad.yaml:8:12: devices[0].snmp: unknown key "community"; expected one of enabled, module, auth, port; communities and users stand in sotp-snmp's --config.file, under auths, and auth names one of them
unknown-keys.bad.yaml:8:31: devices[0].snmp: unknown key "version"; expected one of enabled, module, auth, port; communities and users stand in sotp-snmp's --config.file, under auths, and auth names one of them"#,
    ),
    (
        "unknown-references",
        r#"unknown-references.bad.yaml:5:22: groups[0].defaults.site: unknown site "labb"; expected a name from sites
unknown-references.bad.yaml:9:11: devices[0].site: unknown site "Lab"; expected a name from sites
unknown-references.bad.yaml:10:23: devices[0].groups[1]: unknown group "router"; expected a name from groups
unknown-references.bad.yaml:10:31: devices[0].groups[2]: the group "routers" stands here twice; expected each once"#,
    ),
    (
        "wrong-types",
        r#"wrong-types.bad.yaml:2:11: sites[0].name: expected a string, found a list
wrong-types.bad.yaml:7:11: devices[0].role: expected a string (put it in quotes if it is meant so), found the boolean true
wrong-types.bad.yaml:10:11: devices[1].tags: expected a list, found "core"
wrong-types.bad.yaml:13:18: devices[2].snmp.port: expected a whole number from 0 to 65535, found "161"
wrong-types.bad.yaml:16:21: devices[3].ping.enabled: expected true or false, found the number 1
wrong-types.bad.yaml:19:17: devices[4].ssh.port: expected a whole number from 0 to 65535, found the number 65536
wrong-types.bad.yaml:22:11: devices[5].snmp: expected a mapping, found "if_mib""#,
    ),
];
