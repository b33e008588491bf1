use std::net::UdpSocket;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::tables::{By, Row};

/// Answers questions for a PTR record: `host-D.example` for an address that ends in D; 7 has none, 8 a name that is none, 9 is never answered.
struct Server {
    address: SocketAddr,
    questions: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

fn server() -> Server {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let server = Server {
        address: socket.local_addr().unwrap(),
        questions: Arc::default(),
        stopped: Arc::default(),
    };
    let (questions, stopped) = (Arc::clone(&server.questions), Arc::clone(&server.stopped));
    std::thread::spawn(move || {
        let mut buffer = [0; 1_500];
        while !stopped.load(Relaxed) {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let question = &buffer[12..length];
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
            let first = usize::from(question[0]);
            let last: u8 = std::str::from_utf8(&question[1..=first])
                .unwrap()
                .parse()
                .unwrap();
            questions.fetch_add(1, Relaxed);
            if last == 9 {
                continue;
            }
            let found = last != 7;
            // Its id, an answer without an error (or no such name), one question, at most one record.
            let mut out = buffer[..2].to_vec();
            out.extend([
                0x81,
                if found { 0x80 } else { 0x83 },
                0,
                1,
                0,
                u8::from(found),
                0,
                0,
                0,
                0,
            ]);
            out.extend(&question[..end]);
            if found {
                let label = match last {
                    8 => "<script>".to_owned(),
                    last => format!("Host-{last}"),
                };
                let mut name = vec![label.len() as u8];
                name.extend(label.as_bytes());
                name.extend(b"\x07example\x00");
                out.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, name.len() as u8]);
                out.extend(name);
            }
            socket.send_to(&out, from).unwrap();
        }
    });
    server
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
    }
}

fn table(ends: &[u8]) -> Table {
    let row = |end: &u8| Row {
        source: Some([198, 18, 0, *end].into()),
        destination: Some([198, 18, 0, 1].into()),
        ..Row::default()
    };
    Table {
        device: "r1".to_owned(),
        by: By::Pair,
        ended: 0.0,
        seconds: 60.0,
        bytes: 0,
        exact: true,
        error_bytes: 0,
        unnamed_bytes: 0,
        rows: ends.iter().map(row).collect(),
    }
}

fn names(table: &Table) -> Vec<Option<&str>> {
    let names = table.rows.iter().map(|row| row.source_name.as_deref());
    names.collect()
}

#[tokio::test]
async fn rows_get_the_names_of_their_addresses_and_each_is_asked_for_once() {
    let server = server();
    let reverse = ReverseNames::new(&[server.address], 100).unwrap();
    let patience = Duration::from_secs(30);
    let mut tables = [table(&[1, 2, 7, 8]), table(&[2])];
    reverse.fill(&mut tables, patience).await;
    let expected = [Some("host-1.example"), Some("host-2.example"), None, None];
    assert_eq!(names(&tables[0]), expected);
    assert_eq!(
        tables[1].rows[0].destination_name.as_deref(),
        Some("host-1.example")
    );
    assert_eq!(
        (reverse.asked.load(Relaxed), reverse.failed.load(Relaxed)),
        (4, 0)
    );
    let asked = server.questions.load(Relaxed);
    let mut again = [table(&[1, 2, 7, 8])];
    reverse.fill(&mut again, patience).await;
    assert_eq!(names(&again[0]), expected);
    assert_eq!(
        server.questions.load(Relaxed),
        asked,
        "also that there is none is remembered"
    );
}

#[tokio::test]
async fn a_table_is_told_without_what_nobody_answers_and_room_is_bounded() {
    let server = server();
    let reverse = ReverseNames::new(&[server.address], 3).unwrap();
    let mut tables = [table(&[1, 9])];
    // Each try of a server waits for a second, and there are several.
    reverse.fill(&mut tables, Duration::from_millis(700)).await;
    assert_eq!(names(&tables[0])[1], None);
    for end in 10..30 {
        reverse
            .fill(&mut [table(&[end])], Duration::from_secs(30))
            .await;
        assert!(reverse.len() <= 3);
    }
}
