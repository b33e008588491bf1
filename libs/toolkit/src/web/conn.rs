//! What one connection may take: time for its head, its silence and its reading; and which one goes when there are too many.

use super::limits::Limits;
use super::line;
use super::outgoing::{self, Outgoing};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What the connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// TLS handshake or the head of a request is on its way.
    Head,
    /// Nothing is on its way.
    Idle,
    /// A request is being answered.
    Busy,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    in_flight: usize,
    /// HTTP/2: bytes between requests are no head.
    multiplexed: bool,
    /// A write did not get on since then.
    stalled: Option<Instant>,
    /// An answered response is not wholly written since then.
    sending: Option<Instant>,
    /// The responses that are held, each with when it was ready.
    responses: BTreeMap<u64, Instant>,
    /// Bytes that they count for.
    held: usize,
    /// When something of them was taken last.
    got_on: Instant,
    evicted: bool,
}

/// The shared state of one connection.
#[derive(Debug)]
pub(crate) struct Conn {
    from: Option<IpAddr>,
    state: Mutex<State>,
    sooner: Notify,
}

impl Conn {
    fn new(from: Option<IpAddr>) -> Self {
        let state = State {
            phase: Phase::Head,
            since: Instant::now(),
            in_flight: 0,
            multiplexed: false,
            stalled: None,
            sending: None,
            responses: BTreeMap::new(),
            held: 0,
            got_on: Instant::now(),
            evicted: false,
        };
        Self {
            from,
            state: Mutex::new(state),
            sooner: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it carries HTTP/2.
    pub(super) fn is_multiplexed(&self) -> bool {
        self.lock().multiplexed
    }

    /// Something of a response was taken.
    pub(super) fn gets_on(&self) {
        self.lock().got_on = Instant::now();
    }

    /// Holds a response of this weight; false when the connection has its share.
    fn hold(&self, id: u64, weight: usize) -> bool {
        let mut state = self.lock();
        if state.held > 0 && state.held + weight > outgoing::OF_ONE {
            return false;
        }
        let now = Instant::now();
        if state.responses.is_empty() {
            state.got_on = now;
        }
        state.held += weight;
        state.responses.insert(id, now);
        drop(state);
        self.sooner.notify_one();
        true
    }

    /// Gives back a response; what it still counts for.
    fn release(&self, id: u64, weight: usize) -> usize {
        let mut state = self.lock();
        state.responses.remove(&id);
        let weight = weight.min(state.held);
        state.held -= weight;
        weight
    }

    /// Since when nothing of its responses was taken; `None` without any.
    fn standing_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.held > 0 && !state.evicted).then_some(state.got_on)
    }

    /// Ends the connection; what its responses counted for.
    fn forfeit(&self) -> usize {
        let held = std::mem::take(&mut self.lock().held);
        self.evict();
        held
    }

    /// HTTP/2 begins: its frames between requests are not heads.
    pub(crate) fn multiplex(&self) {
        let mut state = self.lock();
        state.multiplexed = true;
        (state.phase, state.since) = (Phase::Idle, Instant::now());
        drop(state);
        self.sooner.notify_one();
    }

    /// A request begins; it ends when the returned value is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> InFlight {
        let mut state = self.lock();
        if state.in_flight == 0 {
            state.since = Instant::now();
        }
        state.in_flight += 1;
        state.phase = Phase::Busy;
        InFlight(Arc::clone(self))
    }

    fn evict(&self) {
        self.lock().evicted = true;
        self.sooner.notify_one();
    }

    /// Since when nothing was asked; `None` while a request is answered.
    fn waiting_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.phase != Phase::Busy && !state.evicted).then_some(state.since)
    }

    /// Since when a request is answered; `None` without one.
    fn busy_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.phase == Phase::Busy && !state.evicted).then_some(state.since)
    }

    /// Whether nothing is being answered or written.
    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.lock();
        let written = if state.multiplexed {
            state.responses.is_empty()
        } else {
            state.sending.is_none()
        };
        state.phase != Phase::Busy && written
    }

    /// The next limit and its name.
    fn deadline(&self, limits: &Limits) -> Option<(Instant, &'static str)> {
        let state = self.lock();
        if state.evicted {
            return Some((Instant::now(), "evicted"));
        }
        let phase = match state.phase {
            Phase::Head => Some((state.since + limits.header, "header_time")),
            Phase::Idle if state.multiplexed && !state.responses.is_empty() => None,
            Phase::Idle => Some((state.since + limits.idle, "idle")),
            Phase::Busy => None,
        };
        let stalled = state
            .stalled
            .map(|since| (since + limits.write, "slow_reader"));
        let sending = state
            .sending
            .map(|since| (since + limits.request, "response_time"));
        // What is written of HTTP/2 may be frames of its own, so that only what is taken of a body counts.
        let oldest = state.responses.values().min().filter(|_| state.multiplexed);
        let standing = oldest.map(|_| (state.got_on + limits.write, "slow_reader"));
        let taking = oldest.map(|since| (*since + limits.request, "response_time"));
        [phase, stalled, sending, standing, taking]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// Waits until the connection has used up one of its limits; returns which.
    pub(crate) async fn exhausted(&self, limits: &Limits) -> &'static str {
        loop {
            let next = self.deadline(limits);
            match next {
                Some((at, reason)) if at <= Instant::now() => return reason,
                Some((at, _)) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.sooner.notified() => {}
                },
                None => self.sooner.notified().await,
            }
        }
    }

    fn has_read(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Idle && !state.multiplexed {
            (state.phase, state.since) = (Phase::Head, Instant::now());
            drop(state);
            self.sooner.notify_one();
        }
    }

    fn write_stalls(&self, stalls: bool) {
        let mut state = self.lock();
        if !stalls {
            state.stalled = None;
        } else if state.stalled.is_none() {
            state.stalled = Some(Instant::now());
            drop(state);
            self.sooner.notify_one();
        }
    }

    fn wrote(&self, stalls: bool) {
        self.write_stalls(stalls);
        if !stalls {
            let mut state = self.lock();
            if !state.multiplexed {
                state.got_on = Instant::now();
            }
        }
    }

    fn flushed(&self) {
        let mut state = self.lock();
        state.stalled = None;
        state.sending = None;
    }
}

