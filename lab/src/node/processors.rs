//! The processors of a router: busy with what its own daemons do, not with what the machine is busy with. What snmpd tells of them, and so
//! the alert about them, is of the router.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::bind;
use crate::supervise::Supervisor;

/// Between two readings.
const PAUSE: Duration = Duration::from_secs(1);
/// The kernel counts processor time in hundredths of a second, whatever its own clock (proc(5), `USER_HZ`).
const PER_SECOND: u128 = 100;
/// Where every program looks.
const STAT: &str = "/proc/stat";

/// Puts a file of the router's own in the place of `/proc/stat`, and keeps it up to date as long as this process lives.
pub(super) fn keep(place: &Path, supervisor: &Supervisor) -> anyhow::Result<()> {
    let machine = fs::read_to_string(STAT).context(STAT)?;
    let own = place.join("stat");
    let file = File::create(&own).with_context(|| own.display().to_string())?;
    let mut usage = Usage::default();
    let began = Instant::now();
    file.write_all_at(text(&machine, 0, 0).as_bytes(), 0)?;
    bind(&own, Path::new(STAT))?;
    let supervisor = supervisor.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(PAUSE);
            let pids = supervisor.status().into_iter().filter_map(|now| now.pid);
            let now = pids.filter_map(|pid| {
                Some((
                    pid,
                    taken(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?,
                ))
            });
            usage.add(now);
            let ticks = began.elapsed().as_millis() * PER_SECOND / 1_000;
            // Always of the same length, so that who reads meanwhile finds all of it.
            let text = text(
                &machine,
                u64::try_from(ticks).unwrap_or(u64::MAX),
                usage.sum,
            );
            let _ = file.write_all_at(text.as_bytes(), 0);
        }
    });
    Ok(())
}

/// Processor time of all daemons, of those that have ended too.
#[derive(Debug, Default)]
struct Usage {
    last: Vec<(u32, u64)>,
    sum: u64,
}

impl Usage {
    fn add(&mut self, now: impl Iterator<Item = (u32, u64)>) {
        let now: Vec<(u32, u64)> = now.collect();
        for (pid, taken) in &now {
            let before = self
                .last
                .iter()
                .find(|(one, before)| one == pid && before <= taken);
            self.sum += taken - before.map_or(0, |(_, before)| *before);
        }
        self.last = now;
    }
}

/// Processor time of a process and of its children that have ended, from `/proc/PID/stat` (proc(5), fields 14 to 17).
fn taken(stat: &str) -> Option<u64> {
    // The name may hold anything, and ends with the last bracket.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields = rest.split_whitespace().skip(11).take(4);
    let taken: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
    (taken.len() == 4).then(|| taken.iter().sum())
}

/// `/proc/stat` with the processors and the boot time of the machine's own, of which `busy` hundredths of a second of `elapsed` were taken.
fn text(machine: &str, elapsed: u64, busy: u64) -> String {
    let processors: Vec<&str> = machine
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.starts_with("cpu") && *word != "cpu")
        .collect();
    let count = processors.len().max(1) as u64;
    let line = |name: &str, busy: u64, elapsed: u64| {
        format!(
            "{name} {busy:012} 0 0 {:012} 0 0 0 0 0 0\n",
            elapsed.saturating_sub(busy)
        )
    };
    let mut text = line("cpu ", busy, elapsed * count);
    for name in processors {
        text.push_str(&line(name, busy / count, elapsed));
    }
    let boot = machine.lines().find(|line| line.starts_with("btime"));
    text.push_str(&format!(
        "intr 0\nctxt 0\n{}\nprocesses 0\nprocs_running 1\nprocs_blocked 0\n",
        boot.unwrap_or("btime 0")
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_is_as_busy_as_its_daemons() {
        let machine = "cpu  900 0 0 1 0 0 0 0 0 0\ncpu0 450 0 0 1 0 0 0 0 0 0\ncpu1 450 0 0 0 0 0 0 0 0 0\nintr 1 2\nbtime 1700000000\n";
        let text = text(machine, 1_000, 60);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "cpu  000000000060 0 0 000000001940 0 0 0 0 0 0");
        assert_eq!(lines[1], "cpu0 000000000030 0 0 000000000970 0 0 0 0 0 0");
        assert!(lines[2].starts_with("cpu1 ") && lines[5] == "btime 1700000000");
    }

    #[test]
    fn time_of_daemons_is_kept_when_they_end_or_begin_again() {
        let mut usage = Usage::default();
        usage.add([(7, 10), (8, 5)].into_iter());
        usage.add([(7, 12)].into_iter());
        usage.add([(7, 12), (8, 1)].into_iter());
        assert_eq!(usage.sum, 18);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 11 22 3 4 20 0 1 0 5 6 7";
        assert_eq!(taken(stat), Some(40));
        assert_eq!(taken("7 (a) S 1"), None);
    }
}
