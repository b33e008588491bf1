//! Single flows as lines of Loki: a few words, and everything to be asked for as structured metadata.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use loki::{Line, Lines, Render};
use serde::{Deserialize, Serialize};
use spool::Record;
use tokio::sync::mpsc;
use tokio::time::timeout;
use toolkit::Stop;

use super::{Counts, Exported};
use crate::applications::protocol;

/// How long the last flows that were taken may be on their way here when the service ends.
const LAST_BLOCK: Duration = Duration::from_secs(1);

/// A flow as it waits in the queue on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    device: String,
    source: String,
    destination: String,
    ports: Option<(u16, u16)>,
    protocol: String,
    bytes: u64,
    packets: u64,
    one_in: u32,
    interfaces: (u32, u32),
    systems: (u32, u32),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    application: Option<String>,
    tos: u8,
    tcp_flags: u8,
    /// Milliseconds since 1970.
    times: (u64, u64),
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

impl Kept {
    fn of(told: &Exported) -> Self {
        let flow = &told.flow;
        let address = |address: Option<std::net::IpAddr>| {
            address.map_or_else(String::new, |address| address.to_string())
        };
        let (start, end) = told.times_ns();
        Self {
            device: told.from.device.to_string(),
            source: address(flow.source),
            destination: address(flow.destination),
            ports: (flow.source_port | flow.destination_port > 0)
                .then_some((flow.source_port, flow.destination_port)),
            protocol: protocol(flow.protocol).into_owned(),
            bytes: flow.scaled_bytes(),
            packets: flow.scaled_packets(),
            one_in: flow.rate.one_in,
            interfaces: (flow.input, flow.output),
            systems: told.systems,
            application: told.application.as_ref().map(ToString::to_string),
            tos: flow.tos,
            tcp_flags: flow.tcp_flags,
            times: (start / 1_000_000, end / 1_000_000),
            duplicate: told.duplicate,
        }
    }
}

/// Lines as Loki gets them: labels `job`, `device` and `by="flow"`, the rest as structured metadata.
pub(crate) struct Shown;

impl Render for Shown {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        line.label("job", "netflow", true);
        line.label("by", "flow", true);
        let Ok(kept) = serde_json::from_slice::<Kept>(record.payload) else {
            return;
        };
        line.label("device", &kept.device, true);
        let end = |address: &str, port: Option<u16>| match port {
            Some(port) if address.contains(':') => format!("[{address}]:{port}"),
            Some(port) => format!("{address}:{port}"),
            None => address.to_owned(),
        };
        let (sport, dport) = kept.ports.unzip();
        let _ = write!(
            line.text,
            "{} > {} {} {} octets in {} packets",
            end(&kept.source, sport),
            end(&kept.destination, dport),
            kept.protocol,
            kept.bytes,
            kept.packets
        );
        // What is 0 was not said.
        let number = |value: u64| match value {
            0 => String::new(),
            value => value.to_string(),
        };
        line.metadata("source", &kept.source);
        line.metadata("destination", &kept.destination);
        line.metadata("sport", &number(sport.unwrap_or(0).into()));
        line.metadata("dport", &number(dport.unwrap_or(0).into()));
        line.metadata("protocol", &kept.protocol);
        line.metadata("bytes", &kept.bytes.to_string());
        line.metadata("packets", &kept.packets.to_string());
        line.metadata("one_in", &kept.one_in.to_string());
        line.metadata("input", &number(kept.interfaces.0.into()));
        line.metadata("output", &number(kept.interfaces.1.into()));
        line.metadata("source_as", &number(kept.systems.0.into()));
        line.metadata("destination_as", &number(kept.systems.1.into()));
        line.metadata("application", kept.application.as_deref().unwrap_or(""));
        line.metadata("tos", &number(kept.tos.into()));
        line.metadata("tcp_flags", &number(kept.tcp_flags.into()));
        line.metadata("start_ms", &kept.times.0.to_string());
        line.metadata("end_ms", &kept.times.1.to_string());
        line.metadata("duplicate", if kept.duplicate { "true" } else { "" });
    }
}

/// Lines a second, and as many at once after a pause of a second.
#[derive(Debug)]
struct Budget {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Budget {
    fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            left: per_second,
            at: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * self.per_second).min(self.per_second);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

/// Puts flows into the queue of lines until `stop`, and those that were taken before: at most so many a second, the others are dropped.
pub(crate) async fn run(
    lines: &Lines,
    blocks: &mut mpsc::Receiver<Vec<Exported>>,
    per_second: u32,
    counts: &Arc<Counts>,
    stop: &Stop,
) {
    let mut budget = Budget::new(per_second, Instant::now());
    loop {
        let next = tokio::select! {
            biased;
            block = blocks.recv() => block,
            // What was taken before is told too: the intake hands over its last block when it ends.
            () = stop.requested() => timeout(LAST_BLOCK, blocks.recv()).await.ok().flatten(),
        };
        let Some(block) = next else { return };
        for told in &block {
            let kept = budget.take(Instant::now())
                && serde_json::to_vec(&Kept::of(told)).is_ok_and(|line| lines.keep(&line));
            let count = if kept {
                &counts.delivered
            } else {
                &counts.dropped
            };
            count.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept_over_any_second_and_gathers_for_one() {
        let begin = Instant::now();
        let mut budget = Budget::new(100, begin);
        let mut taken = |at: u64| {
            (0..500)
                .filter(|_| budget.take(begin + Duration::from_millis(at)))
                .count()
        };
        assert_eq!((taken(0), taken(500), taken(10_000)), (100, 50, 100));
    }
}
