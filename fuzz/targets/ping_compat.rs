//! Any text as the configuration of another prober: read or refused with a reason, and what is read can be converted into files of ours.

use std::path::Path;

use inventory::Inventory;
use sotp_ping::commands::convert;
use sotp_ping::compat::{Kind, Options, parse};
use sotp_ping::config::Config;

crate::target!(|text: &str| {
    for kind in Kind::ALL {
        match parse(kind, &Options::default(), text, Path::new("fuzz.yaml")) {
            Ok(config) => assert!(config.peer.is_some_and(|peer| peer.kind == kind)),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let Ok(converted) = convert::convert(kind, text, Path::new("fuzz.yaml")) else {
            continue;
        };
        let config = Config::parse(&converted.config, Path::new("config"));
        assert!(config.is_ok(), "{config:?}:\n{}", converted.config);
        let inventory = Inventory::parse(&converted.inventory, Path::new("inventory"));
        assert!(inventory.is_ok(), "{inventory:?}:\n{}", converted.inventory);
    }
});
