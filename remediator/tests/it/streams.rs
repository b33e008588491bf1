//! Random streams of alerts through the whole engine: whatever is sent, in whatever state the ports are, nothing is typed that a level, a
//! person, a word, planned work, the switch or a bound forbids, and nothing that is not one of two lines with a port of the device in it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sotp_remediator::job::State;
use sotp_remediator::journal::{Alert, Hint, Switch};
use sotp_remediator::runbook::Level;
use testkit::eventually;

use crate::bench::{BEGIN, Bench, Port, alert};

const DEVICES: [&str; 3] = ["r1", "r2", "r3"];
/// What could be taken for more than a name, and names that no device has.
const FOREIGN: [&str; 8] = [
    "p0; reload",
    "p1\nshutdown",
    "-p0",
    "",
    "p99",
    "p0|x",
    "{port}",
    "p0 shutdown",
];

struct Stream {
    seed: u64,
    level: Level,
    paused: bool,
    per_device: u32,
    per_site: u32,
    /// Ports that a person was seen changing.
    seen: BTreeSet<(String, String)>,
    told: BTreeSet<(String, String)>,
}

fn some(chance: &mut fastrand::Rng, of: u8) -> bool {
    chance.u8(0..of) == 0
}

fn port(chance: &mut fastrand::Rng) -> Port {
    let shutdown = some(chance, 4);
    let held = some(chance, 5);
    Port {
        up: !shutdown && some(chance, 4),
        shutdown,
        description: if held {
            "sotp-hold: card".to_owned()
        } else {
            "to p1".to_owned()
        },
        broken: false,
    }
}

/// Makes the ports and the bounds, and answers what was chosen.
fn chosen(bench: &Bench, seed: u64, chance: &mut fastrand::Rng) -> Stream {
    let mut world = bench.devices.0.lock().unwrap();
    world.ports.clear();
    for device in DEVICES {
        for n in 0..4 {
            world
                .ports
                .insert((device.to_owned(), format!("p{n}")), port(chance));
        }
    }
    world
        .ports
        .insert(("r1".to_owned(), "r9".to_owned()), port(chance));
    drop(world);
    let level = [
        Level::Auto,
        Level::Auto,
        Level::Auto,
        Level::Approve,
        Level::Propose,
        Level::Observe,
    ];
    let stream = Stream {
        seed,
        level: level[chance.usize(0..level.len())],
        paused: some(chance, 5),
        per_device: chance.u32(1..6),
        per_site: chance.u32(1..12),
        seen: BTreeSet::new(),
        told: BTreeSet::new(),
    };
    bench.change(|setup| {
        setup.levels[0].level = stream.level;
        setup.bounds.per_device = stream.per_device;
        setup.bounds.per_site = stream.per_site;
        setup.bounds.per_minute = 100;
        setup.bounds.correlated_share = 1.0;
        setup.bounds.flap_count = 100;
    });
    stream
}

fn next(stream: &mut Stream, chance: &mut fastrand::Rng, now: i64) -> Alert {
    let device = if some(chance, 8) {
        "r77"
    } else {
        DEVICES[chance.usize(0..3)]
    };
    let port = match chance.u8(0..8) {
        0 => FOREIGN[chance.usize(0..FOREIGN.len())].to_owned(),
        1 => "r9".to_owned(),
        n => format!("p{}", n % 4),
    };
    stream.told.insert((device.to_owned(), port.clone()));
    alert(device, &port, now - chance.i64(0..2_000), !some(chance, 6))
}

