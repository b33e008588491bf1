//! Which of several sockets on one address a datagram goes to, by the address of its sender.
//!
//! Sockets that share an address by `SO_REUSEPORT` are a group, in the order in which they were bound. A classic BPF
//! program on the group says for each datagram the place of its socket (`SO_ATTACH_REUSEPORT_CBPF`, socket(7)). It
//! needs no privilege. A socket of the group that is connected to the sender goes before.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use libc::{
    BPF_ABS, BPF_ALU, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_RSH, BPF_W, SKF_NET_OFF,
    sock_filter, sock_fprog,
};

/// Most addresses that have a place of their own.
pub const ADDRESSES: usize = 16;

/// Sends datagrams from each of the addresses to the socket at its place in the group, all others to the first one.
///
/// # Errors
/// `InvalidInput` for more than [`ADDRESSES`]; the kernel's, when the socket shares its address with nobody.
pub fn by_source(socket: BorrowedFd<'_>, sources: &[(IpAddr, u32)]) -> io::Result<()> {
    if sources.len() > ADDRESSES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("at most {ADDRESSES} addresses have a place of their own"),
        ));
    }
    let mut filter = program(sources);
    let program = sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(u16::MAX),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: `program` and the instructions it points to live through the call, which copies them.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            std::ptr::from_ref(&program).cast(),
            size_of::<sock_fprog>() as libc::socklen_t,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Gives the choice among the group's sockets back to the kernel.
///
/// # Errors
/// The kernel's, when there is no program.
pub fn by_kernel(socket: BorrowedFd<'_>) -> io::Result<()> {
    let value = 0_i32;
    // SAFETY: the kernel reads the one integer that is given with its size.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DETACH_REUSEPORT_BPF,
            std::ptr::from_ref(&value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn step(code: u32, k: u32, jump_true: u8, jump_false: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: jump_true,
        jf: jump_false,
        k,
    }
}

/// Reads a word of the IP header, counted from its beginning.
fn load(size: u32, offset: u32) -> sock_filter {
    let header = SKF_NET_OFF.cast_unsigned();
    step(BPF_LD | size | BPF_ABS, header.wrapping_add(offset), 0, 0)
}

fn answer(place: u32) -> sock_filter {
    step(BPF_RET | BPF_K, place, 0, 0)
}

/// Skips so many steps unless what was read last is this.
fn unless(value: u32, skip: u8) -> sock_filter {
    step(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
}

fn program(sources: &[(IpAddr, u32)]) -> Vec<sock_filter> {
    // The source address is at byte 12 of an IPv4 header (RFC 791) and at byte 8 of an IPv6 header (RFC 8200).
    let (mut v4, mut v6) = (vec![load(BPF_W, 12)], Vec::new());
    for (source, place) in sources {
        match source.to_canonical() {
            IpAddr::V4(ip) => v4.extend([unless(ip.to_bits(), 1), answer(*place)]),
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                for word in 0..4u8 {
                    v6.push(load(BPF_W, 8 + 4 * u32::from(word)));
                    let value = (bits >> (96 - 32 * u32::from(word))) as u32;
                    v6.push(unless(value, 7 - 2 * word));
                }
                v6.push(answer(*place));
            }
        }
    }
    v4.push(answer(0));
    v6.push(answer(0));
    let behind = v4.len() as u8;
    let mut steps = vec![
        load(BPF_B, 0),
        step(BPF_ALU | BPF_RSH | BPF_K, 4, 0, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, 6, behind, 0),
    ];
    steps.append(&mut v4);
    steps.append(&mut v6);
    steps
}
