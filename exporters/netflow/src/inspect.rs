//! What an exporter sends and what is wrong with it, for a person in front of a terminal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::decode::{self, Malformed, Protocol};
use crate::flow::{Flow, Origin};
use crate::key::{self, Key, Streaming};
use crate::session::Session;

/// Most streams that are told apart.
const MOST_STREAMS: usize = 10_000;
/// A clock that is off by more is worth a word.
const CLOCK_OFF: f64 = 5.0;
/// A flow that is told of only after so long makes a graph late.
const LONG_ACTIVE_MS: u32 = 70_000;

/// Everything that was seen.
#[derive(Debug)]
pub struct Inspection {
    began: Instant,
    streams: HashMap<Key, Stream, RandomState>,
    /// Datagrams that no stream could be made for.
    pub malformed: BTreeMap<Malformed, u64>,
}

#[derive(Debug, Default)]
struct Stream {
    session: Session,
    datagrams: u64,
    malformed: BTreeMap<Malformed, u64>,
    sums: Sums,
    rates: BTreeMap<(Origin, u32), u64>,
    interfaces: BTreeSet<u32>,
    skew: Option<(f64, f64)>,
    told: decode::Counts,
}

impl Streaming for Stream {
    fn session(&self) -> &Session {
        &self.session
    }
}

#[derive(Debug, Default, Clone, Copy, serde::Serialize)]
struct Sums {
    flows: u64,
    bytes: u64,
    packets: u64,
    scaled_bytes: u64,
    timed: u64,
    longest_ms: u32,
    no_address: u64,
}

impl Sums {
    fn add(&mut self, flow: &Flow) {
        self.flows += 1;
        self.bytes = self.bytes.saturating_add(flow.bytes);
        self.packets = self.packets.saturating_add(flow.packets);
        self.scaled_bytes = self.scaled_bytes.saturating_add(flow.scaled_bytes());
        self.no_address += u64::from(flow.source.is_none());
        if let Some(span) = flow.span {
            self.timed += 1;
            self.longest_ms = self.longest_ms.max(span.start_ms - span.end_ms);
        }
    }
}

impl Default for Inspection {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            streams: HashMap::default(),
            malformed: BTreeMap::new(),
        }
    }
}

impl Inspection {
    /// Takes one datagram; `unix_seconds` is when it came, 0 when nobody knows.
    pub fn datagram(&mut self, from: SocketAddr, datagram: &[u8], unix_seconds: f64) {
        let (protocol, domain) = match decode::session(datagram) {
            Ok(session) => session,
            Err(malformed) => {
                *self.malformed.entry(malformed).or_default() += 1;
                return;
            }
        };
        let key = Key {
            address: from.ip(),
            port: from.port(),
            protocol,
            domain,
        };
        if self.streams.len() >= MOST_STREAMS && !self.streams.contains_key(&key) {
            return;
        }
        let stream = self.streams.entry(key).or_default();
        stream.datagrams += 1;
        let Stream {
            session,
            sums,
            rates,
            interfaces,
            ..
        } = stream;
        let fingerprint = decode::fingerprint(datagram);
        if let Some(sequence) = decode::number(datagram)
            && session.sequence.is_duplicate(sequence, fingerprint)
        {
            session.sequence.duplicate();
            return;
        }
        // Nothing waits longer in a file than in life, and a file is read in a moment: sets wait to its end.
        let (head, told, malformed) =
            decode::read(datagram, session, self.began, &mut |flow: &Flow| {
                sums.add(flow);
                *rates
                    .entry((flow.rate.origin, flow.rate.one_in))
                    .or_default() += 1;
                if interfaces.len() < MOST_STREAMS {
                    interfaces.extend(
                        [flow.input, flow.output]
                            .into_iter()
                            .filter(|index| *index > 0),
                    );
                }
            });
        stream.told.add(told);
        if let Some(malformed) = malformed {
            *stream.malformed.entry(malformed).or_default() += 1;
        }
        if let Some(head) = head {
            session
                .sequence
                .take(head.sequence, head.units, head.uptime_ms, fingerprint);
            if let Some(exported) = head.export_seconds.filter(|_| unix_seconds > 0.0) {
                let skew = unix_seconds - f64::from(exported);
                let (low, high) = stream.skew.unwrap_or((skew, skew));
                stream.skew = Some((low.min(skew), high.max(skew)));
            }
        }
    }

    /// To be called when everything has been seen: sets that still wait for a template get that of another port of their exporter.
    pub fn finish(&mut self) {
        key::each_waiting(&mut self.streams, |_, stream, others| {
            let Stream {
                session,
                sums,
                rates,
                ..
            } = stream;
            let told = decode::adopt(session, others, self.began, &mut |flow: &Flow| {
                sums.add(flow);
                *rates
                    .entry((flow.rate.origin, flow.rate.one_in))
                    .or_default() += 1;
            });
            stream.told.add(told);
        });
    }

