//! `sotp-netflow replay`: what a capture holds arrives as it was, in its order, each exporter from a port of its own.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::TempDir;

use crate::support::BINARY;

/// A frame of Ethernet with a UDP payload from this port.
fn frame(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let mut out = vec![0; 12];
    out.extend([8, 0, 0x45, 0]);
    out.extend((28 + length).to_be_bytes());
    out.extend([0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2]);
    out.extend(port.to_be_bytes());
    out.extend(2_055_u16.to_be_bytes());
    out.extend((8 + length).to_be_bytes());
    out.extend([0, 0]);
    out.extend(payload);
    out
}

/// A datagram of NetFlow 5 without a record.
fn flow(sequence: u8) -> Vec<u8> {
    let mut out = vec![0; 24];
    (out[1], out[19]) = (5, sequence);
    out
}

fn words(values: &[u32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Frames with the milliseconds at which they were captured.
fn pcap(frames: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut out = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
    for (ms, frame) in frames {
        let length = frame.len() as u32;
        out.extend(words(&[1_700_000_000, ms * 1_000, length, length]));
        out.extend(frame);
    }
    out
}

fn pcapng(frames: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let block = |kind: u32, mut body: Vec<u8>| {
        body.resize(body.len().next_multiple_of(4), 0);
        let length = body.len() as u32 + 12;
        [words(&[kind, length]), body, words(&[length])].concat()
    };
    let mut out = block(0x0a0d_0d0a, words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    out.extend(block(1, words(&[1, 0])));
    for (ms, frame) in frames {
        let (length, time) = (
            frame.len() as u32,
            1_700_000_000_000_000 + u64::from(ms * 1_000),
        );
        let head = words(&[0, (time >> 32) as u32, time as u32, length, length]);
        out.extend(block(6, [head, frame.clone()].concat()));
    }
    out
}

#[test]
fn both_forms_of_captures_are_sent_in_their_order_from_a_port_for_each_exporter() {
    let files = TempDir::new().unwrap();
    let frames = [
        (0, frame(5_000, &flow(1))),
        (100, frame(5_001, &flow(2))),
        (200, frame(5_000, b"no flow")),
        (600, frame(5_000, &flow(3))),
    ];
    for (name, bytes) in [("a.pcap", pcap(&frames)), ("a.pcapng", pcapng(&frames))] {
        let path = files.join(name);
        std::fs::write(&path, bytes).unwrap();
        let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
        collector
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let to = collector.local_addr().unwrap().to_string();
        let begin = Instant::now();
        let told = Command::new(BINARY)
            .args(["replay", "--to", &to, "--speed", "2"])
            .arg(&path)
            .output()
            .unwrap();
        // 600 ms at twice the speed: never sooner.
        assert!(begin.elapsed() >= Duration::from_millis(300));
        assert!(told.status.success(), "{told:?}");
        let text = String::from_utf8(told.stdout).unwrap();
        assert_eq!(text, format!("3 datagrams sent to {to}, 1 are no flows\n"));
        let mut buffer = [0; 1_500];
        let mut receive = || {
            let (length, from) = collector.recv_from(&mut buffer).unwrap();
            (buffer[..length].to_vec(), from)
        };
        let [first, second, third] = [receive(), receive(), receive()];
        assert_eq!(
            [first.0, second.0, third.0],
            [flow(1), flow(2), flow(3)],
            "{name}"
        );
        assert_eq!(first.1, third.1);
        assert_ne!(first.1, second.1, "another exporter");
    }
    let nothing = files.join("text");
    std::fs::write(&nothing, "no capture at all").unwrap();
    let told = Command::new(BINARY).arg("replay").arg(&nothing).output();
    let told = told.unwrap();
    assert_eq!(told.status.code(), Some(64));
    let text = String::from_utf8(told.stderr).unwrap();
    assert!(text.contains("neither pcap nor pcapng"), "{text}");
}
