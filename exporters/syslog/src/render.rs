//! From a record of the queue to a line in Loki.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use inventory::Feed;
use loki::{Line, Render};
use spool::Record;

use crate::books::Books;
use crate::header::{self, Form};
use crate::record::{Received, TRUNCATED, UNFINISHED};
use crate::text;
use crate::translate::{Translator, generic_fields};

/// Severities as words, as `syslog(3)` names them.
pub const SEVERITIES: [&str; 8] = [
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "informational",
    "debug",
];
/// The same as Grafana colours them.
const LEVELS: [&str; 8] = [
    "critical", "critical", "critical", "error", "warning", "info", "info", "debug",
];
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
/// Generic fields kept of a message that no rule knows.
const FIELDS: usize = 24;
/// Longest value of a field in bytes.
const VALUE: usize = 512;

/// Renders records and counts what they say.
pub struct Lines {
    /// The rules.
    pub translator: Arc<Translator>,
    /// The devices, for site and role.
    pub feed: Feed,
    /// The accounts; only one destination's renderer counts.
    pub books: Option<Arc<Books>>,
    /// Where the pages for events begin.
    pub runbook: String,
    /// Seconds east of UTC of devices that name no zone.
    pub zone: i32,
    counted: u64,
    number: String,
}

impl Lines {
    /// A renderer; with `books` it counts.
    #[must_use]
    pub fn new(
        translator: Arc<Translator>,
        feed: Feed,
        books: Option<Arc<Books>>,
        runbook: String,
        zone: i32,
    ) -> Self {
        Self {
            translator,
            feed,
            books,
            runbook,
            zone,
            counted: 0,
            number: String::new(),
        }
    }

    fn numbered(&mut self, line: &mut Line, name: &str, value: impl std::fmt::Display) {
        self.number.clear();
        // Writing into a string cannot fail.
        let _ = write!(self.number, "{value}");
        line.metadata(name, &self.number);
    }
}

/// At most [`VALUE`] bytes, whole characters.
fn short(value: &str) -> &str {
    let mut end = value.len().min(VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// A name that Loki takes for metadata.
fn plain_name(name: &str) -> bool {
    name.len() <= 64
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Render for Lines {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        line.label("job", "syslog", true);
        let Some(received) = Received::decode(record.payload) else {
            // A record of another version: kept as it is.
            line.text.push_str(&text::decode(record.payload));
            return;
        };
        let text = text::decode(received.bytes);
        let header = header::parse(&text);
        let inventory = self.feed.current();
        let device = inventory.device(received.device);
        let severity = usize::from(header.severity());
        let translation = self.translator.translate(&header);
        let event = translation.as_ref().map(|t| t.rule.event);

        if let Some(device) = device {
            line.label("site", &device.site, true);
            line.label("role", &device.role, true);
        }
        line.label("device", received.device, false);
        line.label("severity", SEVERITIES[severity], false);
        line.label("event", event.unwrap_or_default(), false);
        line.text.push_str(&text);

        line.metadata("level", LEVELS[severity]);
        line.metadata(
            "facility",
            FACILITIES
                .get(usize::from(header.facility()))
                .copied()
                .unwrap_or_default(),
        );
        line.metadata("form", header.form.name());
        line.metadata("transport", received.transport.name());
        if !received.source.ip().is_unspecified() {
            self.numbered(line, "source_ip", received.source.ip());
        }
        line.metadata("hostname", header.host.unwrap_or_default());
        line.metadata("relay", header.relay.unwrap_or_default());
        line.metadata("process", header.process.unwrap_or_default());
        line.metadata("pid", header.pid.unwrap_or_default());
        line.metadata("mnemonic", header.mnemonic.map(short).unwrap_or_default());
        if let Some(sequence) = header.sequence {
            self.numbered(line, "sequence", sequence);
        }
        if received.flags & TRUNCATED != 0 {
            line.metadata("truncated", "true");
        }
        if received.flags & UNFINISHED != 0 {
            line.metadata("unfinished", "true");
        }
        let stamp = i64::try_from(record.stamp).unwrap_or(i64::MAX);
        let clock = header
            .time
            .and_then(|t| Some((t, t.resolve(stamp, self.zone)?)));
        if let Some((_, at)) = clock
            && let Ok(at) = jiff::Timestamp::from_nanosecond(i128::from(at))
        {
            self.numbered(line, "device_time", at);
        }
        match &translation {
            Some(found) => {
                line.metadata("vendor", found.rule.vendor);
                let mut sentence = String::with_capacity(120);
                found.sentence(&mut sentence);
                line.metadata("sentence", &sentence);
                for (name, value) in &found.fields {
                    line.metadata(name, short(value));
                }
                if !self.runbook.is_empty() {
                    let link = format!("{}#{}", self.runbook, found.rule.event);
                    line.metadata("runbook", &link);
                }
            }
            None => {
                for (name, value) in generic_fields(&header, FIELDS) {
                    // Names of ours are not overwritten by what a device calls its own.
                    if plain_name(name) {
                        let name = format!("field_{name}");
                        line.metadata(&name, short(value));
                    }
                }
            }
        }
        if record.seq >= self.counted
            && let Some(books) = &self.books
        {
            self.counted = record.seq + 1;
            let account = books.account(received.device);
            account.severities[severity].fetch_add(1, Relaxed);
            match event {
                Some(event) => {
                    *account
                        .events
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .entry(event)
                        .or_default() += 1;
                }
                None => {
                    account.unknown.fetch_add(1, Relaxed);
                }
            }
            if header.form == Form::Raw {
                account.raw.fetch_add(1, Relaxed);
            }
            if let Some(sequence) = header.sequence.filter(|_| !received.device.is_empty()) {
                account.follow(sequence);
            }
            if let Some((_, at)) = clock {
                account.skew.store((at - stamp) / 1_000_000, Relaxed);
            }
        }
    }
}
