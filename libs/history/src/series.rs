//! The series, and what each of them says at a minute.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::network::Way;
use crate::traffic::{BACK, CONTROL, growth, noise, season};
use crate::{Device, INFO, Network, Period, STEP};

/// Pings of a device in a step, as the demonstration sends them.
const PINGS: f64 = STEP as f64;
/// What hardly changes, and what rules record of the rest, is written this often, within the five minutes that Prometheus looks back.
const SELDOM: i64 = 4 * STEP;
/// Round trip of the loopback of a network in one machine, in seconds, and of each link more.
const ROUND_TRIP: [f64; 2] = [26e-6, 4e-6];

/// One series with the counter that it has reached.
pub(crate) struct Series {
    /// Name and labels, and the space behind them.
    head: String,
    says: Says,
    /// What it has counted; of a state, the last.
    total: f64,
}

/// What a series is of; numbers are indices of devices and links.
enum Says {
    Up(usize),
    Requests,
    Responses(usize),
    Lost(usize),
    RoundTripSum(usize),
    Maintenance(usize),
    State(usize),
    Loss(usize),
    RoundTrip(usize),
    /// What the end of a link sends.
    Octets {
        link: usize,
        sends: usize,
        of: usize,
    },
    Oper {
        link: usize,
        of: usize,
    },
    /// What SNMP always says of a device.
    Constant {
        of: usize,
        value: f64,
    },
    /// Whether the device was scraped.
    Scraped(usize),
    /// That something is watched.
    Watched,
    Always,
}

/// All that happens in the network.
pub(crate) struct World<'a> {
    network: &'a Network,
    period: Period,
    /// The device that fails, and its link.
    failing: Option<(usize, Option<usize>)>,
    /// The device that is worked on.
    worked_on: Option<usize>,
    /// The way of each stream.
    ways: Vec<Way>,
}

impl<'a> World<'a> {
    pub(crate) fn new(network: &'a Network, period: Period) -> Self {
        let of = |index: usize| {
            let mut links = network.links.iter();
            links.position(|link| link.ends.iter().any(|end| end.device == index))
        };
        let failing = network.devices.iter().rposition(|device| !device.snmp);
        let mut routers = (0..network.devices.len()).filter(|&at| network.devices[at].snmp);
        Self {
            network,
            period,
            failing: failing.map(|index| (index, of(index))),
            worked_on: routers.nth(1),
            ways: network
                .streams
                .iter()
                .map(|stream| network.way(stream.from, stream.to))
                .collect(),
        }
    }

    fn silent(&self, device: usize, at: i64) -> bool {
        let failing = self.failing.is_some_and(|(failing, _)| failing == device);
        failing && self.period.outage().holds(at)
            || self.worked_on == Some(device) && self.period.work().holds(at)
    }

    fn planned(&self, device: usize, at: i64) -> bool {
        self.worked_on == Some(device) && self.period.maintenance().holds(at)
    }

    fn carries(&self, link: usize, at: i64) -> bool {
        let failing = self
            .failing
            .is_some_and(|(_, failing)| failing == Some(link));
        let ends = &self.network.links[link].ends;
        !(failing && self.period.outage().holds(at))
            && ends.iter().all(|end| !self.silent(end.device, at))
    }

    /// Bits per second of a stream.
    fn stream(&self, index: usize, at: i64) -> f64 {
        if !self.ways[index]
            .iter()
            .all(|&(link, _)| self.carries(link, at))
        {
            return 0.0;
        }
        let grown = if index == 0 {
            growth(self.period, at)
        } else {
            1.0
        };
        let stream = &self.network.streams[index];
        stream.bits_per_second * grown * season(at) * noise(index as u64, at)
    }

