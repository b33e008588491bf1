//! One target under libFuzzer: the environment says which.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<sotp_fuzz::Target> = LazyLock::new(sotp_fuzz::chosen);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    TARGET(bytes);
});
