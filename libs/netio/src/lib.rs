//! What SOTP asks of the Linux kernel and the standard library does not offer: batched datagrams, kernel
//! timestamps, the socket error queue, TUN devices.
//!
//! This is the one crate of the workspace that holds `unsafe`. Each block wraps one system call and states why it
//! is sound; everything that reads bytes from the kernel or the network is safe code over slices.
#![allow(
    unsafe_code,
    reason = "the one crate that speaks to the kernel directly; one comment per block"
)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod tun;
