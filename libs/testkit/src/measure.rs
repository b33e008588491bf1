//! Processor time of a piece of work, for benchmarks.

use std::hint::black_box;
use std::io::Write as _;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// Processor time of this thread for the work, in milliseconds.
///
/// # Panics
/// The kernel does not tell.
pub fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let began = processor_time();
    black_box(work());
    (processor_time() - began).as_secs_f64() * 1e3
}

#[expect(
    clippy::expect_used,
    reason = "a benchmark without its clock cannot go on"
)]
fn processor_time() -> Duration {
    // The kernel counts what a thread has used when it leaves the processor, else a few milliseconds late.
    std::thread::sleep(Duration::from_micros(50));
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("getrusage of the own thread");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| Duration::from_micros(time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64))
        .sum()
}

/// The body with gzip at its fastest, as a peer would send it.
///
/// # Panics
/// Never: memory takes all that is written.
#[must_use]
#[expect(clippy::expect_used, reason = "writing to memory does not fail")]
pub fn gzip(body: &[u8]) -> Vec<u8> {
    let packed = Vec::with_capacity(body.len() / 8);
    let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}
