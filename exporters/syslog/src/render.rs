//! From a record of the queue to a line in Loki.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use inventory::{Feed, Inventory};
use loki::{Line, Render, Shared};
use spool::Record;
use toolkit::Live;

use crate::config::Config;
use crate::header::{self, FACILITIES, Form, Header, SEVERITIES};
use crate::record::{Received, TRUNCATED, Transport, UNFINISHED};
use crate::statistics::{DeviceCounters, Statistics};
use crate::text;
use crate::translate::{Translator, generic_fields};

/// Severities as Grafana colours them.
const LEVELS: [&str; 8] = [
    "critical", "critical", "critical", "error", "warning", "info", "info", "debug",
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
    /// The delivery statistics; only one destination's renderer counts.
    pub statistics: Option<Arc<Statistics>>,
    live: Live<Config>,
    config: Arc<Config>,
    inventory: Arc<Inventory>,
    counted: u64,
    number: String,
    sentence: String,
    /// What is known of each device, and the one that was met last: messages of one device often follow each other.
    devices: Vec<Known>,
    places: HashMap<String, usize>,
    device: usize,
    /// The address that was written last, and how.
    address: (IpAddr, String),
    /// Metadata that messages of a severity, facility, form and transport share.
    shared: Vec<Option<Box<Shared>>>,
    /// Events of the last kind that are not counted yet: device, event, how many.
    events: Option<(usize, &'static str, u64)>,
}

/// A device, as its messages need it.
struct Known {
    name: String,
    /// The labels that all its messages bear.
    labels: Line,
    counters: Option<Arc<DeviceCounters>>,
}

impl Lines {
    /// A renderer; with `statistics` it counts.
    #[must_use]
    pub fn new(
        translator: Arc<Translator>,
        feed: Feed,
        statistics: Option<Arc<Statistics>>,
        config: Live<Config>,
    ) -> Self {
        let nobody = IpAddr::from([0, 0, 0, 0]);
        Self {
            translator,
            inventory: feed.current(),
            feed,
            statistics,
            config: config.current(),
            live: config,
            counted: 0,
            number: String::new(),
            sentence: String::new(),
            devices: Vec::new(),
            places: HashMap::new(),
            device: 0,
            address: (nobody, nobody.to_string()),
            shared: Vec::new(),
            events: None,
        }
    }

    /// The place of a device among those known.
    fn device(&mut self, name: &str) -> usize {
        if self
            .devices
            .get(self.device)
            .is_some_and(|d| d.name == name)
        {
            return self.device;
        }
        self.device = match self.places.get(name) {
            Some(&place) => place,
            None => {
                let mut labels = Line::default();
                labels.label("job", "syslog", true);
                if let Some(found) = self.inventory.device(name) {
                    labels.label("site", &found.site, true);
                    labels.label("role", &found.role, true);
                }
                labels.label("device", name, false);
                self.devices.push(Known {
                    name: name.to_owned(),
                    labels,
                    counters: self
                        .statistics
                        .as_ref()
                        .map(|statistics| statistics.counters(name)),
                });
                self.places.insert(name.to_owned(), self.devices.len() - 1);
                self.devices.len() - 1
            }
        };
        self.device
    }

    /// Counts an event; equal ones that follow each other are counted together.
    fn event(&mut self, device: usize, event: &'static str) {
        match &mut self.events {
            Some((same, kind, count)) if *same == device && *kind == event => *count += 1,
            _ => {
                self.count_events();
                self.events = Some((device, event, 1));
            }
        }
    }

    fn count_events(&mut self) {
        if let Some((device, event, count)) = self.events.take()
            && let Some(counters) = self.devices.get(device).and_then(|d| d.counters.as_ref())
        {
            *counters
                .events
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .entry(event)
                .or_default() += count;
        }
    }
}

/// The metadata of a severity, facility, form and transport.
fn shared<'s>(
    all: &'s mut Vec<Option<Box<Shared>>>,
    header: &Header<'_>,
    transport: Transport,
) -> &'s Shared {
    // Three bits of severity, five of facility, two of transport.
    let (severity, facility) = (header.severity(), header.facility());
    let place = (header.form as usize) << 10
        | (transport as usize) << 8
        | usize::from(facility) << 3
        | usize::from(severity);
    if all.len() <= place {
        all.resize_with(place + 1, || None);
    }
    all[place].get_or_insert_with(|| {
        let facility = FACILITIES.get(usize::from(facility));
        Box::new(Shared::new(&[
            ("level", LEVELS[usize::from(severity)]),
            ("facility", facility.copied().unwrap_or_default()),
            ("form", header.form.name()),
            ("transport", transport.name()),
        ]))
    })
}

