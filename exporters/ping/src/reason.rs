//! Why a request came to a known bad end: the fixed set behind the label `reason`.

use std::io;

use netio::control::{Origin, QueueEntry};

/// Why a request failed, when somebody said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// A router knows no way to the network (RFC 792 and 1812: unreachable codes 0, 5, 6, 8, 11; RFC 4443: 0).
    NetworkUnreachable,
    /// The last router, or this host, gets no answer from the address on its link (codes 1, 7, 12; RFC 4443: 3).
    HostUnreachable,
    /// A filter or policy forbids it (codes 9, 10, 13, 14, 15; RFC 4443: 1, 5, 6).
    Prohibited,
    /// The request does not fit through the path and may not be fragmented (code 4; RFC 4443 type 2).
    PacketTooBig,
    /// The hop limit ran out on the way: most often a routing loop (RFC 792 type 11; RFC 4443 type 3).
    TimeExceeded,
    /// Any other ICMP error.
    OtherIcmp,
    /// This host has no route to the address.
    NoRoute,
    /// This host could not or would not send for another reason: a local filter, no buffer space.
    NotSent,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::NetworkUnreachable,
        Self::HostUnreachable,
        Self::Prohibited,
        Self::PacketTooBig,
        Self::TimeExceeded,
        Self::OtherIcmp,
        Self::NoRoute,
        Self::NotSent,
    ];

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::NetworkUnreachable => "network_unreachable",
            Self::HostUnreachable => "host_unreachable",
            Self::Prohibited => "prohibited",
            Self::PacketTooBig => "packet_too_big",
            Self::TimeExceeded => "time_exceeded",
            Self::OtherIcmp => "other_icmp",
            Self::NoRoute => "no_route",
            Self::NotSent => "not_sent",
        }
    }

    /// Whether the request never left this host, so that it says nothing about the target.
    pub fn is_unasked(self) -> bool {
        matches!(self, Self::NoRoute | Self::NotSent)
    }

    /// Position in [`Reason::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The reason an entry of the error queue gives; `None` when it does not end a request: a redirect, a source
    /// quench, a timestamp.
    pub fn of_entry(entry: &QueueEntry) -> Option<Self> {
        match entry.origin {
            Origin::Icmp => Self::of_icmp(entry.kind, entry.code),
            Origin::Icmp6 => Some(Self::of_icmp6(entry.kind, entry.code)),
            Origin::Local => {
                let error = io::Error::from_raw_os_error(i32::try_from(entry.errno).unwrap_or(0));
                Some(Self::of_refusal(&error))
            }
            Origin::Timestamp | Origin::Other(_) => None,
        }
    }

    fn of_icmp(kind: u8, code: u8) -> Option<Self> {
        match (kind, code) {
            (3, 0 | 5 | 6 | 8 | 11) => Some(Self::NetworkUnreachable),
            (3, 1 | 7 | 12) => Some(Self::HostUnreachable),
            (3, 4) => Some(Self::PacketTooBig),
            (3, 9 | 10 | 13..=15) => Some(Self::Prohibited),
            (11, _) => Some(Self::TimeExceeded),
            // Source quench (deprecated by RFC 6633) and redirect: the request itself goes on.
            (4 | 5, _) => None,
            _ => Some(Self::OtherIcmp),
        }
    }

    fn of_icmp6(kind: u8, code: u8) -> Self {
        match (kind, code) {
            (1, 0) => Self::NetworkUnreachable,
            (1, 3) => Self::HostUnreachable,
            (1, 1 | 5 | 6) => Self::Prohibited,
            (2, _) => Self::PacketTooBig,
            (3, _) => Self::TimeExceeded,
            _ => Self::OtherIcmp,
        }
    }

    /// The reason the kernel gives for not sending.
    pub fn of_refusal(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Self::NoRoute,
            _ if error.raw_os_error() == Some(EMSGSIZE) => Self::PacketTooBig,
            _ => Self::NotSent,
        }
    }
}

/// "Message too long" on Linux.
const EMSGSIZE: i32 = 90;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_numbers_and_labels_differ() {
        let mut labels: Vec<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert!(
            Reason::ALL
                .iter()
                .enumerate()
                .all(|(at, reason)| reason.index() == at)
        );
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Reason::ALL.len());
    }

    #[test]
    fn a_redirect_does_not_end_a_request() {
        let entry = |origin, kind, code| QueueEntry {
            errno: 121,
            origin,
            kind,
            code,
            info: 0,
            data: 0,
            offender: None,
        };
        assert_eq!(Reason::of_entry(&entry(Origin::Icmp, 5, 1)), None);
        assert_eq!(
            Reason::of_entry(&entry(Origin::Icmp, 3, 1)),
            Some(Reason::HostUnreachable)
        );
        assert_eq!(
            Reason::of_entry(&entry(Origin::Icmp6, 1, 3)),
            Some(Reason::HostUnreachable)
        );
        assert_eq!(Reason::of_entry(&entry(Origin::Timestamp, 0, 0)), None);
    }

    #[test]
    fn refusals_of_this_host_are_told_from_those_of_routers() {
        let reason = |errno| Reason::of_refusal(&io::Error::from_raw_os_error(errno));
        assert_eq!(reason(101), Reason::NoRoute);
        assert_eq!(reason(113), Reason::NoRoute);
        assert_eq!(reason(90), Reason::PacketTooBig);
        assert_eq!(reason(1), Reason::NotSent);
        assert_eq!(reason(105), Reason::NotSent);
    }
}
