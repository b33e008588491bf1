//! NetFlow v5: a header of 24 bytes and up to thirty records of 48 (Cisco, "NetFlow Services Solutions Guide", export datagram format).

use std::net::{IpAddr, Ipv4Addr};

use super::{Head, Malformed};
use crate::flow::{Flow, Origin, Rate, Span};
use crate::template::read::Reader;

/// Octets of the header.
const HEAD: usize = 24;
/// Octets of one record.
const RECORD: usize = 48;

/// Reads a datagram; `each` gets every record. A datagram that is too short for its count is refused whole.
pub(super) fn read(datagram: &[u8], mut each: impl FnMut(&Flow)) -> Result<Head, Malformed> {
    let mut reader = Reader(datagram);
    let head = head(&mut reader).ok_or(Malformed::Header)?;
    if head.count == 0 || datagram.len() < HEAD + RECORD * usize::from(head.count) {
        return Err(Malformed::Count);
    }
    let rate = match head.sampling & 0x3fff {
        0 => Rate::default(),
        one_in => Rate {
            one_in: u32::from(one_in),
            origin: Origin::Header,
        },
    };
    let (records, _) = datagram[HEAD..].as_chunks();
    for record in records.iter().take(usize::from(head.count)) {
        each(&flow(record, rate, head.uptime));
    }
    Ok(Head {
        version: 5,
        // Engine type and id: each engine counts for itself.
        domain: u32::from(head.engine),
        sequence: head.sequence,
        export_seconds: Some(head.seconds),
        uptime_ms: Some(head.uptime),
        units: Some(u32::from(head.count)),
    })
}

struct Header {
    count: u16,
    uptime: u32,
    seconds: u32,
    sequence: u32,
    engine: u16,
    sampling: u16,
}

fn head(reader: &mut Reader<'_>) -> Option<Header> {
    reader.u16()?;
    let count = reader.u16()?;
    let uptime = reader.u32()?;
    let seconds = reader.u32()?;
    reader.u32()?;
    Some(Header {
        count,
        uptime,
        seconds,
        sequence: reader.u32()?,
        engine: reader.u16()?,
        sampling: reader.u16()?,
    })
}

#[inline]
fn flow(record: &[u8; RECORD], rate: Rate, uptime: u32) -> Flow {
    let byte = |at: usize| record[at];
    let u16_at = |at: usize| u16::from_be_bytes([byte(at), byte(at + 1)]);
    let u32_at =
        |at: usize| u32::from_be_bytes([byte(at), byte(at + 1), byte(at + 2), byte(at + 3)]);
    // Uptimes wrap after 49.7 days, each for itself.
    let ago = |at: usize| i64::from(uptime.wrapping_sub(u32_at(at)).cast_signed());
    Flow {
        source: Some(IpAddr::V4(Ipv4Addr::from(u32_at(0)))),
        destination: Some(IpAddr::V4(Ipv4Addr::from(u32_at(4)))),
        input: u32::from(u16_at(12)),
        output: u32::from(u16_at(14)),
        packets: u64::from(u32_at(16)),
        bytes: u64::from(u32_at(20)),
        source_port: u16_at(32),
        destination_port: u16_at(34),
        tcp_flags: byte(37),
        protocol: byte(38),
        tos: byte(39),
        source_as: u32::from(u16_at(40)),
        destination_as: u32::from(u16_at(42)),
        span: Some(Span::new(ago(24), ago(28))),
        // Version 5 is measured where packets come in.
        direction: None,
        rate,
        exporter: None,
    }
}
