use super::*;

#[test]
fn transcript_is_read_as_it_was_written() {
    let recording = Recording {
        platform: "ios".to_owned(),
        login: vec![b"\r\nhi\r\nr1# ".to_vec(), b"\r\nr1# ".to_vec()],
        prompt: "r1# ".to_owned(),
        said: vec![
            Said {
                command: "show clock".to_owned(),
                pieces: vec![
                    b"show clock\r\n a\\b \x1b[7m\xff\x08\r\n".to_vec(),
                    b"r1# ".to_vec(),
                ],
            },
            Said {
                command: "show x".to_owned(),
                pieces: vec![Vec::new()],
            },
        ],
    };
    let text = recording.text();
    assert!(
        text.is_ascii() && text.contains("\n< r1#\\x20\n> show x\n"),
        "{text}"
    );
    assert_eq!(Recording::parse(&text).unwrap(), recording);
    let first = "sotp-ssh-config recording 1\nplatform ios\nprompt r1#\n> a\n< a\\r\\n\n";
    assert_eq!(
        Recording::parse(first).unwrap().login,
        Vec::<Vec<u8>>::new()
    );
    for (bad, line) in [
        ("", 1),
        ("sotp-ssh-config recording 3\nplatform x\n", 1),
        (
            "sotp-ssh-config recording 2\nplatform x\nprompt y\n> a\nlogin\n",
            5,
        ),
        ("sotp-ssh-config recording 1\nplatform x\n", 3),
        (
            "sotp-ssh-config recording 1\nplatform x\nprompt y\n< early\n",
            4,
        ),
        (
            "sotp-ssh-config recording 1\nplatform x\nprompt y\n> a\n< \\q\n",
            5,
        ),
    ] {
        let error = Recording::parse(bad).unwrap_err();
        assert!(
            matches!(error, RecordError::Form(found) if found == line),
            "{bad}: {error}"
        );
    }
}

/// A page of a switch whose pager wipes itself out: the keys that were pressed stay, what stood under it goes.
#[test]
fn secrets_under_a_pager_go_and_the_pager_stays() {
    let driver = crate::Driver::load("ios").unwrap();
    let recording = Recording {
        platform: "ios".to_owned(),
        login: Vec::new(),
        prompt: "core7#".to_owned(),
        said: vec![Said {
            command: "show running-config".to_owned(),
            pieces: vec![
                b"show running-config\r\nhostname core7\r\n --More-- ".to_vec(),
                b"\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08          \x08\x08\x08\x08\x08\x08\x08\x08\x08\x08snmp-server community t0psecretRO RO\r\nip name-server 203.0.113.9\r\nend\r\ncore7#".to_vec(),
                b"\r\ncore7#".to_vec(),
            ],
        }],
    };
    let shown = recording.anonymous(&driver, &[], b"key").unwrap();
    assert_eq!(shown.prompt, "r1#");
    let text = shown.text();
    for gone in ["core7", "t0psecret", "203.0.113"] {
        assert!(!text.contains(gone), "{text}");
    }
    assert!(
        text.contains("\\x08          \\x08") && text.contains("\n< hostname r1\\r\\n\n"),
        "{text}"
    );
    let answers = shown.replay(&driver).unwrap();
    let lines = &answers[0].1;
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[1].starts_with("snmp-server community ") && lines[1].ends_with(" RO"));
    assert_eq!(
        (lines[0].as_str(), lines[2].as_str()),
        ("hostname r1", "ip name-server 198.18.0.9")
    );
}

/// A secret in the middle of which the cursor jumps cannot be replaced in its place: the line stands without its control characters.
#[test]
fn secret_in_pieces_goes_too() {
    let driver = crate::Driver::load("ios").unwrap();
    let recording = Recording {
        platform: "ios".to_owned(),
        login: Vec::new(),
        prompt: "r1#".to_owned(),
        said: vec![Said {
            command: "show running-config".to_owned(),
            pieces: vec![
                b"show running-config\r\nenable password t0p\x1b[0mSecret\r\nend\r\nr1#".to_vec(),
                b"\r\nr1#".to_vec(),
            ],
        }],
    };
    let text = recording.anonymous(&driver, &[], b"key").unwrap().text();
    assert!(!text.contains("t0p") && !text.contains("Secret"), "{text}");
    assert!(text.contains("\n< enable password "), "{text}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_stand_on_one_line_and_come_back(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let text = escaped(&bytes);
        proptest::prop_assert!(!text.contains(['\n', '\r', '\x1b']) && !text.ends_with(' '));
        proptest::prop_assert_eq!(unescaped(&text), Some(bytes));
    }

    #[test]
    fn any_text_is_a_transcript_or_is_refused(text in "(sotp-ssh-config recording 2\nplatform x\nprompt y\nlogin\n)?([><+] ?[ -~]{0,20}\n){0,6}") {
        let _ = Recording::parse(&text);
    }
}

/// A banner is somebody's own words in whole, and an address in it is none of a known form.
#[test]
fn words_before_the_prompt_go_and_questions_and_prompts_stay() {
    let driver = crate::Driver::load("ios").unwrap();
    let piece = |text: &str| text.as_bytes().to_vec();
    let recording = Recording {
        platform: "ios".to_owned(),
        login: vec![
            piece(
                "\r\nAcme Ltd, Berlin. Call +49 30 555 or noc@acme.example\r\nLast login of carla from 203.0.113.9\r\ncore7>\r\ncore7>",
            ),
            piece("enable\r\nPassword: "),
            piece("\r\ncore7#"),
            piece("\r\ncore7#\r\ncore7#"),
        ],
        prompt: "core7#".to_owned(),
        said: Vec::new(),
    };
    assert!(recording.replays_login(&driver));
    let shown = recording.anonymous(&driver, &[], b"key").unwrap();
    assert!(shown.replays_login(&driver), "{}", shown.text());
    let text = shown.text();
    for gone in [
        "Acme", "Berlin", "555", "noc", "carla", "203.0", "core7", "Call",
    ] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    for there in ["< r1>\\r\\n\n", "+\n< enable\\r\\n\n< Password:"] {
        assert!(text.contains(there), "{there}: {text}");
    }
    assert_eq!(Recording::parse(&text).unwrap(), shown);
    // Without its end it is no login.
    let mut short = shown;
    short.login.pop();
    assert!(!short.replays_login(&driver));
}
