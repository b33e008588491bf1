//! What flows are told apart by: addresses, pairs of them, networks and ports, and how tables keep them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::top::{Key, Packed};

/// An address in the form that tables are kept by: of IPv6, in which IPv4 is mapped (RFC 4291, section 2.5.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    high: u64,
    low: u64,
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self {
                high: 0,
                low: 0xffff_0000_0000 | u64::from(u32::from(address)),
            },
            IpAddr::V6(address) => {
                let address = u128::from(address);
                Self {
                    high: (address >> 64) as u64,
                    low: address as u64,
                }
            }
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        let address = u128::from(address.high) << 64 | u128::from(address.low);
        Self::V6(address.into()).to_canonical()
    }
}

/// A network of 256 addresses of IPv4 (/24), or of 2⁸⁰ of IPv6 (/48).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(Address);

impl From<Address> for Prefix {
    fn from(address: Address) -> Self {
        if address.four().is_some() {
            Self(Address {
                low: address.low & !0xff,
                ..address
            })
        } else {
            Self(Address {
                high: address.high & !0xffff,
                low: 0,
            })
        }
    }
}

impl From<Prefix> for IpNet {
    fn from(prefix: Prefix) -> Self {
        let address = IpAddr::from(prefix.0);
        let length = if address.is_ipv4() { 24 } else { 48 };
        // Both are lengths that a network may have.
        Self::new(address, length).unwrap_or_else(|_| address.into())
    }
}

/// Both ends of a conversation, in the direction of the packets.
pub type Pair = (Address, Address);
/// IP protocol and port.
pub type Port = (u8, u16);

/// What is before an address of IPv4 in the lower half of its place in IPv6.
const MAPPED: u64 = 0xffff_0000_0000;

impl Address {
    #[inline]
    fn four(self) -> Option<u32> {
        (self.high == 0 && self.low >> 32 == MAPPED >> 32).then_some(self.low as u32)
    }

    fn of_four(address: u32) -> Self {
        Self {
            high: 0,
            low: MAPPED | u64::from(address),
        }
    }

    #[inline]
    fn words(self) -> [u32; 4] {
        let half = |number: u64| [(number >> 32) as u32, number as u32];
        let ([one, two], [three, four]) = (half(self.high), half(self.low));
        [one, two, three, four]
    }

    fn of_words([one, two, three, four]: [u32; 4]) -> Self {
        let whole = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        Self {
            high: whole(one, two),
            low: whole(three, four),
        }
    }
}

impl Key for Address {
    type Small = [u32; 1];
    type Large = [u32; 4];

    #[inline]
    fn pack(self) -> Packed<[u32; 1], [u32; 4]> {
        match self.four() {
            Some(four) => Packed::Small([four]),
            None => Packed::Large(self.words()),
        }
    }

    fn unpack(packed: Packed<[u32; 1], [u32; 4]>) -> Self {
        match packed {
            Packed::Small([four]) => Self::of_four(four),
            Packed::Large(words) => Self::of_words(words),
        }
    }
}

impl Key for Pair {
    type Small = [u32; 2];
    type Large = [u32; 8];

    #[inline]
    fn pack(self) -> Packed<[u32; 2], [u32; 8]> {
        match (self.0.four(), self.1.four()) {
            (Some(from), Some(to)) => Packed::Small([from, to]),
            _ => {
                let ([a, b, c, d], [e, f, g, h]) = (self.0.words(), self.1.words());
                Packed::Large([a, b, c, d, e, f, g, h])
            }
        }
    }

    fn unpack(packed: Packed<[u32; 2], [u32; 8]>) -> Self {
        match packed {
            Packed::Small([from, to]) => (Address::of_four(from), Address::of_four(to)),
            Packed::Large([a, b, c, d, e, f, g, h]) => (
                Address::of_words([a, b, c, d]),
                Address::of_words([e, f, g, h]),
            ),
        }
    }
}

impl Key for Prefix {
    type Small = [u32; 1];
    type Large = [u32; 4];

    #[inline]
    fn pack(self) -> Packed<[u32; 1], [u32; 4]> {
        self.0.pack()
    }

    fn unpack(packed: Packed<[u32; 1], [u32; 4]>) -> Self {
        Self(Address::unpack(packed))
    }
}

impl Key for Port {
    type Small = [u32; 1];
    /// There is none.
    type Large = [u32; 1];

    #[inline]
    fn pack(self) -> Packed<[u32; 1], [u32; 1]> {
        Packed::Small([u32::from(self.0) << 16 | u32::from(self.1)])
    }

    fn unpack(packed: Packed<[u32; 1], [u32; 1]>) -> Self {
        let (Packed::Small([both]) | Packed::Large([both])) = packed;
        ((both >> 16) as u8, both as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_network_are_what_they_were() {
        for (address, prefix) in [
            ("198.18.7.9", "198.18.7.0/24"),
            ("255.255.255.255", "255.255.255.0/24"),
            ("2001:db8:7:8::9", "2001:db8:7::/48"),
            ("::", "::/48"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(IpAddr::from(Address::from(address)), address);
            let packed = Address::from(address).pack();
            assert_eq!(Address::unpack(packed), Address::from(address));
            assert_eq!(matches!(packed, Packed::Small(_)), address.is_ipv4());
            let network = IpNet::from(Prefix::from(Address::from(address)));
            assert_eq!(network.to_string(), prefix);
        }
    }
}
