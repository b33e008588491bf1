//! Socket options of Linux that `socket2` does not know.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// An address family with its ICMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 and ICMP.
    V4,
    /// IPv6 and ICMPv6.
    V6,
}

/// Which software timestamps a socket reports, beside those of received packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransmitStamps {
    /// Report when a sent packet was given to the device, in the error queue.
    pub enabled: bool,
    /// Number the packets from 0 in [`QueueEntry::data`](crate::control::QueueEntry::data) (`OPT_ID`). Whether a
    /// refused packet uses up a number depends on the kernel.
    pub numbered: bool,
    /// Leave out the packet itself (`OPT_TSONLY`); without it the entry's payload is the packet with all headers.
    pub without_packet: bool,
}

/// Asks for kernel timestamps (`SO_TIMESTAMPING`, software): of each received packet with the packet, of sent ones
/// by `transmit`. Numbering starts again at 0 when it was off before.
///
/// # Errors
/// The kernel's, when it has no such timestamps.
pub fn report_timestamps(socket: BorrowedFd<'_>, transmit: TransmitStamps) -> io::Result<()> {
    let mut flags = libc::SOF_TIMESTAMPING_SOFTWARE | libc::SOF_TIMESTAMPING_RX_SOFTWARE;
    if transmit.enabled {
        flags |= libc::SOF_TIMESTAMPING_TX_SOFTWARE;
    }
    if transmit.numbered {
        flags |= libc::SOF_TIMESTAMPING_OPT_ID;
    }
    if transmit.without_packet {
        flags |= libc::SOF_TIMESTAMPING_OPT_TSONLY;
    }
    set(
        socket,
        libc::SOL_SOCKET,
        libc::SO_TIMESTAMPING,
        &flags.to_ne_bytes(),
    )
}

/// Asks for the receive timestamp of each packet alone (`SO_TIMESTAMPNS`), where [`report_timestamps`] is refused.
///
/// # Errors
/// The kernel's.
pub fn report_receive_timestamps(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(
        socket,
        libc::SOL_SOCKET,
        libc::SO_TIMESTAMPNS,
        &1_i32.to_ne_bytes(),
    )
}

/// Asks for ICMP errors about sent datagrams in the error queue (`IP_RECVERR`, `IPV6_RECVERR`).
///
/// # Errors
/// The kernel's.
pub fn report_errors(socket: BorrowedFd<'_>, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => set(
            socket,
            libc::IPPROTO_IP,
            libc::IP_RECVERR,
            &1_i32.to_ne_bytes(),
        ),
        Family::V6 => set(
            socket,
            libc::IPPROTO_IPV6,
            libc::IPV6_RECVERR,
            &1_i32.to_ne_bytes(),
        ),
    }
}

/// Asks for hop limit and traffic class of each received packet.
///
/// # Errors
/// The kernel's.
pub fn report_hop_limit_and_class(socket: BorrowedFd<'_>, family: Family) -> io::Result<()> {
    let (level, options) = match family {
        Family::V4 => (libc::IPPROTO_IP, [libc::IP_RECVTTL, libc::IP_RECVTOS]),
        Family::V6 => (
            libc::IPPROTO_IPV6,
            [libc::IPV6_RECVHOPLIMIT, libc::IPV6_RECVTCLASS],
        ),
    };
    options
        .into_iter()
        .try_for_each(|option| set(socket, level, option, &1_i32.to_ne_bytes()))
}

/// Forbids fragmentation of what is sent: the DF bit of IPv4, no fragment header in IPv6. A datagram longer than the
/// known path MTU is refused with `EMSGSIZE`.
///
/// # Errors
/// The kernel's.
pub fn dont_fragment(socket: BorrowedFd<'_>, family: Family) -> io::Result<()> {
    let (level, option, value) = match family {
        Family::V4 => (
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_DO,
        ),
        Family::V6 => (
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_DO,
        ),
    };
    set(socket, level, option, &value.to_ne_bytes())
}

