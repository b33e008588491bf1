//! `sotp-ping ADDRESS…`: requests to some addresses now, with the flags, the lines and the exit codes of `ping`, and beyond it the reasons of
//! what failed, percentiles and the path.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use netio::control::{Origin, Outgoing, QueueEntry};
use netio::option::Family;
use netio::receive::{Queue, ReceiveBatch};
use netio::send::SendBatch;

use crate::accounting::{Answer, TargetCounters, Timing, Verdict};
use crate::clock::Clock;
use crate::config::Config;
use crate::counters::{Counters, SharedCounters};
use crate::echo::{self, Tag, Token};
use crate::engine::{Port, Sockets};
use crate::path;
use crate::reason::Reason;
use crate::resolve;

/// From look to look at the sockets; the kernel's stamps make the round trips independent of it.
const LOOK: Duration = Duration::from_millis(5);
/// Time that a path is followed for at most.
const TRACE: Duration = Duration::from_secs(5);
/// Bytes of headers of what is received: Ethernet, IPv6 with options, ICMP.
const HEADERS: usize = 160;
/// Requests of one that ends by itself when it is not said: none is.
const FOREVER: u64 = u64::MAX;
/// As ping: something went wrong beside the addresses.
const TROUBLE: u8 = 2;

/// Pings addresses now, as ping does: a line for each reply, then loss, round trips, reasons and the path. The exit code is 0 when every
/// address answered, 1 when one did not, 2 on other errors.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "sotp-ping",
    bin_name = "sotp-ping",
    disable_version_flag = true
)]
struct Arguments {
    /// Stops after so many requests to each, with -w after so many answers; without it, on Ctrl-C.
    #[arg(short = 'c', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Seconds from request to request, 0.002 at least.
    #[arg(short = 'i', value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Bytes after the ICMP header; requests of fewer than 20 have 20.
    #[arg(short = 's', value_name = "BYTES", default_value_t = 56, value_parser = clap::value_parser!(u16).range(0..=65_000))]
    size: u16,
    /// Seconds to wait for a reply while there was none; else twice the longest round trip.
    #[arg(short = 'W', value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Seconds after which it ends, whatever was sent.
    #[arg(short = 'w', value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,
    /// Hop limit (TTL) of the requests.
    #[arg(short = 't', value_name = "TTL")]
    ttl: Option<u8>,
    /// Interface to send by, or address to send from.
    #[arg(short = 'I', value_name = "INTERFACE|ADDRESS")]
    from: Option<String>,
    /// IPv4 alone.
    #[arg(short = '4', conflicts_with = "six")]
    four: bool,
    /// IPv6 alone.
    #[arg(short = '6')]
    six: bool,
    /// No line for each reply.
    #[arg(short = 'q')]
    quiet: bool,
    /// Addresses as numbers, as they always are here.
    #[arg(short = 'n')]
    numeric: bool,
    /// IPv4 or IPv6 addresses, link-local ones with their zone (`fe80::1%eth0`), or DNS names.
    #[arg(required = true, value_name = "ADDRESS")]
    addresses: Vec<String>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (0.002..=86_400.0).contains(seconds));
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "expected seconds, 0.002 to 86400".to_owned())
}

/// Whether these arguments, without the program's name, are a ping: an address comes first, or a flag of ping.
#[must_use]
pub fn is_asked(args: &[String]) -> bool {
    args.first()
        .is_some_and(|first| match first.strip_prefix('-') {
            None => !first.is_empty(),
            Some(flag) => flag.starts_with(|letter| "cisWwtI46qn".contains(letter)),
        })
}

