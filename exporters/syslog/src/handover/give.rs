//! The side of the process that goes.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use nix::unistd::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;
use toolkit::Stop;

use super::sockets::{Backlog, Given};
use super::{PACKET, Packet, WORD};
use crate::intake::Intake;
use crate::listeners::Listeners;

/// Devices whose counts go into one packet.
const COUNTS: usize = 500;

/// Waits for a process that wants to take over, gives it everything and ends this one.
///
/// # Errors
/// When the path cannot be listened on.
pub async fn serve(
    path: &Path,
    listeners: &Listeners,
    intake: &Arc<Intake>,
    outputs: &Stop,
    stop: &Stop,
) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(4)?;
    socket.set_nonblocking(true)?;
    #[expect(
        deprecated,
        reason = "a socket keeps its descriptor as long as it lives, and the successor is unsafe"
    )]
    let socket = AsyncFd::new(socket)?;
    tracing::info!(path = %path.display(), "a new process may take over");
    loop {
        let accepted = tokio::select! {
            ready = socket.readable() => ready?.try_io(|s| s.get_ref().accept()),
            () = stop.requested() => return Ok(()),
        };
        let peer = match accepted {
            Ok(Ok((peer, _))) => peer,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a process that wants to take over could not be accepted");
                continue;
            }
            Err(_) => continue,
        };
        let user = netio::descriptors::peer_user(peer.as_fd())?;
        if user != 0 && user != geteuid().as_raw() {
            tracing::warn!(user, "somebody else wants to take over and may not");
            continue;
        }
        // Who only connects, or goes away again, changes nothing.
        if !tokio::task::block_in_place(|| wants_all(&peer)) {
            continue;
        }
        tracing::info!("a new process takes over");
        give(&peer, listeners, intake, outputs).await;
        // The other side takes the end of this process for the sign to go on.
        std::mem::forget(peer);
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM);
        stop.requested().await;
        return Ok(());
    }
}

/// Waits for the word of the other side, for ten seconds at most.
fn wants_all(peer: &Socket) -> bool {
    let mut word = [0; 64];
    peer.set_nonblocking(false).is_ok()
        && peer
            .set_read_timeout(Some(std::time::Duration::from_secs(10)))
            .is_ok()
        && matches!(netio::descriptors::receive(peer.as_fd(), &mut word), Ok((length, _)) if word[..length] == *WORD)
}

async fn give(peer: &Socket, listeners: &Listeners, intake: &Arc<Intake>, outputs: &Stop) {
    // Who delivers ends first: what is not delivered is in the queue, and nothing more is taken from it.
    outputs.trigger();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let given = listeners.give().await;
    if let Err(error) = intake.queue.sync() {
        tracing::error!(error = %crate::intake::Chain(&error), "the queue cannot be made durable");
    }
    let backlog = backlog(intake);
    // This side blocks from here on: the new process does nothing but read.
    let sent = tokio::task::block_in_place(|| send_all(peer, given, backlog));
    match sent {
        Ok(count) => tracing::info!(descriptors = count, "handed over"),
        Err(error) => {
            tracing::error!(%error, "handing over failed; this process ends all the same");
        }
    }
}

fn backlog(intake: &Intake) -> Backlog {
    let count = |counts: &crate::statistics::DestinationCounters| {
        u64::try_from(counts.queued.load(Relaxed)).unwrap_or(0)
    };
    let all = intake.statistics.all();
    let counts = all.iter().map(|counters| {
        let queued: Vec<u64> = counters.destinations.iter().map(count).collect();
        (counters.device.clone(), queued)
    });
    counts
        .filter(|(_, queued)| queued.iter().any(|q| *q > 0))
        .collect()
}

fn send(
    peer: &Socket,
    packet: &Packet,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut text = serde_json::to_vec(packet).map_err(io::Error::other)?;
    text.push(b'\n');
    text.extend_from_slice(bytes);
    netio::descriptors::send(peer.as_fd(), &text, descriptors).map(|_| ())
}

fn send_all(peer: &Socket, given: Given, backlog: Backlog) -> io::Result<usize> {
    peer.set_nonblocking(false)?;
    peer.set_write_timeout(Some(std::time::Duration::from_secs(10)))?;
    let _ = peer.set_send_buffer_size(PACKET * 2);
    let mut count = 0;
    for (kind, configured, socket) in given.sockets {
        let packet = Packet::Socket { kind, configured };
        send(peer, &packet, &[], &[socket.as_fd()])?;
        count += 1;
    }
    for connection in given.connections {
        let packet = Packet::Connection {
            configured: connection.configured,
            source: connection.source,
            skip: connection.skip,
        };
        let sent = send(
            peer,
            &packet,
            &connection.bytes,
            &[connection.socket.as_fd()],
        );
        if let Err(error) = sent {
            // One that cannot go is closed; the others still can.
            tracing::warn!(%error, source = %connection.source, "a connection cannot be handed over");
        }
        count += 1;
    }
    let mut rest: Vec<(String, Vec<u64>)> = backlog.into_iter().collect();
    while !rest.is_empty() {
        let part = rest.split_off(rest.len().saturating_sub(COUNTS));
        send(peer, &Packet::Backlog(part.into_iter().collect()), &[], &[])?;
    }
    send(peer, &Packet::Done, &[], &[])?;
    Ok(count)
}
