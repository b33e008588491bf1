//! The sockets of the traces: one for each family and flow, and one for each family that measures sizes.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use anyhow::Context as _;
use netio::control::Outgoing;
use netio::option::{self, Family, TransmitStamps};
use netio::receive::{Datagram, ReceiveBatch};
use netio::send::SendBatch;
use socket2::{Domain, Protocol, Socket, Type};

use crate::echo::Token;
use crate::path::trace::Answer;
use crate::path::wire::{self, Told};

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
    sequence: u16,
}

impl Port {
    /// The sockets of `flows` flows; a family that this host has not is left out.
    ///
    /// # Errors
    /// Neither family is there, or the kernel refuses unprivileged ICMP.
    pub(super) fn all(flows: u8) -> anyhow::Result<Vec<Self>> {
        let mut ports = Vec::new();
        for family in [Family::V4, Family::V6] {
            for flow in 0..usize::from(flows) {
                match Self::open(family, flow, false) {
                    Ok(port) => ports.push(port),
                    Err(error) if error.raw_os_error() == Some(EAFNOSUPPORT) => break,
                    Err(error) => {
                        return Err(error).context(
                            "open an unprivileged ICMP socket (net.ipv4.ping_group_range)",
                        );
                    }
                }
            }
            if let Ok(port) = Self::open(family, 0, true) {
                ports.push(port);
            }
        }
        anyhow::ensure!(
            !ports.is_empty(),
            "this host has neither IPv4 nor IPv6 sockets"
        );
        Ok(ports)
    }

    fn open(family: Family, flow: usize, sizes: bool) -> std::io::Result<Self> {
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
            sequence: fastrand::u16(..),
        })
    }

    /// Sends one request and answers its sequence number, in `Err` when the kernel did not take it.
    pub(super) fn send(&mut self, to: IpAddr, out: Outgoing, size: usize) -> Result<u16, u16> {
        self.sequence = self.sequence.wrapping_add(1);
        let (family, token, sequence) = (self.family, self.token, self.sequence);
        let flow = u16::try_from(self.flow).unwrap_or_default();
        self.out.clear();
        self.out.push(
            SocketAddr::new(to, 0),
            |bytes| wire::encode(bytes, family, token, flow, sequence, size),
            |control| out.append(control, family),
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
    pub(super) fn reply(&self, datagram: &Datagram<'_>) -> Option<(u16, Told)> {
        let from = datagram.address?.ip();
        let sequence = wire::reply(self.family, self.token, datagram.payload)?;
        Some((sequence, Told::Answer(Answer::Reached(from))))
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

/// "Address family not supported by protocol" on Linux.
const EAFNOSUPPORT: i32 = 97;
