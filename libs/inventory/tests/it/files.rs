//! The files beside the code: the schema is that of the types, the example and the documentation parse.

use std::path::{Path, PathBuf};

use inventory::Inventory;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_committed_schema_is_current() {
    let committed = std::fs::read_to_string(root().join("docs/inventory.schema.json")).unwrap();
    assert!(
        committed == inventory::json_schema(),
        "write it anew: sotp-inventory --inventory.print-schema > docs/inventory.schema.json"
    );
}

#[test]
fn the_example_parses() {
    let inventory = Inventory::read(&root().join("examples/inventory.yaml")).unwrap();
    assert_eq!((inventory.devices().len(), inventory.sites().len()), (5, 2));
    assert_eq!(
        inventory
            .device("r1")
            .unwrap()
            .snmp
            .as_ref()
            .unwrap()
            .module
            .as_ref(),
        "if_mib"
    );
}

#[test]
fn every_inventory_in_the_documentation_parses() {
    let page = std::fs::read_to_string(root().join("docs/inventory.md")).unwrap();
    let blocks: Vec<&str> = page
        .split("```yaml inventory\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 2, "the page has a full and a small example");
    for block in &blocks {
        Inventory::parse(block, Path::new("docs/inventory.md")).unwrap();
    }
    let longest = blocks.iter().max_by_key(|block| block.len()).unwrap();
    let full = Inventory::parse(longest, Path::new("docs")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&full.json()).unwrap();
    let text = json.to_string();
    let schema: serde_json::Value = serde_json::from_str(&inventory::json_schema()).unwrap();
    for (entry, keys) in schema["$defs"].as_object().unwrap() {
        for key in keys["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
        {
            assert!(
                text.contains(&format!("\"{key}\":")),
                "the full example does not show {entry}.{key}"
            );
        }
    }
}