/// Runs it with these arguments.
pub fn run(args: &[String]) -> ExitCode {
    let name = ["sotp-ping".to_owned()];
    let arguments = match Arguments::try_parse_from(name.iter().chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { TROUBLE } else { 0 });
        }
    };
    match ping(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "sotp-ping: {error:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

/// Answers whether every address answered.
fn ping(arguments: &Arguments) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let _entered = runtime.enter();
    let targets = runtime.block_on(targets(arguments))?;
    let sockets = Sockets::open(None, 4 << 20)?;
    let interrupts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&interrupts);
    runtime.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut pinger = Pinger::new(arguments, sockets, targets);
    for target in &pinger.targets {
        pinger.out.say(&format!(
            "PING {} ({}) {} bytes of data.",
            target.name, target.shown, arguments.size
        ));
    }
    pinger.run(|| interrupts.load(Ordering::Relaxed) > 0)?;
    let mut all = true;
    let seen = interrupts.load(Ordering::Relaxed);
    for target in &pinger.targets {
        let counters = target.counters.read();
        all &= counters.responses > 0;
        // Fewer than were asked for in the time that was given are too few.
        all &= arguments.deadline.is_none()
            || arguments
                .count
                .is_none_or(|count| counters.responses >= count);
        let mut text = target.summary(&counters, pinger.began.elapsed());
        let stopped = || interrupts.load(Ordering::Relaxed) > seen;
        let _ = writeln!(text, "path: {}", target.path(stopped));
        pinger.out.say(text.trim_end());
    }
    Ok(all)
}

/// The targets, with the first address of each name.
async fn targets(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let mut out = Outgoing {
        hop_limit: arguments.ttl,
        ..Outgoing::default()
    };
    if let Some(from) = &arguments.from {
        match from.parse() {
            Ok(source) => out.source = Some(source),
            Err(_) => {
                let index = netio::option::interface_index(from);
                out.interface = index.with_context(|| format!("-I {from}: no such interface"))?;
            }
        }
    }
    let mut targets = Vec::new();
    for name in &arguments.addresses {
        let (address, zone) = match (name.parse(), echo::zoned(name)) {
            (Ok(address), _) => (address, None),
            (_, Some((address, zone))) => (address.into(), Some(zone)),
            _ => (look_up(name, arguments).await?, None),
        };
        let interface = zone.map_or(out.interface, echo::interface);
        let four = address.is_ipv4();
        anyhow::ensure!(
            !(arguments.four && !four || arguments.six && four),
            "{name}: is of the other family"
        );
        targets.push(Target::new(
            name,
            address,
            Outgoing { interface, ..out },
            arguments,
        ));
    }
    Ok(targets)
}

async fn look_up(name: &str, arguments: &Arguments) -> anyhow::Result<IpAddr> {
    let dns = Config::parse("", std::path::Path::new("defaults"))?.dns;
    let resolver = resolve::build(&dns)?;
    let families = [Family::V4, Family::V6].into_iter();
    let wanted = families.filter(|family| match family {
        Family::V4 => !arguments.six,
        Family::V6 => !arguments.four,
    });
    let found = resolve::first(&resolver, name, wanted, |_, _| {}).await;
    found.with_context(|| format!("{name}: no address"))
}

/// One address.
struct Target {
    name: String,
    /// The address with its zone.
    shown: String,
    address: IpAddr,
    out: Outgoing,
    accounting: TargetCounters,
    counters: Arc<SharedCounters>,
    round_trips: Vec<u64>,
    reasons: BTreeMap<&'static str, u64>,
}

impl Target {
    fn new(name: &str, address: IpAddr, out: Outgoing, arguments: &Arguments) -> Self {
        let counters: Arc<SharedCounters> = Arc::default();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let timing = Timing {
            interval: nanos(arguments.interval),
            burst: 1,
            spacing: nanos(arguments.interval),
            // Whatever comes before the end counts.
            timeout: nanos(arguments.timeout.max(Duration::from_secs(60))),
            down_after: 3,
        };
        let zone = echo::zoned(name).map(|(_, zone)| format!("%{zone}"));
        Self {
            name: name.to_owned(),
            shown: format!("{address}{}", zone.unwrap_or_default()),
            address,
            out,
            accounting: TargetCounters::new(timing, 1, Arc::clone(&counters)),
            counters,
            round_trips: Vec::new(),
            reasons: BTreeMap::new(),
        }
    }

