//! Any stream: the same frames however it is cut.

crate::target!(|bytes: &[u8]| {
    sotp_syslog::fuzz::framing(bytes);
});
