//! Any octets as pages that sotp-snmp compresses.

crate::target!(|bytes: &[u8]| {
    sotp_snmp::deflate::fuzz(bytes);
});