    fn family(&self) -> Family {
        match self.address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// What ping says at the end, the percentiles and the reasons.
    fn summary(&self, counters: &Counters, took: Duration) -> String {
        let sent = counters.requests;
        let lost = 100.0 * (sent.saturating_sub(counters.responses)) as f64 / sent.max(1) as f64;
        let mut text = format!(
            "\n--- {} ping statistics ---\n{sent} packets transmitted, {} received, ",
            self.name, counters.responses
        );
        for (count, what) in [
            (counters.duplicates, "duplicates"),
            (counters.corrupt, "corrupted"),
            (counters.failed_requests(), "errors"),
        ] {
            if count > 0 {
                let _ = write!(text, "+{count} {what}, ");
            }
        }
        // Six digits as ping has them, and no trailing zeros.
        let lost = (lost * 1e4).round() / 1e4;
        let _ = writeln!(text, "{lost}% packet loss, time {}ms", took.as_millis());
        if !self.round_trips.is_empty() {
            let mut sorted = self.round_trips.clone();
            sorted.sort_unstable();
            let count = sorted.len() as f64;
            let mean = sorted.iter().map(|&rtt| rtt as f64).sum::<f64>() / count;
            let squares = sorted.iter().map(|&rtt| (rtt as f64 - mean).powi(2));
            let deviation = (squares.sum::<f64>() / count).sqrt();
            let ms = |nanos: f64| nanos / 1e6;
            let at = |share: f64| ms(percentile(&sorted, share) as f64);
            let _ = writeln!(
                text,
                "rtt min/avg/max/mdev = {:.3}/{:.3}/{:.3}/{:.3} ms",
                at(0.0),
                ms(mean),
                at(1.0),
                ms(deviation)
            );
            let _ = writeln!(
                text,
                "rtt p50/p90/p95/p99 = {:.3}/{:.3}/{:.3}/{:.3} ms",
                at(0.5),
                at(0.9),
                at(0.95),
                at(0.99)
            );
        }
        if !self.reasons.is_empty() {
            let each = self
                .reasons
                .iter()
                .map(|(reason, count)| format!("{reason} {count}"));
            let _ = writeln!(text, "reasons: {}", each.collect::<Vec<_>>().join(", "));
        }
        text
    }

    /// The path as one line.
    fn path(&self, stopped: impl Fn() -> bool) -> String {
        let flow = match path::run::once(self.address, self.out, TRACE, stopped) {
            Ok(Some(flow)) => flow,
            Ok(None) => return "not followed to its end".to_owned(),
            Err(error) => return format!("not followed: {error:#}"),
        };
        let hops = flow
            .hops
            .iter()
            .zip(1..)
            .map(|(hop, number)| match hop.address {
                Some(address) => {
                    let ms = hop.last_nanos.map_or(0.0, |nanos| nanos as f64 / 1e6);
                    format!("{number} {address} {ms:.3} ms")
                }
                None => format!("{number} *"),
            });
        let hops = hops.collect::<Vec<_>>().join(", ");
        match (flow.reached, hops.is_empty()) {
            (true, _) => hops,
            (false, true) => "no hop answers".to_owned(),
            (false, false) => format!("{hops}; the target does not answer"),
        }
    }
}

/// The smallest value that at least this share of the sorted values does not exceed.
fn percentile(sorted: &[u64], share: f64) -> u64 {
    let place = (share * sorted.len() as f64).ceil() as usize;
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(place.saturating_sub(1).min(last))
        .copied()
        .unwrap_or(0)
}

/// Where the lines go.
struct Lines;

impl Lines {
    fn say(&self, line: &str) {
        let mut out = std::io::stdout();
        // Whoever closed the other end reads no more.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// Sends and reads.
struct Pinger<'a> {
    arguments: &'a Arguments,
    ports: Vec<Port>,
    targets: Vec<Target>,
    token: Token,
    clock: Clock,
    began: Instant,
    out: Lines,
}

impl<'a> Pinger<'a> {
    fn new(arguments: &'a Arguments, sockets: Sockets, targets: Vec<Target>) -> Self {
        let began = Instant::now();
        Self {
            arguments,
            ports: [sockets.v4, sockets.v6].into_iter().flatten().collect(),
            targets,
            token: Token::from(fastrand::u64(..).to_ne_bytes()),
            clock: Clock::since(began),
            began,
            out: Lines,
        }
    }

