//! Any stream: the same frames however it is cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sotp_syslog::fuzz::framing(bytes);
});
