//! Changing entries: the text around them stays, and document and text stay the same thing.

use std::path::Path;

use inventory::Inventory;
use inventory::document::Document;
use inventory::edit::{Book, Edit, Entry, Kind, Rewritten, diff, merge};
use proptest::prelude::*;

fn put(kind: Kind, text: &str) -> Edit {
    Edit::Put(Entry::parse(kind, text).unwrap())
}

fn delete(kind: Kind, name: &str) -> Edit {
    Edit::Delete(kind, name.to_owned())
}

/// The text after `edits`, which is held to the document.
fn edited(text: &str, edits: &[Edit]) -> (String, Option<Rewritten>) {
    let (mut book, mut document, _) = Book::open(text, Path::new("t")).unwrap();
    assert_eq!(book.text(), text);
    let anew = book.apply(&mut document, edits).anew;
    let after = book.text();
    let (read, _) = Inventory::parse_both(&after, Path::new("t"))
        .unwrap_or_else(|error| panic!("{error}\n{after}"));
    assert_eq!(read, document, "{after}");
    (after, anew)
}

const COMMENTED: &str = "\
# Our network.
sites:
  - name: prague # the capital
    region: 'Central
      Europe'

# Devices, by rack.
devices:
  # Rack 1
  - name: r1
    address: 192.0.2.1   # uplink
    # inside r1

  # Rack 2
  - {name: r2, address: 192.0.2.2}
  -   name: r3
      address: 192.0.2.3
# the end
";

#[test]
fn one_entry_changes_and_everything_else_stays() {
    let (text, anew) = edited(
        COMMENTED,
        &[put(
            Kind::Device,
            r#"{"name":"r2","address":"2001:db8::2","site":"prague","ping":{"interval":"250ms","enabled":true},"tags":["1","yes","core"]}"#,
        )],
    );
    assert_eq!(anew, None);
    assert_eq!(
        text,
        COMMENTED.replace(
            "  - {name: r2, address: 192.0.2.2}\n",
            "  - name: r2\n    address: \"2001:db8::2\"\n    site: prague\n    tags: [\"1\", \"yes\", core]\n    ping: {enabled: true, interval: 250ms}\n"
        )
    );
    let (text, anew) = edited(COMMENTED, &[delete(Kind::Device, "r1")]);
    assert_eq!(anew, None);
    assert_eq!(
        text,
        COMMENTED.replace(
            "  - name: r1\n    address: 192.0.2.1   # uplink\n    # inside r1\n",
            ""
        )
    );
    let (text, anew) = edited(
        COMMENTED,
        &[put(Kind::Device, "{name: r4, address: 192.0.2.4}")],
    );
    assert_eq!(anew, None);
    assert_eq!(
        text,
        COMMENTED.replace(
            "# the end",
            "  - name: r4\n    address: 192.0.2.4\n# the end"
        )
    );
    let (text, _) = edited(
        COMMENTED,
        &[put(
            Kind::Site,
            "{name: prague, latitude: 50.5, longitude: 14.25}",
        )],
    );
    assert!(
        text.contains(
            "  - name: prague\n    latitude: 50.5\n    longitude: 14.25\n\n# Devices, by rack.\n"
        ),
        "{text}"
    );
}

#[test]
fn lists_that_cannot_be_cut_are_written_anew_and_say_so() {
    let new = put(Kind::Device, "{name: r9, address: 192.0.2.9}");
    let flow = "# head\ndevices: [{name: r1, address: 192.0.2.1}]\n# foot\nsites: [{name: s}]\n";
    let (text, anew) = edited(flow, std::slice::from_ref(&new));
    assert_eq!(anew, Some(Rewritten::List(Kind::Device)));
    assert_eq!(
        text,
        "# head\ndevices:\n  - name: r1\n    address: 192.0.2.1\n  - name: r9\n    address: 192.0.2.9\n# foot\nsites: [{name: s}]\n"
    );
    let (text, anew) = edited(
        "{\"devices\":[{\"name\":\"r1\",\"address\":\"192.0.2.1\"}]}",
        std::slice::from_ref(&new),
    );
    assert_eq!(anew, Some(Rewritten::All));
    assert!(text.starts_with("{\n"), "{text}");
    let anchors = "groups:\n  - name: g\n    defaults: &d {role: core}\n  - name: h\n    defaults: *d\ndevices:\n  - name: r1\n    address: 192.0.2.1\n";
    assert_eq!(
        edited(anchors, &[delete(Kind::Group, "g")]).1,
        Some(Rewritten::List(Kind::Group))
    );
    assert_eq!(edited(anchors, std::slice::from_ref(&new)).1, None);
    for empty in [
        "",
        "# nothing yet\n",
        "devices:\n",
        "devices: []\n# foot\n",
        "sites:\n  - name: s",
    ] {
        let (text, _) = edited(empty, std::slice::from_ref(&new));
        let (back, _) = edited(&text, &[delete(Kind::Device, "r9")]);
        assert!(!back.contains("r9"), "{back}");
        assert!(
            empty
                .lines()
                .filter(|line| line.starts_with('#'))
                .all(|line| back.contains(line)),
            "{back}"
        );
    }
}