    /// Bits per second that the end `sends` of a link sends.
    fn bits(&self, link: usize, sends: usize, at: i64) -> f64 {
        if !self.carries(link, at) {
            return 0.0;
        }
        let mut bits = CONTROL * noise(1_000 + 2 * link as u64 + sends as u64, at);
        for (index, way) in self.ways.iter().enumerate() {
            match way.iter().find(|(of, _)| *of == link) {
                Some((_, end)) if *end == sends => bits += self.stream(index, at),
                Some(_) => bits += BACK * self.stream(index, at),
                None => {}
            }
        }
        bits
    }

    /// Seconds of a round trip to a device.
    fn round_trip(&self, device: usize, at: i64) -> f64 {
        let busy = 0.8 + 0.4 * season(at) / 1.8;
        (ROUND_TRIP[0] + ROUND_TRIP[1] * (device % 4) as f64)
            * busy
            * noise(2_000 + device as u64, at)
    }
}

impl Series {
    fn new(head: String, says: Says) -> Self {
        Self {
            head,
            says,
            total: 0.0,
        }
    }

    /// Appends the samples of the minutes from `from` to before `to` as OpenMetrics text.
    pub(crate) fn append(&mut self, world: &World<'_>, from: i64, to: i64, text: &mut String) {
        let mut at = from;
        while at < to {
            if let Some(value) = self.value(world, at) {
                text.push_str(&self.head);
                // Writing to a string cannot fail.
                let _ = if value.fract() == 0.0 {
                    writeln!(text, "{} {at}", value as i64)
                } else {
                    writeln!(text, "{value:.8} {at}")
                };
            }
            at += STEP;
        }
    }

    /// What it says at a minute; nothing where nothing is watched or nothing answers.
    fn value(&mut self, world: &World<'_>, at: i64) -> Option<f64> {
        let often = at.rem_euclid(SELDOM) == 0;
        let seldom = matches!(
            self.says,
            Says::Constant { .. } | Says::Loss(_) | Says::RoundTrip(_) | Says::Always
        );
        if seldom && !often {
            return None;
        }
        let gap = world.period.gap();
        if gap.holds(at) && !matches!(self.says, Says::Always) {
            // What counts is started anew after it.
            if !matches!(self.says, Says::Octets { .. }) {
                self.total = 0.0;
            }
            self.count(world, at);
            return None;
        }
        let answers = |device: usize| !world.silent(device, at);
        let one = |yes: bool| Some(f64::from(u8::from(yes)));
        match self.says {
            Says::Requests | Says::Responses(_) | Says::Lost(_) | Says::RoundTripSum(_) => {
                self.count(world, at);
                Some(self.total)
            }
            Says::Octets { of, .. } => {
                self.count(world, at);
                if !answers(of) {
                    // It begins anew when it is back.
                    self.total = 0.0;
                    return None;
                }
                Some(self.total.floor())
            }
            Says::Up(device) => one(answers(device)),
            Says::Maintenance(device) => one(world.planned(device, at)),
            Says::State(device) => {
                let planned = f64::from(u8::from(world.planned(device, at)));
                one(answers(device)).map(|up| up + 2.0 * planned)
            }
            Says::Loss(device) => one(!answers(device)),
            Says::RoundTrip(device) => answers(device).then(|| world.round_trip(device, at)),
            Says::Oper { link, of } => {
                let state = if world.carries(link, at) { 1.0 } else { 2.0 };
                let changed = self.total != state;
                self.total = state;
                (answers(of) && (changed || often)).then_some(state)
            }
            Says::Constant { of, value } => answers(of).then_some(value),
            Says::Scraped(device) => one(answers(device)),
            Says::Watched | Says::Always => Some(1.0),
        }
    }

    /// Counts what one step brings.
    fn count(&mut self, world: &World<'_>, at: i64) {
        let answered = |device: usize| if world.silent(device, at) { 0.0 } else { PINGS };
        self.total += match self.says {
            Says::Requests => PINGS,
            Says::Responses(device) => answered(device),
            Says::Lost(device) => PINGS - answered(device),
            Says::RoundTripSum(device) => answered(device) * world.round_trip(device, at),
            Says::Octets { link, sends, .. } => world.bits(link, sends, at) / 8.0 * STEP as f64,
            _ => 0.0,
        };
    }
}

