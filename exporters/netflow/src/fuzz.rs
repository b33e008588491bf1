//! What the fuzz targets call.

use std::time::Instant;

use crate::capture;
use crate::decode;
use crate::inspect::Inspection;
use crate::session::Session;
use crate::systems::Systems;

/// Datagrams of one stream, one behind the other, each begun by this version: two octets of length, then what follows the version.
pub fn stream(version: &[u8], bytes: &[u8]) {
    let mut session = Session::default();
    let (now, mut rest) = (Instant::now(), bytes);
    while let Some(([high, low], behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let datagram = [version, &behind[..length]].concat();
        let (mut flows, mut octets) = (0_u32, 0_u64);
        let (_, told, _) = decode::read(&datagram, &mut session, now, &mut |flow| {
            flows += 1;
            octets = octets.saturating_add(flow.scaled_bytes());
        });
        assert_eq!(flows, told.flows, "each flow is counted");
        rest = &behind[length..];
    }
}

/// A capture, looked at as `inspect` does.
pub fn captured(bytes: &[u8]) {
    let mut seen = Inspection::default();
    let _ = capture::datagrams(bytes, |datagram| {
        seen.datagram(datagram.from, datagram.payload, datagram.unix_seconds);
    });
    seen.finish();
    let _ = (seen.text(), seen.json());
}

/// A file in MaxMind's format.
pub fn systems(bytes: &[u8]) {
    if let Ok(systems) = Systems::read(bytes) {
        for address in ["198.18.0.1", "255.255.255.255", "2001:db8::1"] {
            let address = address
                .parse()
                .unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
            let _ = systems.of(address);
        }
    }
}
