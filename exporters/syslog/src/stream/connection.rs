//! One connection, read to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use toolkit::Stop;

use crate::config::Bounds;
use crate::framing::Framing;
use crate::intake::{Intake, Lane, now};
use crate::record::{TRUNCATED, Transport, UNFINISHED};

/// Bytes read from a connection at once.
const READ: usize = 64 << 10;
/// After a stop, a connection is read on for at most this long.
const DRAIN: Duration = Duration::from_secs(1);

/// What a connection's messages have in common.
pub(super) struct Way<'a> {
    pub(super) source: SocketAddr,
    pub(super) transport: Transport,
    pub(super) bounds: &'a Bounds,
    /// When set at a stop, the connection goes to another process as it is.
    pub(super) hands: Option<&'a AtomicBool>,
}

/// How the reading of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    /// Another process reads on.
    Leaving,
}

/// Reads one connection to its end. A full queue stops the reading, which stops the sender.
pub(super) async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    framing: &mut Framing,
    way: &Way<'_>,
    intake: Arc<Intake>,
    stop: Stop,
) -> End {
    let (source, transport, bounds) = (way.source, way.transport, way.bounds);
    let mut lane = Lane::new(intake.clone());
    let mut draining: Option<Instant> = None;
    loop {
        let stamp = now();
        while let Some(frame) = framing.next_frame() {
            let flags = if frame.truncated { TRUNCATED } else { 0 };
            lane.push(frame.bytes, source, transport, stamp, flags);
        }
        flush(&mut lane, &intake).await;
        if draining.is_some_and(|since| since.elapsed() > DRAIN) {
            break;
        }
        let midway = framing.is_midway();
        let patience = if draining.is_some() {
            Duration::from_millis(100)
        } else if midway {
            bounds.unfinished
        } else {
            bounds.idle
        };
        let buffer = framing.buffer();
        buffer.reserve(if buffer.capacity() == 0 {
            4 << 10
        } else {
            READ.min(buffer.capacity().max(4 << 10))
        });
        let read = tokio::select! {
            read = tokio::time::timeout(patience, stream.read_buf(buffer)) => read,
            () = stop.requested(), if draining.is_none() => {
                if way.hands.is_some_and(|leaving| leaving.load(Ordering::Acquire)) {
                    return End::Leaving;
                }
                // Take what has arrived, wait no longer for more.
                draining = Some(Instant::now());
                continue;
            }
        };
        match read {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => {}
            Err(_) if midway && draining.is_none() => {
                if let Some(rest) = framing.rest() {
                    lane.push(rest, source, transport, now(), UNFINISHED);
                }
            }
            Err(_) => break,
        }
    }
    if let Some(rest) = framing.rest() {
        let flags = if draining.is_some() { UNFINISHED } else { 0 };
        lane.push(rest, source, transport, now(), flags);
    }
    flush(&mut lane, &intake).await;
    End::Closed
}

pub(super) async fn flush(lane: &mut Lane, intake: &Intake) {
    loop {
        let space = intake.queue.space();
        tokio::pin!(space);
        space.as_mut().enable();
        if lane.flush() {
            return;
        }
        // The pause is for a storage that refuses: no room is made then, but it may recover.
        let _ = tokio::time::timeout(Duration::from_millis(500), space).await;
    }
}
