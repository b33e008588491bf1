//! One connection, read to its end.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};
use toolkit::Stop;

use super::Batches;
use super::unfinished::{Connection, Unfinished};
use crate::config::Bounds;
use crate::handover::leaving::Leaving;
use crate::intake::{Batch, Intake, now};
use crate::record::{TRUNCATED, UNFINISHED};

/// Bytes read from a connection at once.
const READ: usize = 64 << 10;
/// After a stop, a connection is read on for at most this long.
const DRAIN: Duration = Duration::from_secs(1);

thread_local! {
    /// What is read into: one for each thread and not for each connection, most of which are silent most of the time.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// What a connection's messages have in common.
pub(super) struct Way<'a> {
    pub(super) bounds: &'a Bounds,
    pub(super) unfinished: &'a Unfinished,
    pub(super) batches: &'a Batches,
    /// When set at a stop, the connection goes to another process as it is.
    pub(super) leaving: Option<&'a Leaving>,
}

/// How the reading of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    /// Another process reads on.
    Leaving,
}

/// Appends what arrives next to what the connection holds; gives how many bytes that were.
async fn read(stream: &mut (impl AsyncRead + Unpin), connection: &Connection) -> io::Result<usize> {
    std::future::poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut read))?;
            let read = read.filled();
            connection.framing().buffer().extend_from_slice(read);
            Poll::Ready(Ok(read.len()))
        })
    })
    .await
}

/// Reads one connection to its end. A full queue stops the reading, which stops the sender.
pub(super) async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    connection: &Arc<Connection>,
    way: &Way<'_>,
    intake: &Arc<Intake>,
    stop: Stop,
) -> End {
    let (source, transport, bounds) = (connection.source, connection.transport, way.bounds);
    let mut place = way.unfinished.place(connection.clone());
    let mut draining: Option<Instant> = None;
    // What is left when the sender goes away or falls silent, as it is.
    let rest = async |flags| {
        let mut batch = way.batches.take(intake);
        if let Some(rest) = connection.framing().rest() {
            batch.push(rest, source, transport, now(), flags);
        }
        flush(&mut batch, intake).await;
        way.batches.give_back(batch);
    };
    loop {
        let mut batch = way.batches.take(intake);
        let stamp = now();
        let midway = {
            let mut framing = connection.framing();
            while let Some(frame) = framing.next_frame() {
                let flags = if frame.truncated { TRUNCATED } else { 0 };
                batch.push(frame.bytes, source, transport, stamp, flags);
            }
            let held = framing.settle();
            let midway = framing.is_midway();
            drop(framing);
            place.hold(held, !batch.is_empty(), &mut batch);
            midway
        };
        flush(&mut batch, intake).await;
        way.batches.give_back(batch);
        if draining.is_some_and(|since| since.elapsed() > DRAIN) {
            break;
        }
        let patience = if draining.is_some() {
            Duration::from_millis(100)
        } else if midway {
            bounds.unfinished
        } else {
            bounds.idle
        };
        let next = async {
            if draining.is_none() {
                intake.room().await;
            }
            tokio::time::timeout(patience, read(stream, connection)).await
        };
        let read = tokio::select! {
            read = next => read,
            () = stop.requested(), if draining.is_none() => {
                if way.leaving.is_some_and(Leaving::is_leaving) {
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
            Err(_) if midway && draining.is_none() => rest(UNFINISHED).await,
            Err(_) => break,
        }
    }
    rest(if draining.is_some() { UNFINISHED } else { 0 }).await;
    End::Closed
}

pub(super) async fn flush(batch: &mut Batch, intake: &Intake) {
    if batch.flush() {
        return;
    }
    let _waiting = intake.waiting();
    loop {
        let space = intake.queue.space();
        tokio::pin!(space);
        space.as_mut().enable();
        if batch.flush() {
            return;
        }
        // The pause is for a storage that refuses: no room is made then, but it may recover.
        let _ = tokio::time::timeout(Duration::from_millis(500), space).await;
    }
}
