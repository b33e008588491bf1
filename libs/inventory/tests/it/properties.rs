//! The reader against anything: it never panics, never grows, and what it writes it reads back.

use std::path::Path;
use std::time::{Duration, Instant};

use inventory::document::{
    AddressesEntry, DeviceEntry, GroupEntry, PingEntry, SendersEntry, SiteEntry, SnmpEntry,
};
use inventory::{Document, Inventory};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn full() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/full.good.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// Any text that may stand in the file, control characters and other scripts included.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}",
        "[0-9]{1,4}(\\.[0-9]{1,2})?",
        "\\PC{0,8}",
        any::<String>()
    ]
}

prop_compose! {
    fn device(sites: usize, groups: usize)(
        index in 0_u32..1 << 20,
        v6 in any::<bool>(),
        site in option::of(0..sites),
        members in proptest::sample::subsequence((0..groups).collect::<Vec<_>>(), 0..=groups),
        snmp in option::of((option::of("[a-z][a-z_]{0,9}"), option::of(1_u16..))),
        enabled in option::of(any::<bool>()),
        flow in any::<bool>(),
        region in any::<bool>(),
    ) -> DeviceEntry {
        let v4 = std::net::Ipv4Addr::from((10 << 24) + index).to_string();
        DeviceEntry {
            name: format!("d{index}"),
            address: region.then(|| v4.clone()),
            addresses: (!region || v6).then(|| AddressesEntry {
                ipv4: Some(v4),
                ipv6: v6.then(|| std::net::Ipv6Addr::from((0x2001_0db8_u128 << 96) + u128::from(index)).to_string()),
            }),
            site: site.map(|site| format!("s{site}")),
            groups: members.into_iter().map(|group| format!("g{group}")).collect(),
            ping: enabled.map(|enabled| PingEntry { enabled: Some(enabled), ..PingEntry::default() }),
            snmp: snmp.map(|(module, port)| SnmpEntry { module, port, ..SnmpEntry::default() }),
            flow: flow.then(SendersEntry::default),
            ..DeviceEntry::default()
        }
    }
}

prop_compose! {
    fn document()(sites in 1_usize..5, groups in 1_usize..5)(
        regions in vec(option::of("[^\\p{C}]{0,20}"), sites),
        coordinates in vec(option::of((-90.0..=90.0, -180.0..=180.0)), sites),
        roles in vec(option::of("[a-z]{1,6}"), groups),
        devices in vec(device(sites, groups), 0..12),
        sites in Just(sites),
    ) -> Document {
        let mut document = Document::default();
        for index in 0..sites {
            document.sites.push(SiteEntry {
                name: format!("s{index}"),
                region: regions[index].clone(),
                latitude: coordinates[index].map(|(latitude, _)| latitude),
                longitude: coordinates[index].map(|(_, longitude)| longitude),
            });
        }
        for (index, role) in roles.into_iter().enumerate() {
            let mut group = GroupEntry { name: format!("g{index}"), ..GroupEntry::default() };
            group.defaults.role = role;
            document.groups.push(group);
        }
        let mut seen = std::collections::HashSet::new();
        document.devices = devices.into_iter().filter(|device| seen.insert(device.name.clone())).collect();
        document
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = Inventory::parse(&text, Path::new("t"));
    }

    #[test]
    fn any_yaml_like_text_is_answered(text in "([a-z]+: |- |\\n *|[\\[\\]{},&*!|>'\"#%@`]|<<: |null|~|[0-9.eE+-]+|true){0,60}") {
        let _ = Inventory::parse(&text, Path::new("t"));
    }

    #[test]
    fn a_damaged_file_is_answered(at in any::<prop::sample::Index>(), len in 0_usize..20, with in "\\PC{0,6}") {
        let mut chars: Vec<char> = full().chars().collect();
        let at = at.index(chars.len());
        let end = (at + len).min(chars.len());
        chars.splice(at..end, with.chars());
        let text: String = chars.into_iter().collect();
        if let Err(error) = Inventory::parse(&text, Path::new("t")) {
            prop_assert!(error.to_string().starts_with("t:"), "{}", error);
            let shown = error.to_string();
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{:?}", shown);
        }
    }

    #[test]
    fn names_never_reach_a_label_unchecked(name in any_name(), role in any_name()) {
        let mut document = Document::default();
        document.devices.push(DeviceEntry { name: name.clone(), address: Some("192.0.2.1".into()), role: Some(role.clone()), ..DeviceEntry::default() });
        if let Ok(inventory) = Inventory::check(&document, Path::new("t")) {
            prop_assert!(!name.is_empty() && name.len() <= 128 && role.len() <= 64);
            prop_assert_eq!(&*inventory.devices()[0].labels, &format!("device=\"{name}\",site=\"\",role=\"{role}\""));
        }
    }

    #[test]
    fn what_is_written_is_read_back(document in document()) {
        let inventory = Inventory::check(&document, Path::new("t")).unwrap();
        let json = String::from_utf8(inventory.json().to_vec()).unwrap();
        let again = Inventory::parse(&json, Path::new("t")).unwrap();
        prop_assert_eq!(again.document(), document);
        prop_assert_eq!(again.version(), inventory.version());
        prop_assert_eq!(again.devices(), inventory.devices());
        for device in inventory.devices() {
            prop_assert_eq!(inventory.device(&device.name), Some(device));
            prop_assert_eq!(inventory.by_address(&device.address.to_string()), Some(device));
        }
    }
}

/// Each alias doubles what the last one held: 2^40 values from forty lines.
#[test]
fn alias_bombs_end_soon() {
    use std::fmt::Write as _;
    let mut nested = "a0: &a0 [x, x]\n".to_owned();
    let mut merged = "a0: &a0 {k: v}\n".to_owned();
    for n in 1..40 {
        writeln!(nested, "a{n}: &a{n} [*a{0}, *a{0}]", n - 1).unwrap();
        writeln!(merged, "a{n}: &a{n} {{x: *a{0}, y: *a{0}}}", n - 1).unwrap();
    }
    let wide = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x, ".repeat(10_000),
        "*a, ".repeat(10_000)
    );
    for bomb in [nested, merged, wide] {
        let began = Instant::now();
        let error = Inventory::parse(&bomb, Path::new("t"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("aliases repeat too much") || error.contains("nested too deep"),
            "{error}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
    }
}

#[test]
fn texts_that_are_too_long_are_refused_unread() {
    let error =
        Inventory::parse(&" ".repeat(inventory::MAX_BYTES + 1), Path::new("t")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "t: an inventory may hold 33554432 bytes at most"
    );
}

#[test]
fn errors_are_counted_when_there_are_too_many_to_list() {
    let text = format!(
        "devices:\n{}",
        "- {name: r1, address: 192.0.2.1, x: 1}\n".repeat(200)
    );
    let error = Inventory::parse(&text, Path::new("t")).unwrap_err();
    let inventory::Error::Invalid(problems) = &error else {
        panic!("{error}")
    };
    assert!(
        problems.count() > 300 && problems.iter().count() == 50,
        "{}",
        problems.count()
    );
    assert!(error.to_string().ends_with("more"));
}
