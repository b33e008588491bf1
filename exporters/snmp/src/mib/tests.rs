use std::path::PathBuf;

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/mibs"))
}

fn both() -> Mibs {
    Mibs::load(&[folder()], None).unwrap()
}

#[test]
fn names_of_both_versions_of_the_language_are_found() {
    let mibs = both();
    for (written, number) in [
        ("SOTP-TEST-MIB::portTable", "1.3.6.1.4.1.99999.2"),
        ("portIn", "1.3.6.1.4.1.99999.2.1.7"),
        ("SOTP-TEST-MIB::portIn.1.2", "1.3.6.1.4.1.99999.2.1.7.1.2"),
        ("oldOctets.3", "1.3.6.1.4.1.99998.2.1.2.3"),
        (".1.3.6", "1.3.6"),
    ] {
        assert_eq!(
            mibs.resolve(written).unwrap().to_string(),
            number,
            "{written}"
        );
    }
    assert_eq!(mibs.problems(), []);
}

#[test]
fn an_object_has_what_its_definition_says() {
    let mibs = both();
    let object = |name: &str| mibs.get(name).unwrap().clone();
    let user = object("userCount");
    assert_eq!(user.indexes, ["userMac", "userKey", "userName"]);
    assert!(user.implied);
    assert_eq!(
        (object("userKey").fixed_size, object("userMac").fixed_size),
        (4, 6)
    );
    // net-snmp's own reader, and so snmp_exporter's generator, lose a size that stands in the object itself.
    assert_eq!(object("inlineKey").fixed_size, 3);
    assert_eq!(object("userName").fixed_size, 0);
    // A row that augments another has the indexes of that one.
    assert_eq!(object("portAlias").indexes, ["portSlot", "portNumber"]);
    assert_eq!(object("portState").names[1], (2, "down".to_owned()));
    assert_eq!(object("portFlags").kind, Kind::Bits);
    assert_eq!(object("portTable").kind, Kind::None);
    assert_eq!(object("onlyInTraps").access, Access::Not);
    assert_eq!(object("product").description, "Name of the product");
    assert_eq!(object("portName").convention, "SotpLabel");
    assert_eq!(object("oldOctets").kind, Kind::Counter);
    assert_eq!(object("oldOctets").indexes, ["oldIndex"]);
}

#[test]
fn what_is_not_there_is_told_with_file_and_likeness() {
    let error = both().resolve("SOTP-TEST-MIB::portTabel").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("SOTP-TEST-MIB.txt) does not define it"),
        "{text}"
    );
    assert!(text.ends_with("is `portTable` meant?"), "{text}");
    let error = Mibs::load(&[folder()], Some(&["IF-MIB".to_owned()])).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "no MIB module IF-MIB in {}: expected a file that defines it",
            folder().display()
        )
    );
    assert_eq!(Mibs::load(&[], None).unwrap_err(), MibError::NoFolder);
    let none = PathBuf::from("/nowhere/mibs");
    let error = Mibs::load(&[none], None).unwrap_err().to_string();
    assert!(error.starts_with("MIB folder /nowhere/mibs: "), "{error}");
}

#[test]
fn a_fault_in_a_file_is_told_with_its_line_and_the_rest_is_kept() {
    let text = std::fs::read_to_string(folder().join("SOTP-TEST-MIB.txt")).unwrap();
    let broken = text.replace("::= { portEntry 7 }", "::= { portEntry 7");
    assert_ne!(text, broken);
    let folder = testkit::TempDir::new().unwrap();
    std::fs::write(folder.path().join("BROKEN.txt"), broken).unwrap();
    let mibs = Mibs::load(&[folder.path().to_owned()], None).unwrap();
    assert!(mibs.get("portSlot").is_some() && mibs.get("peerVia").is_some());
    let line = text
        .lines()
        .position(|line| line.contains("::= { portEntry 7 }"))
        .unwrap()
        + 1;
    let near = |problem: &Problem| {
        let place = problem.text.split("BROKEN.txt:").nth(1)?;
        place.split(':').next()?.parse::<usize>().ok()
    };
    let lines: Vec<usize> = mibs.problems().iter().filter_map(near).collect();
    assert!(
        lines.iter().any(|one| one.abs_diff(line) <= 3),
        "{line} in {:?}",
        mibs.problems()
    );
}

