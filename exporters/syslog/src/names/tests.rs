use std::path::Path;

use super::*;

fn inventory(names: &[&str]) -> Inventory {
    let devices: String = names
        .iter()
        .enumerate()
        .map(|(at, name)| format!("  - {{name: '{name}', address: 192.0.2.{}}}\n", at + 1))
        .collect();
    let text = format!("devices:\n{devices}");
    Inventory::parse(&text, Path::new("t")).unwrap()
}

fn found<'i>(inventory: &'i Inventory, name: &str) -> Option<&'i str> {
    Names::new(inventory)
        .find(inventory, name)
        .map(|device| &*device.name)
}

#[test]
fn names_are_found_as_devices_write_them() {
    let inventory = inventory(&[
        "router1",
        "edge2.example.net",
        "sw1",
        "stack.lon.example.net",
        "core-1",
        "core-2",
        "mx9-re0",
    ]);
    for (name, device) in [
        ("router1", "router1"),
        ("ROUTER1", "router1"),
        ("192.0.2.3", "sw1"),
        ("router1.example.net", "router1"),
        ("edge2", "edge2.example.net"),
        ("edge2.example.net", "edge2.example.net"),
        ("re0.router1", "router1"),
        ("re1.router1.example.net", "router1"),
        ("router1-re0", "router1"),
        ("Router1-RE1.example.net", "router1"),
        ("router1_re1", "router1"),
        ("edge2-re1", "edge2.example.net"),
        ("sw1-2", "sw1"),
        ("stack-3", "stack.lon.example.net"),
        ("stack-3.lon.example.net", "stack.lon.example.net"),
        ("192.0.2.3-1", "sw1"),
        // What the inventory has is meant, whatever else the name could be.
        ("mx9-re0", "mx9-re0"),
        ("core-2", "core-2"),
    ] {
        assert_eq!(found(&inventory, name), Some(device), "{name}");
    }
}

#[test]
fn a_name_that_may_mean_another_device_means_none() {
    let inventory = inventory(&[
        "a1.lon.example.net",
        "a1.par.example.net",
        "core-1",
        "core-2",
        "core",
        "b2.lon.example.net",
        "c3",
    ]);
    for name in [
        // Two devices have this first label.
        "a1",
        "a1-re0",
        // Devices are numbered here: this is a third one, no member of a stack.
        "core-3",
        // Another domain is another device.
        "b2.par.example.net",
        "re0.b2.par.example.net",
        // More than a number, or no number of a member.
        "c3-10",
        "c3-0",
        "c3-x",
        "c3-re2",
        "re0",
        "-1",
        "re0.",
        "198.51.100.1-2",
        "",
    ] {
        assert_eq!(found(&inventory, name), None, "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn any_name_is_looked_up_without_harm(name in "\\PC{0,40}") {
        let inventory = inventory(&["sw1", "a.example.net"]);
        let _ = Names::new(&inventory).find(&inventory, &name);
    }
}
