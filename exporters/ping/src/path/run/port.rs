//! The sockets of the traces: one for each family and flow, and one for each family that measures sizes.

use std::net::IpAddr;
use std::os::fd::AsFd;

use anyhow::Context as _;
use netio::control::{self, Outgoing};
use netio::option::{self, Family, TransmitStamps};
use netio::receive::{Datagram, ReceiveBatch};
use netio::send::SendBatch;
use socket2::{Domain, Protocol, Socket, Type};

use crate::echo::{self, Token};
use crate::path::trace::Answer;
use crate::path::wire::{self, Notice};

/// Bytes read of a packet: enough to know it again.
const READ: usize = 128;

/// One socket.
pub(super) struct Port {
    pub(super) family: Family,
    pub(super) flow: usize,
    /// For requests of various sizes, none of which may be fragmented.
    pub(super) sizes: bool,
    pub(super) socket: Socket,
    pub(super) batch: ReceiveBatch,
    out: SendBatch,
    token: Token,
    /// Of IPv6 alone.
    flow_label: Option<u32>,
    sequence: u16,
}

impl Port {
    /// The sockets of `flows` flows; a family that this host has not is left out.
    ///
    /// # Errors
    /// Neither family is there, or the kernel refuses unprivileged ICMP.
    pub(super) fn all(flows: u8) -> anyhow::Result<Vec<Self>> {
        let mut ports = Vec::new();
        let labels = fastrand::u32(..);
        for family in [Family::V4, Family::V6] {
            for flow in 0..usize::from(flows) {
                match Self::open(family, flow, labels, false) {
                    Ok(port) => ports.push(port),
                    Err(error) if error.raw_os_error() == Some(EAFNOSUPPORT) => break,
                    Err(error) => {
                        return Err(error).context(
                            "open an unprivileged ICMP socket (net.ipv4.ping_group_range)",
                        );
                    }
                }
            }
            if let Ok(port) = Self::open(family, 0, labels, true) {
                ports.push(port);
            }
        }
        anyhow::ensure!(
            !ports.is_empty(),
            "this host has neither IPv4 nor IPv6 sockets"
        );
        Ok(ports)
    }

    fn open(family: Family, flow: usize, labels: u32, sizes: bool) -> std::io::Result<Self> {
        let (domain, protocol) = match family {
            Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
            Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
        socket.set_nonblocking(true)?;
        option::report_errors(socket.as_fd(), family)?;
        // Receive stamps alone: a transmit stamp for each request would fill the queue of the answers.
        option::report_timestamps(socket.as_fd(), TransmitStamps::default())
            .or_else(|_| option::report_receive_timestamps(socket.as_fd()))
            .or_else(|error| {
                tracing::warn!(?family, %error, "no kernel timestamps for paths");
                Ok::<(), std::io::Error>(())
            })?;
        if sizes {
            option::dont_fragment(socket.as_fd(), family)?;
        }
        Ok(Self {
            family,
            flow,
            sizes,
            socket,
            batch: ReceiveBatch::new(READ),
            out: SendBatch::new(),
            token: fastrand::u64(..).to_ne_bytes(),
            flow_label: (family == Family::V6).then(|| flow_label(labels, flow)),
            sequence: fastrand::u16(..),
        })
    }

    /// Sends one request and answers its sequence number, in `Err` when the kernel did not take it.
    pub(super) fn send(&mut self, to: IpAddr, out: Outgoing, size: usize) -> Result<u16, u16> {
        self.sequence = self.sequence.wrapping_add(1);
        let (family, token, sequence) = (self.family, self.token, self.sequence);
        let flow = u16::try_from(self.flow).unwrap_or_default();
        let label = self.flow_label;
        self.out.clear();
        self.out.push(
            echo::destination(to, out.interface),
            |bytes| wire::encode(bytes, family, token, flow, sequence, size),
            |control| {
                out.append(control, family);
                if let Some(label) = label {
                    control::append(control, IPPROTO_IPV6, IPV6_FLOWINFO, &label.to_be_bytes());
                }
            },
        );
        // An error that waits on the socket is answered in place of sending, once.
        for _ in 0..4 {
            if self
                .out
                .send(self.socket.as_fd(), 0)
                .is_ok_and(|count| count == 1)
            {
                return Ok(sequence);
            }
            if self.sizes {
                break;
            }
        }
        Err(sequence)
    }

    /// The request that a received packet answers.
    pub(super) fn reply(&self, datagram: &Datagram<'_>) -> Option<(u16, Notice)> {
        let from = datagram.address?.ip();
        let sequence = wire::reply(self.family, self.token, datagram.payload)?;
        Some((sequence, Notice::Answer(Answer::Reached(from))))
    }

    /// The request that an entry of the error queue is about. This host quotes nothing of what it did not send itself: that is the
    /// newest one.
    pub(super) fn quoted(&self, datagram: &Datagram<'_>) -> Option<u16> {
        let local = datagram
            .control
            .entry
            .is_some_and(|entry| entry.origin == netio::control::Origin::Local);
        let quoted = wire::quoted(self.family, self.token, datagram.payload);
        if local {
            quoted.or(Some(self.sequence))
        } else {
            quoted
        }
    }
}

/// The flow label of a flow: another one for each, which begin at a random place of the half of them that hosts may choose without asking
/// (`net.ipv6.flowlabel_state_ranges`). Routers that spread by flow label (RFC 6438) send a flow one way.
fn flow_label(first: u32, flow: usize) -> u32 {
    let flow = u32::try_from(flow).unwrap_or_default();
    0x8_0000 | (first.wrapping_add(flow) & 0x7_ffff)
}

/// Level and type of the control message with the flow label of a datagram to send, on Linux.
const IPPROTO_IPV6: i32 = 41;
const IPV6_FLOWINFO: i32 = 11;
/// "Address family not supported by protocol" on Linux.
const EAFNOSUPPORT: i32 = 97;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_have_labels_of_their_own_wherever_they_begin() {
        for first in [0, 0x7_fffb, u32::MAX - 2] {
            let labels: std::collections::BTreeSet<u32> =
                (0..8).map(|flow| flow_label(first, flow)).collect();
            assert_eq!(labels.len(), 8);
            assert!(
                labels
                    .iter()
                    .all(|label| (0x8_0000..=0xf_ffff).contains(label))
            );
        }
    }
}