/// Runs one; answers how many ports it opened.
async fn run(seed: u64) -> usize {
    let mut chance = fastrand::Rng::with_seed(seed);
    let bench = Bench::new(Level::Auto);
    let mut stream = chosen(&bench, seed, &mut chance);
    let before = bench.devices.0.lock().unwrap().ports.clone();
    let works = bench.works().await;
    if stream.paused {
        let switch = Switch {
            paused: true,
            ..Switch::default()
        };
        works.engine.switch(switch).await.unwrap();
    }
    for _ in 0..chance.usize(0..4) {
        let (device, port) = (DEVICES[chance.usize(0..3)], format!("p{}", chance.u8(0..4)));
        let hint = Hint {
            at: BEGIN - chance.i64(0..100_000),
            device: device.to_owned(),
            user: "alice".to_owned(),
            source: "syslog".to_owned(),
            text: format!("interface {port}"),
            anything: false,
        };
        works.engine.parts.journal.hint(hint).await.unwrap();
        stream.seen.insert((device.to_owned(), port));
    }
    // In three heaps within less than the span that the bounds are counted in, and before the planned work on r2 is over.
    let mut now = BEGIN;
    for _ in 0..3 {
        let heap = (0..chance.usize(1..10)).map(|_| next(&mut stream, &mut chance, now));
        let heap: Vec<_> = heap.collect();
        works.send(heap).await;
        works.quiet().await;
        let later = chance.i64(0..100_000);
        bench.later(later);
        now += later;
        works.engine.wake();
    }
    eventually(Duration::from_secs(60), || async {
        let rests = |state: State| {
            state.is_final() || matches!(state, State::Deferred | State::AwaitingApproval)
        };
        let jobs = works.jobs().await;
        let moving: Vec<_> = jobs
            .iter()
            .filter(|job| !rests(job.state))
            .map(|job| job.state)
            .collect();
        anyhow::ensure!(moving.is_empty(), "stream {seed}: {moving:?}");
        Ok(())
    })
    .await
    .unwrap();
    works.end().await;
    judge(&bench, &stream, &before)
}

fn judge(
    bench: &Bench,
    stream: &Stream,
    before: &std::collections::BTreeMap<(String, String), Port>,
) -> usize {
    let seed = stream.seed;
    let typed = bench.devices.0.lock().unwrap().typed.clone();
    let mut opened: HashMap<(String, String), u32> = HashMap::new();
    for pair in typed.chunks(2) {
        let [(device, first), (other, second)] = pair else {
            panic!("stream {seed}: half a step: {typed:?}")
        };
        let name = first.strip_prefix("interface ").unwrap_or("?").to_owned();
        assert!(
            device == other && second == "no shutdown",
            "stream {seed}: {typed:?}"
        );
        *opened.entry((device.clone(), name)).or_default() += 1;
    }
    for (target, times) in &opened {
        let told = format!(
            "stream {seed}: {target:?} {times} times: {:?}",
            before.get(target)
        );
        let port = before.get(target).unwrap_or_else(|| panic!("{told}"));
        let wanted = *target == ("r1".to_owned(), "r9".to_owned());
        let person = port.shutdown || stream.seen.contains(target);
        assert!(stream.level == Level::Auto && !stream.paused, "{told}");
        assert!(
            *times == 1 && !port.up && stream.told.contains(target),
            "{told}"
        );
        assert!(!port.description.contains("sotp-hold"), "{told}");
        assert!(!person || wanted, "{told}");
        assert_ne!(target.0, "r2", "{told}: planned work");
    }
    for device in DEVICES {
        let starts = opened.keys().filter(|(own, _)| own == device).count();
        assert!(
            starts <= stream.per_device as usize,
            "stream {seed}: {starts} starts on {device}"
        );
    }
    assert!(
        opened.len() <= stream.per_site as usize,
        "stream {seed}: {} starts",
        opened.len()
    );
    opened.len()
}

/// Sixteen streams side by side; `SOTP_STREAMS` says how many more.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_typed_that_anything_forbids() {
    let more = std::env::var("SOTP_STREAMS")
        .ok()
        .and_then(|text| text.parse().ok());
    let mut opened = 0;
    let mut seeds = 0..more.unwrap_or(16_u64);
    while let Some(first) = seeds.next() {
        let beside = std::iter::once(first).chain(seeds.by_ref().take(15));
        let runs: Vec<_> = beside.map(|seed| tokio::spawn(run(seed))).collect();
        for one in runs {
            opened += one.await.unwrap();
        }
    }
    assert!(opened > 0, "no port was opened: the streams try nothing");
}
