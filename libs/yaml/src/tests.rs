use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const STRICT: Rules = Rules {
    quotes: true,
    lenient: false,
    ..Rules::CONFIGURATION
};

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Example {
    name: String,
    devices: Vec<Device>,
    ratio: f64,
    many: BTreeMap<i64, String>,
    how: How,
    #[serde(deserialize_with = "even")]
    even: u8,
}

fn even<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    let number = u8::deserialize(from)?;
    if number.is_multiple_of(2) {
        Ok(number)
    } else {
        Err(serde::de::Error::custom("expected an even number"))
    }
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Device {
    address: Option<IpAddr>,
    port: u16,
    on: bool,
    note: Option<String>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum How {
    #[default]
    Fast,
    Every(u8),
    Between {
        least: u8,
    },
}

fn errors(text: &str, rules: &Rules) -> Vec<String> {
    let mistakes = parse::<Example>(text, rules).unwrap_err();
    mistakes.iter().map(ToString::to_string).collect()
}

fn good(text: &str) -> Example {
    parse(text, &Rules::CONFIGURATION).unwrap()
}

#[test]
fn mistakes_name_line_column_and_path() {
    for (text, expected) in [
        (
            "name: a\ndevices:\n  - on: true\n    port: many\n",
            ":4:11: devices[0].port: expected a whole number from 0 to 65535, found \"many\"",
        ),
        (
            "devices:\n  - adress: b\n",
            ":2:5: devices[0]: unknown key \"adress\"; expected one of address, port, on, note",
        ),
        (
            "name: a\nname: b\n",
            ":2:1: duplicate key \"name\"; expected each once",
        ),
        (
            "devices: [{port: 65536}]",
            ":1:18: devices[0].port: expected a whole number from 0 to 65535, found the number 65536",
        ),
        (
            "devices: 5",
            ":1:10: devices: expected a list, found the number 5",
        ),
        (
            "devices: [5]",
            ":1:11: devices[0]: expected a mapping, found the number 5",
        ),
        ("name: [a]", ":1:7: name: expected a string, found a list"),
        (
            "devices: [{on: yes}]",
            ":1:16: devices[0].on: expected true or false, found \"yes\"",
        ),
        (
            "devices: [{address: 1.2}]",
            ":1:21: devices[0].address: expected an IP address such as 192.0.2.1 or 2001:db8::1",
        ),
        (
            "devices: [{note: }]",
            ":1:16: devices[0].note: expected a string, found nothing",
        ),
        (
            "many: {a: b}",
            ":1:8: many.a: expected a whole number as key",
        ),
        (
            "how: slow",
            ":1:6: how: unknown value \"slow\"; expected one of fast, every, between",
        ),
        (
            "how: {every: x}",
            ":1:14: how.every: expected a whole number from 0 to 255, found \"x\"",
        ),
        (
            "how: {between: {}}",
            ":1:16: how.between: \"least\" is missing",
        ),
        (
            "name: a\n---\nname: b\n",
            ":2:1: a second document begins here; expected one",
        ),
        ("5", ":1:1: expected a mapping, found the number 5"),
    ] {
        assert_eq!(errors(text, &STRICT), [expected], "{text}");
    }
}

#[test]
fn unknown_keys_are_all_named_beside_the_first_wrong_value() {
    let found = errors(
        "nmae: x\ndevices:\n- {port: x, prot: 5}\n- {port: x}\nlst: []\n",
        &STRICT,
    );
    let places: Vec<&str> = found.iter().map(|line| &line[..5]).collect();
    assert_eq!(places, [":1:1:", ":3:10", ":3:13", ":5:1:"], "{found:?}");
}

#[test]
fn what_may_be_a_secret_is_not_repeated() {
    for text in [
        "devices: hunter2",
        "devices: [hunter2]",
        "devices: [{port: hunter2}]",
        "devices: [{on: hunter2}]",
        "how: [hunter2]",
        "ratio: hunter2",
        "name: hunter2\ndevices: 5\n# hunter2\n",
        "name: {hunter2",
    ] {
        let found = errors(text, &Rules::CONFIGURATION).join("\n");
        assert!(!found.contains("hunter2"), "{found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn lenient_reading_takes_what_gos_readers_take() {
    for (text, port, on) in [
        ("devices: [{port: '5', on: yes}]", 5, true),
        ("devices: [{port: 0x10, on: 'on'}]", 16, true),
        ("devices: [{port: 1_000, on: True}]", 1000, true),
        ("devices: [{port: +7, on: n}]", 7, false),
        ("devices: [{port: 010, on: false}]", 10, false),
    ] {
        let device = &good(text).devices[0];
        assert_eq!((device.port, device.on), (port, on), "{text}");
    }
    let octal = Rules {
        octal: true,
        ..Rules::CONFIGURATION
    };
    let eight: Example = parse("devices: [{port: 010}]", &octal).unwrap();
    assert_eq!(eight.devices[0].port, 8);
    assert_eq!(good("name: true").name, "true");
    assert_eq!(good("name: 1.10").name, "1.10");
    assert_eq!(good("name: 007").name, "007");
    assert_eq!(good("devices: [{note: }]").devices[0].note, None);
    assert_eq!(good("many: {1: true, -2: no}").many[&-2], "no");
    assert_eq!(good("ratio: .inf").ratio, f64::INFINITY);
    assert_eq!(good("how: {every: 3}").how, How::Every(3));
    assert_eq!(
        good("how: {between: {least: 2}}").how,
        How::Between { least: 2 }
    );
    assert!(parse::<Example>("ratio: nan", &Rules::CONFIGURATION).is_err());
}

#[test]
fn values_of_any_shape_keep_their_type() {
    let text = "a: [1, -1, 1.5, true, ~, x, 18446744073709551615]";
    let value: serde_json::Value = parse(text, &Rules::CONFIGURATION).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"a": [1, -1, 1.5, true, null, "x", u64::MAX]})
    );
}

