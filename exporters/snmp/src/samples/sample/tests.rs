use std::path::Path;

use super::*;
use crate::config::{Options, parse};
use crate::value::Raw;

/// Renders one module, given as YAML, over the values of an agent.
fn rendered(metrics: &str, values: &[(&str, Raw<'_>)]) -> Rendered {
    let text =
        format!("auths: {{a: {{}}}}\nmodules:\n  m:\n    walk: [1.3]\n    metrics:\n{metrics}");
    let config = parse(&text, Path::new("test.yml"), Options::default()).unwrap();
    let module = &config.modules["m"];
    let plan = Plan::new(module);
    let mut table = Table::new(plan.wanted().to_vec());
    for (oid, value) in values {
        table
            .insert(oid.parse::<Oid>().unwrap().ids(), *value)
            .unwrap();
    }
    table.sort();
    let scope = Scope::new([Oid::new([1, 3])]);
    render(
        &[View {
            name: "m",
            module,
            plan: &plan,
            scope: &scope,
        }],
        &table,
        Style {
            wrap: true,
            ..Style::default()
        },
        crate::budget::Budget::new(1 << 20).claim(),
    )
}

fn metric(kind: &str, rest: &str) -> String {
    format!("    - {{name: m, oid: 1.3.1, type: {kind}, help: h, {rest}}}\n")
}

fn written(out: Rendered) -> String {
    String::from_utf8(out.page.finish()).unwrap()
}

/// The samples alone.
fn samples(metrics: &str, values: &[(&str, Raw<'_>)]) -> Vec<String> {
    let out = rendered(metrics, values);
    assert_eq!(out.faults, []);
    written(out)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

const INDEX: &str = "indexes: [{labelname: i, type: gauge}]";

#[test]
fn numbers_scale_wrap_and_default_to_zero() {
    let cases: [(&str, &str, Raw<'_>, &str); 12] = [
        ("gauge", "", Raw::Integer(-5), "m -5"),
        ("counter", "", Raw::Counter64((1 << 53) + 7), "m 7"),
        ("gauge", "scale: 0.1, offset: 2", Raw::Unsigned(15), "m 3.5"),
        ("gauge", "scale: 0, offset: -1", Raw::Unsigned(15), "m 14"),
        ("gauge", "", Raw::Octets(b"77"), "m 0"),
        ("gauge", "", Raw::Null, "m 0"),
        (
            "gauge",
            "",
            Raw::Ip(std::net::IpAddr::from([1, 2, 3, 4])),
            "m 0",
        ),
        ("Float", "", Raw::Float(1.5), "m 1.5"),
        ("Double", "", Raw::Double(1e300), "m 1e+300"),
        ("gauge", "", Raw::Float(0.1), "m 0.10000000149011612"),
        (
            "DateAndTime",
            "",
            Raw::Octets(&[7, 226, 1, 2, 3, 4, 5, 6]),
            "m 1.514862245e+09",
        ),
        (
            "NTPTimeStamp",
            "",
            Raw::Octets(&[0x83, 0xaa, 0x7e, 0x80, 0, 0, 0, 0]),
            "m 0",
        ),
    ];
    for (kind, rest, value, line) in cases {
        assert_eq!(
            samples(&metric(kind, rest), &[("1.3.1.0", value)]),
            [line],
            "{kind} {rest}"
        );
    }
}

#[test]
fn times_that_cannot_be_read_are_dropped_without_a_family() {
    for kind in ["DateAndTime", "NTPTimeStamp", "ParseDateAndTime"] {
        assert_eq!(
            written(rendered(
                &metric(kind, "datetime_pattern: '%Y'"),
                &[("1.3.1.0", Raw::Octets(b"bad"))]
            )),
            ""
        );
    }
    assert_eq!(
        samples(
            &metric("ParseDateAndTime", "datetime_pattern: '%b %d %Y'"),
            &[("1.3.1.0", Raw::Octets(b"Jan 02 2024"))]
        ),
        ["m 1.7041536e+09"]
    );
}

#[test]
fn text_becomes_a_label_unless_the_name_is_taken() {
    assert_eq!(
        samples(
            &metric("DisplayString", INDEX),
            &[("1.3.1.7", Raw::Octets(b"a\"\xff"))]
        ),
        ["m{i=\"7\",m=\"a\\\"\u{fffd}\"} 1"]
    );
    let taken = "indexes: [{labelname: m, type: gauge}]";
    assert_eq!(
        samples(
            &metric("DisplayString", taken),
            &[("1.3.1.7", Raw::Octets(b"a"))]
        ),
        ["m{m=\"7\"} 1"]
    );
    assert_eq!(
        samples(
            &metric("DisplayString", ""),
            &[("1.3.1.0", Raw::Oid(&[0x2b, 6, 1]))]
        ),
        ["m{m=\"1.3.6.1\"} 1"]
    );
    assert_eq!(
        samples(
            &metric("PhysAddress48", "indexes: [{labelname: z, type: gauge}]"),
            &[("1.3.1.7", Raw::Octets(&[1, 2, 3, 4, 5, 6]))]
        ),
        ["m{m=\"01:02:03:04:05:06\",z=\"7\"} 1"]
    );
}

#[test]
fn enumerations_become_info_or_states() {
    let names = "enum_values: {1: up, 2: down}";
    assert_eq!(
        samples(
            &metric("EnumAsInfo", names),
            &[("1.3.1.0", Raw::Integer(2))]
        ),
        ["m_info{m=\"down\"} 1"]
    );
    assert_eq!(
        samples(
            &metric("EnumAsInfo", names),
            &[("1.3.1.0", Raw::Integer(9))]
        ),
        ["m_info{m=\"9\"} 1"]
    );
    assert_eq!(
        samples(
            &metric("EnumAsStateSet", names),
            &[("1.3.1.0", Raw::Integer(1))]
        ),
        ["m{m=\"down\"} 0", "m{m=\"up\"} 1"]
    );
    assert_eq!(
        samples(
            &metric("EnumAsStateSet", names),
            &[("1.3.1.0", Raw::Integer(9))]
        ),
        ["m{m=\"9\"} 1", "m{m=\"down\"} 0", "m{m=\"up\"} 0"]
    );
    let taken =
        "enum_values: {1: up}, indexes: [{labelname: m, type: EnumAsInfo, enum_values: {1: up}}]";
    assert_eq!(
        written(rendered(
            &metric("EnumAsInfo", taken),
            &[("1.3.1.1", Raw::Integer(1))]
        )),
        ""
    );
}

#[test]
fn bits_count_from_the_most_significant() {
    let names = "enum_values: {0: a, 7: b, 8: c}";
    assert_eq!(
        samples(&metric("Bits", names), &[("1.3.1.0", Raw::Octets(&[0x81]))]),
        ["m{m=\"a\"} 1", "m{m=\"b\"} 1", "m{m=\"c\"} 0"]
    );
    let out = rendered(&metric("Bits", names), &[("1.3.1.0", Raw::Integer(3))]);
    assert_eq!((out.series, out.faults[0].reason), (0, "bad_type"));
}

#[test]
fn extracts_give_one_family_a_suffix() {
    let rest = "scale: 10, regex_extracts: {A: [{regex: '(\\d+) C'}, {regex: '.*'}], B: [{regex: '.*C', value: 5}]}";
    assert_eq!(
        samples(
            &metric("DisplayString", rest),
            &[("1.3.1.0", Raw::Octets(b"35 C"))]
        ),
        ["mA 350", "mB 50"]
    );
    assert_eq!(
        written(rendered(
            &metric("DisplayString", rest),
            &[("1.3.1.0", Raw::Octets(b"x"))]
        )),
        ""
    );
}

#[test]
fn combined_types_read_the_column_before() {
    let before = "    - {name: t, oid: 1.3.0, type: gauge, help: h}\n";
    for (kind, subtype, octets, text) in [
        ("InetAddress", 1, &[198u8, 18, 0, 1][..], "198.18.0.1"),
        ("InetAddress", 9, &[198, 18], "0xC612"),
        ("LldpPortId", 5, b"eth0", "eth0"),
        ("LldpPortId", 3, &[1, 2, 3, 4, 5, 6], "01:02:03:04:05:06"),
    ] {
        let lines = samples(
            &format!("{before}{}", metric(kind, "")),
            &[
                ("1.3.0.0", Raw::Integer(subtype)),
                ("1.3.1.0", Raw::Octets(octets)),
            ],
        );
        assert_eq!(lines[0], format!("m{{m=\"{text}\"}} 1"));
    }
    assert_eq!(
        samples(
            &metric("InetAddress", ""),
            &[("1.3.1.0", Raw::Octets(&[1]))]
        ),
        ["m{m=\"0x01\"} 1"]
    );
}

#[test]
fn lookups_chain_miss_and_delete() {
    let rest = "indexes: [{labelname: i, type: gauge}, {labelname: j, type: DisplayString, implied: true}], lookups: [\
        {labels: [i], labelname: peer, oid: 1.3.5, type: gauge}, {labels: [peer], labelname: name, oid: 1.3.6, type: DisplayString}, \
        {labels: [i], labelname: state, oid: 1.3.7, type: EnumAsInfo, enum_values: {1: up}}, {labels: [nothing], labelname: lost, oid: 1.3.6}, \
        {labels: [i], labelname: missed, oid: 1.3.9}, {labels: [], labelname: j}]";
    let values = [
        ("1.3.1.7.65", Raw::Integer(1)),
        ("1.3.5.7", Raw::Integer(3)),
        ("1.3.6.3", Raw::Octets(b"three")),
        ("1.3.7.7", Raw::Integer(1)),
    ];
    assert_eq!(
        samples(&metric("gauge", rest), &values),
        ["m{i=\"7\",lost=\"\",missed=\"\",name=\"three\",peer=\"3\",state=\"up\"} 1"]
    );
}

#[test]
fn a_string_chains_as_zero_and_a_hint_shapes_a_lookup() {
    let rest = "indexes: [{labelname: i, type: gauge}], lookups: [{labels: [i], labelname: a, oid: 1.3.5, display_hint: '1d.'}, \
        {labels: [a], labelname: b, oid: 1.3.6, type: DisplayString}]";
    let values = [
        ("1.3.1.7", Raw::Integer(1)),
        ("1.3.5.7", Raw::Octets(&[1, 2])),
        ("1.3.6.0", Raw::Octets(b"zero")),
    ];
    assert_eq!(
        samples(&metric("gauge", rest), &values),
        ["m{a=\"1.2\",b=\"zero\",i=\"7\"} 1"]
    );
}

#[test]
fn the_shortest_metric_on_the_path_wins() {
    let metrics = "    - {name: a, oid: 1.3.1, type: gauge, help: h}\n    - {name: b, oid: 1.3.1.5, type: gauge, help: h}\n    \
        - {name: c, oid: 1.3.2, type: gauge, help: h}\n    - {name: d, oid: 1.3.2, type: gauge, help: h}\n";
    assert_eq!(
        samples(
            metrics,
            &[("1.3.1.5.0", Raw::Integer(1)), ("1.3.2.0", Raw::Integer(2))]
        ),
        ["a 1", "d 2"]
    );
}

#[test]
fn a_repeated_series_is_dropped_and_reported() {
    let rest = "indexes: [{labelname: i, type: gauge}], lookups: [{labels: [], labelname: i}]";
    let out = rendered(
        &metric("gauge", rest),
        &[("1.3.1.1", Raw::Integer(1)), ("1.3.1.2", Raw::Integer(2))],
    );
    assert_eq!(
        (out.series, out.faults.len(), out.faults[0].reason),
        (1, 1, "duplicate")
    );
}

#[test]
fn families_and_series_come_sorted_with_their_heads() {
    let metrics = format!(
        "    - {{name: z, oid: 1.3.2, type: counter, help: \"a\\\\b\\nc\", {INDEX}}}\n{}",
        metric("gauge", INDEX)
    );
    let values = [
        ("1.3.1.10", Raw::Integer(1)),
        ("1.3.1.9", Raw::Integer(2)),
        ("1.3.2.1", Raw::Unsigned(3)),
    ];
    let expected = "# HELP m h\n# TYPE m gauge\nm{i=\"10\"} 1\nm{i=\"9\"} 2\n# HELP z a\\\\b\\nc\n# TYPE z counter\nz{i=\"1\"} 3\n";
    assert_eq!(written(rendered(&metrics, &values)), expected);
}
