//! First contact: a whole file read, and errors with their places.

use std::path::Path;

use crate::Inventory;

fn parse(text: &str) -> Result<Inventory, String> {
    Inventory::parse(text, Path::new("inventory.yaml")).map_err(|error| error.to_string())
}

#[test]
fn every_error_is_told_with_its_place() {
    let text = "sites:\n  - name: lab\n    regoin: x\ndevices:\n  - name: r1\n    address: 192.0.2.1\n    site: lab\n  - name: r1\n    adress: 192.0.2.1\n    ping: {interval: 7, families: [ipv5]}\n  - name: 1.10\n    address: 192.0.2.1\n    site: labb\n    snmp: {port: 99999}\n";
    println!("{}", parse(text).unwrap_err());
    println!("{}", parse("a: [").unwrap_err());
    println!(
        "{}",
        parse("devices:\n - name: a\n   name: b\n").unwrap_err()
    );
    println!("{}", parse("devices:\n - name: a\n   address: 192.0.2.1\n - name: b\n   address: 192.0.2.1\n - name: a\n   address: 1.2.3.4.5\n").unwrap_err());
    println!(
        "{:#?}",
        parse("devices:\n - name: 1.10\n   address: 192.0.2.1\n   flow:\n")
            .unwrap()
            .devices()
    );
}
