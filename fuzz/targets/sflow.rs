//! sFlow v5: datagrams of one agent.

crate::target!(|bytes: &[u8]| {
    sotp_netflow::fuzz::stream(&[0, 0, 0, 5], bytes);
});
