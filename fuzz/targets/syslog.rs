//! Any datagram: one event comes out.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sotp_syslog::fuzz::datagram(bytes);
});
