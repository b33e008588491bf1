//! Descriptors over a real Unix socket, and from a parent as a service manager passes them.

use std::io::{Read as _, Seek as _, Write as _};
use std::net::UdpSocket;
use std::os::fd::AsFd as _;

use netio::descriptors::{self, MOST};
use socket2::{Domain, Socket, Type};

#[test]
fn a_socket_keeps_what_waits_in_it_when_it_changes_hands() {
    let (left, right) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender
        .send_to(b"waits", receiver.local_addr().unwrap())
        .unwrap();
    descriptors::send(left.as_fd(), b"one socket", &[receiver.as_fd()]).unwrap();
    drop(receiver);
    let mut buffer = [0; 64];
    let (length, mut got) = descriptors::receive(right.as_fd(), &mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"one socket");
    let taken = UdpSocket::from(got.pop().unwrap());
    assert!(got.is_empty());
    let (length, _) = taken.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"waits");
    drop(left);
    assert_eq!(
        descriptors::receive(right.as_fd(), &mut buffer).unwrap().0,
        0
    );
}

#[test]
fn as_many_as_one_message_carries_and_no_more() {
    let (left, right) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    let mut file = tempfile();
    file.write_all(b"shared").unwrap();
    let all = vec![file.as_fd(); MOST];
    descriptors::send(left.as_fd(), b"x", &all).unwrap();
    let (_, got) = descriptors::receive(right.as_fd(), &mut [0; 8]).unwrap();
    assert_eq!(got.len(), MOST);
    let mut copy = std::fs::File::from(got.into_iter().next().unwrap());
    copy.rewind().unwrap();
    let mut text = String::new();
    copy.read_to_string(&mut text).unwrap();
    assert_eq!(text, "shared");
    let more = vec![file.as_fd(); MOST + 1];
    assert!(descriptors::send(left.as_fd(), b"x", &more).is_err());
    assert!(descriptors::send(left.as_fd(), b"", &[]).is_err());
    descriptors::send(left.as_fd(), b"longer than the buffer", &[]).unwrap();
    let error = descriptors::receive(right.as_fd(), &mut [0; 4]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("sotp-descriptors-{}", std::process::id()));
    let file = std::fs::File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file
}
