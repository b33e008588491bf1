//! Values of objects, and the table that one scrape fills.

mod table;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use table::{At, Column, Entry, Span, Table, Value};

/// One value as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw<'a> {
    /// INTEGER.
    Integer(i64),
    /// Counter32, Gauge32, TimeTicks, UInteger32.
    Unsigned(u64),
    /// Counter64, or a number of a 32-bit type that does not fit it, as some agents send.
    Counter64(u64),
    /// OCTET STRING, NsapAddress, and Opaque that holds no number.
    Octets(&'a [u8]),
    /// OBJECT IDENTIFIER, its content octets.
    Oid(&'a [u8]),
    /// IpAddress; some agents send sixteen octets.
    Ip(IpAddr),
    /// Opaque float (tag 9f78).
    Float(f32),
    /// Opaque double (tag 9f79).
    Double(f64),
    /// NULL, or an IpAddress of no octets.
    Null,
    /// The agent has no such object or instance.
    Missing,
    /// Nothing follows in the agent's view.
    EndOfMibView,
}

/// Why a value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A number of more octets than its type allows.
    #[error("a number is too long")]
    TooLong,
    /// An address that is neither 4 nor 16 octets long.
    #[error("an IpAddress has {0} octets")]
    Address(usize),
    /// A type that SNMP does not have.
    #[error("unknown value type 0x{0:02x}")]
    Type(u8),
}

/// Reads the content octets of a value of BER type `tag` (RFC 2578 §7.1, RFC 3416 §2.5).
///
/// Numbers of no octets, which some agents send, read as 0.
///
/// # Errors
/// The value is malformed or of a type that SNMP does not have.
pub fn read(tag: u8, content: &[u8]) -> Result<Raw<'_>, ValueError> {
    Ok(match tag {
        0x02 => Raw::Integer(signed(content)?),
        0x04 | 0x45 => Raw::Octets(content),
        0x05 => Raw::Null,
        0x06 => Raw::Oid(content),
        0x40 => match *content {
            [] => Raw::Null,
            [a, b, c, d] => Raw::Ip(Ipv4Addr::new(a, b, c, d).into()),
            _ => {
                let octets: [u8; 16] = content
                    .try_into()
                    .map_err(|_| ValueError::Address(content.len()))?;
                let address = Ipv6Addr::from(octets);
                Raw::Ip(
                    address
                        .to_ipv4_mapped()
                        .map_or(address.into(), IpAddr::from),
                )
            }
        },
        0x41..=0x43 | 0x47 => {
            let number = unsigned(content)?;
            match u32::try_from(number) {
                Ok(number) => Raw::Unsigned(number.into()),
                // More than its type holds: what the agent counts or measures all the same.
                Err(_) => Raw::Counter64(number),
            }
        }
        0x44 => opaque(content),
        0x46 => Raw::Counter64(unsigned(content)?),
        0x80 | 0x81 => Raw::Missing,
        0x82 => Raw::EndOfMibView,
        other => return Err(ValueError::Type(other)),
    })
}

fn signed(content: &[u8]) -> Result<i64, ValueError> {
    if content.len() > 8 {
        return Err(ValueError::TooLong);
    }
    let start = if content.first().is_some_and(|byte| byte & 0x80 != 0) {
        -1
    } else {
        0
    };
    Ok(content
        .iter()
        .fold(start, |number, byte| (number << 8) | i64::from(*byte)))
}

fn unsigned(content: &[u8]) -> Result<u64, ValueError> {
    if content.len() > 9 || (content.len() == 9 && content[0] != 0) {
        return Err(ValueError::TooLong);
    }
    Ok(content
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

fn opaque(content: &[u8]) -> Raw<'_> {
    match *content {
        [0x9f, 0x78, 4, a, b, c, d] => Raw::Float(f32::from_be_bytes([a, b, c, d])),
        [0x9f, 0x79, 8, a, b, c, d, e, f, g, h] => {
            Raw::Double(f64::from_be_bytes([a, b, c, d, e, f, g, h]))
        }
        _ => Raw::Octets(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_octets_read_as_their_type_says() {
        let cases: [(u8, &[u8], Raw<'_>); 16] = [
            (0x02, &[0xff], Raw::Integer(-1)),
            (0x02, &[0, 0x80], Raw::Integer(128)),
            (0x02, &[], Raw::Integer(0)),
            (
                0x41,
                &[0, 0xff, 0xff, 0xff, 0xff],
                Raw::Unsigned(u64::from(u32::MAX)),
            ),
            (
                0x42,
                &[0xff, 0xff, 0xff, 0xff],
                Raw::Unsigned(u64::from(u32::MAX)),
            ),
            (
                0x42,
                &[2, 0x54, 0x0b, 0xe4, 0],
                Raw::Counter64(10_000_000_000),
            ),
            (0x43, &[], Raw::Unsigned(0)),
            (0x47, &[7], Raw::Unsigned(7)),
            (
                0x46,
                &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                Raw::Counter64(u64::MAX),
            ),
            (
                0x40,
                &[198, 18, 0, 1],
                Raw::Ip(IpAddr::from([198, 18, 0, 1])),
            ),
            (0x40, &[], Raw::Null),
            (0x44, &[0x9f, 0x78, 4, 0x3f, 0x80, 0, 0], Raw::Float(1.0)),
            (
                0x44,
                &[0x9f, 0x79, 8, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0],
                Raw::Double(1.0),
            ),
            (0x44, &[1, 2], Raw::Octets(&[1, 2])),
            (0x45, &[1], Raw::Octets(&[1])),
            (0x82, &[], Raw::EndOfMibView),
        ];
        for (tag, content, value) in cases {
            assert_eq!(read(tag, content), Ok(value), "{tag:x}");
        }
        assert_eq!(read(0x02, &[0; 9]), Err(ValueError::TooLong));
        assert_eq!(read(0x46, &[1; 9]), Err(ValueError::TooLong));
        assert_eq!(read(0x40, &[1, 2, 3]), Err(ValueError::Address(3)));
        assert_eq!(read(0x30, &[]), Err(ValueError::Type(0x30)));
    }
}
