//! The queue against a plain model of its invariants, through restarts, crashes and losses of power.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use spool::{Batch, Durability, Entry, Options, Queue, Reader, WhenFull};

use crate::memory::Memory;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(usize, u8)>),
    Read { reader: usize, bytes: usize },
    Acknowledge { reader: usize, share: u8 },
    Sync,
    Restart,
    LosePower(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let entry = (prop_oneof![4 => 0usize..200, 1 => 0usize..900], 0u8..4);
    prop_oneof![
        8 => prop::collection::vec(entry, 1..12).prop_map(Step::Append),
        5 => (0usize..2, 1usize..3000).prop_map(|(reader, bytes)| Step::Read { reader, bytes }),
        4 => (0usize..2, 0u8..=4).prop_map(|(reader, share)| Step::Acknowledge { reader, share }),
        1 => Just(Step::Sync),
        1 => Just(Step::Restart),
        1 => any::<u64>().prop_map(Step::LosePower),
    ]
}

const READERS: [&str; 2] = ["first", "second"];

fn options(durability: Durability) -> Options {
    Options {
        max_bytes: 16_384,
        segment_bytes: 2_048,
        max_record: 1_024,
        max_age: None,
        durability,
        readers: READERS.map(str::to_owned).to_vec(),
    }
}

/// What one reader should see.
#[derive(Default, Clone)]
struct Seen {
    acked: u64,
    /// Next number to be read.
    place: u64,
    evicted: BTreeSet<u64>,
}

struct World {
    memory: Memory,
    durability: Durability,
    queue: Option<Queue>,
    readers: Vec<Reader>,
    /// Every accepted record: number → stamp, content.
    accepted: BTreeMap<u64, (u64, Vec<u8>)>,
    seen: [Seen; 2],
    clock: u64,
    counter: u64,
}

impl World {
    fn new(durability: Durability) -> Self {
        let mut world = Self {
            memory: Memory::default(),
            durability,
            queue: None,
            readers: Vec::new(),
            accepted: BTreeMap::new(),
            seen: Default::default(),
            clock: 1_000_000_000,
            counter: 0,
        };
        world.open();
        for seen in &mut world.seen {
            (seen.acked, seen.place) = (1, 1);
        }
        world
    }

    fn open(&mut self) {
        self.readers.clear();
        self.queue = None;
        let (queue, _) =
            Queue::open_on(Box::new(self.memory.clone()), options(self.durability)).unwrap();
        self.readers = READERS
            .iter()
            .map(|name| queue.reader(name).unwrap())
            .collect();
        self.queue = Some(queue);
    }

    fn append(&mut self, sizes: &[(usize, u8)]) {
        let mut payloads = Vec::new();
        for &(size, _) in sizes {
            self.counter += 1;
            let mut payload = self.counter.to_le_bytes().to_vec();
            payload.resize(size.max(8), self.counter as u8);
            payloads.push(payload);
        }
        self.clock += 7;
        let policy = |p: u8| match p {
            0 => WhenFull::Block,
            1 => WhenFull::DropNewest,
            2 => WhenFull::DropOldest,
            _ => WhenFull::ByClass {
                keep: 1,
                reserve: 4_096,
            },
        };
        let entries: Vec<Entry<'_>> = payloads
            .iter()
            .zip(sizes)
            .map(|(payload, &(size, p))| Entry {
                received: self.clock,
                class: (size % 3) as u8,
                when_full: policy(p),
                payload,
            })
            .collect();
        let queue = self.queue.as_ref().unwrap();
        let (before, bytes_before) = (queue.stats().next, queue.stats().bytes);
        let mut evicted = Vec::new();
        let result = queue.append(&entries, &mut |e| {
            evicted.push((
                e.reader.to_owned(),
                e.record.seq,
                e.record.stamp,
                e.record.payload.to_vec(),
            ));
        });
        assert!(result.error.is_none(), "{:?}", result.error);
        assert_eq!(result.accepted + result.dropped.len(), result.done);
        if result.done < entries.len() {
            assert_eq!(entries[result.done].when_full, WhenFull::Block);
        }
        let kept = (0..result.done).filter(|i| !result.dropped.contains(i));
        for (seq, index) in (before..).zip(kept) {
            self.accepted.insert(seq, (0, payloads[index].clone()));
        }
        assert_eq!(queue.stats().next, before + result.accepted as u64);
        for (name, seq, _stamp, payload) in evicted {
            let at = READERS.iter().position(|n| *n == name).unwrap();
            assert_eq!(
                self.accepted[&seq].1, payload,
                "an eviction shows the record itself"
            );
            assert!(
                seq >= self.seen[at].place,
                "a record that is out with a reader is not evicted"
            );
            assert!(self.seen[at].evicted.insert(seq), "evicted once");
        }
        let bytes = queue.stats().bytes;
        assert!(
            bytes <= 16_384 || bytes <= bytes_before,
            "the bound on bytes holds"
        );
        self.check_levels();
    }

