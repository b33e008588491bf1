//! Open files that one process gives to another: over a Unix socket (`SCM_RIGHTS`, `unix(7)`), or at its start from a
//! service manager (`sd_listen_fds(3)`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Most descriptors that one message carries; the kernel's own limit is 253.
pub const MOST: usize = 64;

/// Bytes of control messages for [`MOST`] descriptors, in words so that the header is aligned.
const CONTROL_WORDS: usize = (MOST * size_of::<RawFd>() + 64) / size_of::<usize>();

fn header(vector: &mut libc::iovec, control: &mut [usize]) -> libc::msghdr {
    // SAFETY: plain data of the kernel's ABI whose all-zero value is valid: null pointers, no lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = vector;
    header.msg_iovlen = 1;
    if !control.is_empty() {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(control) as _;
    }
    header
}

/// Sends bytes with descriptors. On a `SOCK_SEQPACKET` socket they are one message; on a stream at least the first byte
/// carries the descriptors.
///
/// # Errors
/// `InvalidInput` for more than [`MOST`] descriptors or no bytes, else the kernel's.
pub fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    if descriptors.len() > MOST || bytes.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let length = size_of_val(&numbers[..]);
    let mut control = [0_usize; CONTROL_WORDS];
    let mut message = header(&mut vector, &mut control);
    if numbers.is_empty() {
        message.msg_control = std::ptr::null_mut();
        message.msg_controllen = 0;
    } else {
        // SAFETY: takes numbers only.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(length as _) } as _;
        // SAFETY: the control buffer is aligned for the header and longer than CMSG_SPACE of MOST descriptors, so the
        // first header and its data lie in it.
        unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const message);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(length as _) as _;
            std::ptr::copy_nonoverlapping(
                numbers.as_ptr().cast::<u8>(),
                libc::CMSG_DATA(first),
                length,
            );
        }
    }
    // SAFETY: all descriptors are open for the call; the header points to buffers of ours with their true lengths, which
    // outlive the call and are only read by it.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(sent as usize)
    }
}

/// Receives bytes and the descriptors that came with them, closed on `exec`; no bytes mean that the other side is gone.
///
/// # Errors
/// `InvalidData` when the message was longer than the buffer, else the kernel's.
pub fn receive(socket: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut vector = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    let mut control = [0_usize; CONTROL_WORDS];
    let mut message = header(&mut vector, &mut control);
    // SAFETY: the descriptor is open for the call; the header points to buffers of ours with their true lengths, which
    // outlive the call.
    let got =
        unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    if got < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut descriptors = Vec::new();
    // SAFETY: the kernel wrote whole control messages into the buffer and their length into the header; CMSG_NXTHDR stays
    // inside that length. Every number in an SCM_RIGHTS message is a descriptor that the kernel just opened for us and
    // that nothing else knows, so each gets this one owner.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(&raw const message);
        while !at.is_null() {
            if (*at).cmsg_level == libc::SOL_SOCKET && (*at).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*at).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(at).cast::<RawFd>();
                for index in 0..bytes / size_of::<RawFd>() {
                    let number = std::ptr::read_unaligned(data.add(index));
                    descriptors.push(OwnedFd::from_raw_fd(number));
                }
            }
            at = libc::CMSG_NXTHDR(&raw const message, at);
        }
    }
    if message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((got as usize, descriptors))
}

/// The user id of the process at the other end of a Unix socket (`SO_PEERCRED`, `unix(7)`).
///
/// # Errors
/// The kernel's.
pub fn peer_user(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut length = size_of_val(&peer) as libc::socklen_t;
    // SAFETY: the descriptor is open for the call; the kernel writes at most `length` bytes, the size of `peer`, and the
    // number it wrote to `length`.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(peer.uid)
    }
}

/// The sockets that a service manager opened for this process, with their names (`LISTEN_PID`, `LISTEN_FDS`,
/// `LISTEN_FDNAMES`). They are given once: a second call gives none.
pub fn inherited() -> Vec<(OwnedFd, String)> {
    use std::sync::atomic::{AtomicBool, Ordering};
    /// `SD_LISTEN_FDS_START`.
    const FIRST: RawFd = 3;
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let variable = |name: &str| std::env::var(name).ok();
    let ours = variable("LISTEN_PID").and_then(|pid| pid.parse().ok()) == Some(std::process::id());
    let count: RawFd = variable("LISTEN_FDS")
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    if !ours || !(1..=1_024).contains(&count) || TAKEN.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    (FIRST..FIRST + count)
        .filter_map(|number| {
            let name = names.next().unwrap_or_default().to_owned();
            // SAFETY: takes numbers only; a number that is no open descriptor is answered with an error.
            if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
                return None;
            }
            // SAFETY: the protocol gives this open descriptor to this process alone, and the flag above lets it be taken
            // but once.
            Some((unsafe { OwnedFd::from_raw_fd(number) }, name))
        })
        .collect()
}
