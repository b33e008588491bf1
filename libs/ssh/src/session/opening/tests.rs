use super::*;

/// What a device is sent, and what it writes then.
type Dialogue<'a> = &'a [(Say, &'a str)];

fn answer(text: &str) -> Say {
    Say::Answer(text.to_owned())
}

/// Plays a device that writes what stands beside each thing that it is sent; answers the prompt.
fn played(platform: &str, dialogue: Dialogue<'_>) -> Result<Option<String>, Error> {
    let driver = Driver::load(platform).unwrap();
    let mut opening = Opening::new(&driver);
    let mut sent = std::collections::VecDeque::from([Say::Enter]);
    let mut left = dialogue.iter();
    while let Some(say) = sent.pop_front() {
        let Some((wanted, said)) = left.next() else {
            break;
        };
        assert_eq!(say, *wanted, "{platform}");
        let (say, prompt) = opening.push(said.as_bytes())?;
        sent.extend(say);
        if let Some(prompt) = prompt {
            assert_eq!(left.next(), None, "{platform}: it was learned too early");
            return Ok(Some(String::from_utf8_lossy(prompt.text()).into_owned()));
        }
    }
    Ok(None)
}

/// The dialogue of a switch that asks for the secret of privileged mode.
fn enable() -> Vec<(Say, &'static str)> {
    vec![
        (Say::Enter, "\r\nAccess is logged.\r\ncore7>\r\ncore7>"),
        (Say::Command("enable".to_owned()), "enable\r\nPassword: "),
        (Say::Secret, "\r\ncore7#"),
        (Say::Enter, "\r\ncore7#\r\ncore7#"),
    ]
}

#[test]
fn prompt_is_learned_behind_banners_questions_and_the_secret_of_privileged_mode() {
    let enable = enable();
    let cases: [(&str, Dialogue<'_>, &str); 6] = [
        ("ios", &enable, "core7#"),
        (
            "ios",
            &[
                (
                    Say::Enter,
                    "core7 con0 is now available\r\n\r\nPress RETURN to get started!",
                ),
                (answer("\n"), "\r\ncore7#\r\ncore7#"),
            ],
            "core7#",
        ),
        (
            "aoscx",
            &[
                (Say::Enter, "(C) Copyright\r\nPress any key to continue"),
                (answer(" "), "\r\nsw1# \r\nsw1# "),
            ],
            "sw1#",
        ),
        (
            "junos",
            &[(
                Say::Enter,
                "--- JUNOS 21.4R3 ---\r\n{master:0}\r\nbob@mx1> \r\n\r\n{master:0}\r\nbob@mx1> ",
            )],
            "bob@mx1>",
        ),
        (
            "fortios",
            &[(Say::Enter, "fw1 (root) # \r\nfw1 (root) # ")],
            "fw1 (root) #",
        ),
        (
            // Only the first prompt has come when its empty line is answered: one more is sent.
            "frr",
            &[(Say::Enter, "Hello\r\nr1# "), (Say::Enter, "\r\nr1# ")],
            "r1#",
        ),
    ];
    for (platform, dialogue, prompt) in cases {
        let whole = played(platform, dialogue).unwrap();
        assert_eq!(whole.as_deref(), Some(prompt), "{platform}");
    }
}

#[test]
fn no_beginning_of_a_dialogue_gives_a_prompt() {
    let dialogue = enable();
    for step in 0..dialogue.len() {
        let (_, said) = &dialogue[step];
        for cut in 0..said.len() {
            let mut part: Vec<(Say, &str)> = enable().into_iter().take(step + 1).collect();
            part[step].1 = &said[..cut];
            if let Ok(Some(prompt)) = played("ios", &part) {
                panic!("step {step} cut at {cut}: {prompt}");
            }
        }
    }
}

#[test]
fn wrong_secret_is_not_sent_twice_and_a_mode_that_stays_is_refused() {
    let mut wrong = enable();
    wrong[2].1 = "\r\n% Access denied\r\n\r\nPassword: ";
    assert!(matches!(played("ios", &wrong), Err(Error::Privilege)));
    let mut stays = enable();
    stays[1].1 = "enable\r\n% No password set\r\ncore7>";
    stays[2] = (Say::Enter, "\r\ncore7>\r\ncore7>");
    stays.truncate(3);
    assert!(matches!(played("ios", &stays), Err(Error::Privilege)));
}

#[test]
fn banners_without_end_are_given_up() {
    let driver = Driver::load("ios").unwrap();
    let mut opening = Opening::new(&driver);
    let line = [b'x'; 1 << 16];
    let pushed = (0..17).find_map(|_| opening.push(&line).err());
    assert!(matches!(pushed, Some(Error::Prompt { .. })));
}
