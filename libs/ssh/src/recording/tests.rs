use super::*;

#[test]
fn transcript_is_read_as_it_was_written() {
    let recording = Recording {
        platform: "ios".to_owned(),
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
    for (bad, line) in [
        ("", 1),
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
    fn any_text_is_a_transcript_or_is_refused(text in "(sotp-ssh-config recording 1\nplatform x\nprompt y\n)?([><+] ?[ -~]{0,20}\n){0,6}") {
        let _ = Recording::parse(&text);
    }
}
