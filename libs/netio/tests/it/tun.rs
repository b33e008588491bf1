//! A packet sent to the network of a TUN device comes out of it, and one written into it reaches a socket.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant};

use netio::tun::Tun;
use nix::sched::{CloneFlags, unshare};

fn ip(args: &str) {
    let status = Command::new("ip").args(args.split(' ')).status().unwrap();
    assert!(status.success(), "ip {args}");
}

/// The Internet checksum of a header (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[test]
fn packets_go_both_ways() {
    if let Err(reason) = unshare(CloneFlags::CLONE_NEWNET) {
        testkit::skip(format_args!("no network namespace can be made: {reason}"));
        return;
    }
    let tun = match Tun::open("probe%d") {
        Ok(tun) => tun,
        Err(error) => {
            testkit::skip(format_args!("no TUN device can be made: {error}"));
            return;
        }
    };
    assert_eq!(tun.name(), "probe0");
    assert!(tun.as_raw_fd() >= 0);
    let mut buffer = [0; 2048];
    assert_eq!(
        tun.read(&mut buffer).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );

    ip("link set lo up");
    ip("address add 198.18.0.1/24 dev probe0");
    ip("link set probe0 up");
    let socket = UdpSocket::bind("198.18.0.1:7000").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socket.send_to(b"hello", "198.18.0.2:7001").unwrap();

    // The kernel may send its own packets first (router solicitations), so look for ours.
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut packet = loop {
        assert!(
            Instant::now() < deadline,
            "the datagram never came out of the device"
        );
        match tun.read(&mut buffer) {
            Ok(length) if buffer[..length].ends_with(b"hello") => break buffer[..length].to_vec(),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    };

    // Send it back: addresses and ports swapped, no UDP checksum.
    packet[12..20].copy_from_slice(&[198, 18, 0, 2, 198, 18, 0, 1]);
    packet[20..24].copy_from_slice(&[0x1b, 0x59, 0x1b, 0x58]);
    packet[26..28].fill(0);
    packet[10..12].fill(0);
    let sum = checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    tun.write(&packet).unwrap();
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(
        (&buffer[..length], from.to_string().as_str()),
        (&b"hello"[..], "198.18.0.2:7001")
    );
}
