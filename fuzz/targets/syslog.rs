//! Any datagram: one event comes out.

crate::target!(|bytes: &[u8]| {
    sotp_syslog::fuzz::datagram(bytes);
});
