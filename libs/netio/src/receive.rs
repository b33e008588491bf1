//! Batched receive: many datagrams, their addresses and control messages in one system call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::BATCH;
use crate::address::{ADDRESS_BYTES, decode};
use crate::control::Control;

/// Bytes kept for the control messages of one datagram: stamps, hop limit, traffic class, drops and one queue
/// entry take less than half of it.
const CONTROL_BYTES: usize = 256;

/// Bytes of a line of the processor's cache.
const LINE: usize = 64;
/// Between two buffers: with a distance of a power of two the beginnings of all of them would compete for the same few
/// places of the cache.
const GAP: usize = 5 * LINE;

/// Which queue of a socket to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Received datagrams.
    Data,
    /// ICMP errors about what was sent, and transmit timestamps (`MSG_ERRQUEUE`).
    Error,
}

/// One received datagram, borrowed from the batch.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// What the socket gives: the protocol's message, for raw IPv4 sockets with the IP header.
    pub payload: &'a [u8],
    /// The payload was longer than the buffer and is cut off.
    pub truncated: bool,
    /// The sender; in the error queue, the destination of the datagram the entry is about.
    pub address: Option<SocketAddr>,
    /// What came with it.
    pub control: Control,
}

/// Lengths the kernel reports for one datagram of the batch.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    payload: usize,
    address: usize,
    control: usize,
    truncated: bool,
}

/// Reusable buffers for [`BATCH`] datagrams.
#[derive(Debug)]
pub struct ReceiveBatch {
    payload_bytes: usize,
    /// Distance between two buffers.
    stride: usize,
    payloads: Vec<u8>,
    controls: Vec<u8>,
    addresses: Vec<u8>,
    extents: Vec<Extent>,
}

impl ReceiveBatch {
    /// Buffers for datagrams of up to `payload_bytes` bytes each (at least one).
    pub fn new(payload_bytes: usize) -> Self {
        let payload_bytes = payload_bytes.max(1);
        let stride = payload_bytes.next_multiple_of(LINE) + GAP;
        Self {
            payload_bytes,
            stride,
            payloads: vec![0; stride * BATCH],
            controls: vec![0; CONTROL_BYTES * BATCH],
            addresses: vec![0; ADDRESS_BYTES * BATCH],
            extents: Vec::with_capacity(BATCH),
        }
    }

    /// Reads what waits, without blocking, and returns how many datagrams it is (0: nothing waits). What the batch
    /// held before is gone.
    ///
    /// # Errors
    /// The kernel's; for the data queue that includes an ICMP error which waits in the error queue.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, queue: Queue) -> io::Result<usize> {
        self.extents.clear();
        // SAFETY: both are plain data of the kernel's ABI whose all-zero value is valid: null pointers, no lengths.
        let (mut headers, mut vectors): ([libc::mmsghdr; BATCH], [libc::iovec; BATCH]) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let parts = self
            .payloads
            .chunks_exact_mut(self.stride)
            .zip(self.controls.chunks_exact_mut(CONTROL_BYTES))
            .zip(self.addresses.chunks_exact_mut(ADDRESS_BYTES));
        for ((header, vector), ((payload, control), address)) in
            headers.iter_mut().zip(&mut vectors).zip(parts)
        {
            vector.iov_base = payload.as_mut_ptr().cast();
            vector.iov_len = self.payload_bytes;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = control.len() as _;
            header.msg_hdr.msg_name = address.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = address.len() as _;
        }
        let flags = match queue {
            Queue::Data => libc::MSG_DONTWAIT,
            Queue::Error => libc::MSG_DONTWAIT | libc::MSG_ERRQUEUE,
        };
        // SAFETY: the descriptor is open for the call. Each of the BATCH headers points to one vector and to three
        // parts of buffers of ours, with their true lengths; none overlap, and all outlive the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as _,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock {
                Ok(0)
            } else {
                Err(error)
            };
        }
        let received = headers.iter().take(count as usize);
        #[allow(
            clippy::unnecessary_cast,
            reason = "the length of control messages has four bytes in musl"
        )]
        self.extents.extend(received.map(|header| Extent {
            payload: (header.msg_len as usize).min(self.payload_bytes),
            address: (header.msg_hdr.msg_namelen as usize).min(ADDRESS_BYTES),
            control: (header.msg_hdr.msg_controllen as usize).min(CONTROL_BYTES),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        }));
        Ok(self.extents.len())
    }

    /// The payloads of [`datagrams`](Self::datagrams) alone.
    pub fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let buffers = self.payloads.chunks_exact(self.stride);
        let extents = self.extents.iter().zip(buffers);
        extents.map(|(extent, payload)| &payload[..extent.payload])
    }

    /// The datagrams of the last [`receive`](Self::receive), in the order of the queue.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let parts = self
            .payloads
            .chunks_exact(self.stride)
            .zip(self.controls.chunks_exact(CONTROL_BYTES))
            .zip(self.addresses.chunks_exact(ADDRESS_BYTES));
        self.extents
            .iter()
            .zip(parts)
            .map(|(extent, ((payload, control), address))| Datagram {
                payload: &payload[..extent.payload],
                truncated: extent.truncated,
                address: decode(&address[..extent.address]),
                control: Control::decode(&control[..extent.control]),
            })
    }
}
