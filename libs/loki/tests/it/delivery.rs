//! The pusher against the strict double: what Loki does with it, and what stays in the queue.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use loki::{
    Authentication, Batching, DeadLetters, Destination, Format, Limits, Line, Observer, Outcome,
    Pusher, Rate, Render, Retry, State, read_dead_letters, replay,
};
use spool::{Entry, Options, Queue, Record, WhenFull};
use testkit::loki::{Loki, Misbehave};
use tokio::sync::Notify;

/// Records are `device|text`, or `@tenant|device|text`.
struct Plain;

fn parts(payload: &[u8]) -> (Option<&str>, &str, &str) {
    let text = std::str::from_utf8(payload).unwrap();
    let (tenant, text) = match text.strip_prefix('@') {
        Some(rest) => rest
            .split_once('|')
            .map(|(t, rest)| (Some(t), rest))
            .unwrap(),
        None => (None, text),
    };
    let (device, text) = text.split_once('|').unwrap();
    (tenant, device, text)
}

impl Render for Plain {
    fn tenant<'a>(&self, record: &Record<'a>) -> Option<&'a str> {
        parts(record.payload).0
    }

    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        let (_, device, text) = parts(record.payload);
        line.label("job", "syslog", true);
        line.label("device", device, false);
        line.metadata("seq", &record.seq.to_string());
        line.text.push_str(text);
    }
}

#[derive(Default)]
struct Seen {
    stored: u64,
    dead_lettered: HashMap<String, u64>,
    codes: HashMap<String, u64>,
    states: Vec<String>,
    restamped: u64,
}

#[derive(Default)]
struct Watch(Mutex<Seen>);

impl Observer for Watch {
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>) {
        self.0.lock().unwrap().stored += records.count() as u64;
    }
    fn dead_lettered(&self, _: &Record<'_>, reason: &str) {
        *self
            .0
            .lock()
            .unwrap()
            .dead_lettered
            .entry(reason.to_owned())
            .or_default() += 1;
    }
    fn answered(&self, code: &str, _: Duration, _: usize, _: usize) {
        *self
            .0
            .lock()
            .unwrap()
            .codes
            .entry(code.to_owned())
            .or_default() += 1;
    }
    fn state(&self, state: State<'_>) {
        let text = match state {
            State::Delivering => "delivering".to_owned(),
            State::Retrying(code) => format!("retrying {code}"),
            State::Holding(reason) => format!("holding {reason}"),
        };
        let mut seen = self.0.lock().unwrap();
        if seen.states.last() != Some(&text) {
            seen.states.push(text);
        }
    }
    fn streams(&self, _: usize, restamped: u64, _: u64) {
        self.0.lock().unwrap().restamped = restamped;
    }
}

struct World {
    loki: Loki,
    queue: Queue,
    folder: tempfile::TempDir,
    watch: Arc<Watch>,
    destination: Destination,
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
}

impl World {
    async fn new() -> Self {
        let loki = Loki::start(None).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            durability: spool::Durability::System,
            ..Options::default()
        };
        let (queue, _) = Queue::open(&folder.path().join("spool"), options).unwrap();
        let mut destination = Destination::new("main", loki.push_url());
        destination.retry = Retry {
            first: Duration::from_millis(5),
            longest: Duration::from_millis(40),
            hold: Duration::from_millis(50),
        };
        destination.batching.max_age = Duration::from_millis(5);
        Self {
            loki,
            queue,
            folder,
            watch: Arc::default(),
            destination,
        }
    }

    fn append(&self, received: u64, lines: impl IntoIterator<Item = String>) {
        let lines: Vec<String> = lines.into_iter().collect();
        let entries: Vec<Entry<'_>> = lines
            .iter()
            .map(|l| Entry {
                received,
                class: 6,
                when_full: WhenFull::Block,
                payload: l.as_bytes(),
            })
            .collect();
        assert_eq!(
            self.queue.append(&entries, &mut |_| ()).accepted,
            entries.len()
        );
    }

    fn dead_path(&self) -> PathBuf {
        self.folder.path().join("dead.jsonl")
    }

    /// Runs a pusher until the queue is empty, or for a while.
    async fn push_for(&self, longest: Duration) {
        let dead = Arc::new(DeadLetters::open(&self.dead_path(), 1 << 20).unwrap());
        let reader = self.queue.reader("main").unwrap();
        let mut pusher = Pusher::new(
            self.destination.clone(),
            reader,
            Plain,
            self.watch.clone(),
            dead,
        )
        .unwrap();
        let stop = Arc::new(Notify::new());
        let queue = self.queue.clone();
        let stopper = stop.clone();
        let watcher = tokio::spawn(async move {
            let begin = tokio::time::Instant::now();
            while queue.stats().queued[0] > 0 && begin.elapsed() < longest {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stopper.notify_one();
        });
        pusher.run(&stop).await.unwrap();
        watcher.await.unwrap();
    }

    async fn push(&self) {
        self.push_for(Duration::from_secs(30)).await;
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.watch.0.lock().unwrap()
    }
}

