mod sparing;

use super::request::{FRAME, REPETITIONS};
use super::*;
use crate::agent::{self, Agent};
use crate::codec::{Message, message, read_message, read_pdu};

const IF_MIB: [&str; 2] = ["1.3.6.1.2.1.2", "1.3.6.1.2.1.31.1.1"];

fn params() -> Params {
    Params {
        repetitions: 25,
        retries: 3,
        timeout: Duration::from_secs(5),
        allow_nonincreasing: false,
    }
}

fn walk(root: &str, columns: &[&str]) -> Work {
    Work {
        root: root.parse().unwrap(),
        params: params(),
        oids: columns.iter().map(|oid| oid.parse().unwrap()).collect(),
        get: false,
        probe: false,
        own: false,
    }
}

fn get(oids: &[&str]) -> Work {
    Work {
        root: oids[0].parse().unwrap(),
        get: true,
        ..walk(oids[0], oids)
    }
}

fn if_mib() -> Vec<Work> {
    let columns = |root: &str, numbers: std::ops::RangeInclusive<u32>| {
        let oids = numbers
            .map(|number| format!("{root}.{number}").parse().unwrap())
            .collect();
        Work {
            root: root.parse().unwrap(),
            params: params(),
            oids,
            get: false,
            probe: false,
            own: false,
        }
    };
    vec![
        columns("1.3.6.1.2.1.2.2.1", 1..=21),
        columns("1.3.6.1.2.1.31.1.1.1", 1..=19),
    ]
}

/// A network and a clock around the machine: `fault` sees every answer and gives what arrives, and when.
struct Run {
    sent: usize,
    elapsed: Duration,
    outcome: Outcome,
}

type Arrivals = Vec<(Duration, Vec<u8>)>;

fn run(
    works: Vec<Work>,
    agent: &Agent,
    limits: (bool, bool),
    trip: Duration,
    fault: impl FnMut(usize, Vec<u8>) -> Arrivals,
) -> Run {
    let known = (Pace::default(), Sizes::default());
    run_known(works, agent, limits, known, trip, fault)
}

/// The same for a target of which something is known.
fn run_known(
    works: Vec<Work>,
    agent: &Agent,
    limits: (bool, bool),
    (pace, sizes): (Pace, Sizes),
    trip: Duration,
    mut fault: impl FnMut(usize, Vec<u8>) -> Arrivals,
) -> Run {
    let start = Instant::now();
    let mut now = start;
    let limits = Limits {
        deadline: start + Duration::from_secs(60),
        v1: limits.0,
        strict: limits.1,
    };
    let mut scrape = Scrape::of_known(works, limits, pace, &sizes);
    let mut under_way: Vec<(Instant, Vec<u8>)> = Vec::new();
    let mut sent = 0;
    for _ in 0..1_000_000 {
        while let Some(outgoing) = scrape.poll(now) {
            let oids: Vec<&[u32]> = outgoing.oids.iter().map(Vec::as_slice).collect();
            let version = if limits.v1 { 1 } else { 2 };
            let answer = agent
                .answer(&message(
                    version,
                    b"public",
                    outgoing.operation,
                    outgoing.id,
                    &oids,
                ))
                .unwrap();
            for (delay, bytes) in fault(sent, answer) {
                under_way.push((now + trip + delay, bytes));
            }
            sent += 1;
        }
        if scrape.done() {
            return Run {
                sent,
                elapsed: now - start,
                outcome: scrape.finish(),
            };
        }
        under_way.sort_by_key(|(at, _)| *at);
        let wake = scrape.wake();
        if under_way.first().is_some_and(|(at, _)| *at <= wake) {
            let (at, bytes) = under_way.remove(0);
            now = now.max(at);
            if let Ok(Message::Community { pdu, .. }) = read_message(&bytes)
                && let Ok(pdu) = read_pdu(pdu)
            {
                scrape.reply(&pdu, bytes.len(), now);
            }
        } else {
            now = now.max(wake);
        }
    }
    unreachable!("the scrape ends");
}

fn fine(_: usize, answer: Vec<u8>) -> Arrivals {
    vec![(Duration::ZERO, answer)]
}

fn content(table: &Table) -> Vec<(Vec<u32>, String)> {
    table
        .below(&[1])
        .map(|(at, entry)| {
            (
                at.ids(),
                crate::samples::text::label(table, &entry.value, "", ""),
            )
        })
        .collect()
}

