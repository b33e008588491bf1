//! The messages of every rule, changed.

crate::target!(|bytes: &[u8]| {
    sotp_syslog::fuzz::rules(bytes);
});
