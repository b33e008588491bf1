//! Sockets for heavy addresses: a device that sends from ever new ports cannot be told by its port.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use super::measured::MeasuredSocket;

/// Heavy addresses that have a socket of their own.
const PLACES: u32 = 4;

/// The sockets behind the first one of a group, each for one heavy address.
#[derive(Default)]
pub(super) struct ByAddress {
    /// In the order of the group, from its second place.
    places: Vec<(Arc<MeasuredSocket>, Option<IpAddr>)>,
    /// The kernel chooses; the sockets are among those it chooses from.
    ended: bool,
}

impl ByAddress {
    /// Binds the sockets beside the one that all others share.
    pub(super) fn beside(
        shared: &MeasuredSocket,
        address: SocketAddr,
        buffer: u32,
    ) -> io::Result<Self> {
        // First of all everything goes to the shared one: the kernel would spread senders over all of them.
        netio::steer::by_source(shared.fd(), &[])?;
        let places =
            (0..PLACES).map(|_| Ok((Arc::new(MeasuredSocket::bind(address, buffer)?), None)));
        Ok(Self {
            places: places.collect::<io::Result<_>>()?,
            ended: false,
        })
    }

    /// Takes a socket from another process; who is heavy shows again.
    pub(super) fn adopt(&mut self, socket: UdpSocket, buffer: u32) -> io::Result<()> {
        let socket = MeasuredSocket::adopt(socket, buffer)?;
        self.places.push((Arc::new(socket), None));
        Ok(())
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = &Arc<MeasuredSocket>> {
        self.places.iter().map(|(socket, _)| socket)
    }

    /// Gives the choice of the socket back to the kernel.
    pub(super) fn end(&mut self, shared: &MeasuredSocket) {
        if !self.ended && !self.places.is_empty() {
            self.ended = true;
            self.places.iter_mut().for_each(|place| place.1 = None);
            if let Err(error) = netio::steer::by_kernel(shared.fd()) {
                tracing::debug!(%error, "datagrams stay with the first socket of their address");
            }
        }
    }

    /// How many addresses have a socket.
    pub(super) fn given(&self) -> usize {
        self.places.iter().filter(|p| p.1.is_some()).count()
    }

    /// Gives an address a socket that nobody has, or one whose address is silent. False: there is none.
    pub(super) fn give(
        &mut self,
        shared: &MeasuredSocket,
        source: IpAddr,
        silent: impl Fn(&Arc<MeasuredSocket>) -> bool,
    ) -> io::Result<bool> {
        if self.places.iter().any(|p| p.1 == Some(source)) {
            return Ok(true);
        }
        let free = self.places.iter().position(|p| p.1.is_none());
        let free = free.or_else(|| self.places.iter().position(|p| silent(&p.0)));
        let Some(place) = free.filter(|_| !self.ended) else {
            return Ok(false);
        };
        let before = self.places[place].1.replace(source);
        let steered = (1..)
            .zip(&self.places)
            .filter_map(|(place, (_, source))| Some(((*source)?, place)));
        let done = netio::steer::by_source(shared.fd(), &steered.collect::<Vec<_>>());
        if done.is_err() {
            self.places[place].1 = before;
        }
        done.map(|()| true)
    }
}