#[test]
fn both_sides_are_merged_and_conflicts_shown() {
    let read = |text: &str| Inventory::parse_both(text, Path::new("t")).unwrap().0;
    let base = read(
        "devices: [{name: a, address: 192.0.2.1}, {name: b, address: 192.0.2.2}, {name: c, address: 192.0.2.3}]",
    );
    let ours = read(
        "devices: [{name: a, address: 192.0.2.11}, {name: b, address: 192.0.2.2}, {name: d, address: 192.0.2.4}]",
    );
    let theirs = read(
        "devices: [{name: a, address: 192.0.2.1}, {name: b, address: 192.0.2.22}, {name: c, address: 192.0.2.33}]",
    );
    let (edits, conflicts) = merge(&base, &ours, &theirs);
    assert_eq!(edits, [put(Kind::Device, "{name: b, address: 192.0.2.22}")]);
    assert_eq!(conflicts.len(), 1);
    assert_eq!((&*conflicts[0].name, &conflicts[0].ours), ("c", &None));
    assert!(merge(&base, &base, &theirs).1.is_empty());
    assert_eq!(merge(&base, &ours, &ours), (vec![], vec![]));
    assert_eq!(
        ours.named("devices[2].address: taken by devices[0].address, devices[7]"),
        "devices[d].address: taken by devices[a].address, devices[7]"
    );
}

fn style(n: u8, address: u32) -> String {
    let ip = std::net::Ipv4Addr::from(0x0a00_0000 + address);
    match n % 6 {
        0 => format!("  - name: d{address}\n    address: {ip}\n"),
        1 => format!("  - {{name: d{address}, address: {ip}}} # note {n}\n"),
        2 => {
            format!("  # above {address}\n  - name: d{address}\n    # in\n    address: '{ip}'\n\n")
        }
        3 => format!("  - name: \"d{address}\"\n    tags:\n    - a\n    - b\n    address: {ip}\n"),
        4 => format!(
            "  -  address: {ip}\n     name: d{address}\n     maintenance:\n     - start: 2026-01-01T00:00:00Z\n       end: 2026-01-02T00:00:00Z\n       reason: |-\n         # not a comment\n"
        ),
        _ => format!(
            "\n  - name: d{address}\n    ping: {{interval: 1s,\n      timeout: 500ms}}\n    address: {ip}\n# outside {address}\n"
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Whatever the file looks like, text and document stay the same thing, comments between entries stay,
    /// and what the diff of two documents says makes the one of the other.
    #[test]
    fn text_and_document_stay_the_same(
        styles in proptest::collection::vec(any::<u8>(), 0..8),
        steps in proptest::collection::vec((any::<bool>(), 0_u32..12, "[ -~]{0,12}"), 1..8),
    ) {
        let mut text = "# top\ndevices:\n".to_owned();
        for (index, n) in styles.iter().enumerate() {
            text.push_str(&style(*n, index as u32));
        }
        text.push_str("sites:\n  - name: s # kept\n");
        let (mut book, mut document, _) = Book::open(&text, Path::new("t")).unwrap();
        let before = document.clone();
        let mut anew = false;
        for (add, n, reason) in &steps {
            let edit = if *add {
                let window = serde_json::json!([{"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "reason": reason}]);
                put(Kind::Device, &serde_json::json!({"name": format!("d{n}"), "address": format!("10.0.9.{n}"), "maintenance": window}).to_string())
            } else {
                delete(Kind::Device, &format!("d{n}"))
            };
            anew |= book.apply(&mut document, std::slice::from_ref(&edit)).anew.is_some();
        }
        let after = book.text();
        let (read, _) = Inventory::parse_both(&after, Path::new("t")).unwrap();
        prop_assert_eq!(&read, &document, "{}", after);
        prop_assert!(after.starts_with("# top\n") && after.contains("# kept"), "{}", after);
        if !anew {
            for line in text.lines().filter(|line| line.starts_with("  # above") || line.starts_with("# outside")) {
                prop_assert!(after.contains(line), "{} lost: {}", line, after);
            }
        }
        let mut again: Document = before.clone();
        for edit in diff(&before, &document) {
            again.apply(&edit);
        }
        prop_assert!(diff(&again, &document).is_empty());
        // And back: every step can be taken back.
        let undone: Vec<_> = diff(&document, &before);
        let mut back = document.clone();
        let done: Vec<_> = undone.iter().map(|edit| (edit, back.apply(edit))).collect();
        for (edit, undo) in done.into_iter().rev() {
            back.revert(edit, undo);
        }
        prop_assert_eq!(back, document);
    }
}
