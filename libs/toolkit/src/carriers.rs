//! The libraries that carry what we say, and say little themselves.

/// Libraries below ours: they log nothing but warnings, and their spans are not sent.
pub(crate) const CARRIERS: &[&str] = &[
    "h2",
    "hickory_net",
    "hickory_proto",
    "hickory_resolver",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "reqwest",
    "rustls",
    "tokio_util",
    "tonic",
    "tower",
];
