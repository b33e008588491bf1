//! Any bytes on any of the syslog transports: one event comes out, or a reason.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sotp_syslog::cli::fuzz(bytes);
});
