//! Batched send: many datagrams to as many addresses in one system call.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::BATCH;
use crate::address::{ADDRESS_BYTES, encode};

/// One datagram of the batch: where its parts lie in the buffers.
#[derive(Debug, Clone)]
struct Entry {
    address: [u8; ADDRESS_BYTES],
    address_bytes: usize,
    payload: Range<usize>,
    control: Range<usize>,
}

/// Reusable buffers for up to [`BATCH`] datagrams to send.
#[derive(Debug, Default)]
pub struct SendBatch {
    payloads: Vec<u8>,
    controls: Vec<u8>,
    entries: Vec<Entry>,
}

impl SendBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many datagrams it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// It holds [`BATCH`] datagrams and takes no more.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= BATCH
    }

    /// Forgets all datagrams and keeps the memory.
    pub fn clear(&mut self) {
        self.payloads.clear();
        self.controls.clear();
        self.entries.clear();
    }

    /// Adds a datagram to `address`; `payload` and `control` append its bytes and its control messages (see
    /// [`crate::control::append`]) to the buffers they are given. Answers `false`, with nothing added, when full.
    pub fn push(
        &mut self,
        address: SocketAddr,
        payload: impl FnOnce(&mut Vec<u8>),
        control: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        if self.is_full() {
            return false;
        }
        let mut bytes = [0; ADDRESS_BYTES];
        let address_bytes = encode(address, &mut bytes);
        let (payload_start, control_start) = (self.payloads.len(), self.controls.len());
        payload(&mut self.payloads);
        control(&mut self.controls);
        self.entries.push(Entry {
            address: bytes,
            address_bytes,
            payload: payload_start..self.payloads.len().max(payload_start),
            control: control_start..self.controls.len().max(control_start),
        });
        true
    }

    /// Sends the datagrams from the one at `first` on, without blocking, and returns how many the kernel took. It
    /// stops before the first one the kernel refuses.
    ///
    /// # Errors
    /// The kernel's answer to the datagram at `first`, when not even that one was taken; it may also be an error
    /// that waits on the socket and concerns another datagram.
    pub fn send(&mut self, socket: BorrowedFd<'_>, first: usize) -> io::Result<usize> {
        let Some(entries) = self
            .entries
            .get_mut(first..)
            .filter(|entries| !entries.is_empty())
        else {
            return Ok(0);
        };
        // SAFETY: both are plain data of the kernel's ABI whose all-zero value is valid: null pointers, no lengths.
        let (mut headers, mut vectors): ([libc::mmsghdr; BATCH], [libc::iovec; BATCH]) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let mut count = 0;
        for ((header, vector), entry) in headers.iter_mut().zip(&mut vectors).zip(entries) {
            let payload = self
                .payloads
                .get_mut(entry.payload.clone())
                .unwrap_or_default();
            let control = self
                .controls
                .get_mut(entry.control.clone())
                .unwrap_or_default();
            vector.iov_base = payload.as_mut_ptr().cast();
            vector.iov_len = payload.len();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            if !control.is_empty() {
                header.msg_hdr.msg_control = control.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = control.len() as _;
            }
            header.msg_hdr.msg_name = entry.address.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = entry.address_bytes as _;
            count += 1;
        }
        // SAFETY: the descriptor is open for the call. The first `count` headers each point to one vector, and to
        // parts of buffers of ours with their true lengths, which outlive the call; the kernel only reads them and
        // writes `msg_len` of each header.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
            )
        };
        if sent < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(sent as usize)
        }
    }
}