    /// Until every address has had its requests and answered or not, the deadline, or `stopped`.
    fn run(&mut self, stopped: impl Fn() -> bool) -> anyhow::Result<()> {
        let wanted = self.arguments.count.unwrap_or(FOREVER);
        // With a deadline it is answers that are counted, as ping does.
        let count = match self.arguments.deadline {
            Some(_) => FOREVER,
            None => wanted,
        };
        let mut rounds = 0;
        let mut last_sent = self.began;
        loop {
            let now = Instant::now();
            let due = self.began + self.arguments.interval.saturating_mul(rounds);
            if u64::from(rounds) < count && now >= due {
                for number in 0..self.targets.len() {
                    if self.targets[number].counters.read().responses < wanted {
                        self.send(number)?;
                    }
                }
                rounds = rounds.saturating_add(1);
                last_sent = Instant::now();
            }
            self.receive();
            let over = self
                .arguments
                .deadline
                .is_some_and(|time| self.began.elapsed() >= time);
            let done = match self.arguments.deadline {
                Some(_) => {
                    let answered = |target: &Target| target.counters.read().responses >= wanted;
                    self.targets.iter().all(answered)
                }
                None => u64::from(rounds) >= count && self.is_done(last_sent.elapsed()),
            };
            if over || done || stopped() {
                return Ok(());
            }
            let next = due.saturating_duration_since(Instant::now());
            let next = if u64::from(rounds) < count {
                next
            } else {
                LOOK
            };
            std::thread::sleep(next.clamp(Duration::from_micros(200), LOOK));
        }
    }

    /// Whether nothing more is to be waited for, so long after the last request.
    fn is_done(&self, since: Duration) -> bool {
        self.targets.iter().all(|target| {
            let longest = target.round_trips.iter().max().copied();
            let wait = match longest {
                Some(nanos) => Duration::from_nanos(2 * nanos).max(self.arguments.interval),
                None => self.arguments.timeout,
            };
            target.counters.read().in_flight == 0 || since >= wait
        })
    }

    fn port(&self, family: Family) -> Option<usize> {
        self.ports.iter().position(|port| port.family == family)
    }

    fn send(&mut self, number: usize) -> anyhow::Result<()> {
        let moment = self.clock.now();
        let size = usize::from(self.arguments.size);
        let target = &mut self.targets[number];
        let family = target.family();
        let Some(sequence) = target.accounting.sent(moment) else {
            return Ok(());
        };
        let tag = Tag {
            target: u32::try_from(number).unwrap_or(u32::MAX),
            generation: 0,
            sequence,
        };
        let (to, out) = (
            echo::destination(target.address, target.out.interface),
            target.out,
        );
        let place = self.port(family);
        let place = place.with_context(|| format!("this host has no {family:?} sockets"))?;
        let (identifier, token) = (self.ports[place].identifier, self.token);
        let mut batch = SendBatch::new();
        batch.push(
            to,
            |bytes| echo::encode_request(bytes, family, identifier, token, tag, size),
            |control| out.append(control, family),
        );
        let mut refused = None;
        // An error of an earlier request waits on the socket and is answered in place of sending, once.
        for _ in 0..3 {
            match batch.send(self.ports[place].as_fd(), 0) {
                Ok(count) if count > 0 => return Ok(()),
                Ok(_) => {}
                Err(error) => refused = Some(error),
            }
            self.entries(place);
        }
        let error = refused.unwrap_or_else(|| std::io::ErrorKind::WouldBlock.into());
        let reason = Reason::of_refusal(&error);
        self.out.say(&format!("sotp-ping: send: {error}"));
        let now = self.clock.now().mono;
        let target = &mut self.targets[number];
        target.accounting.failed(sequence, reason, now);
        *target.reasons.entry(reason.label()).or_default() += 1;
        Ok(())
    }

