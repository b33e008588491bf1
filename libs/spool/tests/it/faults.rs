//! Each storage operation made to fail, once and for a while, in a fixed story.

use spool::{Batch, Durability, Options, Queue, WhenFull};

use crate::basics::{entry, small};
use crate::memory::Memory;

fn options(durability: Durability) -> Options {
    Options {
        durability,
        ..small()
    }
}

/// Appends, reads and acknowledges under faults; gives what was accepted and what was acknowledged.
fn story(memory: &Memory, durability: Durability) -> Option<(Vec<Vec<u8>>, usize)> {
    story_with(memory, durability, || ())
}

fn story_with(
    memory: &Memory,
    durability: Durability,
    before_last: impl Fn(),
) -> Option<(Vec<Vec<u8>>, usize)> {
    let (queue, _) = Queue::open_on(Box::new(memory.clone()), options(durability)).ok()?;
    let mut reader = queue.reader("main").unwrap();
    let mut accepted: Vec<Vec<u8>> = Vec::new();
    let mut acked = 0;
    let mut batch = Batch::default();
    for round in 0u32..12 {
        let payloads: Vec<Vec<u8>> = (0..6)
            .map(|i| format!("{round}.{i} {}", "x".repeat(90)).into_bytes())
            .collect();
        let entries: Vec<_> = payloads.iter().map(|p| entry(p, WhenFull::Block)).collect();
        let result = queue.append(&entries, &mut |_| ());
        accepted.extend(payloads[..result.done].iter().cloned());
        let _ = queue.sync();
        if round % 3 == 2 && reader.read(&mut batch, 500, 99).is_ok() && !batch.is_empty() {
            for (record, expected) in batch.iter().zip(&accepted[acked..]) {
                assert_eq!(record.payload, expected);
            }
            acked += batch.len();
            let _ = reader.acknowledge(batch.end());
        }
    }
    before_last();
    // The fault is over: one more append must leave nothing of a torn write behind.
    memory.faults.plan(0, 0);
    assert_eq!(
        queue
            .append(&[entry(b"last", WhenFull::Block)], &mut |_| ())
            .accepted,
        1
    );
    accepted.push(b"last".to_vec());
    Some((accepted, acked))
}

/// How many storage operations the story takes.
fn count(memory: &Memory, durability: Durability) -> u64 {
    let probe = memory.faults.clone();
    let total = std::cell::Cell::new(0);
    let _ = story_with(memory, durability, || total.set(probe.count()));
    total.get()
}

fn verify(
    memory: &Memory,
    durability: Durability,
    accepted: &[Vec<u8>],
    acked: usize,
    fault: &str,
) {
    memory.faults.plan(0, 0);
    let (queue, _) = Queue::open_on(Box::new(memory.clone()), options(durability)).unwrap();
    let mut reader = queue.reader("main").unwrap();
    let mut batch = Batch::default();
    reader.read(&mut batch, 999_999, 9_999).unwrap();
    let got: Vec<&[u8]> = batch.iter().map(|r| r.payload).collect();
    let at = accepted
        .len()
        .checked_sub(got.len())
        .unwrap_or_else(|| panic!("{fault}: invented records"));
    assert!(
        at <= acked,
        "{fault}: {at} records are gone and {acked} were acknowledged"
    );
    assert!(
        got.iter()
            .zip(&accepted[at..])
            .all(|(got, expected)| got == expected),
        "{fault}: other content"
    );
    assert_eq!(
        queue
            .append(&[entry(b"goes on", WhenFull::Block)], &mut |_| ())
            .accepted,
        1,
        "{fault}"
    );
}

#[test]
fn a_fault_at_any_operation_loses_and_invents_nothing() {
    for durability in [Durability::Always, Durability::System] {
        let memory = Memory::default();
        memory.faults.plan(u64::MAX, u64::MAX);
        let operations = count(&memory, durability);
        assert!(operations > 50);
        for from in 0..operations {
            for length in [1, 2, 5, 40] {
                let memory = Memory::default();
                memory.faults.plan(from, from + length);
                let fault = format!("{durability:?}, operations {from}..{}", from + length);
                if let Some((accepted, acked)) = story(&memory, durability) {
                    verify(&memory, durability, &accepted, acked, &fault);
                }
            }
        }
    }
}

#[test]
fn a_fault_while_opening_is_an_error_and_the_next_opening_has_everything() {
    let memory = Memory::default();
    let (accepted, acked) = story(&memory, Durability::System).unwrap();
    let before = memory.faults.count();
    drop(Queue::open_on(Box::new(memory.clone()), options(Durability::System)).unwrap());
    let opening = memory.faults.count() - before;
    for at in 0..opening {
        memory.faults.plan(at, at + 1);
        if Queue::open_on(Box::new(memory.clone()), options(Durability::System)).is_ok() {
            assert!(memory.faults.count() <= at + 1 || at > 0);
        }
        verify_only(&memory, &accepted, acked, at);
    }
}

fn verify_only(memory: &Memory, accepted: &[Vec<u8>], acked: usize, at: u64) {
    memory.faults.plan(0, 0);
    let (queue, _) = Queue::open_on(Box::new(memory.clone()), options(Durability::System)).unwrap();
    let mut batch = Batch::default();
    queue
        .reader("main")
        .unwrap()
        .read(&mut batch, 999_999, 9_999)
        .unwrap();
    let got: Vec<&[u8]> = batch.iter().map(|r| r.payload).collect();
    assert!(accepted.len() - got.len() <= acked, "fault at {at}");
    assert!(
        got.iter()
            .zip(&accepted[accepted.len() - got.len()..])
            .all(|(a, b)| a == b),
        "fault at {at}"
    );
}
