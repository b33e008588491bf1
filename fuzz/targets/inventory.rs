//! Any text as `inventory.yaml`: checked or refused with a reason, and what is checked answers every job.

use std::path::Path;

use inventory::Shard;
use inventory::sd::{Job, render};

crate::target!(|text: &str| {
    match inventory::Inventory::parse(text, Path::new("fuzz.yaml")) {
        Ok(inventory) => {
            for job in Job::ALL {
                let list = render(&inventory, job, Shard::default());
                assert!(list.starts_with(b"[") && list.ends_with(b"]"));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
