//! UDP datagrams out of a capture: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), in any byte order and resolution.
//!
//! Fragments are not put together again; they are counted, as is every frame that is no UDP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One datagram of a capture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Datagram<'a> {
    /// When it was captured, Unix seconds; 0 where the capture does not say.
    pub unix_seconds: f64,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// What UDP carried.
    pub payload: &'a [u8],
}

/// What a capture held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Frames.
    pub frames: u64,
    /// Frames that are no UDP, or of a kind of link that is not known.
    pub others: u64,
    /// Fragments of IP and frames that were captured only in part.
    pub parts: u64,
    /// The file ends within a frame.
    pub cut: bool,
}

/// Why a file is no capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither pcap nor pcapng")]
pub struct NoCapture;

#[derive(Clone, Copy)]
struct Cursor<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }
}

/// Gives each datagram of a capture in its order.
///
/// # Errors
/// It is no capture. One that ends early gives what it has.
pub fn datagrams<'a>(
    file: &'a [u8],
    mut each: impl FnMut(Datagram<'a>),
) -> Result<Held, NoCapture> {
    let mut held = Held::default();
    let mut frame = |link: u32, seconds: f64, frame: &'a [u8], whole: bool| {
        held.frames += 1;
        match udp(link, frame) {
            Ok(Some((from, to, payload))) if whole => each(Datagram {
                unix_seconds: seconds,
                from,
                to,
                payload,
            }),
            Ok(_) => held.parts += 1,
            Err(NoUdp) => held.others += 1,
        }
    };
    let magic = file.get(..4).ok_or(NoCapture)?;
    let whole = match magic {
        [0xa1, 0xb2, 0xc3, 0xd4] => pcap(file, true, 1e6, &mut frame),
        [0xd4, 0xc3, 0xb2, 0xa1] => pcap(file, false, 1e6, &mut frame),
        [0xa1, 0xb2, 0x3c, 0x4d] => pcap(file, true, 1e9, &mut frame),
        [0x4d, 0x3c, 0xb2, 0xa1] => pcap(file, false, 1e9, &mut frame),
        [0x0a, 0x0d, 0x0d, 0x0a] => pcapng(file, &mut frame),
        _ => return Err(NoCapture),
    };
    held.cut = whole.is_none();
    Ok(held)
}

type Frame<'a, 'f> = dyn FnMut(u32, f64, &'a [u8], bool) + 'f;

fn pcap<'a>(file: &'a [u8], big: bool, fraction: f64, frame: &mut Frame<'a, '_>) -> Option<()> {
    let mut cursor = Cursor { bytes: file, big };
    cursor.take(20)?;
    // The upper bits tell of a checksum behind each frame.
    let link = cursor.u32()? & 0xffff;
    while !cursor.bytes.is_empty() {
        let (seconds, part) = (cursor.u32()?, cursor.u32()?);
        let (captured, length) = (cursor.u32()?, cursor.u32()?);
        let bytes = cursor.take(usize::try_from(captured).ok()?)?;
        frame(
            link,
            f64::from(seconds) + f64::from(part) / fraction,
            bytes,
            captured >= length,
        );
    }
    Some(())
}

fn pcapng<'a>(file: &'a [u8], frame: &mut Frame<'a, '_>) -> Option<()> {
    let mut rest = file;
    let mut big = false;
    // Kind of link and ticks a second of each interface of the section.
    let mut interfaces: Vec<(u32, f64)> = Vec::new();
    while !rest.is_empty() {
        if let [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, a, b, c, d, ..] = rest {
            big = [*a, *b, *c, *d] == [0x1a, 0x2b, 0x3c, 0x4d];
            interfaces.clear();
        }
        let mut header = Cursor { bytes: rest, big };
        let (kind, length) = (header.u32()?, usize::try_from(header.u32()?).ok()?);
        if length < 12 {
            return None;
        }
        let body = rest.get(8..length - 4)?;
        rest = rest.get(length..)?;
        let mut body = Cursor { bytes: body, big };
        match kind {
            1 => {
                let link = u32::from(body.u16()?);
                body.take(6)?;
                interfaces.push((link, ticks(body)));
            }
            6 | 2 => {
                let interface = if kind == 6 {
                    body.u32()?
                } else {
                    let interface = u32::from(body.u16()?);
                    body.take(2)?;
                    interface
                };
                let (high, low) = (body.u32()?, body.u32()?);
                let (captured, length) = (body.u32()?, body.u32()?);
                let bytes = body.take(usize::try_from(captured).ok()?)?;
                let (link, ticks) = *interfaces.get(usize::try_from(interface).ok()?)?;
                let time = (u64::from(high) << 32 | u64::from(low)) as f64 / ticks;
                frame(link, time, bytes, captured >= length);
            }
            3 => {
                let length = body.u32()?;
                let captured = body.bytes.len().min(usize::try_from(length).ok()?);
                let (link, _) = *interfaces.first()?;
                frame(
                    link,
                    0.0,
                    body.take(captured)?,
                    captured >= usize::try_from(length).ok()?,
                );
            }
            _ => {}
        }
    }
    Some(())
}

