use std::path::Path;

use super::*;

/// `testdata/headers/*.txt`: lines of `>` followed by what must be found, one `name=value` per field, separated by tabs.
#[test]
fn every_fixture_is_read_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/headers");
    let mut lines = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut input = None;
        for (number, line) in text.lines().enumerate() {
            if let Some(raw) = line.strip_prefix("> ") {
                input = Some(raw.replace("\\uFEFF", "\u{feff}"));
            } else if let (Some(raw), false) = (&input, line.is_empty() || line.starts_with('#')) {
                lines += 1;
                let header = parse(raw);
                for field in line.split('\t') {
                    let (name, expected) = field.split_once('=').unwrap();
                    let found = describe(&header, name);
                    if found != expected {
                        wrong.push(format!(
                            "{}:{}: {name}: expected {expected:?}, found {found:?} in {raw}",
                            path.file_name().unwrap().display(),
                            number + 1
                        ));
                    }
                }
                input = None;
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(lines > 60, "{lines}");
}

pub(super) fn describe(header: &Header<'_>, name: &str) -> String {
    let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
    match name {
        "host" => text(header.host),
        "relay" => text(header.relay),
        "process" => text(header.process),
        "pid" => text(header.pid),
        "mnemonic" => text(header.mnemonic),
        "message" => header.message.to_owned(),
        "form" => header.form.name().to_owned(),
        "severity" => header.severity().to_string(),
        "sequence" => header.sequence.map_or("-".to_owned(), |s| s.to_string()),
        "time" => match header.time.map(|t| t.clock) {
            None => "-".to_owned(),
            Some(Clock::Uptime(seconds)) => format!("up {seconds}"),
            Some(Clock::Unix(nanoseconds)) => format!("unix {nanoseconds}"),
            Some(Clock::Civil {
                year,
                month,
                day,
                hour,
                minute,
                second,
                offset,
                ..
            }) => {
                let year = year.map_or("????".to_owned(), |y| y.to_string());
                let zone = offset.map_or(String::new(), |o| format!("{:+}", o / 60));
                format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{zone}")
            }
        },
        other => panic!("no field {other}"),
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_and_nothing_of_it_is_lost(text in "\\PC{0,300}") {
        let header = parse(&text);
        proptest::prop_assert!(text.ends_with(header.message));
    }

    #[test]
    fn any_bytes_become_one_text(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let text = crate::text::decode(&bytes);
        let header = parse(&text);
        proptest::prop_assert!(header.severity() < 8);
    }

    #[test]
    fn pieces_of_headers_in_any_order_are_read(parts in proptest::collection::vec(proptest::sample::select(vec![
        "<189>", "1 ", "521: ", "r1: ", "*", "Nov 14 08:30:56", ".699", " UTC", ": ", "%LINK-3-UPDOWN", "sshd[12]: ", "2026-7-23 01:00:34",
        "CEF:0|a|b|", "date=2026-01-01 ", "[x y=\"z\"]", "- ", "\u{feff}", "%%01IF/4/X(l)[", "1w2d: ", "ü", "01/10/2026:01:01:01 ", "1,2026/03/28 05:34:14,00720000,TRAFFIC,",
    ]), 0..14)) {
        let text = parts.concat();
        let header = parse(&text);
        proptest::prop_assert!(header.message.len() <= text.len());
    }
}

#[test]
fn the_year_rolls_over_and_the_zone_may_be_assumed() {
    let at = |text: &str, received: &str, assumed| {
        let (time, _) = time::parse(text).unwrap();
        let received: jiff::Timestamp = received.parse().unwrap();
        let found = time
            .resolve(received.as_nanosecond() as i64, assumed)
            .unwrap();
        jiff::Timestamp::from_nanosecond(i128::from(found))
            .unwrap()
            .to_string()
    };
    assert_eq!(
        at("Dec 31 23:59:58", "2027-01-01T00:00:01Z", 0),
        "2026-12-31T23:59:58Z"
    );
    assert_eq!(
        at("Jan  1 00:00:01", "2026-12-31T23:59:59Z", 0),
        "2027-01-01T00:00:01Z"
    );
    assert_eq!(
        at("Feb 29 12:00:00", "2028-02-29T12:00:00Z", 0),
        "2028-02-29T12:00:00Z"
    );
    assert_eq!(
        at("Jun 21 14:03:12", "2026-06-21T12:03:12Z", 7200),
        "2026-06-21T12:03:12Z"
    );
    assert_eq!(
        at("2026-06-21T14:03:12+02:00", "2026-06-21T12:03:12Z", 0),
        "2026-06-21T12:03:12Z"
    );
}

#[test]
fn an_epoch_beyond_the_calendar_is_no_time() {
    for stamp in ["9999999999.5", "9999999999999"] {
        let line = format!("<13>1 {stamp} r1 app - - - text");
        assert_eq!(parse(&line).time, None, "{line}");
    }
}
