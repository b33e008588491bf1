//! Batches, timestamps, errors and counters against the real kernel: UDP over loopback needs no privilege.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use netio::BATCH;
use netio::control::{Control, Origin};
use netio::option::{self, Family, TransmitStamps};
use netio::receive::{Queue, ReceiveBatch};
use netio::send::SendBatch;

/// What a datagram was, without its borrow.
#[derive(Debug)]
struct Seen {
    payload: Vec<u8>,
    address: Option<SocketAddr>,
    truncated: bool,
    control: Control,
}

/// Reads `queue` until `count` datagrams came or five seconds passed.
fn collect(socket: &UdpSocket, queue: Queue, count: usize, payload_bytes: usize) -> Vec<Seen> {
    let mut batch = ReceiveBatch::new(payload_bytes);
    let mut seen = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(5);
    while seen.len() < count && Instant::now() < deadline {
        match batch.receive(socket.as_fd(), queue) {
            Ok(0) | Err(_) => std::thread::sleep(Duration::from_millis(1)),
            Ok(_) => seen.extend(batch.datagrams().map(|datagram| Seen {
                payload: datagram.payload.to_vec(),
                address: datagram.address,
                truncated: datagram.truncated,
                control: datagram.control,
            })),
        }
    }
    seen
}

fn loopback(family: Family) -> Option<UdpSocket> {
    let address: SocketAddr = match family {
        Family::V4 => (Ipv4Addr::LOCALHOST, 0).into(),
        Family::V6 => (Ipv6Addr::LOCALHOST, 0).into(),
    };
    match UdpSocket::bind(address) {
        Ok(socket) => Some(socket),
        Err(error) => {
            testkit::skip(format_args!("no {family:?} loopback: {error}"));
            None
        }
    }
}

fn unix_nanos() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
}

#[test]
fn a_full_batch_arrives_whole_and_in_order_with_stamps() {
    for family in [Family::V4, Family::V6] {
        let (Some(sender), Some(receiver)) = (loopback(family), loopback(family)) else {
            continue;
        };
        let stamps = TransmitStamps {
            enabled: true,
            numbered: true,
            without_packet: false,
        };
        option::report_timestamps(sender.as_fd(), stamps).unwrap();
        option::report_timestamps(receiver.as_fd(), TransmitStamps::default()).unwrap();
        option::report_hop_limit_and_class(receiver.as_fd(), family).unwrap();
        let to = receiver.local_addr().unwrap();

        // The kernel turns the stamps on in the background: wait until one arrives.
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            sender.send_to(b"warm", to).unwrap();
            let stamped = collect(&receiver, Queue::Data, 1, 64)[0]
                .control
                .stamp
                .is_some();
            collect(&sender, Queue::Error, 1, 256);
            if stamped {
                break;
            }
        }

        let before = unix_nanos();
        let mut batch = SendBatch::new();
        for number in 0..BATCH {
            let text = format!("datagram {number}");
            assert!(batch.push(
                to,
                |payload| payload.extend_from_slice(text.as_bytes()),
                |_| {}
            ));
        }
        assert!(batch.is_full());
        assert!(
            !batch.push(to, |_| unreachable!(), |_| {}),
            "a full batch takes no more"
        );
        let mut sent = 0;
        while sent < batch.len() {
            sent += batch.send(sender.as_fd(), sent).unwrap();
        }
        assert_eq!(
            batch.send(sender.as_fd(), sent).unwrap(),
            0,
            "nothing is left"
        );

        let received = collect(&receiver, Queue::Data, BATCH, 64);
        let looped = collect(&sender, Queue::Error, BATCH, 256);
        let after = unix_nanos();
        assert_eq!((received.len(), looped.len()), (BATCH, BATCH));
        for (number, (datagram, stamp)) in received.iter().zip(&looped).enumerate() {
            let text = format!("datagram {number}");
            assert_eq!(datagram.payload, text.as_bytes());
            assert_eq!(datagram.address, Some(sender.local_addr().unwrap()));
            assert_eq!(datagram.control.hop_limit, Some(64));
            assert_eq!(datagram.control.traffic_class, Some(0));
            assert!(
                stamp.payload.ends_with(text.as_bytes()),
                "the packet comes back with its stamp"
            );
            let entry = stamp.control.entry.unwrap();
            assert_eq!(entry.origin, Origin::Timestamp);
            let (sent, received) = (
                stamp.control.stamp.unwrap().0,
                datagram.control.stamp.unwrap().0,
            );
            assert!(
                before <= sent && sent <= received && received <= after,
                "{number}"
            );
            assert_eq!(
                entry.data,
                looped[0].control.entry.unwrap().data + number as u32
            );
        }
    }
}

