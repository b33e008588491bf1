//! Ports for programs that are not started yet.

use std::net::{Ipv4Addr, TcpListener};

/// Free ports of 127.0.0.1, below those that outgoing connections and listeners on port 0 are given: nobody gets them in the meantime by
/// chance.
pub(crate) fn free<const N: usize>() -> [u16; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| {
        let mut ports = std::iter::repeat_with(|| fastrand::u16(10_000..32_000)).take(1_000);
        let bound = ports.find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
        bound.unwrap()
    });
    held.map(|listener| listener.local_addr().unwrap().port())
}