#[test]
fn a_walk_brings_every_instance_and_needs_few_messages() {
    let agent = Agent::with_interfaces(50);
    let strict = run(
        vec![walk(IF_MIB[0], &[IF_MIB[0]]), walk(IF_MIB[1], &[IF_MIB[1]])],
        &agent,
        (false, true),
        Duration::from_millis(1),
        fine,
    );
    assert_eq!(strict.outcome.failures, []);
    assert_eq!((strict.outcome.table.len(), strict.sent), (50 * 41 + 1, 84));
    let ours = run(
        if_mib(),
        &agent,
        (false, false),
        Duration::from_millis(1),
        fine,
    );
    assert_eq!(
        (ours.outcome.failures.len(), ours.outcome.table.len()),
        (0, 50 * 40)
    );
    assert!(ours.sent <= 42, "{} messages", ours.sent);
    assert!(ours.elapsed < strict.elapsed / 4, "{:?}", ours.elapsed);
}

#[test]
fn a_thousand_interfaces_take_half_the_messages_and_a_tenth_of_the_time() {
    let agent = Agent::with_interfaces(1000);
    let ours = run(
        if_mib(),
        &agent,
        (false, false),
        Duration::from_millis(1),
        fine,
    );
    assert_eq!(
        (ours.outcome.failures.len(), ours.outcome.table.len()),
        (0, 40_000)
    );
    assert!(ours.sent <= 821, "{} messages", ours.sent);
    assert!(
        ours.elapsed < Duration::from_millis(164),
        "{:?}",
        ours.elapsed
    );
}

#[test]
fn a_later_scrape_takes_no_more_round_trips_than_the_first() {
    let trip = Duration::from_millis(1);
    for count in [50, 1000, 3000] {
        let agent = Agent::with_interfaces(count);
        let first = run(if_mib(), &agent, (false, false), trip, fine);
        let known = (first.outcome.pace, Sizes::of(&first.outcome.table, false));
        let later = run_known(if_mib(), &agent, (false, false), known, trip, fine);
        assert_eq!(content(&later.outcome.table), content(&first.outcome.table));
        assert!(
            later.elapsed <= first.elapsed && later.sent <= first.sent,
            "{count}: {} messages in {:?}, then {} in {:?}",
            first.sent,
            first.elapsed,
            later.sent,
            later.elapsed
        );
    }
}

#[test]
fn rows_that_came_or_went_between_the_parts_of_a_column_are_noticed() {
    let trip = Duration::from_millis(1);
    let first = run(
        if_mib(),
        &Agent::with_interfaces(1000),
        (false, false),
        trip,
        fine,
    );
    for count in [400, 999, 1001, 1500] {
        let agent = Agent::with_interfaces(count);
        let fresh = run(if_mib(), &agent, (false, false), trip, fine);
        let sizes = Sizes::of(&first.outcome.table, false);
        let known = (first.outcome.pace.clone(), sizes);
        let later = run_known(if_mib(), &agent, (false, false), known, trip, fine);
        assert_eq!(later.outcome.failures, []);
        assert_eq!(
            content(&later.outcome.table),
            content(&fresh.outcome.table),
            "{count}"
        );
    }
}

#[test]
fn every_hundredth_answer_lost_costs_less_than_twice_the_time() {
    let agent = Agent::with_interfaces(1000);
    let whole = run(
        if_mib(),
        &agent,
        (false, false),
        Duration::from_millis(10),
        fine,
    );
    let lossy = run(
        if_mib(),
        &agent,
        (false, false),
        Duration::from_millis(10),
        |at, answer| {
            if at % 100 == 99 {
                Vec::new()
            } else {
                vec![(Duration::ZERO, answer)]
            }
        },
    );
    assert_eq!(content(&lossy.outcome.table), content(&whole.outcome.table));
    assert!(
        lossy.elapsed < whole.elapsed * 2,
        "{:?} against {:?}",
        lossy.elapsed,
        whole.elapsed
    );
}

#[test]
fn version_1_walks_with_getnext_and_skips_what_is_missing() {
    let agent = Agent::with_interfaces(5);
    let works = vec![
        walk(IF_MIB[0], &["1.3.6.1.2.1.2.2.1.1", "1.3.6.1.2.1.2.2.1.2"]),
        get(&["1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.99.0"]),
    ];
    let run = run(works, &agent, (true, false), Duration::from_millis(1), fine);
    assert_eq!(
        (run.outcome.failures.len(), run.outcome.table.len()),
        (0, 11)
    );
    let end = vec![walk(
        "1.3.6.1.2.1.31.1.1.1.19",
        &["1.3.6.1.2.1.31.1.1.1.19"],
    )];
    assert_eq!(
        super::tests::run(end, &agent, (true, false), Duration::ZERO, fine)
            .outcome
            .table
            .len(),
        5
    );
}

