//! Datagrams find the socket that their sender's address has.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

fn group(address: SocketAddr, count: usize) -> Vec<UdpSocket> {
    let mut address = address;
    (0..count)
        .map(|_| {
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).unwrap();
            if address.is_ipv6() {
                socket.set_only_v6(false).unwrap();
            }
            socket.set_reuse_port(true).unwrap();
            socket.bind(&address.into()).unwrap();
            let socket = UdpSocket::from(socket);
            socket
                .set_read_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            address = socket.local_addr().unwrap();
            socket
        })
        .collect()
}

/// The places in the group at which datagrams from an address arrive, each from a port of its own.
fn places(group: &[UdpSocket], from: &str, to: IpAddr) -> Vec<usize> {
    let to = SocketAddr::new(to, group[0].local_addr().unwrap().port());
    for _ in 0..20 {
        let socket = UdpSocket::bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        socket.send_to(from.as_bytes(), to).unwrap();
    }
    let mut places = Vec::new();
    let mut buffer = [0; 64];
    for (place, socket) in group.iter().enumerate() {
        socket.set_nonblocking(true).unwrap();
        let mut count = 0;
        while let Ok((length, _)) = socket.recv_from(&mut buffer) {
            assert_eq!(&buffer[..length], from.as_bytes());
            count += 1;
        }
        // All of them or none.
        if count > 0 {
            assert_eq!(count, 20, "{from} at {place}");
            places.push(place);
        }
    }
    places
}

#[test]
fn each_address_has_the_socket_it_was_given_whatever_its_ports() {
    // One group takes both families, as a listener on all addresses does.
    let group = group("[::]:0".parse().unwrap(), 4);
    let socket = group[0].as_fd();
    let (v4, v6): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
    netio::steer::by_source(socket, &[]).unwrap();
    assert_eq!(places(&group, "127.0.0.2", v4), [0]);
    let sources = ["127.0.0.3", "::1", "::ffff:127.0.0.4", "2001:db8::1"];
    let sources: Vec<(IpAddr, u32)> = (1..=3)
        .cycle()
        .zip(sources)
        .map(|(place, source)| (source.parse().unwrap(), place))
        .collect();
    netio::steer::by_source(socket, &sources).unwrap();
    for (from, to, place) in [
        ("127.0.0.2", v4, 0),
        ("127.0.0.3", v4, 1),
        ("127.0.0.4", v4, 3),
        ("::1", v6, 2),
    ] {
        assert_eq!(places(&group, from, to), [place], "{from}");
    }
    netio::steer::by_source(socket, &sources[1..]).unwrap();
    assert_eq!(places(&group, "127.0.0.3", v4), [0]);
    netio::steer::by_kernel(socket).unwrap();
}

#[test]
fn what_cannot_be_is_refused() {
    let alone = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(netio::steer::by_source(alone.as_fd(), &[]).is_err());
    let group = group("127.0.0.1:0".parse().unwrap(), 1);
    let many: Vec<(IpAddr, u32)> = (0..=netio::steer::ADDRESSES as u8)
        .map(|last| (IpAddr::from([192, 0, 2, last]), 0))
        .collect();
    let error = netio::steer::by_source(group[0].as_fd(), &many).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    netio::steer::by_source(group[0].as_fd(), &many[1..]).unwrap();
    assert_eq!(
        places(&group, "127.0.0.2", "127.0.0.1".parse().unwrap()),
        [0]
    );
}
