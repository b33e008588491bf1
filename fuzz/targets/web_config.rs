//! Any text as `web-config.yml`: checked or refused with a reason.

use std::path::Path;

crate::target!(|text: &str| {
    match toolkit::web_config::parse(text, Path::new("web-config.yml")) {
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
