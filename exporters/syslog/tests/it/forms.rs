//! Every form of the fixtures, and what is no form at all, on one port of each transport with nothing set for any device.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::world::{BOTH, World, check, from};

/// The lines of `testdata/headers` as they are sent.
fn fixtures() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/headers");
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let sent = text.lines().filter_map(|line| line.strip_prefix("> "));
        lines.extend(sent.map(|line| line.replace("\\uFEFF", "\u{feff}").into_bytes()));
    }
    lines
}

/// What senders do to a line, with the text that must be kept of it.
fn ill_treated() -> Vec<(Vec<u8>, String)> {
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("wide words".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    [
        (b"no priority at all".to_vec(), "no priority at all"),
        (b"<999>a priority beyond".to_vec(), "<999>a priority beyond"),
        (b"<13>".to_vec(), "<13>"),
        (b"<13>ends with NUL\0".to_vec(), "<13>ends with NUL"),
        (b"<13>ends with CRLF\r\n".to_vec(), "<13>ends with CRLF"),
        (b"<13>two\nlines".to_vec(), "<13>two\nlines"),
        (b"<13>caf\xe9".to_vec(), "<13>caf\\xe9"),
        (utf16, "wide words"),
        (b"{\"json\": [1, 2]}".to_vec(), "{\"json\": [1, 2]}"),
        (b"<13>tab\tand\x1bescape".to_vec(), "<13>tab\tand\x1bescape"),
    ]
    .into_iter()
    .map(|(sent, kept)| (sent, kept.to_owned()))
    .collect()
}

#[tokio::test]
async fn no_byte_of_any_form_is_refused() {
    let world = World::new(BOTH).await;
    let mut sent: Vec<(Vec<u8>, String)> = fixtures()
        .into_iter()
        .map(|line| (line.clone(), String::from_utf8(line).unwrap()))
        .collect();
    assert!(sent.len() > 60, "{}", sent.len());
    sent.extend(ill_treated());

    let socket = from("127.0.0.1:0");
    for (line, _) in &sent {
        socket.send_to(line, world.udp()).unwrap();
        // A buffer of the kernel's default size holds a hundred of them.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Counted and ended by a line feed in turn on one connection; what has no priority cannot be told from a count.
    let mut stream = TcpStream::connect(world.tcp()).unwrap();
    for (number, (line, _)) in sent.iter().enumerate() {
        let counted = number % 2 == 0 || line.contains(&b'\n');
        let (before, after) = if counted && line.first() == Some(&b'<') {
            (format!("{} ", line.len()), "")
        } else {
            (String::new(), "\n")
        };
        stream.write_all(before.as_bytes()).unwrap();
        stream.write_all(line).unwrap();
        stream.write_all(after.as_bytes()).unwrap();
    }
    drop(stream);

    let mut expected: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (_, kept) in &sent {
        for transport in ["tcp", "udp"] {
            *expected.entry((transport, kept)).or_default() += 1;
        }
    }
    let result = testkit::eventually(Duration::from_secs(30), || async {
        let entries = world.loki.entries();
        let mut found: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for entry in &entries {
            let transport = entry.get("transport").unwrap_or_default();
            *found.entry((transport, &entry.line)).or_default() += 1;
        }
        let missing: Vec<_> = expected
            .iter()
            .filter(|(line, count)| found.get(*line) != Some(count))
            .collect();
        let strange: Vec<_> = found.keys().filter(|l| !expected.contains_key(l)).collect();
        check(missing.is_empty() && strange.is_empty(), || {
            format!("missing {missing:?}, never sent {strange:?}")
        })
    })
    .await;
    if let Err(error) = result {
        panic!("{error:#}\n{}", world.process().log());
    }
    world.balanced().await;
}