fn numbered(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|i| format!("r{}|line {i} with \"quotes\" and ünïcode", i % 7))
}

#[tokio::test]
async fn what_is_pushed_is_what_was_received_byte_for_byte() {
    for format in [Format::Protobuf, Format::Json] {
        let mut world = World::new().await;
        world.destination.format = format;
        let begin = now();
        world.append(begin, numbered(5_000));
        world.push().await;
        let entries = world.loki.entries();
        assert_eq!(entries.len(), 5_000);
        for (i, entry) in entries.iter().enumerate() {
            assert_eq!(entry.line, format!("line {i} with \"quotes\" and ünïcode"));
            assert_eq!(entry.get("device").unwrap(), format!("r{}", i % 7));
            assert_eq!(entry.get("seq").unwrap(), (i + 1).to_string());
            assert_eq!(entry.stamp, begin + i as u64);
        }
        assert_eq!(world.seen().stored, 5_000);
        assert_eq!(world.queue.stats().queued, [0]);
    }
}

#[tokio::test]
async fn a_thousand_identical_lines_in_one_instant_are_a_thousand_and_a_lost_answer_doubles_none() {
    let world = World::new().await;
    world.append(now(), (0..1_000).map(|_| "r1|the same".to_owned()));
    world.loki.script([
        Misbehave::LoseAnswer,
        Misbehave::LoseAnswer,
        Misbehave::Status(500, "internal"),
    ]);
    world.push().await;
    assert_eq!(world.loki.len(), 1_000);
    assert_eq!(world.seen().stored, 1_000);
    assert!(world.loki.requests() >= 4);
}

#[tokio::test]
async fn one_poison_line_in_ten_thousand_costs_one_line_and_can_be_replayed() {
    let world = World::new().await;
    world.loki.limits(|l| l.poison = Some("line 6543 "));
    world.append(now(), numbered(10_000));
    world.push().await;
    assert_eq!(world.loki.len(), 9_999);
    let letters = read_dead_letters(&world.dead_path()).unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].line, "line 6543 with \"quotes\" and ünïcode");
    assert_eq!(letters[0].labels, "{job=\"syslog\",device=\"r5\"}");
    assert!(
        letters[0].detail.contains("is poison"),
        "{}",
        letters[0].detail
    );
    {
        let seen = world.seen();
        assert_eq!(
            (seen.stored, seen.dead_lettered.values().sum::<u64>()),
            (9_999, 1)
        );
        assert!(
            world.loki.requests() < 40,
            "{} requests to find one line",
            world.loki.requests()
        );
    }
    world.loki.limits(|l| l.poison = None);
    let again =
        Arc::new(DeadLetters::open(&world.folder.path().join("again.jsonl"), 1 << 20).unwrap());
    let outcome = replay(
        world.destination.clone(),
        &letters,
        Plain,
        world.watch.clone(),
        again.clone(),
    )
    .await
    .unwrap();
    assert_eq!(
        (outcome, world.loki.len(), again.bytes()),
        (Outcome::Done, 10_000, 0)
    );
}

#[tokio::test]
async fn several_poison_lines_anywhere_are_found() {
    let world = World::new().await;
    world.loki.limits(|l| l.poison = Some("777"));
    world.append(now(), numbered(3_000));
    world.push().await;
    let bad = (0..3_000).filter(|i| i.to_string().contains("777")).count();
    assert_eq!(world.loki.len(), 3_000 - bad);
    assert_eq!(read_dead_letters(&world.dead_path()).unwrap().len(), bad);
}

