//! NetFlow v5: datagrams of one stream.

crate::target!(|bytes: &[u8]| {
    sotp_netflow::fuzz::stream(&[0, 5], bytes);
});