/// The number of the interface `name` in the network namespace of the calling thread; `None` when there is none.
pub fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: the pointer is to a string that ends with NUL and outlives the call, which keeps no pointer to it.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index > 0).then_some(index)
}

/// Lets nothing but echo replies through to a raw ICMP socket (`ICMP_FILTER`, RFC 3542 section 3.2 for ICMPv6).
///
/// # Errors
/// The kernel's; also when the socket is no raw one.
pub fn only_echo_replies(socket: BorrowedFd<'_>, family: Family) -> io::Result<()> {
    /// `linux/icmp.h`.
    const ICMP_FILTER: i32 = 1;
    /// `linux/icmpv6.h`.
    const ICMPV6_FILTER: i32 = 1;
    const ECHO_REPLY_V6: usize = 129;
    match family {
        // A set bit blocks the type; the reply is type 0.
        Family::V4 => set(socket, libc::SOL_RAW, ICMP_FILTER, &(!1_u32).to_ne_bytes()),
        Family::V6 => {
            let mut blocked = [u32::MAX; 8];
            blocked[ECHO_REPLY_V6 / 32] &= !(1 << (ECHO_REPLY_V6 % 32));
            let bytes: Vec<u8> = blocked.iter().flat_map(|word| word.to_ne_bytes()).collect();
            set(socket, libc::IPPROTO_ICMPV6, ICMPV6_FILTER, &bytes)
        }
    }
}

/// Asks for a receive buffer of `bytes`: past the system's limit where the process may (`CAP_NET_ADMIN`), else up to
/// it.
///
/// # Errors
/// The kernel's answer to the second, ordinary request.
pub fn receive_buffer(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    let value = i32::try_from(bytes).unwrap_or(i32::MAX).to_ne_bytes();
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &value)
        .or_else(|_| set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &value))
}

/// The same for what waits to be sent: packets whose next hop is not known yet are in it, for seconds where that does not answer.
///
/// # Errors
/// The kernel's answer to the second, ordinary request.
pub fn send_buffer(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    let value = i32::try_from(bytes).unwrap_or(i32::MAX).to_ne_bytes();
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &value)
        .or_else(|_| set(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &value))
}

/// What a socket's buffers hold (`SO_MEMINFO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that received datagrams and the error queue take, with the kernel's own overhead.
    pub receive_bytes: u32,
    /// Where the kernel begins to drop.
    pub receive_limit_bytes: u32,
    /// Datagrams dropped since the socket was opened, wrapping at 2³².
    pub dropped: u32,
}

/// Reads [`Memory`].
///
/// # Errors
/// The kernel's.
pub fn memory(socket: BorrowedFd<'_>) -> io::Result<Memory> {
    /// `linux/sock_diag.h`: nine counters.
    const COUNTERS: usize = 9;
    let mut values = [0_u32; COUNTERS];
    let mut length = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the descriptor is open for the call; the kernel writes at most `length` bytes, which is the size of
    // `values`, and the number it wrote to `length`.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Memory {
        receive_bytes: values[libc::SK_MEMINFO_RMEM_ALLOC as usize],
        receive_limit_bytes: values[libc::SK_MEMINFO_RCVBUF as usize],
        dropped: values[libc::SK_MEMINFO_DROPS as usize],
    })
}

/// Bytes of a stream that the other side's kernel has not acknowledged (`SIOCOUTQ`, `tcp(7)`).
///
/// # Errors
/// The kernel's.
pub fn unsent_bytes(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for the call; this request writes one int to the pointer, which outlives the call.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(usize::try_from(bytes).unwrap_or(0))
    }
}

fn set(socket: BorrowedFd<'_>, level: i32, option: i32, value: &[u8]) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call; the kernel reads `value.len()` bytes from `value` and keeps no
    // pointer to it.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    };
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