/// Ticks a second, from the option if_tsresol; microseconds without it.
fn ticks(mut options: Cursor<'_>) -> f64 {
    while let (Some(code), Some(length)) = (options.u16(), options.u16()) {
        let Some(value) = options.take(usize::from(length).next_multiple_of(4)) else {
            break;
        };
        if let (9, Some(resolution)) = (code, value.first()) {
            let exponent = i32::from(resolution & 0x7f);
            return if resolution & 0x80 == 0 {
                10_f64.powi(exponent)
            } else {
                2_f64.powi(exponent)
            };
        }
        if code == 0 {
            break;
        }
    }
    1e6
}

struct NoUdp;

type Ends<'a> = (SocketAddr, SocketAddr, &'a [u8]);

/// Both ends and the payload of a frame; `None` for a fragment, or one that was captured in part.
fn udp(link: u32, frame: &[u8]) -> Result<Option<Ends<'_>>, NoUdp> {
    let u16_at = |bytes: &[u8], at: usize| {
        bytes
            .get(at..at + 2)
            .map(|b| u16::from_be_bytes([b[0], b[1]]))
    };
    let ip = match link {
        // Ethernet, Linux "cooked" versions 1 and 2: up to the last type of a protocol.
        1 | 113 | 276 => {
            let (mut at, mut behind) = match link {
                1 => (12, 14),
                113 => (14, 16),
                _ => (0, 20),
            };
            while matches!(u16_at(frame, at), Some(0x8100 | 0x88a8 | 0x9100)) {
                (at, behind) = (behind + 2, behind + 4);
            }
            frame
                .get(behind..)
                .filter(|_| matches!(u16_at(frame, at), Some(0x0800 | 0x86dd)))
        }
        // Of BSD: the family, four octets in the order of the machine.
        0 | 108 => frame.get(4..),
        12 | 14 | 101 | 228 | 229 => Some(frame),
        _ => None,
    };
    let ip = ip.ok_or(NoUdp)?;
    let (source, destination, rest) = match ip.first().map(|byte| byte >> 4) {
        Some(4) => {
            let header = ip.get(..20).ok_or(NoUdp)?;
            if header[9] != 17 {
                return Err(NoUdp);
            }
            if u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0 {
                return Ok(None);
            }
            let address = |at: usize| {
                Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3])
            };
            let behind = ip
                .get(usize::from(header[0] & 0x0f) * 4..)
                .unwrap_or_default();
            (IpAddr::V4(address(12)), IpAddr::V4(address(16)), behind)
        }
        Some(6) => {
            let header = ip.get(..40).ok_or(NoUdp)?;
            match header[6] {
                17 => {}
                44 => return Ok(None),
                _ => return Err(NoUdp),
            }
            let address = |at: usize| {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&header[at..at + 16]);
                IpAddr::V6(Ipv6Addr::from(bytes))
            };
            (address(8), address(24), &ip[40..])
        }
        _ => return Err(NoUdp),
    };
    let (Some(from), Some(to), Some(length)) = (u16_at(rest, 0), u16_at(rest, 2), u16_at(rest, 4))
    else {
        return Ok(None);
    };
    let payload = rest.get(8..usize::from(length));
    Ok(payload.map(|payload| {
        (
            SocketAddr::new(source, from),
            SocketAddr::new(destination, to),
            payload,
        )
    }))
}

#[cfg(test)]
mod links;
#[cfg(test)]
mod tests;