    /// Reads all that came.
    fn receive(&mut self) {
        for place in 0..self.ports.len() {
            self.replies(place);
            self.entries(place);
        }
    }

    fn replies(&mut self, place: usize) {
        let size = usize::from(self.arguments.size);
        let mut batch = ReceiveBatch::new(size.max(echo::TAG_BYTES) + HEADERS);
        // An error that waits on the socket hides what is behind it once.
        for _ in 0..8 {
            let (family, mode) = (self.ports[place].family, self.ports[place].mode);
            match batch.receive(self.ports[place].as_fd(), Queue::Data) {
                Ok(0) => return,
                Ok(_) => {}
                Err(_) => continue,
            }
            // The kernel queued the stamps of the requests before their answers.
            self.entries(place);
            let read = self.clock.now();
            for datagram in batch.datagrams() {
                let Some(reply) = echo::decode_reply(family, mode, datagram.payload) else {
                    continue;
                };
                let Some(tag) = echo::decode_tag(self.token, reply.payload) else {
                    continue;
                };
                let Some(target) = self.targets.get_mut(tag.target as usize) else {
                    continue;
                };
                let from = datagram.address.map(|from| from.ip());
                let control = datagram.control;
                let bytes = reply.payload.len() + echo::HEADER_BYTES;
                let head = format!(
                    "{bytes} bytes from {}: icmp_seq={}",
                    target.shown, tag.sequence
                );
                if from != Some(target.address) {
                    let from = from.map_or_else(|| "?".to_owned(), |from| from.to_string());
                    target.accounting.elsewhere();
                    self.out.say(&format!(
                        "{bytes} bytes from {from}: icmp_seq={} (another address than was asked)",
                        tag.sequence
                    ));
                    continue;
                }
                let verdict = target.accounting.answered(
                    Answer {
                        sequence: tag.sequence,
                        received: control.stamp.map(|stamp| stamp.0),
                        hop_limit: control.hop_limit,
                        traffic_class: control.traffic_class,
                        whole: echo::is_whole(reply.payload, size) && !datagram.truncated,
                    },
                    read,
                );
                let ttl = control
                    .hop_limit
                    .map_or_else(String::new, |ttl| format!(" ttl={ttl}"));
                let line = match verdict {
                    Verdict::Counted(_) => {
                        let nanos = target.counters.read().last_nanos;
                        target.round_trips.push(nanos);
                        format!("{head}{ttl} time={} ms", time(nanos))
                    }
                    Verdict::Late => format!("{head}{ttl} (late)"),
                    Verdict::Duplicate => format!("{head}{ttl} (DUP!)"),
                    Verdict::Corrupt => format!("{head}{ttl} (another content than was sent)"),
                    Verdict::Stale => continue,
                };
                if !self.arguments.quiet {
                    self.out.say(&line);
                }
            }
        }
    }

