//! What one connection may take: time for its head, its silence and its reading; and which one goes when there are too many.

use super::limits::Limits;
use std::collections::HashMap;
use std::io;
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
    evicted: bool,
}

/// The shared state of one connection.
#[derive(Debug)]
pub(crate) struct Conn {
    state: Mutex<State>,
    sooner: Notify,
}

impl Conn {
    fn new() -> Self {
        let state = State {
            phase: Phase::Head,
            since: Instant::now(),
            in_flight: 0,
            multiplexed: false,
            stalled: None,
            sending: None,
            evicted: false,
        };
        Self {
            state: Mutex::new(state),
            sooner: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Whether nothing is being answered or written.
    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.lock();
        state.phase != Phase::Busy && state.sending.is_none()
    }

    /// The next limit and its name.
    fn deadline(&self, limits: &Limits) -> Option<(Instant, &'static str)> {
        let state = self.lock();
        if state.evicted {
            return Some((Instant::now(), "evicted"));
        }
        let phase = match state.phase {
            Phase::Head => Some((state.since + limits.header, "header_time")),
            Phase::Idle => Some((state.since + limits.idle, "idle")),
            Phase::Busy => None,
        };
        let stalled = state
            .stalled
            .map(|since| (since + limits.write, "slow_reader"));
        let sending = state
            .sending
            .map(|since| (since + limits.request, "response_time"));
        [phase, stalled, sending]
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
        self.conn.write_stalls(done.is_pending());
        done
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.conn.write_stalls(done.is_pending());
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

/// The open connections, bounded.
#[derive(Debug, Default)]
pub(crate) struct Open(Mutex<(u64, HashMap<u64, Arc<Conn>>)>);

/// A place among the open connections.
pub(crate) struct Place {
    pub(crate) conn: Arc<Conn>,
    id: u64,
    open: Arc<Open>,
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<u64, Arc<Conn>>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place. With `most` of them taken the connection that waits for longest without a request loses its own, so that many
    /// silent connections never keep a new one from its answer; `None` when every one is busy.
    pub(crate) fn enter(self: &Arc<Self>, most: usize) -> Option<Place> {
        let mut open = self.lock();
        if open.1.len() >= most {
            let waiting = open
                .1
                .iter()
                .filter_map(|(id, conn)| conn.waiting_since().map(|since| (since, *id)));
            let (_, oldest) = waiting.min()?;
            if let Some(conn) = open.1.remove(&oldest) {
                conn.evict();
            }
        }
        let id = open.0;
        open.0 += 1;
        let conn = Arc::new(Conn::new());
        open.1.insert(id, Arc::clone(&conn));
        drop(open);
        Some(Place {
            conn,
            id,
            open: Arc::clone(self),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.lock().1.remove(&self.id);
    }
}
