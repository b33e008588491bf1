//! The process killed at random under load, with a real folder.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use spool::{Batch, Durability, Entry, Options, Queue, WhenFull};

const FOLDER: &str = "SPOOL_KILL_TEST_FOLDER";

fn options() -> Options {
    Options {
        max_bytes: 4 << 20,
        segment_bytes: 64 << 10,
        max_record: 4 << 10,
        durability: Durability::Interval(Duration::from_millis(3)),
        ..Options::default()
    }
}

/// The process that is killed: appends numbered records, reads and acknowledges, and says so after each step.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let (queue, _) = Queue::open(Path::new(&folder), options()).unwrap();
    let mut reader = queue.reader("main").unwrap();
    let mut batch = Batch::default();
    let mut number = queue.stats().next;
    for round in 0u64..1_000_000 {
        let payloads: Vec<Vec<u8>> = (0..16)
            .map(|i| (number + i).to_string().repeat(8).into_bytes())
            .collect();
        let entries: Vec<_> = payloads
            .iter()
            .map(|payload| Entry {
                received: 5,
                class: 6,
                when_full: WhenFull::Block,
                payload,
            })
            .collect();
        let result = queue.append(&entries, &mut |_| ());
        assert!(result.error.is_none());
        number += result.accepted as u64;
        println!("accepted {number}");
        if round % 3 != 0 || result.accepted == 0 {
            reader.read(&mut batch, 3_000, 30).unwrap();
            if !batch.is_empty() {
                // Said before it is done: after a kill it may or may not hold.
                println!("acknowledging {}", batch.end());
                reader.acknowledge(batch.end()).unwrap();
            }
        }
    }
}

#[test]
fn kill_at_random_under_load_loses_nothing_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(20_261);
    let mut total = 0;
    for round in 0..25 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut accepted, mut acknowledging) = (0, 0);
        let mut note = |line: &str| {
            if let Some(n) = line.strip_prefix("accepted ") {
                accepted = n.parse::<u64>().unwrap_or(accepted);
            } else if let Some(n) = line.strip_prefix("acknowledging ") {
                acknowledging = n.parse::<u64>().unwrap_or(acknowledging);
            }
        };
        for _ in 0..random.usize(5..400) {
            note(&lines.next().unwrap().unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| note(&line));

        let (queue, recovery) = Queue::open(folder.path(), options()).unwrap();
        assert!(recovery.mended.is_empty(), "{recovery:?}");
        let mut reader = queue.reader("main").unwrap();
        let mut batch = Batch::default();
        reader.read(&mut batch, 99 << 20, 9_999_999).unwrap();
        let first = batch.iter().next().map_or(queue.stats().next, |r| r.seq);
        assert!(
            first <= acknowledging.max(1),
            "round {round}: given from {first}, acknowledged up to {acknowledging}"
        );
        let mut expected = first;
        for record in batch.iter() {
            assert_eq!(record.seq, expected, "round {round}: a gap");
            assert_eq!(
                record.payload,
                expected.to_string().repeat(8).as_bytes(),
                "round {round}"
            );
            expected += 1;
        }
        assert!(
            expected >= accepted,
            "round {round}: {accepted} accepted, {expected} found"
        );
        total = expected;
    }
    assert!(total > 5_000, "the load was real: {total} records");
}
