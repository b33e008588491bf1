//! Table indexes: sub-identifiers to text, and which of them were used.

use std::fmt::Write as _;

use crate::config::{EnumValues, IndexType};

pub use crate::config::IndexType as Kind;

/// The longest string that a length in an identifier is believed to announce.
const LONGEST: usize = 255;

/// One index read from the front of the sub-identifiers.
#[derive(Debug, PartialEq, Eq)]
pub struct Read<'a> {
    /// Its text; may hold octets that are no UTF-8.
    pub text: Vec<u8>,
    /// The sub-identifiers it took, missing ones as 0.
    pub used: Vec<u32>,
    /// What is left for the next index.
    pub rest: &'a [u32],
}

/// Which type an InetAddress, InetAddressMissingSize or LldpPortId has after the number in front of it (RFC 4001 §3, LLDP-MIB).
#[must_use]
pub fn combined(kind: Kind, subtype: i64) -> Option<Kind> {
    match (kind, subtype) {
        (Kind::InetAddress | Kind::InetAddressMissingSize, 1) => Some(Kind::InetAddressIpv4),
        (Kind::InetAddress | Kind::InetAddressMissingSize, 2) => Some(Kind::InetAddressIpv6),
        (Kind::LldpPortId, 1 | 2 | 5 | 7) => Some(Kind::DisplayString),
        (Kind::LldpPortId, 3) => Some(Kind::PhysAddress48),
        _ => None,
    }
}

/// Reads one index. Missing sub-identifiers count as 0, since some agents leave trailing zeros out.
#[must_use]
pub fn read<'a>(
    ids: &'a [u32],
    kind: IndexType,
    fixed_size: usize,
    implied: bool,
    names: &EnumValues,
) -> Read<'a> {
    match kind {
        Kind::InetAddress | Kind::LldpPortId | Kind::InetAddressMissingSize => {
            read_combined(ids, kind, names)
        }
        Kind::Number | Kind::Enumeration => {
            let (used, rest) = split(ids, 1);
            let named = if kind == Kind::Enumeration {
                names.get(&i64::from(used[0]))
            } else {
                None
            };
            Read {
                text: named
                    .cloned()
                    .unwrap_or_else(|| used[0].to_string())
                    .into_bytes(),
                used,
                rest,
            }
        }
        Kind::PhysAddress48 => {
            let (used, rest) = split(ids, 6);
            Read {
                text: joined(&used, ":", |id| format!("{id:02X}")),
                used,
                rest,
            }
        }
        Kind::InetAddressIpv4 => {
            let (used, rest) = split(ids, 4);
            Read {
                text: joined(&used, ".", |id| id.to_string()),
                used,
                rest,
            }
        }
        Kind::InetAddressIpv6 => {
            let (used, rest) = split(ids, 16);
            let groups: Vec<String> = used
                .chunks(2)
                .map(|pair| format!("{:02X}{:02X}", pair[0], pair[1]))
                .collect();
            Read {
                text: groups.join(":").into_bytes(),
                used,
                rest,
            }
        }
        Kind::OctetString | Kind::DisplayString => {
            let (content, used, rest) = string(ids, fixed_size, implied);
            let text = if kind == Kind::DisplayString {
                content
            } else {
                super::text::hex(&content).into_bytes()
            };
            Read { text, used, rest }
        }
    }
}

fn read_combined<'a>(ids: &'a [u32], kind: IndexType, names: &EnumValues) -> Read<'a> {
    let missing_size = kind == Kind::InetAddressMissingSize;
    let (mut used, rest) = split(ids, if missing_size { 1 } else { 2 });
    if let Some(kind) = combined(kind, used[0].into()) {
        let inner = read(rest, kind, 0, false, names);
        used.extend(inner.used);
        return Read {
            text: inner.text,
            used,
            rest: inner.rest,
        };
    }
    if missing_size {
        return read(ids, Kind::OctetString, 0, true, names);
    }
    read(ids, Kind::OctetString, used[1] as usize + 2, false, names)
}

fn string(ids: &[u32], fixed_size: usize, implied: bool) -> (Vec<u8>, Vec<u32>, &[u32]) {
    let (mut used, mut rest) = (Vec::new(), ids);
    let mut length = if implied { ids.len() } else { fixed_size };
    if length == 0 {
        (used, rest) = split(ids, 1);
        length = used[0] as usize;
    }
    let (content, rest) = split(rest, length.min(rest.len().max(LONGEST)));
    let octets = content.iter().map(|id| *id as u8).collect();
    used.extend(content);
    (octets, used, rest)
}

