use proptest::prelude::*;

use super::*;

const CONFIG: &str = "Building configuration...\r\n\r\nhostname r1\r\n!\r\ninterface eth0\r\n ip address 198.18.0.1/30\r\n!\r\nend\r\n";

fn driver() -> std::sync::Arc<Driver> {
    Driver::load("ios").unwrap()
}

/// What a device writes from the command on: echo, answer, prompt, and the answer to the empty line.
fn stream(answer: &str) -> String {
    format!("show running-config\r\n{answer}r1#\r\nr1#")
}

/// Feeds the pieces; the device never waits for the empty line here, since it stands in the stream already.
fn told(driver: &Driver, pieces: &[&[u8]]) -> Option<(Vec<String>, bool)> {
    let prompt = Prompt::learned(b"r1#", driver);
    let mut exchange = Exchange::new(driver, &prompt, "show running-config", false, 1 << 20);
    let mut done = false;
    for piece in pieces {
        done = exchange.push(piece).unwrap() == Step::Done;
    }
    done.then(|| exchange.finish())
}

#[test]
fn answer_stands_between_echo_and_prompt() {
    let driver = driver();
    let text = format!("r1#\r\nr1#{}", stream(CONFIG));
    let prompt = Prompt::learned(b"r1#", &driver);
    let mut exchange = Exchange::new(&driver, &prompt, "show running-config", false, 1 << 20);
    // Prompts left over from before end nothing.
    assert_eq!(exchange.push(b"r1#\r\nr1#").unwrap(), Step::Wait);
    let first = text.strip_suffix("\r\nr1#").unwrap();
    assert_eq!(exchange.push(&first.as_bytes()[8..]).unwrap(), Step::Ask);
    assert_eq!(exchange.push(b"\r\nr1#").unwrap(), Step::Done);
    let (lines, spoilt) = exchange.finish();
    assert!(!spoilt);
    assert_eq!(lines.first().unwrap(), "Building configuration...");
    assert_eq!(lines.last().unwrap(), "end");
}

#[test]
fn text_that_imitates_the_prompt_ends_nothing() {
    let driver = driver();
    let prompt = Prompt::learned(b"r1#", &driver);
    let mut exchange = Exchange::new(&driver, &prompt, "show running-config", false, 1 << 20);
    assert_eq!(
        exchange
            .push(b"show running-config\r\nbanner motd ^C\r\nr1#")
            .unwrap(),
        Step::Ask
    );
    assert_eq!(
        exchange
            .push(b"\r\nyou are on r1#\r\n^C\r\nend\r\nr1#")
            .unwrap(),
        Step::Ask
    );
    // The empty line from before is answered now.
    assert_eq!(exchange.push(b"\r\nr1#").unwrap(), Step::Done);
    let (lines, _) = exchange.finish();
    assert_eq!(
        lines,
        ["banner motd ^C", "r1#", "you are on r1#", "^C", "end"]
    );
}

#[test]
fn message_of_the_log_is_left_out_and_one_over_the_prompt_asks_for_it_again() {
    let driver = driver();
    let prompt = Prompt::learned(b"r1#", &driver);
    let mut exchange = Exchange::new(&driver, &prompt, "show clock", false, 1 << 20);
    let log = "*Mar  1 00:10:02.123: %SYS-5-CONFIG_I: Configured from console by alice on vty0";
    exchange
        .push(format!("r1#show clock\r\n{log}\r\n10:00\r\nr1#{log}\r\n").as_bytes())
        .unwrap();
    let mut exchange = Exchange::new(&driver, &prompt, "show clock", false, 1 << 20);
    let step = exchange
        .push(format!("r1#show clock\r\n{log}\r\n10:00\r\n{log}\r\n").as_bytes())
        .unwrap();
    assert_eq!(step, Step::Wait);
    assert_eq!(exchange.nudge(), Step::Ask);
    assert_eq!(exchange.nudge(), Step::Wait);
    assert_eq!(exchange.push(b"\r\nr1#").unwrap(), Step::Ask);
    assert_eq!(exchange.push(b"\r\nr1#").unwrap(), Step::Done);
    assert_eq!(exchange.finish().0, ["10:00"]);
}

#[test]
fn nothing_is_sent_to_a_question() {
    let driver = driver();
    let prompt = Prompt::learned(b"r1#", &driver);
    let mut exchange = Exchange::new(&driver, &prompt, "reload", false, 1 << 20);
    assert_eq!(
        exchange
            .push(b"r1#reload\r\nProceed with reload? [confirm]")
            .unwrap(),
        Step::Wait
    );
    assert_eq!(exchange.nudge(), Step::Wait);
}

#[test]
fn answer_larger_than_its_bound_is_refused() {
    let driver = driver();
    let prompt = Prompt::learned(b"r1#", &driver);
    let mut exchange = Exchange::new(&driver, &prompt, "show tech", false, 1000);
    assert!(matches!(
        exchange.push(&[b'x'; 1001]),
        Err(Error::TooLarge { most: 1000 })
    ));
}

#[test]
fn configuration_that_is_cut_anywhere_is_never_whole() {
    let driver = driver();
    let whole = stream(CONFIG);
    for cut in 0..whole.len() {
        let told = told(&driver, &[&whole.as_bytes()[..cut]]);
        let looks_whole =
            told.is_some_and(|(lines, _)| lines.last().is_some_and(|line| line == "end"));
        assert!(!looks_whole, "cut at {cut}");
    }
    // The empty line has been sent once the first prompt was there.
    let at = whole.len() - 5;
    let told = told(&driver, &[&whole.as_bytes()[..at], &whole.as_bytes()[at..]]);
    assert_eq!(told.unwrap().0.last().unwrap(), "end");
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same_answer(cuts in proptest::collection::vec(1usize..60, 0..12)) {
        let driver = driver();
        let whole = stream(CONFIG);
        let (body, tail) = whole.as_bytes().split_at(whole.len() - 5);
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut rest = body;
        for cut in cuts {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        pieces.push(rest);
        pieces.push(tail);
        let (lines, spoilt) = told(&driver, &pieces).unwrap();
        prop_assert!(!spoilt);
        prop_assert_eq!(lines.len(), 8);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let driver = driver();
        let _ = told(&driver, &[b"show running-config\r\n", &bytes]);
    }
}
