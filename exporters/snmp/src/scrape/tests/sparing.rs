//! A small device that is known is asked with as few requests as its answers need.

use std::fmt::Write as _;

use super::*;

const QUESTIONS: [&str; 2] = ["1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.31.1.5.0"];
const TRIP: Duration = Duration::from_millis(1);

/// An instance that the module wants, the columns of if_mib, and what only we want to know.
fn asked() -> Vec<Work> {
    let questions = Work {
        own: true,
        ..get(&QUESTIONS)
    };
    let name = get(&["1.3.6.1.2.1.1.5.0"]);
    [name]
        .into_iter()
        .chain(if_mib())
        .chain([questions])
        .collect()
}

fn again(
    agent: &Agent,
    before: &Run,
    fault: impl FnMut(usize, Vec<u8>) -> Arrivals,
) -> (usize, Run) {
    let known = (
        before.outcome.pace.clone(),
        Sizes::of(&before.outcome.table, false),
    );
    let run = run_known(asked(), agent, (false, false), known, TRIP, fault);
    assert_eq!(run.outcome.failures, []);
    assert!(!run.outcome.unheard);
    assert_eq!(content(&run.outcome.table), content(&before.outcome.table));
    assert_eq!(content(&run.outcome.own), content(&before.outcome.own));
    (run.sent, run)
}

fn first(agent: &Agent) -> Run {
    let run = run(asked(), agent, (false, false), TRIP, fine);
    assert_eq!(content(&run.outcome.own).len(), QUESTIONS.len());
    run
}

#[test]
fn our_own_questions_go_in_front_of_rows() {
    let agent = Agent::with_interfaces(2);
    assert_eq!(again(&agent, &first(&agent), fine).0, 2);
    // Where the rows fill the frame, they have a request of their own.
    let agent = Agent::with_interfaces(40);
    let mut apart = first(&agent);
    apart.outcome.pace.asked_apart();
    let (alone, _) = again(&agent, &apart, fine);
    let (together, _) = again(&agent, &first(&agent), fine);
    assert!(together <= alone, "{together} of {alone}");
}

#[test]
fn columns_that_a_device_lacks_cost_no_request_of_their_own() {
    let mut text = format!(
        "1.3.6.1.2.1.1.5.0|4|device\n{}|67|1000\n{}|67|10\n",
        QUESTIONS[0], QUESTIONS[1]
    );
    // Every seventh column is missing, and one has a single row.
    for work in if_mib() {
        for (at, column) in work.oids.iter().enumerate().filter(|(at, _)| at % 7 != 3) {
            for row in 1..=if at == 5 { 1 } else { 2 } {
                let _ = writeln!(text, "{column}.{row}|65|{}", 70_000 + at);
            }
        }
    }
    let agent = Agent::from_snmprec(&text).unwrap();
    let (sent, run) = again(&agent, &first(&agent), fine);
    assert_eq!(sent, 2);
    // One of them appears.
    let grown = Agent::from_snmprec(&(text + "1.3.6.1.2.1.2.2.1.4.2|65|7\n")).unwrap();
    let known = (
        run.outcome.pace.clone(),
        Sizes::of(&run.outcome.table, false),
    );
    let run = run_known(asked(), &grown, (false, false), known, TRIP, fine);
    let whole = content(&first(&grown).outcome.table);
    assert_eq!(content(&run.outcome.table), whole);
}

#[test]
fn an_agent_that_answers_them_in_another_way_is_asked_apart() {
    let agent = Agent::with_interfaces(2);
    let cold = first(&agent);
    let questions = content(&cold.outcome.own);
    let shows = |answer: &[u8]| {
        let name = [0x2b, 6, 1, 2, 1, 1, 3, 0];
        answer.windows(name.len()).any(|part| part == name)
    };
    type Spoils = fn(&[u8]) -> Vec<u8>;
    let ways: [(&str, Spoils); 3] = [
        ("left out", |list| list[first_varbind(list)..].to_vec()),
        ("once more for each row", |list| {
            [&list[..first_varbind(list)], list].concat()
        }),
        ("alone", |list| list[..first_varbind(list)].to_vec()),
    ];
    for (way, spoil) in ways {
        let mut spoilt = 0;
        let (_, run) = again(&agent, &cold, |_, answer| {
            // A request for the questions alone is answered well.
            if shows(&answer) && answer.len() > 200 {
                spoilt += 1;
                return vec![(Duration::ZERO, with_list(&answer, spoil))];
            }
            fine(0, answer)
        });
        assert_eq!(spoilt, 1, "{way}");
        assert_eq!(content(&run.outcome.own), questions);
        let (sent, _) = again(&agent, &run, |_, answer| {
            assert!(!shows(&answer) || answer.len() < 200, "{way}");
            fine(0, answer)
        });
        assert_eq!(sent, 3, "{way}");
    }
}

#[test]
fn the_largest_answer_of_an_agent_is_learnt() {
    for largest in [1000, 1400] {
        let mut agent = Agent::with_interfaces(2);
        agent.largest = largest;
        let strict = run(
            vec![walk(IF_MIB[0], &[IF_MIB[0]]), walk(IF_MIB[1], &[IF_MIB[1]])],
            &agent,
            (false, true),
            TRIP,
            fine,
        );
        let mut run = first(&agent);
        for _ in 0..2 {
            run = again(&agent, &run, fine).1;
        }
        let (sent, last) = again(&agent, &run, |_, answer| {
            assert!(answer.len() <= largest);
            fine(0, answer)
        });
        assert_eq!(again(&agent, &last, fine).0, sent);
        assert!(sent <= strict.sent, "{sent} of {}", strict.sent);
        assert!(sent <= 3, "{largest}: {sent}");
    }
}