fn split(ids: &[u32], count: usize) -> (Vec<u32>, &[u32]) {
    let (head, rest) = ids.split_at(count.min(ids.len()));
    let mut head = head.to_vec();
    head.resize(count, 0);
    (head, rest)
}

fn joined(ids: &[u32], separator: &str, show: impl Fn(u32) -> String) -> Vec<u8> {
    let mut out = String::new();
    for (at, id) in ids.iter().enumerate() {
        let _ = write!(out, "{}{}", if at == 0 { "" } else { separator }, show(*id));
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(ids: &[u32], kind: Kind, fixed_size: usize, implied: bool) -> (String, usize) {
        let names = EnumValues::from([(3, "up".to_owned())]);
        let read = read(ids, kind, fixed_size, implied, &names);
        (
            String::from_utf8_lossy(&read.text).into_owned(),
            read.rest.len(),
        )
    }

    #[test]
    fn every_index_type_reads_as_in_snmp_exporter() {
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        for (ids, kind, fixed, implied, shown, left) in [
            (&[7, 8][..], Kind::Number, 0, false, "7", 1),
            (&[], Kind::Number, 0, false, "0", 0),
            (&[3], Kind::Enumeration, 0, false, "up", 0),
            (&[4], Kind::Enumeration, 0, false, "4", 0),
            (
                &[1, 2, 3, 4, 5, 255, 9],
                Kind::PhysAddress48,
                0,
                false,
                "01:02:03:04:05:FF",
                1,
            ),
            (&[1], Kind::PhysAddress48, 0, false, "01:00:00:00:00:00", 0),
            (&[2, 65, 66, 9], Kind::OctetString, 0, false, "0x4142", 1),
            (&[65, 66, 9], Kind::OctetString, 2, false, "0x4142", 1),
            (&[65, 66, 9], Kind::OctetString, 0, true, "0x414209", 0),
            (&[0], Kind::OctetString, 0, false, "", 0),
            (&[], Kind::OctetString, 0, true, "", 0),
            (&[3, 65], Kind::OctetString, 0, false, "0x410000", 0),
            (&[2, 65, 322, 9], Kind::DisplayString, 0, false, "AB", 1),
            (&[65, 66], Kind::DisplayString, 0, true, "AB", 0),
            (
                &[10, 1, 2, 3, 4],
                Kind::InetAddressIpv4,
                0,
                false,
                "10.1.2.3",
                1,
            ),
            (
                &v6,
                Kind::InetAddressIpv6,
                0,
                false,
                "2001:0DB8:0000:0000:0000:0000:0000:0001",
                0,
            ),
            (
                &[1, 4, 10, 0, 0, 1, 5],
                Kind::InetAddress,
                0,
                false,
                "10.0.0.1",
                1,
            ),
            (
                &[16, 2, 65, 66, 5],
                Kind::InetAddress,
                0,
                false,
                "0x10024142",
                1,
            ),
            (
                &[1, 10, 0, 0, 1, 5],
                Kind::InetAddressMissingSize,
                0,
                false,
                "10.0.0.1",
                1,
            ),
            (
                &[5, 10, 0],
                Kind::InetAddressMissingSize,
                0,
                false,
                "0x050A00",
                0,
            ),
            (&[5, 4, 3, 65, 66, 67], Kind::LldpPortId, 0, false, "ABC", 0),
            (
                &[3, 6, 1, 2, 3, 4, 5, 6],
                Kind::LldpPortId,
                0,
                false,
                "01:02:03:04:05:06",
                0,
            ),
            (&[9, 1, 65], Kind::LldpPortId, 0, false, "0x090141", 0),
        ] {
            assert_eq!(
                text(ids, kind, fixed, implied),
                (shown.to_owned(), left),
                "{kind:?} {ids:?}"
            );
        }
    }

    #[test]
    fn a_false_length_costs_no_memory() {
        assert_eq!(
            read(
                &[u32::MAX, 1],
                Kind::OctetString,
                0,
                false,
                &EnumValues::new()
            )
            .used
            .len(),
            LONGEST + 1
        );
    }

    proptest! {
        #[test]
        fn any_identifier_reads(ids in proptest::collection::vec(any::<u32>(), 0..40), fixed in 0usize..300, implied: bool) {
            for kind in [Kind::OctetString, Kind::DisplayString, Kind::InetAddress, Kind::LldpPortId, Kind::InetAddressMissingSize] {
                let read = read(&ids, kind, fixed, implied, &EnumValues::new());
                prop_assert!(read.rest.len() <= ids.len() && read.used.len() <= 600);
            }
        }
    }
}
