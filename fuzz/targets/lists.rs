//! Any text as a list of another system: read line by line, and what is taken can be checked and written again.

use std::path::Path;

use inventory::Inventory;
use sotp_inventory::formats::Format;

crate::target!(|input: (u8, &str)| {
    let (which, text) = input;
    let format = Format::ALL[usize::from(which) % Format::ALL.len()];
    let start =
        "sites: [{name: lab}]\ngroups: [{name: g}]\ndevices: [{name: r1, address: 192.0.2.1}]";
    let Ok((mut document, _)) = Inventory::parse_both(start, Path::new("start")) else {
        return;
    };
    let mut read = format.read(text);
    let edits = read.edits(&document);
    // YAML has a carriage return as the end of a line too.
    let lines = text.matches(['\n', '\r']).count() as u64 + 1;
    assert!(read.wrong.iter().all(|wrong| wrong.line <= lines));
    for (line, edit) in &edits {
        assert!(*line <= lines, "line {line} of {lines}");
        document.apply(edit);
    }
    // What goes out comes in again; a list that other systems write need not be a valid inventory.
    if let Ok(inventory) = Inventory::check(&document, Path::new("fuzz")) {
        let again = format.read(&format.write(&inventory));
        assert!(again.wrong.is_empty(), "{:?}", again.wrong);
    }
});
