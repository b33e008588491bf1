//! RFC 3164 and what devices send instead.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sotp_syslog::fuzz::rfc3164(bytes);
});
