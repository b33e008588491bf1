use super::*;

fn texts(template: &str, answer: &str) -> Vec<Vec<Value>> {
    let lines: Vec<&str> = answer.lines().collect();
    Template::parse(template).unwrap().records(&lines).unwrap()
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn list(values: &[&str]) -> Value {
    Value::List(values.iter().map(|&value| value.to_owned()).collect())
}

const VERSION: &str = r#"Value VERSION (\S+)
Value Required MODEL ([^\s,]+)
Value List SERIAL (\w+)

Start
  ^System, Version ${VERSION},?
  ^Model ${MODEL}$$
  ^Serial: ${SERIAL} -> Continue
  # A comment.
  ^\s+\{end\}\s*$$ -> Record Done

Done
"#;

#[test]
fn values_of_lines_become_a_record() {
    let answer =
        "System, Version 15.2(4)M6, x\nModel C9200\nSerial: FOC1\nSerial: FOC2\n {end}\nModel X\n";
    assert_eq!(
        texts(VERSION, answer),
        [vec![
            text("15.2(4)M6,"),
            text("C9200"),
            list(&["FOC1", "FOC2"])
        ]]
    );
    assert!(texts(VERSION, "System, Version 1\n {end}\n").is_empty());
}

#[test]
fn filldown_fillup_and_the_end_work_as_in_the_original() {
    let table = "Value Filldown SLOT (\\d+)\nValue Required PORT (\\S+)\nValue Fillup MODE (\\w+)\n\nStart\n  ^Slot ${SLOT}\n  ^port ${PORT}$$ -> Record\n  ^mode ${MODE}\n\nEOF\n";
    assert_eq!(
        texts(
            table,
            "Slot 1\nport a\nport b\nmode x\nSlot 2\nport c\nmode y\nport d\n"
        ),
        [
            vec![text("1"), text("a"), text("x")],
            vec![text("1"), text("b"), text("x")],
            vec![text("2"), text("c"), text("x")],
            vec![text("2"), text("d"), text("y")],
        ]
    );
}

#[test]
fn answer_that_the_template_refuses_is_none() {
    let strict = "Value A (\\d+)\n\nStart\n  ^a ${A} -> Record\n  ^. -> Error \"what is this\"\n";
    let template = Template::parse(strict).unwrap();
    assert!(template.records(&["a 1", "b"]).is_none());
    assert_eq!(template.records(&["a 1"]).unwrap().len(), 1);
}

#[test]
fn mistakes_are_named_with_their_line() {
    for (bad, line) in [
        ("Value A \\d+\n\nStart\n", 1),
        ("Value Odd A (x)\n\nStart\n", 1),
        ("Value A (x)\n\nOther\n  ^${A}\n", 1),
        ("Value A (x)\n\nStart\n  ^${B}\n", 4),
        ("Value A (x)\n\nStart\n  ^${A} -> Continue Other\n", 4),
        ("Value A (x)\n\nStart\n  ^${A} -> Nowhere\n", 4),
        ("Value A (x)\n\nStart\n  ^(${A}\n", 4),
        ("Value A (x)\n\nStart\n  no caret\n", 4),
    ] {
        assert_eq!(Template::parse(bad).unwrap_err().line, line, "{bad}");
    }
}

#[test]
fn patterns_of_python_mean_what_they_mean_there() {
    let line = |value: &str, line: &str| {
        let template = format!("Value A ({value})\n\nStart\n  ^${{A}}$$ -> Record\n");
        let records = texts(&template, line);
        records
            .first()
            .and_then(|record| record[0].first().map(str::to_owned))
    };
    for (value, given) in [
        (r"[[\]a&&~]+", "[a&~]"),
        (r"\<\w+\>", "<x>"),
        (r"{\d{1,2}}", "{12}"),
        (r"[^]]+", "a[b"),
        (r"[]a]+", "]a"),
        (r"a{,4}b", "ab"),
        (r"(?!ab)\w+(?<=[^()\s])+", "ac"),
        (r"(\w)\2", "aa"),
    ] {
        assert_eq!(line(value, given).as_deref(), Some(given), "{value}");
    }
    for (value, given) in [
        (r"a{,4}b", "aaaaab"),
        (r"(?!ab)\w+(?<=[^()\s])+", "abc"),
        (r"(\w)\2", "ab"),
    ] {
        assert_eq!(line(value, given), None, "{value}");
    }
    // Looking around costs a bounded time, whatever stands in the line.
    assert_eq!(line(r"(x+x+)+(?=y)", &"x".repeat(20_000)), None);
}