#[test]
fn per_datagram_options_travel_as_control_messages() {
    let (Some(sender), Some(receiver)) = (loopback(Family::V4), loopback(Family::V4)) else {
        return;
    };
    option::report_hop_limit_and_class(receiver.as_fd(), Family::V4).unwrap();
    let mut batch = SendBatch::new();
    for ttl in [7_i32, 200] {
        batch.push(
            receiver.local_addr().unwrap(),
            |payload| payload.push(ttl as u8),
            |control| {
                netio::control::append(control, libc::IPPROTO_IP, libc::IP_TTL, &ttl.to_ne_bytes());
                netio::control::append(
                    control,
                    libc::IPPROTO_IP,
                    libc::IP_TOS,
                    &0xb8_i32.to_ne_bytes(),
                );
            },
        );
    }
    assert_eq!(batch.send(sender.as_fd(), 0).unwrap(), 2);
    let received = collect(&receiver, Queue::Data, 2, 64);
    assert_eq!(received[0].control.hop_limit, Some(7));
    assert_eq!(received[1].control.hop_limit, Some(200));
    assert_eq!(received[1].control.traffic_class, Some(0xb8));
}

#[test]
fn a_closed_port_is_told_through_the_error_queue() {
    for family in [Family::V4, Family::V6] {
        let (Some(sender), Some(closed)) = (loopback(family), loopback(family)) else {
            continue;
        };
        option::report_errors(sender.as_fd(), family).unwrap();
        let to = closed.local_addr().unwrap();
        drop(closed);
        sender.send_to(b"anybody", to).unwrap();
        let told = collect(&sender, Queue::Error, 1, 256);
        let entry = told[0].control.entry.unwrap();
        let (origin, kind, code) = match family {
            Family::V4 => (Origin::Icmp, 3, 3),
            Family::V6 => (Origin::Icmp6, 1, 4),
        };
        assert_eq!((entry.origin, entry.kind, entry.code), (origin, kind, code));
        assert_eq!(entry.offender, Some(to.ip()));
        assert_eq!(
            told[0].address,
            Some(to),
            "the address is the destination that was sent to"
        );
        assert_eq!(told[0].payload, b"anybody");
    }
}

#[test]
fn what_does_not_fit_is_cut_and_told() {
    let (Some(sender), Some(receiver)) = (loopback(Family::V4), loopback(Family::V4)) else {
        return;
    };
    sender
        .send_to(b"longer than five", receiver.local_addr().unwrap())
        .unwrap();
    let received = collect(&receiver, Queue::Data, 1, 5);
    assert_eq!(
        (&received[0].payload[..], received[0].truncated),
        (&b"longe"[..], true)
    );
}

#[test]
fn drops_for_want_of_buffer_are_counted() {
    let (Some(sender), Some(receiver)) = (loopback(Family::V4), loopback(Family::V4)) else {
        return;
    };
    option::receive_buffer(receiver.as_fd(), 4096).unwrap();
    for _ in 0..200 {
        sender
            .send_to(&[0; 512], receiver.local_addr().unwrap())
            .unwrap();
    }
    let memory = option::memory(receiver.as_fd()).unwrap();
    let received = collect_now(&receiver);
    assert!(memory.dropped > 0 && memory.receive_bytes > 0 && memory.receive_limit_bytes >= 4096);
    assert_eq!(memory.dropped as usize + received, 200);
}

/// How many datagrams wait right now.
fn collect_now(socket: &UdpSocket) -> usize {
    let mut batch = ReceiveBatch::new(512);
    std::iter::from_fn(|| Some(batch.receive(socket.as_fd(), Queue::Data).unwrap()))
        .take_while(|&count| count > 0)
        .sum()
}

#[test]
fn a_duplicate_descriptor_outlives_the_first() {
    let Some(socket) = loopback(Family::V4) else {
        return;
    };
    let to = socket.local_addr().unwrap();
    let copy = netio::duplicate(std::os::fd::AsRawFd::as_raw_fd(&socket)).unwrap();
    drop(socket);
    let copy = UdpSocket::from(copy);
    assert_eq!(copy.local_addr().unwrap(), to);
    assert!(netio::duplicate(-1).is_err());
}