    /// Reads transmit stamps and ICMP errors.
    fn entries(&mut self, place: usize) {
        let mut batch = ReceiveBatch::new(HEADERS + 96);
        while let Ok(1..) = batch.receive(self.ports[place].as_fd(), Queue::Error) {
            let family = self.ports[place].family;
            let read = self.clock.now();
            for datagram in batch.datagrams() {
                let Some(entry) = datagram.control.entry else {
                    continue;
                };
                if entry.origin == Origin::Timestamp {
                    let found = echo::find_tag(self.token, datagram.payload);
                    let found = found.and_then(|(_, tag)| Some((tag, datagram.control.stamp?)));
                    if let Some((tag, stamp)) = found
                        && let Some(target) = self.targets.get_mut(tag.target as usize)
                    {
                        target.accounting.transmitted(tag.sequence, stamp.0, read);
                    }
                    continue;
                }
                let (Some(reason), Some(quote)) = (
                    Reason::of_entry(&entry),
                    echo::decode_quote(family, self.token, datagram.payload),
                ) else {
                    continue;
                };
                let to = datagram.address.map(|address| address.ip());
                let target = match quote.tag {
                    Some(tag) => self.targets.get_mut(tag.target as usize),
                    // A router quoted the header alone.
                    None => self
                        .targets
                        .iter_mut()
                        .find(|target| Some(target.address) == to),
                };
                let Some(target) = target else { continue };
                let sequence = match quote.tag {
                    Some(tag) => Some(tag.sequence),
                    None => target.accounting.by_low_bits(quote.sequence),
                };
                let Some(sequence) = sequence else { continue };
                if let Verdict::Counted(_) = target.accounting.failed(sequence, reason, read.mono) {
                    *target.reasons.entry(reason.label()).or_default() += 1;
                    if !self.arguments.quiet {
                        self.out.say(&told(&entry, sequence, reason));
                    }
                }
            }
        }
    }
}

/// A round trip with the digits that ping gives it.
fn time(nanos: u64) -> String {
    let ms = nanos as f64 / 1e6;
    match ms {
        0.0..1.0 => format!("{ms:.3}"),
        1.0..10.0 => format!("{ms:.2}"),
        10.0..100.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

/// The line of an ICMP error.
fn told(entry: &QueueEntry, sequence: u32, reason: Reason) -> String {
    let from = match (entry.origin, entry.offender) {
        (Origin::Local, _) => "this host".to_owned(),
        (_, Some(from)) => from.to_string(),
        (_, None) => "?".to_owned(),
    };
    let what = match reason {
        Reason::NetworkUnreachable => "Destination Net Unreachable".to_owned(),
        Reason::HostUnreachable => "Destination Host Unreachable".to_owned(),
        Reason::Prohibited => "Packet filtered".to_owned(),
        Reason::PacketTooBig => format!("Frag needed (mtu = {})", entry.info),
        Reason::TimeExceeded => "Time to live exceeded".to_owned(),
        Reason::OtherIcmp => format!("ICMP error {} {}", entry.kind, entry.code),
        Reason::NoRoute | Reason::NotSent => {
            let error = i32::try_from(entry.errno).unwrap_or(0);
            std::io::Error::from_raw_os_error(error).to_string()
        }
    };
    format!("From {from} icmp_seq={sequence} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn an_address_or_a_flag_of_ping_comes_first() {
        for line in [
            "127.0.0.1",
            "r1.example.net ::1",
            "-c 3 ::1",
            "-c3 r1",
            "-qn r1",
            "-4 r1",
        ] {
            assert!(is_asked(&words(line)), "{line}");
        }
        for line in [
            "",
            "--config.check",
            "--help",
            "-h",
            "-V",
            "--inventory.source=x",
        ] {
            assert!(!is_asked(&words(line)), "{line}");
        }
    }

    #[test]
    fn flags_are_those_of_ping() {
        let parse = |line: &str| Arguments::try_parse_from(words(&format!("sotp-ping {line}")));
        let arguments = parse("-c 3 -i 0.2 -s100 -W 1.5 r1 r2").unwrap();
        assert_eq!(arguments.count, Some(3));
        assert_eq!(arguments.interval, Duration::from_millis(200));
        assert_eq!(
            (arguments.size, arguments.timeout),
            (100, Duration::from_millis(1_500))
        );
        assert_eq!(arguments.addresses, ["r1", "r2"]);
        for bad in [
            "",
            "-c 0 r1",
            "-i 0 r1",
            "-i x r1",
            "-s 70000 r1",
            "-W r1",
            "-4 -6 r1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let hundred: Vec<u64> = (1..=100).collect();
        for (share, value) in [(0.0, 1), (0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)] {
            assert_eq!(percentile(&hundred, share), value, "{share}");
        }
        assert_eq!(percentile(&[7], 0.99), 7);
        assert_eq!(percentile(&[1, 9], 0.5), 1);
    }

    #[test]
    fn round_trips_have_the_digits_of_ping() {
        for (nanos, text) in [
            (41_000, "0.041"),
            (1_234_567, "1.23"),
            (12_345_678, "12.3"),
            (123_456_789, "123"),
        ] {
            assert_eq!(time(nanos), text);
        }
    }
}