#[tokio::test]
async fn answers_that_no_retry_mends_hold_the_queue_and_drop_nothing() {
    for (status, reason) in [
        (260, "blocked"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not_found"),
        (200, "unexpected_success"),
    ] {
        let world = World::new().await;
        world.append(now(), numbered(100));
        world.loki.always(Some(Misbehave::Status(status, "no")));
        world.push_for(Duration::from_millis(300)).await;
        assert_eq!(world.queue.stats().queued, [100], "{status}");
        assert_eq!(
            world.seen().states,
            [format!("holding {reason}")],
            "{status}"
        );
        assert!(world.loki.requests() >= 3, "{status}: it keeps trying");
        world.loki.always(None);
        world.push().await;
        assert_eq!(world.loki.len(), 100, "{status}");
        assert_eq!(world.seen().states.last().unwrap(), "delivering");
        assert!(
            !world.dead_path().exists()
                || read_dead_letters(&world.dead_path()).unwrap().is_empty()
        );
    }
}

#[tokio::test]
async fn retry_after_is_kept_to() {
    let world = World::new().await;
    world.append(now(), numbered(10));
    world.loki.script([Misbehave::RetryAfter(429, 1)]);
    let begin = tokio::time::Instant::now();
    world.push().await;
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(world.loki.len(), 10);
    assert_eq!(
        world.seen().codes,
        HashMap::from([("429".to_owned(), 1), ("204".to_owned(), 1)])
    );
}

#[tokio::test]
async fn a_refusal_of_everything_is_a_fault_of_the_set_up_and_parks_nothing() {
    let world = World::new().await;
    world.append(now(), numbered(500));
    world.loki.limits(|l| l.poison = Some("line"));
    world.push_for(Duration::from_millis(800)).await;
    assert_eq!(world.queue.stats().queued, [500]);
    assert!(
        world
            .seen()
            .states
            .contains(&"holding everything_refused".to_owned())
    );
    assert_eq!(std::fs::metadata(world.dead_path()).unwrap().len(), 0);
    world.loki.limits(|l| l.poison = None);
    world.push().await;
    assert_eq!(world.loki.len(), 500);
}

#[tokio::test]
async fn no_entry_is_refused_for_its_time() {
    let world = World::new().await;
    let hour = 3_600_000_000_000;
    for (i, received) in [
        now() - 9 * 24 * hour,
        now() - 5 * hour,
        now() - 2 * hour,
        now() + 30 * hour,
    ]
    .into_iter()
    .enumerate()
    {
        world.append(
            received,
            [format!("r1|first {i}"), format!("r1|second {i}")],
        );
    }
    // The clock was a day ahead and has been set right.
    world.append(now(), ["r1|now".to_owned()]);
    world.push().await;
    assert_eq!(world.loki.len(), 9);
    assert_eq!(
        world.seen().codes,
        HashMap::from([("204".to_owned(), 1)]),
        "nothing was refused on the way"
    );
    assert_eq!(
        world.seen().restamped,
        8,
        "all but the one in time: what is stamped anew moves its stream on"
    );
    let entries = world.loki.entries();
    let old = entries.iter().find(|e| e.line == "first 0").unwrap();
    let received: u64 = old.get("received_time_ns").unwrap().parse().unwrap();
    assert!(
        now() - received > 9 * 24 * hour - hour,
        "the time of receipt is kept beside it"
    );
}

#[tokio::test]
async fn limits_are_held_before_sending() {
    let mut world = World::new().await;
    world.destination.limits = Limits {
        line_bytes: 200,
        label_value_bytes: 10,
        streams: 3,
        ..Limits::default()
    };
    world.loki.limits(|l| {
        l.line_bytes = 200;
        l.label_value_bytes = 10;
        l.streams = 4;
    });
    world.append(
        now(),
        [
            format!("r1|{}", "x".repeat(201)),
            format!("{}|short", "d".repeat(11)),
        ],
    );
    world.append(now(), numbered(70));
    world.push().await;
    assert_eq!(
        world.seen().codes,
        HashMap::from([("204".to_owned(), 1)]),
        "Loki had nothing to refuse"
    );
    assert_eq!(
        world.seen().dead_lettered,
        HashMap::from([
            ("line_too_long".to_owned(), 1),
            ("invalid_labels".to_owned(), 1)
        ])
    );
    assert_eq!((world.loki.len(), world.loki.streams()), (70, 4));
    let entries = world.loki.entries();
    assert!(
        entries.iter().all(|e| e.get("device").is_some()),
        "a label that left the stream is metadata"
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_split_and_stored_whole() {
    let mut world = World::new().await;
    world.destination.batching = Batching {
        max_bytes: 1 << 20,
        max_lines: 10_000,
        max_age: Duration::from_millis(5),
    };
    world.loki.limits(|l| l.body_bytes = 4_000);
    world.append(now(), numbered(3_000));
    world.push().await;
    assert_eq!(world.loki.len(), 3_000);
}

#[tokio::test]
async fn tenants_are_pushed_apart_and_credentials_are_sent() {
    let mut world = World::new().await;
    world.loki.require_tenant();
    world.loki.require_authorization("Basic dTpzM2NyZXQ=");
    let password = world.folder.path().join("password");
    std::fs::write(&password, "s3cret\n").unwrap();
    let file = Arc::new(toolkit::SecretFile::open(&password).unwrap());
    world.destination.authentication = Authentication::Basic {
        user: "u".to_owned(),
        password: file,
    };
    world.destination.tenant = Some("all".to_owned());
    world.append(
        now(),
        [
            "r1|one".to_owned(),
            "@blue|r2|two".to_owned(),
            "@green|r3|three".to_owned(),
            "@blue|r2|four".to_owned(),
        ],
    );
    world.push().await;
    for (tenant, lines) in [
        ("all", vec!["one"]),
        ("blue", vec!["two", "four"]),
        ("green", vec!["three"]),
    ] {
        assert_eq!(
            world
                .loki
                .entries_of(tenant)
                .iter()
                .map(|e| e.line.clone())
                .collect::<Vec<_>>(),
            lines
        );
    }
}

#[tokio::test]
async fn a_backlog_is_drained_within_the_rate() {
    let mut world = World::new().await;
    world.destination.rate = Some(Rate {
        bytes_per_second: 100_000.0,
        burst_bytes: 30_000.0,
    });
    world.destination.batching.max_bytes = 10_000;
    world.loki.limits(|l| l.rate = Some((110_000.0, 40_000.0)));
    world.append(now(), numbered(4_000));
    let begin = tokio::time::Instant::now();
    world.push().await;
    let took = begin.elapsed().as_secs_f64();
    assert_eq!(world.loki.len(), 4_000);
    assert!(took > 1.0, "{took}");
    assert_eq!(world.seen().codes.get("429"), None, "never over the limit");
}

async fn until(wanted: impl Fn() -> bool) {
    let begin = tokio::time::Instant::now();
    while !wanted() {
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "it did not happen"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Tells how many lines it has rendered.
struct Counted(Arc<AtomicU64>);

impl Render for Counted {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        self.0.fetch_add(1, Relaxed);
        Plain.render(record, line);
    }
}

#[tokio::test]
async fn one_batch_is_made_ready_while_another_has_no_answer_and_both_can_be_split() {
    let mut world = World::new().await;
    world.destination.batching.max_lines = 100;
    world.loki.always(Some(Misbehave::Status(503, "not ready")));
    world.loki.limits(|l| l.poison = Some("5 with"));
    world.append(now(), numbered(300));
    let rendered = Arc::new(AtomicU64::new(0));
    let dead = Arc::new(DeadLetters::open(&world.dead_path(), 1 << 20).unwrap());
    let mut pusher = Pusher::new(
        world.destination.clone(),
        world.queue.reader("main").unwrap(),
        Counted(rendered.clone()),
        world.watch.clone(),
        dead,
    )
    .unwrap();
    let stop = Notify::new();
    let watch = async {
        let loki = &world.loki;
        until(|| rendered.load(Relaxed) >= 200).await;
        let asked = loki.requests();
        until(|| loki.requests() >= asked + 3).await;
        assert_eq!(rendered.load(Relaxed), 200, "one batch ahead and no more");
        assert_eq!(loki.len(), 0);
        loki.always(None);
        until(|| world.queue.stats().queued[0] == 0).await;
        stop.notify_one();
    };
    let (ran, ()) = tokio::join!(pusher.run(&stop), watch);
    ran.unwrap();
    // 5, 15, 25, … of 300.
    assert_eq!(world.loki.len(), 270);
    let letters = read_dead_letters(&world.dead_path()).unwrap();
    assert_eq!(letters.len(), 30);
    for letter in letters {
        let number: usize = letter.line.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(number % 10, 5);
        let labels = format!("{{job=\"syslog\",device=\"r{}\"}}", number % 7);
        assert_eq!(letter.labels, labels);
    }
    for entry in world.loki.entries() {
        let number: u64 = entry.line.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(entry.get("device").unwrap(), format!("r{}", number % 7));
        assert_eq!(entry.get("seq").unwrap(), (number + 1).to_string());
    }
    assert_eq!(world.seen().stored, 270);
}

#[tokio::test]
async fn loki_away_and_a_restart_in_between_lose_and_double_nothing() {
    let world = World::new().await;
    world.append(now(), numbered(2_000));
    world.loki.always(Some(Misbehave::Status(503, "not ready")));
    world.push_for(Duration::from_millis(200)).await;
    world.loki.always(Some(Misbehave::LoseAnswer));
    world.push_for(Duration::from_millis(200)).await;
    assert_eq!(world.queue.stats().queued, [2_000]);
    world.loki.always(None);
    world.append(now(), numbered(10));
    world.push().await;
    assert_eq!(world.loki.len(), 2_010);
}