    /// Numbers that the reader should still be given, from `place`.
    fn due(&self, at: usize, place: u64) -> impl Iterator<Item = u64> + '_ {
        self.accepted
            .range(place..)
            .map(|(seq, _)| *seq)
            .filter(move |seq| !self.seen[at].evicted.contains(seq))
    }

    fn check_levels(&self) {
        let stats = self.queue.as_ref().unwrap().stats();
        for (at, name) in READERS.iter().enumerate() {
            let due = self.due(at, self.seen[at].acked).count() as u64;
            assert_eq!(stats.queued[at], due, "the level of {name} is exact");
        }
    }

    fn read(&mut self, at: usize, bytes: usize) {
        let mut batch = Batch::default();
        self.readers[at].read(&mut batch, bytes, 20).unwrap();
        let due: Vec<u64> = self
            .due(at, self.seen[at].place)
            .take(batch.len())
            .collect();
        let got: Vec<u64> = batch.iter().map(|r| r.seq).collect();
        assert_eq!(got, due);
        if batch.is_empty() {
            assert_eq!(
                self.due(at, self.seen[at].place).next(),
                None,
                "nothing read means nothing is there"
            );
        }
        self.compare(&batch);
        if !batch.is_empty() {
            self.seen[at].place = batch.end();
        }
    }

    /// What is given is what was accepted, and stamps are unique and grow.
    fn compare(&mut self, batch: &Batch) {
        for record in batch.iter() {
            let (stamp, payload) = self.accepted.get_mut(&record.seq).unwrap();
            assert_eq!(record.payload, payload);
            assert!(*stamp == 0 || *stamp == record.stamp, "a stamp is fixed");
            *stamp = record.stamp;
        }
        let stamps: Vec<u64> = self
            .accepted
            .values()
            .map(|v| v.0)
            .filter(|s| *s != 0)
            .collect();
        assert!(stamps.is_sorted_by(|a, b| a < b), "stamps grow strictly");
    }

    fn acknowledge(&mut self, at: usize, share: u8) {
        let seen = &self.seen[at];
        let end = seen.acked + (seen.place - seen.acked) * u64::from(share) / 4;
        self.readers[at].acknowledge(end).unwrap();
        self.seen[at].acked = end.max(self.seen[at].acked);
        self.check_levels();
    }

    fn restart(&mut self) {
        self.open();
        for seen in &mut self.seen {
            seen.place = seen.acked;
        }
        for at in 0..2 {
            let (due, got) = (
                self.due(at, self.seen[at].acked).collect::<Vec<_>>(),
                self.drain(at),
            );
            assert_eq!(got, due, "a restart neither loses nor invents");
        }
        // Only now: what power took from older segments is known once it was read.
        self.check_levels();
    }

    /// Reads all that a fresh handle gives, then goes back to the acknowledged place.
    fn drain(&mut self, at: usize) -> Vec<u64> {
        let mut got = Vec::new();
        let mut batch = Batch::default();
        loop {
            self.readers[at].read(&mut batch, 5_000, 100).unwrap();
            if batch.is_empty() {
                break;
            }
            got.extend(batch.iter().map(|r| r.seq));
            self.compare(&batch);
        }
        self.readers[at] = self.queue.as_ref().unwrap().reader(READERS[at]).unwrap();
        got
    }

    fn lose_power(&mut self, seed: u64) {
        let stats = self.queue.as_ref().unwrap().stats();
        let durable = if self.durability == Durability::Always {
            stats.next
        } else {
            stats.durable
        };
        // Nothing comes back in no time: stamps of what was lost lie behind the clock.
        self.clock += 1_000_000_000;
        self.readers.clear();
        self.queue = None;
        self.memory = self.memory.lose_power(&mut fastrand::Rng::with_seed(seed));
        self.open();
        let next = self.queue.as_ref().unwrap().stats().next;
        for at in 0..2 {
            let got: BTreeSet<u64> = self.drain(at).into_iter().collect();
            for seq in self
                .due(at, self.seen[at].acked)
                .take_while(|seq| *seq < durable)
            {
                assert!(
                    got.contains(&seq),
                    "record {seq} was durable (all below {durable} were) and is gone"
                );
            }
            // Acknowledgements and evictions may be forgotten; what is given again counts as due again.
            let seen = &mut self.seen[at];
            seen.evicted.retain(|seq| !got.contains(seq) && *seq < next);
            seen.acked = got.first().map_or(next, |first| *first);
            seen.place = seen.acked;
        }
        self.accepted.retain(|seq, _| *seq < next);
        for at in 0..2 {
            let got: BTreeSet<u64> = self.drain(at).into_iter().collect();
            let missed: Vec<u64> = self
                .due(at, self.seen[at].acked)
                .filter(|seq| !got.contains(seq))
                .collect();
            self.seen[at].evicted.extend(missed);
            let level = got.len() as u64;
            assert_eq!(
                self.queue.as_ref().unwrap().stats().queued[at],
                level,
                "the level after a loss of power"
            );
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Append(sizes) => self.append(sizes),
            Step::Read { reader, bytes } => self.read(*reader, *bytes),
            Step::Acknowledge { reader, share } => self.acknowledge(*reader, *share),
            Step::Sync => self.queue.as_ref().unwrap().sync().unwrap(),
            Step::Restart => self.restart(),
            Step::LosePower(seed) => self.lose_power(*seed),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_behaves_as_its_model(steps in prop::collection::vec(step(), 1..60), always in any::<bool>()) {
        let mut world = World::new(if always { Durability::Always } else { Durability::System });
        for step in &steps {
            world.run(step);
        }
        world.restart();
    }
}

/// Power left all of a slot but its last byte, and that was zero: what is written behind it must not make it whole again.
#[test]
fn a_slot_that_was_cut_stays_cut_when_its_last_byte_was_zero() {
    use Step::{Acknowledge, Append, LosePower, Read};
    let append = |sizes: &[usize]| Append(sizes.iter().map(|size| (*size, 0)).collect());
    let steps = [
        append(&[29, 53, 44, 175, 0]),
        append(&[368, 121, 54]),
        Read {
            reader: 1,
            bytes: 799,
        },
        Acknowledge {
            reader: 1,
            share: 2,
        },
        Acknowledge {
            reader: 1,
            share: 2,
        },
        append(&[54, 171, 0, 115, 557]),
        append(&[0, 23, 597]),
        append(&[69, 152, 125, 61]),
        Read {
            reader: 1,
            bytes: 937,
        },
        Acknowledge {
            reader: 1,
            share: 1,
        },
        Acknowledge {
            reader: 1,
            share: 3,
        },
        append(&[48, 177, 106, 81]),
        append(&[126, 178, 254]),
        append(&[131, 180, 194, 57, 77]),
        append(&[100, 96]),
        LosePower(9_480_010_157_234_598_969),
        Read {
            reader: 1,
            bytes: 127,
        },
        Acknowledge {
            reader: 1,
            share: 1,
        },
    ];
    let mut world = World::new(Durability::Always);
    for step in &steps {
        world.run(step);
    }
    world.restart();
}
