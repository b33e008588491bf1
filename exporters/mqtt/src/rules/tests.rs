use std::path::Path as File;

use proptest::prelude::*;

use super::*;

fn built_in() -> Rules {
    let files = BUILT_IN.map(|(name, text)| (text, File::new(name)));
    Rules::parse(files).unwrap()
}

#[test]
fn the_rules_that_come_along_give_what_their_examples_say() {
    let rules = built_in();
    assert_eq!(
        rules.subscriptions(),
        [
            "tele/+/SENSOR",
            "tele/+/LWT",
            "tele/+/STATE",
            "zigbee2mqtt/+",
            "zigbee2mqtt/+/availability",
            "homeassistant/+/+/config",
            "homeassistant/+/+/+/config"
        ]
    );
    for (name, text) in BUILT_IN {
        let examples = text.matches("\n    samples:").count();
        assert!(examples >= 6, "{name} has too few examples");
    }
}

#[test]
fn announcements_stand_below_the_prefix_that_is_said_and_no_other() {
    let rules = built_in().with_discovery_prefix("house/ha");
    let topics = rules.subscriptions();
    assert_eq!(
        topics[5..],
        ["house/ha/+/+/config", "house/ha/+/+/+/config"]
    );
    let payload = r#"{"stat_t":"a/t","dev_cla":"temperature","unit_of_meas":"°C"}"#;
    let read = |topic| rules.announcement(topic, payload.as_bytes());
    assert!(matches!(
        read("house/ha/sensor/a/config"),
        Some(Announcement::Entities { count: 1, .. })
    ));
    for other in [
        "homeassistant/sensor/a/config",
        "house/haha/sensor/a/config",
        "house/ha/a/b/sensor/a/config",
    ] {
        assert!(read(other).is_none(), "{other}");
    }
}

