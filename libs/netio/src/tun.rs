//! TUN devices: a network interface whose other end is this process.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

/// Longest interface name the kernel takes, without the final NUL (`IFNAMSIZ - 1`).
const NAME_MAX: usize = libc::IFNAMSIZ - 1;

/// An open TUN device: each read is one IP packet the kernel routed to it, each write is one IP packet handed to
/// the kernel. Packets carry no prefix (`IFF_NO_PI`). The interface vanishes when this is dropped.
///
/// Non-blocking: a read without a packet and a write into a full queue answer [`io::ErrorKind::WouldBlock`], so it
/// can stand behind `tokio::io::unix::AsyncFd`.
#[derive(Debug)]
pub struct Tun {
    file: File,
    name: String,
}

impl Tun {
    /// Creates the interface `name` in the network namespace of the calling thread, or attaches to it when a
    /// persistent one exists. A `%d` in the name is replaced with the first free number. The interface is down and
    /// has no address.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for an empty name, one longer than 15 bytes or one with a NUL; otherwise the
    /// kernel's answer: no `/dev/net/tun`, no `CAP_NET_ADMIN` in the namespace, or the interface is in use.
    pub fn open(name: &str) -> io::Result<Self> {
        if name.is_empty() || name.len() > NAME_MAX || name.bytes().any(|byte| byte == 0) {
            let text =
                format!("interface name {name:?}: expected 1 to {NAME_MAX} bytes without NUL");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")?;

        // SAFETY: `ifreq` is plain data of the kernel's ABI; all zeroes is a valid value of every field.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: the descriptor is open for the whole call and TUNSETIFF reads and writes one `ifreq`, which
        // `request` is; the kernel keeps no pointer to it.
        let answer = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &mut request) };
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        let given: Vec<u8> = request
            .ifr_name
            .iter()
            .map(|&c| c as u8)
            .take_while(|&byte| byte != 0)
            .collect();
        Ok(Self {
            file,
            name: String::from_utf8_lossy(&given).into_owned(),
        })
    }

    /// The interface name the kernel gave.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads one packet into `buffer` and returns its length in bytes; what does not fit is cut off.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when no packet waits.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(buffer)
    }

    /// Hands one IP packet to the kernel, as if it had been received on the interface.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when `packet` is no IPv4 or IPv6 packet, an input/output error while the
    /// interface is down.
    pub fn write(&self, packet: &[u8]) -> io::Result<()> {
        (&self.file).write(packet).map(|_| ())
    }
}

impl AsRawFd for Tun {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_name_is_refused_before_the_kernel_sees_it() {
        for name in ["", "sixteen-bytes-ab", "a\0b"] {
            assert_eq!(
                Tun::open(name).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{name:?}"
            );
        }
    }
}