#[test]
fn an_instance_as_a_walk_is_asked_for_directly() {
    let agent = Agent::with_interfaces(5);
    let instance = "1.3.6.1.2.1.1.3.0";
    let run = run(
        vec![walk(instance, &[instance])],
        &agent,
        (false, false),
        Duration::ZERO,
        fine,
    );
    assert_eq!(
        (
            run.outcome.failures.len(),
            run.outcome.table.len(),
            run.sent
        ),
        (0, 1, 2)
    );
}

#[test]
fn a_silent_target_is_given_up_after_its_tries_and_says_so() {
    let agent = Agent::with_interfaces(5);
    let run = run(if_mib(), &agent, (false, false), Duration::ZERO, |_, _| {
        Vec::new()
    });
    assert_eq!(run.elapsed, Duration::from_secs(20));
    let all = [0, 1].map(|work| Failure {
        work,
        reason: Reason::Timeout,
    });
    assert_eq!(
        (run.outcome.failures, run.outcome.answered),
        (all.to_vec(), false)
    );
    assert!(run.sent <= 16, "{} messages", run.sent);
}

#[test]
fn a_late_answer_counts() {
    let agent = Agent::with_interfaces(5);
    let run = run(
        if_mib(),
        &agent,
        (false, false),
        Duration::from_millis(1500),
        fine,
    );
    assert_eq!(
        (run.outcome.failures.len(), run.outcome.table.len()),
        (0, 200)
    );
}

#[test]
fn an_agent_that_drops_large_answers_is_asked_for_less_and_remembered() {
    let mut agent = Agent::with_interfaces(50);
    agent.largest = 65_000;
    let run = run(
        if_mib(),
        &agent,
        (false, false),
        Duration::from_millis(1),
        |_, answer| {
            if answer.len() > 400 {
                Vec::new()
            } else {
                vec![(Duration::ZERO, answer)]
            }
        },
    );
    assert_eq!(
        (run.outcome.failures.len(), run.outcome.table.len()),
        (0, 2000)
    );
    assert!(run.outcome.pace.repetitions(FRAME, &REPETITIONS) < Some(20));
}

/// The same answer with an error status and nothing in it.
fn refusal(answer: &[u8], status: i64) -> Vec<u8> {
    let Ok(Message::Community { pdu, .. }) = read_message(answer) else {
        unreachable!("our own agent")
    };
    let id = i64::from(read_pdu(pdu).unwrap().id);
    agent::response(&request(id), status, 0, &[])
}

fn request(id: i64) -> agent::Request {
    agent::Request {
        version: 1,
        community: b"public".to_vec(),
        tag: 0xa5,
        id,
        second: 0,
        third: 0,
        oids: Vec::new(),
    }
}

/// The same answer with its varbind list replaced.
fn with_list(answer: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let Ok(Message::Community { pdu, .. }) = read_message(answer) else {
        unreachable!("our own agent")
    };
    let pdu = read_pdu(pdu).unwrap();
    agent::response(&request(pdu.id.into()), 0, 0, &change(pdu.varbinds))
}

fn first_varbind(list: &[u8]) -> usize {
    let length = list.get(1).map_or(0, |length| usize::from(*length));
    (2 + length).min(list.len())
}

