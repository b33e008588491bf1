//! Unix datagram sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixDatagram;
use toolkit::Stop;

use super::connection::flush;
use crate::handover::leaving::Leaving;
use crate::intake::{Batch, Intake, now};
use crate::record::{TRUNCATED, Transport};

/// A Unix datagram socket such as `/dev/log`.
pub struct UnixSocket {
    socket: UnixDatagram,
    path: PathBuf,
    /// How it ends for another process.
    pub leaving: Leaving,
}

impl UnixSocket {
    /// Binds it; a socket that was left behind is replaced.
    ///
    /// # Errors
    /// When it cannot be bound, or something else is at the path.
    pub fn bind(path: PathBuf) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
        if let Ok(meta) = std::fs::symlink_metadata(&path) {
            if !meta.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is something else than a socket at the path",
                ));
            }
            std::fs::remove_file(&path)?;
        }
        let socket = UnixDatagram::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
        Ok(Self::new(socket, path))
    }

    fn new(socket: UnixDatagram, path: PathBuf) -> Self {
        Self {
            socket,
            path,
            leaving: Leaving::default(),
        }
    }

    /// Takes a socket that is bound already.
    ///
    /// # Errors
    /// The kernel's.
    pub fn adopt(socket: std::os::unix::net::UnixDatagram, path: PathBuf) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::new(UnixDatagram::from_std(socket)?, path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A further descriptor of the socket.
    ///
    /// # Errors
    /// The kernel's.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }

    /// Receives until it is stopped.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn run(&self, intake: Arc<Intake>, limit: usize, stop: Stop) -> io::Result<()> {
        if stop.is_requested() {
            return Ok(());
        }
        let _running = self.leaving.run();
        self.receive(intake, limit, stop).await
    }

    async fn receive(&self, intake: Arc<Intake>, limit: usize, stop: Stop) -> io::Result<()> {
        let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let mut buffer = vec![0; limit + 1];
        let mut batch = Batch::new(intake.clone());
        let push = |batch: &mut Batch, buffer: &[u8], length: usize| {
            let flags = if length > limit { TRUNCATED } else { 0 };
            batch.push(
                &buffer[..length.min(limit)],
                nobody,
                Transport::Unix,
                now(),
                flags,
            );
        };
        loop {
            tokio::select! {
                received = self.socket.recv(&mut buffer) => {
                    let length = received?;
                    push(&mut batch, &buffer, length);
                }
                () = stop.requested() => break,
            }
            while batch.len() < 256
                && let Ok(length) = self.socket.try_recv(&mut buffer)
            {
                push(&mut batch, &buffer, length);
            }
            flush(&mut batch, &intake).await;
        }
        while !self.leaving.is_leaving()
            && let Ok(length) = self.socket.try_recv(&mut buffer)
        {
            push(&mut batch, &buffer, length);
        }
        flush(&mut batch, &intake).await;
        Ok(())
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if !self.leaving.is_leaving() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
