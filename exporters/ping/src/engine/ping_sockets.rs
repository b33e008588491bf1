//! The sockets of one family in one thread.

use std::net::IpAddr;

use netio::option::Family;

use super::ping_socket::{PingSocket, SocketContext};
use super::socket::{Opener, Port};
use super::stats::{Stats, place};
use crate::echo::{Mode, Token};

/// Most sockets of one family in one thread.
const MOST: usize = 16;
/// Bytes of a packet that are no payload: its headers, room for those of the device, and what the kernel notes at its end.
const HEADERS: usize = 420;
/// Bytes of the kernel's description of a packet (`struct sk_buff`).
const DESCRIPTION: usize = 256;

/// All sockets of one family; they take turns, batch by batch. An answer comes in by the socket its request left by, and every socket
/// finds the same targets, so that it matters to nobody which one was taken.
pub(super) struct PingSockets {
    family: Family,
    token: Token,
    lanes: Vec<PingSocket>,
    /// One more, with another identifier, for targets that do not answer by the others; opened when there is the first.
    other: Option<Box<PingSocket>>,
    turn: usize,
    /// Requests of one batch: as many as the buffer of a socket holds answers and stamps of.
    batch: usize,
    largest: usize,
    /// No further socket could be had, which was said.
    refused: bool,
}

impl PingSockets {
    /// None at first, when this host has not the family.
    pub(super) fn new(family: Family, port: Option<Port>, token: Token, stats: &Stats) -> Self {
        let mut lanes = Self {
            family,
            token,
            lanes: Vec::new(),
            other: None,
            turn: 0,
            batch: netio::BATCH,
            largest: 0,
            refused: false,
        };
        lanes.add(port, stats);
        lanes
    }

    fn add(&mut self, port: Option<Port>, stats: &Stats) {
        let lane = port.map(|port| self.lane(port, stats));
        self.lanes.extend(lane);
    }

    fn lane(&self, port: Port, stats: &Stats) -> PingSocket {
        stats.sockets[place(self.family)].add(1);
        let mut lane = PingSocket::new(port, self.token);
        lane.fit(self.largest);
        lane
    }

    /// All of them.
    fn each(&mut self) -> impl Iterator<Item = &mut PingSocket> {
        self.lanes.iter_mut().chain(self.other.as_deref_mut())
    }

    /// Opens the socket with the other identifier, if the kernel chooses them and there is none yet.
    fn open_other(&mut self, opener: &Opener, stats: &Stats) {
        if self.other.is_none() && opener.mode() == Mode::Unprivileged {
            // Without one its targets go on by the others.
            if let Ok(Some(port)) = opener.open(self.family) {
                self.other = Some(Box::new(self.lane(port, stats)));
            }
        }
    }

    /// Makes room for replies to payloads of `size` bytes.
    pub(super) fn fit(&mut self, size: usize) {
        if size > self.largest {
            self.largest = size;
            self.each().for_each(|lane| lane.fit(size));
        }
    }

    /// Opens further sockets when what comes in between two wake-ups, `packets` of them, does not fit the buffers of those there are.
    pub(super) fn widen(&mut self, packets: f64, opener: &Opener, stats: &Stats) {
        let Some(limit) = self.lanes.first().and_then(PingSocket::limit) else {
            return;
        };
        let held = held(self.largest, limit);
        self.batch = (held as usize).clamp(1, netio::BATCH);
        let wanted = match opener.mode() {
            // A raw socket gets every echo reply of the host, so that a second one would help nobody.
            Mode::Raw => 1,
            Mode::Unprivileged => sockets(packets, held),
        };
        while self.lanes.len() < wanted && !self.refused {
            match opener.open(self.family) {
                Ok(port) => self.add(port, stats),
                Err(error) => {
                    tracing::warn!(
                        family = ?self.family,
                        error = &error as &dyn std::error::Error,
                        sockets = self.lanes.len(),
                        wanted,
                        "no further socket"
                    );
                    self.refused = true;
                }
            }
        }
    }

    /// Opens one more socket when the buffer of one is full of requests: those to neighbours that do not answer wait in it for seconds, and
    /// must not keep the others from being asked.
    pub(super) fn relieve(&mut self, opener: &Opener, stats: &Stats) {
        let crowded = self.lanes.iter_mut().any(PingSocket::take_crowded);
        let may = opener.mode() == Mode::Unprivileged && self.lanes.len() < MOST;
        if crowded
            && may
            && let Ok(port) = opener.open(self.family)
        {
            self.add(port, stats);
        }
    }

    /// Makes a request of target `number`; a full batch is sent. With an opener it is to bear the other identifier. `None` when this host has not the family, else whether a request was
    /// made.
    pub(super) fn request(
        &mut self,
        number: u32,
        address: IpAddr,
        opener: Option<&Opener>,
        context: &mut SocketContext<'_>,
    ) -> Option<bool> {
        if let Some(opener) = opener {
            self.open_other(opener, context.stats);
        }
        let other = opener.is_some();
        if let Some(lane) = self.other.as_mut().filter(|_| other) {
            let made = lane.request(number, address, other, context);
            if lane.is_full(self.batch) {
                lane.flush(context);
                lane.receive(context);
            }
            return Some(made);
        }
        let lane = self.lanes.get_mut(self.turn)?;
        let made = lane.request(number, address, other, context);
        if lane.is_full(self.batch) {
            lane.flush(context);
            // Near hosts have answered by now: make room before the next batch.
            lane.receive(context);
            self.turn = (self.turn + 1) % self.lanes.len();
        }
        Some(made)
    }

    /// Sends what is in the batches.
    pub(super) fn flush(&mut self, context: &mut SocketContext<'_>) {
        self.each().for_each(|lane| lane.flush(context));
    }

    /// Reads what came. Answers whether everything that waited was read.
    pub(super) fn receive(&mut self, now: u64, context: &mut SocketContext<'_>) -> bool {
        let mut all = true;
        for lane in self.each().filter(|lane| lane.is_used(now)) {
            all &= lane.receive(context);
        }
        all
    }

    /// Takes note of what the sockets' buffers hold.
    pub(super) fn measure(&mut self, stats: &Stats) {
        self.each().for_each(|lane| lane.measure(stats));
    }
}

/// Requests whose answer and transmit stamp, which comes with a copy of the request, a socket's buffer of `limit` bytes holds. The kernel
/// counts the memory a packet takes, which is a power of two.
fn held(payload: usize, limit: u32) -> f64 {
    let packet = (payload + HEADERS).next_power_of_two() + DESCRIPTION;
    f64::from(limit) / (2 * packet) as f64
}

/// Sockets for so many requests at once, when each holds so many.
fn sockets(requests: f64, held: f64) -> usize {
    // Without a limit there is nothing to go by.
    let wanted = if held > 0.0 { requests / held } else { 1.0 };
    (wanted.ceil() as usize).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_sockets_as_buffers_are_needed() {
        // The limits are twice what a socket is given: by default without privilege, and what is asked for.
        for (requests, payload, limit, expected) in [
            (100.0, 56, 425_984, 1),
            (1_000.0, 56, 425_984, 4),
            (1_000.0, 56, 8 << 20, 1),
            (1_000.0, 8_952, 425_984, 16),
            (0.0, 0, 0, 1),
        ] {
            let wanted = sockets(requests, held(payload, limit));
            assert_eq!(wanted, expected, "{requests} {payload} {limit}");
        }
    }
}