type Fault = (&'static str, fn(Vec<u8>) -> Arrivals);

/// What can happen to one answer.
const FAULTS: [Fault; 15] = [
    ("dropped", |_| Vec::new()),
    ("late", |answer| vec![(Duration::from_secs(3), answer)]),
    ("twice", |answer| {
        vec![
            (Duration::ZERO, answer.clone()),
            (Duration::from_millis(5), answer),
        ]
    }),
    ("cut", |answer| {
        vec![(Duration::ZERO, answer[..answer.len() / 2].to_vec())]
    }),
    ("other id", |answer| {
        let Ok(Message::Community { pdu, .. }) = read_message(&answer) else {
            unreachable!("our own agent")
        };
        let pdu = read_pdu(pdu).unwrap();
        vec![(
            Duration::ZERO,
            agent::response(&request(i64::from(pdu.id) ^ 0x55), 0, 0, pdu.varbinds),
        )]
    }),
    ("too big", |answer| {
        vec![(Duration::ZERO, refusal(&answer, 1))]
    }),
    ("no such name", |answer| {
        vec![(Duration::ZERO, refusal(&answer, 2))]
    }),
    ("genErr", |answer| {
        vec![(Duration::ZERO, refusal(&answer, 5))]
    }),
    ("authorizationError", |answer| {
        vec![(Duration::ZERO, refusal(&answer, 16))]
    }),
    ("empty", |answer| {
        vec![(Duration::ZERO, with_list(&answer, |_| Vec::new()))]
    }),
    ("one value only", |answer| {
        vec![(
            Duration::ZERO,
            with_list(&answer, |list| list[..first_varbind(list)].to_vec()),
        )]
    }),
    ("strange type first", |answer| {
        vec![(
            Duration::ZERO,
            with_list(&answer, |list| {
                [&[0x30, 6, 0x06, 2, 0x2b, 0x06, 0x4f, 0][..], list].concat()
            }),
        )]
    }),
    ("strange type last", |answer| {
        vec![(
            Duration::ZERO,
            with_list(&answer, |list| {
                [list, &[0x30, 6, 0x06, 2, 0x2b, 0x06, 0x4f, 0][..]].concat()
            }),
        )]
    }),
    ("first value again", |answer| {
        vec![(
            Duration::ZERO,
            with_list(&answer, |list| {
                [list, &list[..first_varbind(list)]].concat()
            }),
        )]
    }),
    ("an old value first", |answer| {
        vec![(
            Duration::ZERO,
            with_list(&answer, |list| {
                [
                    &[0x30, 8, 0x06, 4, 0x2b, 0x06, 0x01, 0x01, 0x05, 0][..],
                    list,
                ]
                .concat()
            }),
        )]
    }),
];

#[test]
fn a_fault_at_any_position_leaves_the_scrape_complete() {
    let agent = Agent::with_interfaces(30);
    let whole = run(
        if_mib(),
        &agent,
        (false, false),
        Duration::from_millis(1),
        fine,
    );
    let expected = content(&whole.outcome.table);
    for (name, fault) in FAULTS {
        for position in 0..whole.sent {
            let run = run(
                if_mib(),
                &agent,
                (false, false),
                Duration::from_millis(1),
                |at, answer| {
                    if at == position {
                        fault(answer)
                    } else {
                        vec![(Duration::ZERO, answer)]
                    }
                },
            );
            assert_eq!(run.outcome.failures, [], "{name} at {position}");
            assert!(
                content(&run.outcome.table) == expected,
                "{name} at {position}: {} of {}",
                run.outcome.table.len(),
                expected.len()
            );
        }
    }
}

#[test]
fn a_fault_at_any_position_of_a_later_scrape_leaves_it_complete() {
    let agent = Agent::with_interfaces(40);
    let trip = Duration::from_millis(1);
    let asked = || {
        let questions = Work {
            own: true,
            ..get(&["1.3.6.1.2.1.1.3.0"])
        };
        if_mib().into_iter().chain([questions])
    };
    let first = run(asked().collect(), &agent, (false, false), trip, fine);
    let expected = content(&first.outcome.table);
    let known = || {
        (
            first.outcome.pace.clone(),
            Sizes::of(&first.outcome.table, false),
        )
    };
    let later = run_known(
        asked().collect(),
        &agent,
        (false, false),
        known(),
        trip,
        fine,
    );
    for (name, fault) in FAULTS {
        for lasts in [false, true] {
            for position in (0..later.sent).step_by(if lasts { 7 } else { 1 }) {
                let run = run_known(
                    asked().collect(),
                    &agent,
                    (false, false),
                    known(),
                    trip,
                    |at, answer| {
                        if at == position || (lasts && at > position) {
                            fault(answer)
                        } else {
                            vec![(Duration::ZERO, answer)]
                        }
                    },
                );
                let complete = content(&run.outcome.table) == expected;
                assert!(
                    complete || (lasts && !run.outcome.failures.is_empty()),
                    "{name} at {position}, lasting {lasts}: {} of {}, {:?}",
                    run.outcome.table.len(),
                    expected.len(),
                    run.outcome.failures
                );
            }
        }
    }
}

#[test]
fn a_fault_that_stays_leaves_the_scrape_complete_or_names_a_reason() {
    let agent = Agent::with_interfaces(30);
    let expected = content(
        &run(
            if_mib(),
            &agent,
            (false, false),
            Duration::from_millis(1),
            fine,
        )
        .outcome
        .table,
    );
    for strict in [false, true] {
        for (name, fault) in FAULTS {
            for position in [0, 1, 5, 17] {
                let run = run(
                    if_mib(),
                    &agent,
                    (false, strict),
                    Duration::from_millis(1),
                    |at, answer| {
                        if at >= position {
                            fault(answer)
                        } else {
                            vec![(Duration::ZERO, answer)]
                        }
                    },
                );
                let complete = content(&run.outcome.table) == expected;
                assert!(
                    complete || !run.outcome.failures.is_empty(),
                    "{name} from {position}: silently short"
                );
                assert!(
                    run.elapsed <= Duration::from_secs(60),
                    "{name} from {position}: {:?}",
                    run.elapsed
                );
            }
        }
    }
}

#[test]
fn lasting_faults_have_their_reasons() {
    let agent = Agent::with_interfaces(3);
    for (name, reason) in [
        ("too big", Reason::TooBig),
        ("genErr", Reason::GenErr),
        ("authorizationError", Reason::Authorization),
        ("empty", Reason::BadAnswer),
        ("strange type first", Reason::Decode),
        ("an old value first", Reason::NonIncreasing),
        ("dropped", Reason::Timeout),
    ] {
        let (_, fault) = FAULTS.iter().find(|(other, _)| *other == name).unwrap();
        let works = vec![walk("1.3.6.1.2.1.2.2.1.2", &["1.3.6.1.2.1.2.2.1.2"])];
        let run = run(
            works,
            &agent,
            (false, false),
            Duration::ZERO,
            |_, answer| fault(answer),
        );
        assert_eq!(
            run.outcome.failures,
            [Failure { work: 0, reason }],
            "{name}"
        );
    }
}

#[test]
fn non_increasing_identifiers_pass_where_the_module_allows_them() {
    let objects = ["1.3.1.1", "1.3.1.2", "1.3.1.3", "1.3.2.0"]
        .map(|oid| (oid.parse().unwrap(), vec![2, 1, 7]));
    let agent = Agent::new(objects.into());
    let swap = |_: usize, answer: Vec<u8>| {
        vec![(
            Duration::ZERO,
            with_list(&answer, |list| {
                let size = first_varbind(list);
                if list.len() < 3 * size {
                    list.to_vec()
                } else {
                    [&list[size..2 * size], &list[..size], &list[2 * size..]].concat()
                }
            }),
        )]
    };
    let mut work = walk("1.3.1", &["1.3.1"]);
    work.params.allow_nonincreasing = true;
    let run = run(vec![work], &agent, (false, true), Duration::ZERO, swap);
    assert_eq!(
        (run.outcome.failures.len(), run.outcome.table.len()),
        (0, 3)
    );
    // Where the module does not, asking for one at a time heals what only GETBULK gets wrong.
    let healed = super::tests::run(
        vec![walk("1.3.1", &["1.3.1"])],
        &agent,
        (false, false),
        Duration::ZERO,
        swap,
    );
    assert_eq!(
        (healed.outcome.failures.len(), healed.outcome.table.len()),
        (0, 3)
    );
}

#[test]
fn gets_drop_what_the_agent_lacks_and_split_when_too_big() {
    let mut agent = Agent::with_interfaces(60);
    let names: Vec<String> = (1..=60)
        .map(|index| format!("1.3.6.1.2.1.31.1.1.1.18.{index}"))
        .chain(["1.3.6.1.2.1.1.99.0".to_owned()])
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    agent.largest = 300;
    let run = run(
        vec![get(&names)],
        &agent,
        (false, false),
        Duration::ZERO,
        fine,
    );
    assert_eq!(
        (run.outcome.failures.len(), run.outcome.table.len()),
        (0, 60)
    );
}

#[test]
fn more_than_may_be_kept_ends_the_scrape() {
    let now = Instant::now();
    let limits = Limits {
        deadline: now + Duration::from_secs(9),
        v1: false,
        strict: false,
    };
    let agent = Agent::with_interfaces(50);
    let budget = crate::budget::Budget::new(400);
    let mut scrape = Scrape::new(if_mib(), limits, Pace::default()).within(budget.claim());
    let outgoing = scrape.poll(now).unwrap();
    let oids: Vec<&[u32]> = outgoing.oids.iter().map(Vec::as_slice).collect();
    let answer = agent
        .answer(&message(
            2,
            b"public",
            outgoing.operation,
            outgoing.id,
            &oids,
        ))
        .unwrap();
    let Ok(Message::Community { pdu, .. }) = read_message(&answer) else {
        unreachable!("our own agent")
    };
    scrape.reply(&read_pdu(pdu).unwrap(), answer.len(), now);
    assert!(scrape.done());
    assert!(scrape.finish().failures.contains(&Failure {
        work: 0,
        reason: Reason::TooLarge
    }));
}
