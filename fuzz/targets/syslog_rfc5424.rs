//! RFC 5424 and what claims to be it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sotp_syslog::fuzz::rfc5424(bytes);
});