#[test]
fn a_device_has_no_more_entities_than_are_taken_of_one() {
    let one = |n| format!(r#""s{n}":{{"p":"switch"}}"#);
    let all: Vec<String> = (0..300).map(one).collect();
    let payload = format!(r#"{{"stat_t":"a","cmps":{{{}}}}}"#, all.join(","));
    let read = built_in().announcement("homeassistant/device/a/config", payload.as_bytes());
    let Some(Announcement::Entities { count, rules }) = read else {
        panic!("{read:?}")
    };
    assert_eq!((count, rules.len()), (200, 200));
    for wrong in [
        r#"{"cmps":[1]}"#,
        r#"{"cmps":{"a":1}}"#,
        r#"{"cmps":{"a":{"p":"device","cmps":{}}}}"#,
        "{}",
        "[]",
    ] {
        let read = built_in().announcement("homeassistant/device/a/config", wrong.as_bytes());
        assert!(matches!(read, Some(Announcement::Unused)), "{wrong}");
    }
}

#[test]
fn the_rules_of_the_page_of_documentation_hold_their_examples() {
    let page =
        std::fs::read_to_string(File::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/mqtt.md"))
            .unwrap();
    let blocks: Vec<&str> = page
        .split("```yaml\n")
        .filter(|block| block.starts_with("metrics:"))
        .collect();
    assert_eq!(blocks.len(), 1);
    let text = blocks[0].split("```").next().unwrap();
    Rules::parse([(text, File::new("docs/mqtt.md"))]).unwrap();
}

const ONE: &str = "\
metrics: {room_celsius: {help: Temperature.}}
rules: [{topic: 'room/{sensor}', values: [{metric: room_celsius}]}]
";

fn error(text: &str) -> String {
    Rules::parse([(text, File::new("x.yaml"))])
        .unwrap_err()
        .to_string()
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (from, to, expected) in [
        (
            "room_celsius: {h",
            "9: {h",
            "metrics.9: expected a name of letters",
        ),
        (
            "room_celsius: {h",
            "mqtt_connected: {h",
            "metrics.mqtt_connected: expected another name",
        ),
        (
            "{help: Temperature.}",
            "{help: T., kind: counter}",
            "metrics.room_celsius: expected a name that ends in _total",
        ),
        (
            "room/{sensor}",
            "room/#/x",
            "rules[0].topic: expected a topic such as",
        ),
        (
            "room/{sensor}",
            "room/{site}",
            "rules[0].values[0].labels: \"site\" is no name",
        ),
        (
            "[{metric: room_celsius}]",
            "[{metric: other}]",
            "rules[0].values[0].metric: expected one of metrics, found \"other\"",
        ),
        (
            "[{metric: room_celsius}]",
            "[{metric: room_celsius, divide: 0}]",
            "rules[0].values[0].multiply: expected finite",
        ),
        (
            "[{metric: room_celsius}]",
            "[{metric: room_celsius, path: a..b}]",
            "rules[0].values[0].path: expected keys",
        ),
        (
            "values: [{metric: room_celsius}]",
            "values: []",
            "rules[0].values: expected 1 to",
        ),
        (
            "values:",
            "state: true, stale_after: 1m, values:",
            "rules[0].stale_after: expected none",
        ),
        ("values:", "colour: red, values:", "unknown key \"colour\""),
    ] {
        let text = ONE.replace(from, to);
        assert!(text != ONE, "{from}");
        assert!(error(&text).contains(expected), "{}", error(&text));
    }
    let example = format!(
        "{ONE}examples: [{{topic: room/a, payload: '21', samples: ['room_celsius{{sensor=\"a\"}} 22']}}]"
    );
    assert_eq!(
        error(&example),
        "x.yaml:3:12: examples[0]: the example gives [room_celsius{sensor=\"a\"} 21], not what it says"
    );
}

#[test]
fn values_are_refused_one_by_one_and_the_rest_is_taken() {
    let text = "\
metrics: {room_celsius: {help: T.}, room_humidity_ratio: {help: H.}}
rules:
  - topic: 'room/{sensor}'
    values: [{metric: room_celsius, path: '{part}.T'}, {metric: room_humidity_ratio, path: '{part}.H', divide: 100}]
";
    let rules = Rules::parse([(text, File::new("x"))]).unwrap();
    let matching = rules.matching("room/a");
    let read = |payload: &str| rules.read(&matching, &[], payload.as_bytes(), (false, false));
    let got = read(r#"{"A":{"T":"warm","H":45.5},"B":{"T":null}}"#).unwrap();
    assert_eq!(got.refused, [Refused::NotANumber]);
    let shown: Vec<_> = got
        .samples
        .iter()
        .map(|s| (s.labels.as_str(), s.value))
        .collect();
    assert_eq!(shown, [("sensor=\"a\",part=\"A\"", 0.455)]);

    let long = format!(r#"{{"{}":{{"T":1}},"":{{"T":1}}}}"#, "x".repeat(129));
    assert_eq!(
        read(&long).unwrap().refused,
        [Refused::Label, Refused::Label]
    );
    let many: Vec<String> = (0..300).map(|n| format!(r#""k{n}":{{"T":1}}"#)).collect();
    let many = read(&format!("{{{}}}", many.join(","))).unwrap();
    assert_eq!((many.samples.len(), many.refused.len()), (200, 100));
    assert_eq!(read(r#"{"A":"#), Err(Malformed));
    assert_eq!(
        rules.read(&matching, &[], b"\xff", (false, false)),
        Err(Malformed)
    );
    assert!(rules.matching("hall/a").is_empty());
}

#[test]
fn what_a_broker_had_kept_is_taken_where_it_is_said() {
    let rules = built_in();
    let reading = rules.matching("tele/rack/SENSOR");
    let payload = br#"{"DS18B20":{"Temperature":21.5},"TempUnit":"C"}"#;
    let kept = rules.read(&reading, &[], payload, (true, false)).unwrap();
    assert!(kept.retained && kept.samples.is_empty());
    assert_eq!(
        rules
            .read(&reading, &[], payload, (true, true))
            .unwrap()
            .samples
            .len(),
        1
    );
    let will = rules.matching("tele/rack/LWT");
    let state = rules.read(&will, &[], b"Offline", (true, false)).unwrap();
    assert!(state.samples[0].state && state.samples[0].value == 0.0);
}

proptest! {
    #[test]
    fn no_payload_panics_and_every_value_is_finite(payload in any::<Vec<u8>>(), number in any::<f64>()) {
        let rules = built_in();
        let json = format!("{{\"A\":{{\"Temperature\":{number:?}}},\"TempUnit\":\"F\"}}");
        for (topic, payload) in [("tele/a/SENSOR", &payload[..]), ("zigbee2mqtt/a", &payload), ("tele/a/SENSOR", json.as_bytes())] {
            if let Ok(read) = rules.read(&rules.matching(topic), &[], payload, (false, false)) {
                prop_assert!(read.samples.iter().all(|sample| sample.value.is_finite()));
            }
        }
    }
}
