//! `process_*` series from `/proc/self`, proc(5).

use std::fs;

use crate::Collect;
use crate::encoder::{Encoder, Kind, Labels};

/// The usual series about the process itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process;

impl Collect for Process {
    fn collect(&self, out: &mut Encoder) {
        let none = Labels::none();
        let mut put = |name: &str, kind, help: &str, value: Option<f64>| {
            if let Some(value) = value {
                out.family(name, kind, help);
                out.sample(none, value);
            }
        };
        let stat = Stat::read();
        let ticks = ticks_per_second();
        let stat = stat.as_ref();
        put(
            "process_cpu_seconds_total",
            Kind::Counter,
            "Total user and system CPU time spent in seconds.",
            stat.map(|s| s.cpu_ticks / ticks),
        );
        put(
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Resident memory size in bytes.",
            stat.map(|s| s.resident_pages * page_size()),
        );
        put(
            "process_virtual_memory_bytes",
            Kind::Gauge,
            "Virtual memory size in bytes.",
            stat.map(|s| s.virtual_bytes),
        );
        put(
            "process_virtual_memory_max_bytes",
            Kind::Gauge,
            "Maximum amount of virtual memory available in bytes.",
            limit("Max address space"),
        );
        put(
            "process_threads",
            Kind::Gauge,
            "Number of OS threads in the process.",
            stat.map(|s| s.threads),
        );
        let start = stat
            .zip(boot_time())
            .map(|(s, boot)| boot + s.start_ticks / ticks);
        put(
            "process_start_time_seconds",
            Kind::Gauge,
            "Start time of the process since unix epoch in seconds.",
            start,
        );
        put(
            "process_open_fds",
            Kind::Gauge,
            "Number of open file descriptors.",
            open_files(),
        );
        put(
            "process_max_fds",
            Kind::Gauge,
            "Maximum number of open file descriptors.",
            limit("Max open files"),
        );
    }
}

/// The fields of `/proc/self/stat` that are shown.
struct Stat {
    cpu_ticks: f64,
    threads: f64,
    start_ticks: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The command name stands in brackets and may hold anything, so fields are counted after the last bracket: there the state is field 3.
    fn parse(text: &str) -> Option<Self> {
        let rest: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| rest.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// USER_HZ is 100 on every platform Rust's standard library supports on Linux.
fn ticks_per_second() -> f64 {
    100.0
}

/// The page size from the auxiliary vector (AT_PAGESZ, getauxval(3)), 4096 where it cannot be read.
fn page_size() -> f64 {
    const AT_PAGESZ: u64 = 6;
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).ok();
    let vector = fs::read("/proc/self/auxv").unwrap_or_default();
    let size = vector.chunks_exact(16).find_map(|pair| {
        let (key, value) = pair.split_at(8);
        (word(key)? == AT_PAGESZ).then(|| word(value)).flatten()
    });
    u32::try_from(size.unwrap_or(4096)).map_or(4096.0, f64::from)
}

fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

fn open_files() -> Option<f64> {
    // The directory handle of this very look is one of them.
    let count = fs::read_dir("/proc/self/fd")
        .ok()?
        .count()
        .saturating_sub(1);
    u32::try_from(count).ok().map(f64::from)
}

/// The soft limit; an unlimited one is the largest number, as other exporters show it.
fn limit(name: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let soft = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().next())?;
    if soft == "unlimited" {
        Some(18_446_744_073_709_551_615.0)
    } else {
        soft.parse().ok()
    }
}
