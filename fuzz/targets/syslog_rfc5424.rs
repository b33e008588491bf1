//! RFC 5424 and what claims to be it.

crate::target!(|bytes: &[u8]| {
    sotp_syslog::fuzz::rfc5424(bytes);
});