/// A request that is being answered.
pub(crate) struct InFlight(Arc<Conn>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        let now = Instant::now();
        if state.in_flight == 0 {
            (state.phase, state.since) = (Phase::Idle, now);
        }
        if !state.multiplexed {
            state.sending = Some(now);
        }
        drop(state);
        self.0.sooner.notify_one();
    }
}

/// A stream that tells its connection what happens on it.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    conn: Arc<Conn>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, conn: Arc<Conn>) -> Self {
        Self { stream, conn }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        if done.is_ready() && buf.filled().len() > before {
            self.conn.has_read();
        }
        done
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.conn.wrote(done.is_pending());
        done
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.conn.wrote(done.is_pending());
        done
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        if done.is_ready() {
            self.conn.flushed();
        } else {
            self.conn.write_stalls(true);
        }
        done
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.conn.write_stalls(done.is_pending());
        done
    }
}

/// The open connections, bounded, and what their responses hold.
#[derive(Debug, Default)]
pub(crate) struct Open(Mutex<Opened>);

#[derive(Debug, Default)]
struct Opened {
    next: u64,
    connections: HashMap<u64, Arc<Conn>>,
    /// Bytes that all responses count for.
    held: usize,
}

/// A place among the open connections.
pub(crate) struct Place {
    pub(crate) conn: Arc<Conn>,
    id: u64,
    open: Arc<Open>,
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place to a connection from `peer`. With `most` of them taken the connection that waits for longest without a request loses
    /// its own, so that many silent connections never keep a new one from its answer. When every one is busy, the address that has most
    /// loses its oldest to one that has fewer: who sends a thousand bodies slowly keeps nobody else out. `None` when that is the one who
    /// asks.
    pub(crate) fn enter(self: &Arc<Self>, most: usize, peer: &str) -> Option<Place> {
        let from = line::network(peer);
        let mut open = self.lock();
        if open.connections.len() >= most {
            let waiting = open
                .connections
                .iter()
                .filter_map(|(id, conn)| conn.waiting_since().map(|since| (since, *id)));
            let oldest = waiting.min().map(|(_, id)| id);
            let oldest = oldest.or_else(|| open.of_the_greediest(from))?;
            if let Some(conn) = open.connections.remove(&oldest) {
                open.held = open.held.saturating_sub(conn.forfeit());
            }
        }
        let id = open.next;
        open.next += 1;
        let conn = Arc::new(Conn::new(from));
        open.connections.insert(id, Arc::clone(&conn));
        drop(open);
        Some(Place {
            conn,
            id,
            open: Arc::clone(self),
        })
    }

    /// A response without a body, which needs no room.
    pub(crate) fn nothing(self: &Arc<Self>, conn: &Arc<Conn>) -> Outgoing {
        Outgoing {
            open: Arc::clone(self),
            conn: Arc::clone(conn),
            id: u64::MAX,
            weight: 0,
        }
    }

