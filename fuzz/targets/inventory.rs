//! Any text as `inventory.yaml`: checked or refused with a reason, and what is checked answers every job.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match inventory::Inventory::parse(text, Path::new("fuzz.yaml")) {
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
