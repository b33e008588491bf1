//! A topic and a payload of MQTT with a NUL byte between, by the rules that come along; and the same as a configuration of mqtt2prometheus.

use std::path::Path;
use std::sync::LazyLock;

use sotp_mqtt::rules::{Announcement, BUILT_IN, Rules};

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let files = BUILT_IN.map(|(name, text)| (text, Path::new(name)));
    Rules::parse(files).expect("the rules that come along")
});

crate::target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let topic = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let payload = parts.next().unwrap_or_default();
    let announced = match RULES.announcement(&topic, payload) {
        Some(Announcement::Entities { rules, .. }) => rules,
        _ => Vec::new(),
    };
    let matching = RULES.matching(&topic);
    if let Ok(read) = RULES.read(&matching, &announced, payload, (false, true)) {
        assert!(read.samples.iter().all(|sample| sample.value.is_finite()));
        assert!(read.samples.len() <= 200);
    }
    // Entities that are read without its payload being one of their own.
    let _ = RULES.read(&matching, &announced, b"21.5", (true, false));
    let text = String::from_utf8_lossy(bytes);
    let _ = sotp_mqtt::commands::convert(&text, Path::new("x"));
});