    /// Takes a response of so many bytes for `conn`; `None` when there is no room for it.
    pub(crate) fn hold(self: &Arc<Self>, conn: &Arc<Conn>, bytes: usize) -> Option<Outgoing> {
        let weight = outgoing::weight(bytes);
        if weight == 0 {
            return Some(self.nothing(conn));
        }
        let mut open = self.lock();
        while open.held + weight > outgoing::IN_ALL {
            let standing = open
                .connections
                .values()
                .filter(|other| !Arc::ptr_eq(other, conn))
                .filter_map(|other| other.standing_since().map(|since| (since, other)));
            let (since, other) = standing.min_by_key(|(since, _)| *since)?;
            if since.elapsed() < outgoing::PATIENCE {
                return None;
            }
            let given = other.forfeit();
            open.held = open.held.saturating_sub(given);
        }
        let id = open.next;
        open.next += 1;
        if !conn.hold(id, weight) {
            return None;
        }
        open.held += weight;
        drop(open);
        Some(Outgoing {
            open: Arc::clone(self),
            conn: Arc::clone(conn),
            id,
            weight,
        })
    }
}

impl Opened {
    /// The connection that is busy for longest, of the address that has most, where that has more than `from` would have.
    fn of_the_greediest(&self, from: Option<IpAddr>) -> Option<u64> {
        let mut by_address: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for conn in self.connections.values() {
            *by_address.entry(conn.from).or_default() += 1;
        }
        let own = by_address.get(&from).copied().unwrap_or(0);
        let (greediest, count) = by_address.into_iter().max_by_key(|(_, count)| *count)?;
        if count <= own + 1 {
            return None;
        }
        let busy = self.connections.iter();
        let busy = busy.filter(|(_, conn)| conn.from == greediest);
        let busy = busy.filter_map(|(id, conn)| conn.busy_since().map(|since| (since, *id)));
        busy.min().map(|(_, id)| id)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        open.held = open
            .held
            .saturating_sub(self.conn.release(self.id, self.weight));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.lock().connections.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_gives_way_and_who_gets_on_does_not() {
        let open = Arc::new(Open::default());
        let places: Vec<Place> = (0..5).filter_map(|_| open.enter(10, "unix")).collect();
        let hold = |at: usize, bytes| open.hold(&places[at].conn, bytes);
        let mut held: Vec<Outgoing> = (0..4).map(|at| hold(at, usize::MAX).unwrap()).collect();
        assert!(
            hold(4, 1).is_none(),
            "all room is taken, and nobody stands still yet"
        );
        assert!(hold(4, 0).is_some(), "an empty one needs none");
        assert!(hold(0, 1).is_none(), "a connection has its share");
        tokio::time::advance(outgoing::PATIENCE).await;
        for place in &places[1..4] {
            place.conn.gets_on();
        }
        let one = hold(4, 1).unwrap();
        assert!(places[0].conn.lock().evicted);
        assert!(places[1..].iter().all(|place| !place.conn.lock().evicted));
        drop(held.remove(0));
        assert_eq!(
            open.lock().held,
            3 * outgoing::OF_ONE + 1,
            "given back once"
        );
        drop((one, held));
        assert_eq!(open.lock().held, 0);
    }

    #[test]
    fn one_address_with_every_connection_keeps_no_other_out() {
        let open = Arc::new(Open::default());
        let enter = |peer| open.enter(4, peer);
        let many: Vec<Place> = (0..4).filter_map(|_| enter("192.0.2.1")).collect();
        let _busy: Vec<InFlight> = many.iter().map(|place| place.conn.request()).collect();
        assert!(enter("192.0.2.1").is_none(), "it has its share and more");
        let first = enter("192.0.2.2").unwrap();
        let _first = first.conn.request();
        let second = enter("192.0.2.2").unwrap();
        let _second = second.conn.request();
        assert!(enter("192.0.2.2").is_none(), "both have as many");
        let third = enter("192.0.2.3").unwrap();
        let evicted: Vec<bool> = many.iter().map(|place| place.conn.lock().evicted).collect();
        assert_eq!(
            evicted.iter().filter(|it| **it).count(),
            3 - usize::from(first.conn.lock().evicted)
        );
        assert!(evicted[0] && evicted[1], "the oldest went first");
        drop(third);
    }

    /// Frames of HTTP/2 itself, such as answers to pings, are no progress.
    #[tokio::test(start_paused = true)]
    async fn a_response_that_nobody_takes_ends_its_connection() {
        let open = Arc::new(Open::default());
        let place = open.enter(10, "unix").unwrap();
        place.conn.multiplex();
        let limits = Limits {
            connections: 10,
            header_bytes: 1,
            body_bytes: 1,
            header: std::time::Duration::from_secs(10),
            request: std::time::Duration::from_secs(60),
            write: std::time::Duration::from_secs(30),
            idle: std::time::Duration::from_secs(180),
        };
        let held = open.hold(&place.conn, 1).unwrap();
        let began = Instant::now();
        let pings = async {
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                place.conn.wrote(false);
            }
        };
        let reason = tokio::select! {
            reason = place.conn.exhausted(&limits) => reason,
            () = pings => unreachable!(),
        };
        assert_eq!((reason, began.elapsed()), ("slow_reader", limits.write));
        drop(held);
    }
}
