//! Native histograms: exponential buckets, of which only those in use are sent.

/// The positive part of a native histogram.
///
/// Bucket `i` of schema `s` holds what is above `2^((i-1)/2^s)` and not above `2^(i/2^s)`; what is not above `zero_threshold` is in
/// `zero_count`. <https://prometheus.io/docs/specs/native_histograms/>
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Native<'a> {
    /// Resolution, -4 to 8: each bucket is `2^(1/2^schema)` times as wide as the one before.
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in it.
    pub zero_count: u64,
    /// Buckets by ascending index, each with its observations (not cumulative); empty ones may be left out.
    pub buckets: &'a [(i32, u64)],
}
