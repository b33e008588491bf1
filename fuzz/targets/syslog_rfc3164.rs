//! RFC 3164 and what devices send instead.

crate::target!(|bytes: &[u8]| {
    sotp_syslog::fuzz::rfc3164(bytes);
});
