//! The neighbours that a device names: by LLDP (IEEE 802.1AB), OSPF (RFC 4750) and BGP (RFC 4273).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::oid::Oid;
use crate::samples::text;
use crate::value::{At, Table, Value};

/// lldpRemSysName.
const LLDP_NAME: [u32; 11] = [1, 0, 8802, 1, 1, 2, 1, 4, 1, 1, 9];
/// lldpRemManAddrIfSubtype, in whose index the address stands.
const LLDP_ADDRESS: [u32; 11] = [1, 0, 8802, 1, 1, 2, 1, 4, 2, 1, 3];
/// ospfNbrRtrId.
const OSPF_ROUTER: [u32; 10] = [1, 3, 6, 1, 2, 1, 14, 10, 1, 3];
/// bgpPeerIdentifier.
const BGP_ROUTER: [u32; 10] = [1, 3, 6, 1, 2, 1, 15, 3, 1, 1];

/// A neighbour as a device tells of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbor {
    /// `lldp`, `ospf` or `bgp`.
    pub protocol: &'static str,
    /// Its own name, where it told one.
    pub name: Option<String>,
    /// Where it may be reached, the likelier first: its router identifier is often an address of its own.
    pub addresses: Vec<IpAddr>,
}

impl Neighbor {
    /// Its name, or where it may be reached.
    #[must_use]
    pub fn called(&self) -> String {
        let address = || self.addresses.first().map(ToString::to_string);
        self.name.clone().or_else(address).unwrap_or_default()
    }
}

/// What is walked to hear of neighbours.
pub(crate) fn columns() -> Vec<Oid> {
    let all: [&[u32]; 4] = [&LLDP_NAME, &LLDP_ADDRESS, &OSPF_ROUTER, &BGP_ROUTER];
    all.into_iter().map(Oid::new).collect()
}

/// The neighbours in a table, as far as their columns were read.
pub(crate) fn of(table: &Table) -> Vec<Neighbor> {
    let mut all: Vec<Neighbor> = Vec::new();
    let addresses: Vec<(Vec<u32>, IpAddr)> = table
        .below(&LLDP_ADDRESS)
        .filter_map(|(at, _)| managed(&at.behind(LLDP_ADDRESS.len())))
        .collect();
    for (at, entry) in table.below(&LLDP_NAME) {
        let row = at.behind(LLDP_NAME.len());
        let name = text::label(table, &entry.value, "DisplayString", "");
        let own = addresses.iter().filter(|(of, _)| *of == *row);
        all.push(Neighbor {
            protocol: "lldp",
            name: Some(name.trim().to_owned()).filter(|name| !name.is_empty()),
            addresses: own.map(|(_, address)| *address).collect(),
        });
    }
    for (protocol, column) in [("ospf", &OSPF_ROUTER[..]), ("bgp", &BGP_ROUTER)] {
        for (at, entry) in table.below(column) {
            let mut addresses = Vec::new();
            let identifier = match entry.value {
                Value::Ipv4(address) => Some(address),
                _ => None,
            };
            let remote = remote(&at, column.len());
            for address in [identifier, remote].into_iter().flatten() {
                if !address.is_unspecified() && !addresses.contains(&address.into()) {
                    addresses.push(address.into());
                }
            }
            if !addresses.is_empty() {
                all.push(Neighbor {
                    protocol,
                    name: None,
                    addresses,
                });
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

/// The address that the index of ospfNbrTable and bgpPeerTable begins with.
fn remote(at: &At<'_>, column: usize) -> Option<Ipv4Addr> {
    let index = at.behind(column);
    let octets: Vec<u8> = (index.get(..4)?.iter())
        .map(|id| u8::try_from(*id).ok())
        .collect::<Option<_>>()?;
    <[u8; 4]>::try_from(octets).ok().map(Ipv4Addr::from)
}

/// The row of lldpRemTable and the address: time mark, port, index, family (IANA: 1 and 2), length, octets.
fn managed(index: &[u32]) -> Option<(Vec<u32>, IpAddr)> {
    let (row, rest) = index.split_at_checked(3)?;
    let [family, _, octets @ ..] = rest else {
        return None;
    };
    let octets: Vec<u8> = (octets.iter())
        .map(|id| u8::try_from(*id).ok())
        .collect::<Option<_>>()?;
    let address = match family {
        1 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        2 => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into(),
        _ => return None,
    };
    Some((row.to_vec(), address))
}
