//! One damaged byte, anywhere: what it costs, and that it is counted.

use proptest::prelude::*;
use spool::{Batch, Options, Queue, WhenFull};

use crate::basics::{entry, small};
use crate::memory::Memory;

/// Messages of many lengths; some look like records themselves.
fn payload(number: u64) -> Vec<u8> {
    let mut payload = format!("message {number} ").into_bytes();
    payload.resize(payload.len() + (number as usize * 37) % 90, b'.');
    if number.is_multiple_of(5) {
        payload.resize(payload.len() + 60, 0);
    }
    payload
}

fn filled(records: u64) -> (Memory, Queue) {
    let memory = Memory::default();
    let (queue, _) = Queue::open_on(Box::new(memory.clone()), small()).unwrap();
    for number in 1..=records {
        let done = queue.append(&[entry(&payload(number), WhenFull::Block)], &mut |_| ());
        assert_eq!(done.accepted, 1);
    }
    (memory, queue)
}

/// Everything that a reader gets, which must be what was appended; gives the numbers.
fn drain(queue: &Queue) -> Vec<u64> {
    let mut reader = queue.reader("main").unwrap();
    let (mut batch, mut got) = (Batch::default(), Vec::new());
    loop {
        reader.read(&mut batch, 700, 7).unwrap();
        if batch.is_empty() {
            return got;
        }
        for record in batch.iter() {
            assert_eq!(record.payload, payload(record.seq));
            got.push(record.seq);
        }
    }
}

fn segments(memory: &Memory) -> Vec<String> {
    let mut names = memory.names();
    names.retain(|name| name.ends_with(".seg"));
    names
}

#[test]
fn one_damaged_byte_anywhere_costs_one_record_at_most_and_is_counted() {
    let records = 30;
    let (memory, queue) = filled(records);
    let files = segments(&memory);
    drop(queue);
    assert!(files.len() > 2);
    for (place, file) in files.iter().enumerate() {
        for at in 0..memory.length(file) {
            let last = place == files.len() - 1;
            let copy = memory.copy();
            copy.damage(file, at);
            let (queue, recovery) = Queue::open_on(Box::new(copy.clone()), small()).unwrap();
            let got = drain(&queue);
            assert!(got.is_sorted_by(|a, b| a < b));
            let lost = records - got.len() as u64;
            let stats = queue.stats();
            let what = format!("{file} byte {at}: {lost} lost, {stats:?}, {recovery:?}");
            if at < 32 {
                assert_eq!(lost, 0, "{what}");
                assert_eq!(recovery.mended.len(), usize::from(at < 28), "{what}");
            } else {
                assert_eq!(lost, 1, "{what}");
            }
            // A damaged length at the very end of the queue cannot be told from a write that was torn.
            let torn = recovery.cut > 0;
            let ends = (at + 20 + payload(records).len()).wrapping_sub(memory.length(file));
            assert_eq!(torn, last && (4..8).contains(&ends), "{what}");
            assert_eq!(stats.damaged, lost - u64::from(torn), "{what}");
            assert_eq!(stats.queued[0], got.len() as u64, "{what}");
            // What is appended from then on is given too.
            queue.append(&[entry(&payload(stats.next), WhenFull::Block)], &mut |_| ());
            drop(queue);
            let (queue, _) = Queue::open_on(Box::new(copy), small()).unwrap();
            assert_eq!(drain(&queue).last(), Some(&stats.next), "{what}");
        }
    }
}

#[test]
fn damage_in_what_is_evicted_costs_only_the_damaged_record_its_mention() {
    let (memory, queue) = filled(30);
    memory.damage(&segments(&memory)[0], 32 + 4);
    let mut seen = Vec::new();
    while seen.is_empty() {
        queue.append(&[entry(&[0; 400], WhenFull::DropOldest)], &mut |eviction| {
            assert_eq!(eviction.record.payload, payload(eviction.record.seq));
            seen.push(eviction.record.seq);
        });
    }
    let stats = queue.stats();
    assert_eq!(seen[0], 2);
    assert!(seen.is_sorted_by(|a, b| a + 1 == *b), "{seen:?}");
    assert_eq!((stats.damaged, stats.evicted), (1, seen.len() as u64));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_is_exactly_counted_and_nothing_is_invented(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1usize..80), 1..5),
    ) {
        let options = Options { readers: vec!["main".to_owned(), "second".to_owned()], ..small() };
        let memory = Memory::default();
        let (queue, _) = Queue::open_on(Box::new(memory.clone()), options).unwrap();
        for number in 1..=40 {
            queue.append(&[entry(&payload(number), WhenFull::Block)], &mut |_| ());
        }
        let files = segments(&memory);
        for (file, at, length) in &places {
            let file = &files[file.index(files.len())];
            let at = at.index(memory.length(file));
            for at in at..(at + length).min(memory.length(file)) {
                memory.damage(file, at);
            }
        }
        // While it is open: headers are not read again.
        let got = drain(&queue);
        prop_assert!(got.is_sorted_by(|a, b| a < b));
        let stats = queue.stats();
        prop_assert_eq!(stats.damaged, 40 - got.len() as u64);
        prop_assert_eq!(&stats.queued, &[got.len() as u64, 40]);
    }
}

/// What a later version wrote is whole by its sum: it is refused with what to do, and nothing of it is changed.
#[test]
fn a_queue_of_a_later_version_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Queue::open(folder.path(), small());
    let (queue, _) = open().unwrap();
    for number in 1..=30 {
        queue.append(&[entry(&payload(number), WhenFull::Block)], &mut |_| ());
    }
    let mut reader = queue.reader("main").unwrap();
    let mut batch = Batch::default();
    reader.read(&mut batch, 700, 7).unwrap();
    reader.acknowledge(batch.end()).unwrap();
    drop((reader, queue));
    let files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    for (ending, sum) in [("seg", 24), ("ack", 28)] {
        let file = files
            .iter()
            .find(|file| file.extension().is_some_and(|own| own == ending))
            .unwrap();
        let before = std::fs::read(file).unwrap();
        let mut later = before.clone();
        for slot in later
            .chunks_mut(32)
            .take(if ending == "seg" { 1 } else { 2 })
        {
            slot[7] = b'2';
            let checksum = crc32fast::hash(&slot[..sum]).to_le_bytes();
            slot[sum..sum + 4].copy_from_slice(&checksum);
        }
        std::fs::write(file, &later).unwrap();
        let error = open().err().unwrap().to_string();
        assert!(error.contains("of a later version: go back"), "{error}");
        assert_eq!(std::fs::read(file).unwrap(), later, "{ending}");
        std::fs::write(file, before).unwrap();
    }
    assert!(!drain(&open().unwrap().0).is_empty());
}
