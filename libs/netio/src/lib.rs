//! What SOTP asks of the Linux kernel and the standard library does not offer: batched datagrams, kernel
//! timestamps, the socket error queue, TUN devices, descriptors given from process to process.
//!
//! This is the one crate of the workspace that holds `unsafe`. Each block wraps one system call and states why it
//! is sound; everything that reads bytes from the kernel or the network ([`control`], [`address`]) is safe code
//! over slices, so that it can be fuzzed and run under Miri.
#![allow(
    unsafe_code,
    reason = "the one crate that speaks to the kernel directly; one comment per block"
)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod address;
pub mod control;
pub mod descriptors;
pub mod memory;
pub mod option;
pub mod receive;
pub mod send;
pub mod steer;
pub mod thread;
pub mod tun;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Most messages one batched system call carries.
pub const BATCH: usize = 64;

/// A second descriptor of the open file behind `descriptor`, closed on `exec`. It stays valid when the first one
/// is closed, and polling the first one does not concern it.
///
/// # Errors
/// `EBADF` when `descriptor` is not open, `EMFILE` at the limit of the process.
pub fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only; a number that is no open descriptor is answered with EBADF.
    let copy = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just opened `copy` and nothing else knows it, so it has this one owner.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
