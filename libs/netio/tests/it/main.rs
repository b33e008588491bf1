//! Real sockets, descriptors and devices of the kernel.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod datagrams;
mod descriptors;
mod steer;
mod tun;
