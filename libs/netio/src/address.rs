//! Socket addresses as the kernel lays them out (`sockaddr_in`, `sockaddr_in6`), to and from bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Bytes the longest of the two layouts takes (`struct sockaddr_in6`).
pub const ADDRESS_BYTES: usize = 28;

/// Bytes of `struct sockaddr_in`.
const V4_BYTES: usize = 16;

/// Reads a kernel socket address; `None` when it is cut short or of another family.
pub fn decode(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(field(bytes, 0)?);
    let port = u16::from_be_bytes(field(bytes, 2)?);
    match i32::from(family) {
        libc::AF_INET => {
            let address = Ipv4Addr::from(field::<4>(bytes, 4)?);
            (bytes.len() >= V4_BYTES).then(|| SocketAddrV4::new(address, port).into())
        }
        libc::AF_INET6 => {
            let flow = u32::from_be_bytes(field(bytes, 4)?);
            let address = Ipv6Addr::from(field::<16>(bytes, 8)?);
            let scope = u32::from_ne_bytes(field(bytes, 24)?);
            Some(SocketAddrV6::new(address, port, flow, scope).into())
        }
        _ => None,
    }
}

/// The address part of [`decode`].
pub fn decode_ip(bytes: &[u8]) -> Option<IpAddr> {
    decode(bytes).map(|address| address.ip())
}

/// Writes `address` as the kernel reads it and returns how many of the bytes are used.
pub fn encode(address: SocketAddr, bytes: &mut [u8; ADDRESS_BYTES]) -> usize {
    bytes.fill(0);
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            bytes[4..8].copy_from_slice(&v4.ip().octets());
            V4_BYTES
        }
        SocketAddr::V6(v6) => {
            bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
            bytes[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
            bytes[8..24].copy_from_slice(&v6.ip().octets());
            bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            ADDRESS_BYTES
        }
    }
}

/// `N` bytes from `offset`, when they are all there.
pub(crate) fn field<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_decodes(ip: IpAddr, port: u16, flow in 0_u32..1 << 20, scope: u32) {
            let address = match ip {
                IpAddr::V4(v4) => SocketAddrV4::new(v4, port).into(),
                IpAddr::V6(v6) => SocketAddrV6::new(v6, port, flow, scope).into(),
            };
            let mut bytes = [0xff; ADDRESS_BYTES];
            let used = encode(address, &mut bytes);
            prop_assert_eq!(decode(&bytes[..used]), Some(address));
            for short in 0..used {
                prop_assert_eq!(decode(&bytes[..short]), None);
            }
        }

        #[test]
        fn any_bytes_decode_or_do_not(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn other_families_are_no_address() {
        let mut bytes = [0; ADDRESS_BYTES];
        bytes[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
        assert_eq!(decode(&bytes), None);
    }
}
