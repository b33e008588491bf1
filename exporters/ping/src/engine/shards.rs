//! Which thread a target belongs to.

use super::Command;

/// Requests a second that one thread makes before another is started: half of what a slow processor can.
const WORTHWHILE: f64 = 40_000.0;

/// The threads and their targets. Targets are dealt out in turn among the threads there are when they come.
#[derive(Debug)]
pub(super) struct Shards {
    most: usize,
    /// From this number of a target on, so many threads.
    dealt: Vec<(u64, usize)>,
    /// The first number that no target has had.
    next: u64,
}

impl Shards {
    /// `least` threads, and at most `most`.
    pub(super) fn new(least: usize, most: usize) -> Self {
        Self {
            most: most.max(least),
            dealt: vec![(0, least.max(1))],
            next: 0,
        }
    }

    fn now(&self) -> usize {
        self.dealt.last().map_or(1, |(_, threads)| *threads)
    }

    /// How many threads there are to be when `commands` come to targets that ask for `rate` requests a second; those that are new are dealt
    /// out among them. Threads are never given up.
    pub(super) fn wanted(&mut self, rate: f64, commands: &[Command]) -> usize {
        let first = self.next;
        let mut added = 0.0;
        for command in commands {
            if let Command::Put(id, spec, _) = command
                && id.0 >= first
            {
                added += spec.profile.timing.rate();
                self.next = self.next.max(id.0 + 1);
            }
        }
        let wanted = ((rate + added) / WORTHWHILE).ceil() as usize;
        let threads = wanted.clamp(self.now(), self.most.max(self.now()));
        if threads > self.now() && self.next > first {
            self.dealt.push((first, threads));
        }
        self.now()
    }

    /// There are no more than `threads`, and there will not be.
    pub(super) fn keep(&mut self, threads: usize) {
        self.most = threads;
        for (_, dealt) in &mut self.dealt {
            *dealt = (*dealt).min(threads);
        }
    }

    /// The thread of the target with this number.
    fn of(&self, id: u64) -> usize {
        let later = self.dealt.iter().rev();
        let threads = later.clone().find(|(first, _)| *first <= id);
        usize::try_from(id).unwrap_or(0) % threads.map_or(1, |(_, threads)| *threads)
    }

    /// The commands of each thread, in their order. A mark is for those that something else is for.
    pub(super) fn split(&self, commands: Vec<Command>) -> Vec<Vec<Command>> {
        let mut parts: Vec<Vec<Command>> = vec![Vec::new(); self.now()];
        if let [only] = &mut parts[..] {
            *only = commands;
            return parts;
        }
        for command in commands {
            let shard = match &command {
                Command::Put(id, ..) | Command::Remove(id) => self.of(id.0),
                Command::Pace(_) => 0,
                Command::Mark(_) => {
                    for part in parts.iter_mut().filter(|part| !part.is_empty()) {
                        part.push(command.clone());
                    }
                    continue;
                }
            };
            if let Some(part) = parts.get_mut(shard) {
                part.push(command);
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use netio::control::Outgoing;
    use netio::option::Family;

    use super::*;
    use crate::accounting::Timing;
    use crate::engine::{Id, ProbeProfile, Spec};

    fn puts(ids: std::ops::Range<u64>, interval: u64) -> Vec<Command> {
        let timing = Timing {
            interval,
            burst: 1,
            spacing: interval,
            timeout: interval,
            down_after: 3,
        };
        let profile = ProbeProfile {
            family: Family::V4,
            timing,
            size: 56,
            out: Outgoing::default(),
        };
        let spec = Spec {
            profile: Arc::new(profile),
            address: None,
            phase: 0,
        };
        let put = |id| Command::Put(Id(id), spec.clone(), Arc::default());
        ids.map(put).collect()
    }

    fn shards_of(shards: &Shards, ids: std::ops::Range<u64>) -> Vec<usize> {
        ids.map(|id| shards.of(id)).collect()
    }

    #[test]
    fn threads_come_with_the_load_and_no_target_changes_its_own() {
        const MILLI: u64 = 1_000_000;
        let mut shards = Shards::new(1, 2);
        assert_eq!(shards.wanted(0.0, &puts(1..101, 1_000 * MILLI)), 1);
        assert_eq!(shards_of(&shards, 1..101), vec![0; 100]);
        // The same targets ask for more: they stay, and so do the threads.
        assert_eq!(shards.wanted(100.0, &puts(1..101, MILLI)), 1);
        let new = puts(101..104, 1_000 * MILLI);
        assert_eq!(shards.wanted(100_000.0, &new), 2);
        assert_eq!(
            shards_of(&shards, 1..105),
            [vec![0; 100], vec![1, 0, 1, 0]].concat()
        );
        // Less load gives up no thread, and more load than there may be threads for none either.
        assert_eq!(shards.wanted(0.0, &puts(104..105, MILLI)), 2);
        assert_eq!(shards.wanted(1e6, &puts(105..106, MILLI)), 2);
        assert_eq!(shards_of(&shards, 99..106), [0, 0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn each_thread_gets_its_commands_in_order_and_the_mark_of_a_change() {
        let mut shards = Shards::new(1, 8);
        let mut commands = puts(0..6, 20_000);
        assert_eq!(shards.wanted(0.0, &commands), 8);
        shards.keep(2);
        commands.push(Command::Remove(Id(3)));
        commands.push(Command::Mark(std::time::Instant::now()));
        let ids: Vec<Vec<String>> = shards
            .split(commands)
            .iter()
            .map(|part| {
                let name = |command: &Command| match command {
                    Command::Put(id, ..) => format!("put {}", id.0),
                    Command::Remove(id) => format!("remove {}", id.0),
                    Command::Pace(_) => "pace".into(),
                    Command::Mark(_) => "mark".into(),
                };
                part.iter().map(name).collect()
            })
            .collect();
        assert_eq!(
            ids,
            [
                vec!["put 0", "put 2", "put 4", "mark"],
                vec!["put 1", "put 3", "put 5", "remove 3", "mark"]
            ]
        );
        let only = shards.split(vec![
            Command::Remove(Id(1)),
            Command::Mark(std::time::Instant::now()),
        ]);
        assert_eq!(only.iter().map(Vec::len).collect::<Vec<_>>(), [0, 2]);
    }
}
