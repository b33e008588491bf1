//! What is amended is what the whole check makes, whatever the edits.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const START: &str = "sites: [{name: a}, {name: b}]\ngroups: [{name: g, defaults: {role: core, snmp: , flow: }}]\ncredentials: [{name: c}]\n";

/// An edit of one of few devices, sites and groups, so that they meet; some of them are not valid.
fn edit() -> impl Strategy<Value = (bool, Edit)> {
    let put = |kind: Kind, text: String| Edit::Put(Entry::parse(kind, &text).unwrap());
    let device = (0_u8..8, 0_u8..14, 0_u8..4, 0_u8..8).prop_map(move |(name, ip, site, more)| {
        let site = ["", ", site: a", ", site: b", ", site: none"][usize::from(site)];
        let more = [
            "",
            ", groups: [g]",
            ", groups: [none]",
            ", flow: {sources: [10.1.0.1]}",
            ", syslog: {sources: [10.1.0.1, 10.1.0.1]}",
            ", addresses: {ipv6: \"2001:db8::1\"}",
            ", ping: {dscp: 46}",
            ", ping: {size_bytes: 1400}",
        ][usize::from(more)];
        let address = match ip {
            9 => "r.example.net".to_owned(),
            10 => "R.example.net.".to_owned(),
            11 => "10.0.0.999.".to_owned(),
            12 => "\"fe80::1%eth0\"".to_owned(),
            13 => "\"fe80::1%eth1\"".to_owned(),
            ip => format!("10.0.0.{ip}"),
        };
        put(
            Kind::Device,
            format!("{{name: d{name}, address: {address}{site}{more}}}"),
        )
    });
    let other = prop_oneof![
        (0_u8..3).prop_map(move |n| put(
            Kind::Site,
            format!("{{name: {}}}", ["a", "b", "x"][usize::from(n)])
        )),
        any::<bool>().prop_map(move |on| put(
            Kind::Group,
            format!("{{name: g, defaults: {{ping: {{enabled: {on}}}}}}}")
        )),
        Just(Edit::Delete(Kind::Site, "b".to_owned())),
    ];
    let edit = prop_oneof![
        8 => device,
        3 => (0_u8..8).prop_map(|name| Edit::Delete(Kind::Device, format!("d{name}"))),
        1 => other,
    ];
    (any::<bool>(), edit)
}

proptest! {
    #[test]
    fn amended_is_as_checked(edits in vec(edit(), 1..60)) {
        let origin = Path::new("test");
        let (mut document, mut inventory) = Inventory::parse_both(START, origin).unwrap();
        let mut batch = Vec::new();
        for (last, edit) in edits {
            batch.push(edit);
            if !last {
                continue;
            }
            let before = document.clone();
            for edit in &batch {
                document.apply(edit);
            }
            let whole = Inventory::check(&document, origin);
            let amended = inventory.amend(&document, &batch, origin);
            match (whole, amended) {
                (Ok(whole), Ok(amended)) => {
                    prop_assert_eq!(&whole.version, &amended.version);
                    prop_assert_eq!(&whole.json, &amended.json);
                    prop_assert_eq!(&whole.sites, &amended.sites);
                    prop_assert_eq!(&whole.devices, &amended.devices);
                    prop_assert_eq!(&whole.index, &amended.index);
                    inventory = amended;
                }
                (Err(whole), Err(amended)) => {
                    prop_assert_eq!(whole.to_string(), amended.to_string());
                    document = before;
                }
                (whole, amended) => prop_assert!(false, "{whole:?}\n{amended:?}"),
            }
            batch.clear();
        }
    }
}

#[test]
fn a_changed_device_leaves_the_others_where_they_are() {
    let origin = Path::new("test");
    let text = "devices: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}]";
    let (mut document, old) = Inventory::parse_both(text, origin).unwrap();
    let entry = Entry::parse(Kind::Device, "{name: b, address: 10.0.0.2, role: core}").unwrap();
    let edit = Edit::Put(entry);
    document.apply(&edit);
    let new = amend(&old, &document, &[edit]).unwrap();
    assert!(Arc::ptr_eq(&old.devices[0], &new.devices[0]) && Arc::ptr_eq(&old.index, &new.index));
    assert_eq!(&*new.device("b").unwrap().role, "core");
}
