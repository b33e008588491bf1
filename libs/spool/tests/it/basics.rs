//! Single promises of the queue.

use std::time::Duration;

use spool::{Batch, Durability, Entry, Error, Options, Queue, WhenFull};

use crate::memory::Memory;

pub(crate) fn entry(payload: &[u8], when_full: WhenFull) -> Entry<'_> {
    Entry {
        received: 1_000,
        class: 6,
        when_full,
        payload,
    }
}

pub(crate) fn small() -> Options {
    Options {
        max_bytes: 8_192,
        segment_bytes: 1_024,
        max_record: 512,
        durability: Durability::System,
        ..Options::default()
    }
}

#[test]
fn equal_receipt_times_get_unique_growing_stamps_that_survive_a_restart() {
    let memory = Memory::default();
    let (queue, _) = Queue::open_on(Box::new(memory.clone()), small()).unwrap();
    queue.append(&[entry(b"same", WhenFull::Block); 5], &mut |_| ());
    let stamps = |queue: &Queue| {
        let mut batch = Batch::default();
        queue
            .reader("main")
            .unwrap()
            .read(&mut batch, 9_999, 99)
            .unwrap();
        batch.iter().map(|r| r.stamp).collect::<Vec<_>>()
    };
    assert_eq!(stamps(&queue), [1_000, 1_001, 1_002, 1_003, 1_004]);
    drop(queue);
    let (queue, _) = Queue::open_on(Box::new(memory), small()).unwrap();
    queue.append(&[entry(b"same", WhenFull::Block)], &mut |_| ());
    assert_eq!(stamps(&queue), [1_000, 1_001, 1_002, 1_003, 1_004, 1_005]);
}

#[test]
fn a_segment_cut_short_while_it_was_made_is_no_loss_and_a_damaged_header_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, _) = Queue::open(folder.path(), small()).unwrap();
    for _ in 0..20 {
        queue.append(&[entry(&[7; 100], WhenFull::Block)], &mut |_| ());
    }
    let next = queue.stats().next;
    drop(queue);
    for length in [0, 31, 32] {
        // What a kill leaves behind between the making of the next file and the end of its header.
        let unfinished = folder.path().join(format!("{next:020}.seg"));
        std::fs::write(&unfinished, vec![0; length]).unwrap();
        let (queue, recovery) = Queue::open(folder.path(), small()).unwrap();
        assert_eq!(recovery.mended, Vec::<String>::new(), "{length} bytes");
        assert_eq!((recovery.queued, queue.stats().next), (vec![20], next));
    }
    let first = "00000000000000000001.seg";
    let mut bytes = std::fs::read(folder.path().join(first)).unwrap();
    bytes[9] ^= 1;
    std::fs::write(folder.path().join(first), bytes).unwrap();
    let (queue, recovery) = Queue::open(folder.path(), small()).unwrap();
    assert_eq!(recovery.mended, [first]);
    assert_eq!(recovery.queued, [20]);
    assert_eq!(queue.stats().oldest, [Some(999)]);
    drop(queue);
    let (_, recovery) = Queue::open(folder.path(), small()).unwrap();
    assert_eq!((recovery.mended, recovery.queued), (vec![], vec![20]));
}

#[test]
fn a_clock_set_far_back_begins_stamps_anew_and_is_counted() {
    let (queue, _) = Queue::open_on(Box::new(Memory::default()), small()).unwrap();
    let day = Duration::from_secs(86_400).as_nanos() as u64;
    for received in [2 * day, 2 * day - 5_000_000_000, day] {
        queue.append(
            &[Entry {
                received,
                ..entry(b"x", WhenFull::Block)
            }],
            &mut |_| (),
        );
    }
    let mut batch = Batch::default();
    queue
        .reader("main")
        .unwrap()
        .read(&mut batch, 999, 99)
        .unwrap();
    assert_eq!(
        batch.iter().map(|r| r.stamp).collect::<Vec<_>>(),
        [2 * day, 2 * day + 1, day]
    );
    assert_eq!(queue.stats().clock_steps, 1);
}