    /// The streams in their order.
    fn sorted(&self) -> Vec<(&Key, &Stream)> {
        let mut all: Vec<_> = self.streams.iter().collect();
        all.sort_unstable_by_key(|(key, _)| **key);
        all
    }

    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.malformed.is_empty()
    }

    /// The report: a paragraph for each stream, and under it what is wrong.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (key, stream) in self.sorted() {
            // What is missing still at the end never came.
            let missing = stream.session.sequence.missing();
            let _ = stream.text(&mut out, key, missing);
        }
        for (reason, count) in &self.malformed {
            let _ = writeln!(out, "{count} datagrams refused: {reason}");
        }
        out
    }

    /// The same as JSON, for scripts.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let malformed = |counts: &BTreeMap<Malformed, u64>| -> BTreeMap<&'static str, u64> {
            counts
                .iter()
                .map(|(reason, count)| (reason.as_str(), *count))
                .collect()
        };
        let streams: Vec<_> = self
            .sorted()
            .into_iter()
            .map(|(key, stream)| {
                let rates: Vec<_> = stream
                    .rates
                    .iter()
                    .map(|((origin, one_in), flows)| {
                        serde_json::json!({"source": origin.as_str(), "one_in": one_in, "flows": flows})
                    })
                    .collect();
                serde_json::json!({
                    "exporter": key.sender().to_string(), "protocol": key.protocol.as_str(), "domain": key.domain, "datagrams": stream.datagrams,
                    "totals": stream.sums, "events": stream.told.events, "cut_records": stream.told.cut_records,
                    "templates": stream.session.templates(), "refused_templates": stream.told.bad_templates,
                    "withdrawals": stream.told.withdrawals, "replayed_sets": stream.told.replayed_sets, "sampling": rates,
                    "missing_templates": stream.session.missing_templates(), "malformed": malformed(&stream.malformed),
                    "lost": stream.session.sequence.lost + stream.session.sequence.missing(),
                    "duplicates": stream.session.sequence.duplicates, "restarts": stream.session.sequence.restarts,
                    "clock_skew_seconds": stream.skew,
                })
            })
            .collect();
        serde_json::json!({"streams": streams, "malformed": malformed(&self.malformed)})
    }
}

impl Stream {
    fn text(&self, out: &mut String, key: &Key, missing: u64) -> std::fmt::Result {
        let (from, protocol, domain) = (key.sender(), key.protocol, key.domain);
        let Sums {
            flows,
            bytes,
            packets,
            scaled_bytes,
            ..
        } = self.sums;
        writeln!(out, "{from} {} domain {domain}", protocol.as_str())?;
        writeln!(
            out,
            "  {} datagrams, {flows} flows, {packets} packets, {bytes} octets as measured, {scaled_bytes} by the sampling rate",
            self.datagrams
        )?;
        let interfaces: Vec<_> = self
            .interfaces
            .iter()
            .take(20)
            .map(ToString::to_string)
            .collect();
        if !interfaces.is_empty() {
            let more = if self.interfaces.len() > 20 {
                ", …"
            } else {
                ""
            };
            writeln!(out, "  interfaces: {}{more}", interfaces.join(", "))?;
        }
        for ((origin, one_in), count) in self.rates.iter().take(20) {
            writeln!(
                out,
                "  sampling 1 of {one_in} by {}: {count} flows",
                origin.as_str()
            )?;
        }
        if self.told.events > 0 {
            writeln!(
                out,
                "  {} events without counters (NAT, firewall), which are no flows",
                self.told.events
            )?;
        }
        for template in self.session.describe() {
            writeln!(out, "  {template}")?;
        }
        let mut wrong = |text: String| writeln!(out, "  WRONG: {text}");
        for id in self.session.missing_templates() {
            wrong(format!(
                "data of template {id} came, its template did not: let the exporter send it more often"
            ))?;
        }
        if self
            .rates
            .keys()
            .any(|(origin, _)| *origin == Origin::Assumed)
            && protocol != Protocol::Sflow
        {
            wrong("no sampling rate is told: if the exporter samples, volumes are too low; set sampling in the configuration".to_owned())?;
        }
        if let Some((low, high)) = self.skew
            && (low < -CLOCK_OFF || high > CLOCK_OFF)
        {
            wrong(format!(
                "the exporter's clock is off: ours less its is {low:.1} to {high:.1} s"
            ))?;
        }
        let lost = self.session.sequence.lost + missing;
        if lost > 0 {
            let unit = if matches!(protocol, Protocol::NetFlow5 | Protocol::Ipfix) {
                "records"
            } else {
                "datagrams"
            };
            wrong(format!("{lost} {unit} never came, by the sequence numbers"))?;
        }
        if self.session.sequence.overlapping() {
            wrong("its sequence numbers overlap, so that nothing can be told of loss".to_owned())?;
        }
        if self.sums.longest_ms > LONG_ACTIVE_MS {
            let longest = Duration::from_millis(self.sums.longest_ms.into());
            wrong(format!(
                "flows of up to {longest:.0?}: set its active timeout to 60 s or less"
            ))?;
        }
        if flows > 0 && self.sums.timed == 0 {
            wrong("flows do not tell when they were: long ones are steps in a graph".to_owned())?;
        }
        if self.told.ahead > 0 {
            wrong(format!(
                "{} flows end minutes after their export",
                self.told.ahead
            ))?;
        }
        if self.told.bad_templates > 0 {
            wrong(format!("{} templates refused", self.told.bad_templates))?;
        }
        if self.told.cut_records > 0 {
            wrong(format!(
                "{} sets hold records that do not fit their template",
                self.told.cut_records
            ))?;
        }
        for (reason, count) in &self.malformed {
            wrong(format!("{count} datagrams: {reason}"))?;
        }
        Ok(())
    }
}