/// The series of a network, in the order in which they are written.
pub(crate) fn all(network: &Network, period: Period) -> Vec<Series> {
    let mut series = Vec::new();
    let time = |at| Timestamp::from_second(at).map_or_else(|_| String::new(), |at| at.to_string());
    let [start, end] = [period.from, period.to].map(time);
    let info = [("end", end.as_str()), ("start", start.as_str())];
    series.push(Series::new(head(INFO, &info), Says::Always));
    let ping = [
        ("instance", network.instances.ping.as_str()),
        ("job", "ping"),
    ];
    series.push(Series::new(head("up", &ping), Says::Watched));
    for (index, device) in network.devices.iter().enumerate() {
        pinged(&mut series, network, index, device);
        if device.snmp {
            let labels = snmp_labels(device);
            series.push(Series::new(head("up", &labels), Says::Scraped(index)));
        }
    }
    for (at, link) in network.links.iter().enumerate() {
        for (own, end) in link.ends.iter().enumerate() {
            let device = &network.devices[end.device];
            if !device.snmp {
                continue;
            }
            let (of, number) = (end.device, end.index.to_string());
            let mut labels = snmp_labels(device);
            labels.extend([
                ("ifDescr", end.interface.as_str()),
                ("ifIndex", &number),
                ("ifName", &end.interface),
            ]);
            let mut add = |name: &str, says| series.push(Series::new(head(name, &labels), says));
            let octets = |sends| Says::Octets {
                link: at,
                sends,
                of,
            };
            add("ifHCInOctets", octets(1 - own));
            add("ifHCOutOctets", octets(own));
            add("ifOperStatus", Says::Oper { link: at, of });
            let constant = |value| Says::Constant { of, value };
            add("ifAdminStatus", constant(1.0));
            add("ifHighSpeed", constant(f64::from(link.speed)));
        }
    }
    series
}

fn pinged(series: &mut Vec<Series>, network: &Network, index: usize, device: &Device) {
    let (ping, inventory) = (&network.instances.ping, &network.instances.inventory);
    let mut add = |name: &str, more: &[(&str, &str)], says| {
        let mut labels = vec![
            ("device", device.name.as_str()),
            ("site", device.site.as_str()),
            ("role", device.role.as_str()),
        ];
        labels.extend(more);
        series.push(Series::new(head(name, &labels), says));
    };
    let family = ("family", "ipv4");
    let ping = [family, ("instance", ping), ("job", "ping")];
    add("ping_up", &ping, Says::Up(index));
    add("ping_requests_total", &ping, Says::Requests);
    add("ping_responses_total", &ping, Says::Responses(index));
    add("ping_lost_total", &ping, Says::Lost(index));
    add("ping_rtt_seconds_sum", &ping, Says::RoundTripSum(index));
    add("ping_rtt_seconds_count", &ping, Says::Responses(index));
    let inventory = [("instance", inventory.as_str()), ("job", "inventory")];
    add(
        "sotp_device_maintenance",
        &inventory,
        Says::Maintenance(index),
    );
    // What rules record of them, as the rules would have.
    add("device:ping_state:code", &[], Says::State(index));
    add(
        "device:ping_loss:ratio_rate1m",
        &[family],
        Says::Loss(index),
    );
    let round_trip = Says::RoundTrip(index);
    add("device:ping_rtt_seconds:mean_rate1m", &[family], round_trip);
}

fn snmp_labels(device: &Device) -> Vec<(&'static str, &str)> {
    vec![
        ("device", &device.name),
        ("site", &device.site),
        ("role", &device.role),
        ("platform", &device.platform),
        ("instance", &device.address),
        ("job", "snmp"),
    ]
}

/// `NAME{LABELS} `, as OpenMetrics writes it.
fn head(name: &str, labels: &[(&str, &str)]) -> String {
    let mut text = format!("{name}{{");
    for (index, (name, value)) in labels.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text.push_str("} ");
    text
}