#[test]
fn urgent_records_use_the_reserve_and_others_are_dropped_before_it() {
    let (queue, _) = Queue::open_on(Box::new(Memory::default()), small()).unwrap();
    let policy = WhenFull::ByClass {
        keep: 3,
        reserve: 2_048,
    };
    let payload = [0; 100];
    let fill = |class| {
        let mut accepted = 0;
        while queue
            .append(
                &[Entry {
                    class,
                    ..entry(&payload, policy)
                }],
                &mut |_| (),
            )
            .accepted
            == 1
        {
            accepted += 1;
        }
        accepted
    };
    let (casual, urgent) = (fill(6), fill(3));
    assert!(
        casual > 40 && (15..=18).contains(&urgent),
        "{casual} casual, {urgent} urgent"
    );
    assert_eq!(queue.stats().dropped, 2);
}

#[test]
fn age_evicts_whole_segments_and_shows_each_record() {
    let options = Options {
        max_age: Some(Duration::from_secs(60)),
        ..small()
    };
    let (queue, _) = Queue::open_on(Box::new(Memory::default()), options).unwrap();
    for at in 0..100u64 {
        let payload = at.to_le_bytes();
        let entry = Entry {
            received: at * 1_000_000_000,
            ..entry(&payload, WhenFull::Block)
        };
        let mut aged = Vec::new();
        queue.append(&[entry], &mut |e| aged.push(e.record.stamp));
        for stamp in aged {
            assert!(stamp < (at - 60) * 1_000_000_000);
        }
    }
    let stats = queue.stats();
    assert!(
        stats.evicted > 0 && stats.queued[0] + stats.evicted == 100,
        "{stats:?}"
    );
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _held = Queue::open(folder.path(), small()).unwrap();
    let error = Queue::open(folder.path(), small()).err().unwrap();
    assert!(
        matches!(
            error,
            Error::Storage {
                operation: "locking",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn options_that_contradict_themselves_are_refused_by_name() {
    for (options, option) in [
        (
            Options {
                segment_bytes: 4_096,
                ..small()
            },
            "segment_bytes",
        ),
        (
            Options {
                max_record: 2_000,
                ..small()
            },
            "segment_bytes",
        ),
        (
            Options {
                max_record: 17 << 20,
                ..small()
            },
            "max_record",
        ),
        (
            Options {
                readers: vec![],
                ..small()
            },
            "readers",
        ),
        (
            Options {
                readers: vec!["../x".to_owned()],
                ..small()
            },
            "readers",
        ),
    ] {
        match Queue::open_on(Box::new(Memory::default()), options) {
            Err(Error::Options { option: named, .. }) => assert_eq!(named, option),
            other => panic!("{:?}", other.map(|_| ())),
        }
    }
}

#[tokio::test]
async fn a_blocked_appender_and_a_waiting_reader_are_woken() {
    let (queue, _) = Queue::open_on(Box::new(Memory::default()), small()).unwrap();
    let mut reader = queue.reader("main").unwrap();
    let appended = reader.appended();
    let payload = [1; 400];
    let entries = vec![entry(&payload, WhenFull::Block); 50];
    let first = queue.append(&entries, &mut |_| ());
    appended.await;
    assert!(first.done < 50);
    let space = queue.space();
    tokio::pin!(space);
    space.as_mut().enable();
    let mut batch = Batch::default();
    reader.read(&mut batch, 99_999, 99).unwrap();
    reader.acknowledge(batch.end()).unwrap();
    space.await;
    assert!(queue.append(&entries[first.done..], &mut |_| ()).done > 0);
}

#[test]
fn the_interval_makes_records_durable_by_itself() {
    let options = Options {
        durability: Durability::Interval(Duration::from_millis(5)),
        ..small()
    };
    let (queue, _) = Queue::open_on(Box::new(Memory::default()), options).unwrap();
    queue.append(&[entry(b"x", WhenFull::Block)], &mut |_| ());
    let next = queue.stats().next;
    for _ in 0..400 {
        if queue.stats().durable == next {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("not durable after two seconds: {:?}", queue.stats());
}
