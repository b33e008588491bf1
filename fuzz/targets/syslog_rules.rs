//! The messages of every rule, changed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sotp_syslog::fuzz::rules(bytes);
});
