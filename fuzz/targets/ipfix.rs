//! IPFIX: messages of one stream.

crate::target!(|bytes: &[u8]| {
    sotp_netflow::fuzz::stream(&[0, 10], bytes);
});
