//! Any bytes as a capture, pcap or pcapng.

crate::target!(|bytes: &[u8]| {
    sotp_netflow::fuzz::captured(bytes);
});
