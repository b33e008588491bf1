//! A file of autonomous systems in MaxMind's format.

crate::target!(|bytes: &[u8]| {
    sotp_netflow::fuzz::systems(bytes);
});