/// The files that Debian's libsnmp-base brings, as net-snmp's own tools read them.
#[test]
fn the_mibs_of_net_snmp_are_read() {
    let folder = PathBuf::from("/usr/share/snmp/mibs");
    if !folder.join("UCD-SNMP-MIB.txt").exists() {
        testkit::skip("no MIBs of net-snmp here: install libsnmp-base");
        return;
    }
    let mibs = Mibs::load(&[folder], Some(&["UCD-SNMP-MIB".to_owned()])).unwrap();
    let load = mibs.get("UCD-SNMP-MIB::laLoad").unwrap();
    assert_eq!(load.oid.to_string(), "1.3.6.1.4.1.2021.10.1.3");
    assert_eq!(load.indexes, ["laIndex"]);
    assert_eq!(
        mibs.resolve("memTotalReal.0").unwrap().to_string(),
        "1.3.6.1.4.1.2021.4.5.0"
    );
}

/// Every file with some octets of it changed, left out or doubled: it is read, or its faults are told, and nothing panics.
#[test]
fn no_damage_to_a_file_makes_the_reader_panic() {
    let text = std::fs::read(folder().join("SOTP-TEST-MIB.txt")).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..60 {
        let mut damaged = text.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..damaged.len());
            match random.u8(..4) {
                0 => damaged[at] = random.u8(..),
                1 => damaged.truncate(at.max(1)),
                2 => {
                    let end = (at + random.usize(..200)).min(damaged.len());
                    let part = damaged[at..end].to_vec();
                    damaged.splice(at..at, part);
                }
                _ => {
                    let end = (at + random.usize(..60)).min(damaged.len());
                    damaged.drain(at..end);
                }
            }
        }
        if let Ok(mibs) = Mibs::of_text("SOTP-TEST-MIB", &damaged) {
            let input = crate::generate::input::ModuleInput {
                walk: vec!["1.3.6.1.4.1.99999".to_owned()],
                ..Default::default()
            };
            let _ = crate::generate::build::module(&mibs, &input);
        }
    }
}

#[test]
fn a_row_may_name_as_its_index_one_of_two_objects_at_one_identifier() {
    let text = b"T-MIB DEFINITIONS ::= BEGIN
IMPORTS OBJECT-TYPE FROM RFC-1212 enterprises FROM RFC1155-SMI;
packs OBJECT-TYPE SYNTAX SEQUENCE OF Pack ACCESS not-accessible STATUS mandatory ::= { enterprises 99997 }
pack OBJECT-TYPE SYNTAX Pack ACCESS not-accessible STATUS mandatory INDEX { packIndex, partIndex, , extraIndex } ::= { packs 1 }
Pack ::= SEQUENCE { packIndex INTEGER, partIndex INTEGER, packState INTEGER }
extraIndex OBJECT-TYPE SYNTAX INTEGER ACCESS read-only STATUS mandatory ::= { pack 2 }
packIndex OBJECT-TYPE SYNTAX INTEGER ACCESS read-only STATUS mandatory ::= { pack 1 }
partIndex OBJECT-TYPE SYNTAX INTEGER ACCESS read-only STATUS mandatory ::= { pack 2 }
packState OBJECT-TYPE SYNTAX INTEGER ACCESS read-only STATUS mandatory ::= { pack 3 }
END
";
    let mibs = Mibs::of_text("T-MIB", text).unwrap();
    let state = mibs.get("packState").unwrap();
    assert_eq!(state.indexes, ["packIndex", "partIndex", "extraIndex"]);
    for index in ["partIndex", "extraIndex"] {
        let one = mibs.get(&format!("T-MIB::{index}")).unwrap();
        assert_eq!((one.name.as_str(), one.kind), (index, Kind::Number));
        assert_eq!(one.oid.to_string(), "1.3.6.1.4.1.99997.1.2");
    }
    assert_eq!(
        mibs.below(&"1.3.6.1.4.1.99997.1".parse().unwrap()).count(),
        4
    );
}