#[test]
fn nothing_is_an_empty_mapping() {
    for text in ["", "\n\n", "# a comment\n", "---\n"] {
        assert_eq!(good(text), Example::default(), "{text:?}");
    }
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let row = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{row}]\n"));
    }
    let refused = read(&text, &Rules::CONFIGURATION).unwrap_err();
    assert_eq!(
        refused.message,
        "aliases repeat too much; expected 200000 values at most"
    );
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["[".repeat(100), "- ".repeat(100)] {
        let refused = read(&text, &Rules::CONFIGURATION).unwrap_err();
        assert_eq!(
            refused.message,
            "nested too deep; expected 32 levels at most"
        );
    }
}

#[test]
fn places_are_found_from_paths() {
    let text =
        "name: a\ndevices:\n  - address: b\n  - address: c\n    port: 5\nusers:\n  j.doe: x\n";
    let root = read(text, &Rules::CONFIGURATION).unwrap();
    for (path, line, column) in [
        ("name", 1, 7),
        ("devices[1].port", 5, 11),
        ("devices[1].missing", 4, 5),
        ("users.\"j.doe\"", 7, 10),
        ("nothing", 1, 1),
    ] {
        assert_eq!(root.locate(path), At { line, column }, "{path}");
    }
    assert_eq!(join("users", "j.doe"), "users.\"j.doe\"");
    assert_eq!(join("", "users"), "users");
}

#[test]
fn a_spanned_value_knows_where_it_stands() {
    let text = "a:\n  - one\n  - &x {port: 2}\nb: *x\n";
    #[derive(Deserialize)]
    struct Both {
        a: (Spanned<String>, Spanned<Device>),
        b: Spanned<Device>,
    }
    let both: Both = parse(text, &Rules::CONFIGURATION).unwrap();
    assert_eq!((both.a.0.at.line, both.a.0.at.column), (2, 5));
    assert_eq!(*both.a.0, "one");
    assert_eq!((both.a.1.at.line, both.a.1.port), (3, 2));
    // An alias stands where it is named.
    assert_eq!((both.b.at.line, both.b.port), (4, 2));
}

proptest! {
    #[test]
    fn no_text_panics(text in "[-a-z0-9:{}\\[\\]&*!|>'\"#%@,? \n\t]{0,200}", path in any::<String>()) {
        for rules in [Rules::CONFIGURATION, STRICT] {
            let _ = parse::<Example>(&text, &rules);
            let _ = parse::<serde_json::Value>(&text, &rules);
            if let Ok(root) = read(&text, &rules) {
                let _ = root.locate(&path);
            }
        }
    }
}
