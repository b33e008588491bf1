//! Responses on their way out: what all of them together may hold in memory while their readers take them.
//!
//! A reader that takes nothing costs what its responses hold. Past the bound the one that stood still for longest gives way, with its
//! connection; where nobody stands still the new response is refused.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::conn::{Conn, Open};

/// Bytes that responses hold in all.
pub(super) const IN_ALL: usize = 64 * 1024 * 1024;
/// Bytes that responses of one connection hold, if it has more than one.
pub(super) const OF_ONE: usize = IN_ALL / 4;
/// Time in which a reader must take something before another may have its room.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// How much of a body HTTP/2 gets at a time: what is taken shows how its reader gets on.
const PIECE: usize = 64 * 1024;

/// What one response holds; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(super) open: Arc<Open>,
    pub(super) conn: Arc<Conn>,
    pub(super) id: u64,
    pub(super) weight: usize,
}

/// The body of a response that counts for its connection until it is sent or given up.
#[derive(Debug)]
pub(crate) struct Sent {
    rest: Bytes,
    piece: usize,
    held: Outgoing,
}

impl Sent {
    pub(crate) fn new(body: Bytes, held: Outgoing) -> Self {
        let piece = if held.conn.is_multiplexed() {
            PIECE
        } else {
            usize::MAX
        };
        Self {
            rest: body,
            piece,
            held,
        }
    }
}

/// How much a body counts: never more than a connection's share, so that a few of any size are sent at a time.
pub(super) fn weight(bytes: usize) -> usize {
    bytes.min(OF_ONE)
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.held.conn.gets_on();
        let piece = self.piece.min(self.rest.len());
        let piece = self.rest.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