fn numbered(line: &mut Line, name: &str, mut value: u64) {
    let mut text = [0u8; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    line.metadata(name, std::str::from_utf8(&text[at..]).unwrap_or_default());
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
    fn begin(&mut self) {
        let inventory = self.feed.current();
        if !Arc::ptr_eq(&inventory, &self.inventory) {
            self.inventory = inventory;
            self.count_events();
            self.devices.clear();
            self.places.clear();
        }
        self.config = self.live.current();
    }

    fn end(&mut self) {
        self.count_events();
    }

    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        let Some(received) = Received::decode(record.payload) else {
            // A record of another version: kept as it is.
            line.label("job", "syslog", true);
            line.text.push_str(&text::decode(record.payload));
            return;
        };
        let text = text::decode(received.bytes);
        let header = header::parse(&text);
        let device = self.device(received.device);
        let known = &self.devices[device];
        let counters = known.counters.as_deref();
        let severity = usize::from(header.severity());
        let translation = self.translator.translate(&header);
        let event = translation
            .as_ref()
            .map(|t| t.rule.event)
            .filter(|event| !event.is_empty());

        line.labels_of(&known.labels);
        line.label("severity", SEVERITIES[severity], false);
        line.label("event", event.unwrap_or_default(), false);
        line.text.push_str(&text);

        line.shared(shared(&mut self.shared, &header, received.transport));
        if !received.source.ip().is_unspecified() {
            let ip = received.source.ip();
            if self.address.0 != ip {
                self.address = (ip, ip.to_string());
            }
            line.metadata("source_ip", &self.address.1);
        }
        line.metadata("hostname", header.host.unwrap_or_default());
        line.metadata("relay", header.relay.unwrap_or_default());
        line.metadata("process", header.process.unwrap_or_default());
        line.metadata("pid", header.pid.unwrap_or_default());
        line.metadata("mnemonic", header.mnemonic.map(short).unwrap_or_default());
        if let Some(sequence) = header.sequence {
            numbered(line, "sequence", sequence);
        }
        if received.flags & TRUNCATED != 0 {
            line.metadata("truncated", "true");
        }
        if received.flags & UNFINISHED != 0 {
            line.metadata("unfinished", "true");
        }
        let stamp = i64::try_from(record.stamp).unwrap_or(i64::MAX);
        let mut zone = i64::from(self.config.zone);
        // Unknown senders share their counters, and hardly a zone.
        let own = counters.filter(|a| !a.device.is_empty());
        if let (Some(counters), Some(time)) = (own, header.time.filter(|t| t.zone_open())) {
            zone += counters.zone.offset();
            if record.seq >= self.counted
                && let Some(at) = time.resolve(stamp, self.config.zone)
            {
                let skew = (at - stamp) / 1_000_000_000;
                zone = i64::from(self.config.zone) + counters.zone.follow(skew);
            }
        }
        let zone = i32::try_from(zone).unwrap_or(self.config.zone);
        let clock = header.time.and_then(|t| Some((t, t.resolve(stamp, zone)?)));
        if let Some((_, at)) = clock {
            self.number.clear();
            header::write_time(at, &mut self.number);
            line.metadata("device_time", &self.number);
        }
        match &translation {
            Some(found) => {
                line.metadata("vendor", found.rule.vendor);
                self.sentence.clear();
                found.sentence(&mut self.sentence);
                line.metadata("sentence", &self.sentence);
                for (name, value) in &found.fields {
                    line.metadata(name, short(value));
                }
                if !self.config.runbook_url.is_empty() && !found.rule.event.is_empty() {
                    self.number.clear();
                    self.number.push_str(&self.config.runbook_url);
                    self.number.push('#');
                    self.number.push_str(found.rule.event);
                    line.metadata("runbook", &self.number);
                }
            }
            None => {
                for (name, value) in generic_fields(&header, FIELDS) {
                    // Names of ours are not overwritten by what a device calls its own.
                    if plain_name(name) {
                        let name = format!("field_{name}");
                        line.metadata(&name, short(&value));
                    }
                }
            }
        }
        if record.seq >= self.counted
            && let Some(counters) = counters
        {
            self.counted = record.seq + 1;
            counters.severities[severity].fetch_add(1, Relaxed);
            if translation.is_none() {
                counters.unknown.fetch_add(1, Relaxed);
            }
            if header.form == Form::Raw {
                counters.raw.fetch_add(1, Relaxed);
            }
            if let Some(sequence) = header.sequence.filter(|_| !received.device.is_empty()) {
                let counting = self
                    .statistics
                    .as_ref()
                    .map_or(0, |statistics| statistics.counting());
                counters.follow(sequence, counters.given_up(counting));
            }
            if let Some((_, at)) = clock {
                counters.skew.store((at - stamp) / 1_000_000, Relaxed);
            }
            if let Some(event) = event {
                self.event(device, event);
            }
        }
    }
}
