//! Any text as the configuration of another prober: read or refused with a reason, and what is read can be converted.
#![no_main]

use std::path::Path;

use sotp_ping::compat::{Kind, Options, convert, parse};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for kind in Kind::ALL {
        match parse(kind, &Options::default(), text, Path::new("fuzz.yaml")) {
            Ok(config) => assert!(config.peer.is_some_and(|peer| peer.kind == kind)),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let _ = convert::convert(kind, text, Path::new("fuzz.yaml"));
    }
});
