//! Header truth over a corpus: each form of `testdata/corpus/forms.txt` with many values in its places. The truth comes
//! from the values that were put in, never from what was read.

use std::collections::BTreeMap;
use std::path::Path;

use super::parse;
use super::tests::describe;

/// Lines made of each form.
const ROUNDS: u64 = 25;

/// A small generator whose numbers are the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const HOSTS: [&str; 12] = [
    "r1",
    "core-sw-01",
    "pe1-re0",
    "fw1.example.net",
    "SW_ACC_3",
    "192.0.2.77",
    "leaf12",
    "DC1-SPINE-02",
    "ap7",
    "edge.lon.example.org",
    "x",
    "sw-3.lab",
];
const PROCESSES: [&str; 10] = [
    "rpd",
    "mgd",
    "ifmgr",
    "authmgr",
    "hpe-restd",
    "tmsh",
    "Ebra",
    "chassisd",
    "SSHD",
    "ospf6d",
];
const TEXTS: [&str; 10] = [
    "Interface GigabitEthernet0/1, changed state to down",
    "neighbor 192.0.2.2 Down: hold time expired",
    "User admin logged in from 198.51.100.4 by ssh",
    "power supply 2 failed at 10:42:11",
    "a message with a colon: and [brackets] (and more)",
    "1.2.3.4 is not reachable",
    "configured from console by op on vty0",
    "temperature 71 C is above the threshold 65 C",
    "key=value other=\"quoted words\"",
    "Grüße aus dem Rechenzentrum",
];

fn values(numbers: &mut Numbers) -> BTreeMap<String, String> {
    let (month, day) = (numbers.below(12), numbers.below(28) + 1);
    let (hour, minute, second) = (numbers.below(24), numbers.below(60), numbers.below(60));
    let (priority, inner) = (numbers.below(192), numbers.below(192));
    let (zone, minutes) = [
        ("+02:00", "+120"),
        ("-05:00", "-300"),
        ("Z", "+0"),
        ("+05:30", "+330"),
    ][numbers.below(4) as usize];
    let pairs: [(&str, String); 26] = [
        ("pri", priority.to_string()),
        ("sev", (priority % 8).to_string()),
        ("pri2", inner.to_string()),
        ("sev2", (inner % 8).to_string()),
        ("Mon", MONTHS[month as usize].to_owned()),
        ("mm", format!("{:02}", month + 1)),
        ("m1", (month + 1).to_string()),
        ("d_", format!("{day:>2}")),
        ("d0", format!("{day:02}")),
        ("dd", format!("{day:02}")),
        ("d", day.to_string()),
        ("Y", (2019 + numbers.below(12)).to_string()),
        ("hms", format!("{hour:02}:{minute:02}:{second:02}")),
        ("ms", format!("{:03}", numbers.below(1_000))),
        ("tz", zone.to_owned()),
        ("tzm", minutes.to_owned()),
        (
            "epoch",
            (1_700_000_000 + numbers.below(100_000_000)).to_string(),
        ),
        ("host", numbers.of(&HOSTS).to_owned()),
        ("ip", format!("192.0.2.{}", numbers.below(254) + 1)),
        ("proc", numbers.of(&PROCESSES).to_owned()),
        ("pid", (numbers.below(60_000) + 2).to_string()),
        ("seq", (numbers.below(900_000) + 10).to_string()),
        ("seq2", (numbers.below(900) + 100).to_string()),
        ("n", (numbers.below(9) + 1).to_string()),
        ("n3", (numbers.below(899) + 100).to_string()),
        ("text", numbers.of(&TEXTS).to_owned()),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn fill(template: &str, values: &mut BTreeMap<String, String>, numbers: &mut Numbers) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').unwrap();
        text.push_str(before);
        let value = match name.split_once(':') {
            Some((name, choices)) => {
                let all: Vec<&str> = choices.split('|').collect();
                let value = numbers.of(&all).to_owned();
                values.insert(name.to_owned(), value.clone());
                value
            }
            None => values
                .get(name)
                .unwrap_or_else(|| panic!("no place {name}"))
                .clone(),
        };
        text.push_str(&value);
        rest = after;
    }
    text + rest
}

#[test]
fn headers_are_true_but_for_what_is_known() {
    truth("forms.txt");
}

/// Written after the reader was finished.
#[test]
fn headers_of_devices_that_nobody_had_in_mind_are_true_but_for_what_is_known() {
    truth("more.txt");
}

/// Forms of sample logs that others keep, written while the reader was frozen.
#[test]
fn headers_of_forms_of_others_samples_are_true_but_for_what_is_known() {
    truth("samples.txt");
}

/// The same once more, after what the samples showed was mended.
#[test]
fn headers_of_forms_of_further_devices_are_true_but_for_what_is_known() {
    truth("further.txt");
}

/// Every field of every line is right, but for the misreadings that `tests/golden/misread-FILE` lists: one more, and one less, is said.
fn truth(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/corpus")
        .join(file);
    let forms = std::fs::read_to_string(path).unwrap();
    let mut numbers = Numbers(20_261_122);
    let (mut lines, mut whole, mut fields, mut right) = (0u32, 0u32, 0u32, 0u32);
    let mut wrong: BTreeMap<String, (u32, String)> = BTreeMap::new();
    let mut form = None;
    for line in forms.lines() {
        if let Some(template) = line.strip_prefix("> ") {
            form = Some(template.replace("\\uFEFF", "\u{feff}"));
        } else if let (Some(template), true) = (&form, line.contains('=') && !line.starts_with('#'))
        {
            for _ in 0..ROUNDS {
                let mut values = values(&mut numbers);
                let sent = fill(template, &mut values, &mut numbers);
                let header = parse(&sent);
                lines += 1;
                let mut good = true;
                for field in line.split('\t') {
                    let (name, expected) = field.split_once('=').unwrap();
                    let expected = fill(expected, &mut values, &mut numbers);
                    let found = describe(&header, name);
                    fields += 1;
                    if found == expected {
                        right += 1;
                    } else {
                        good = false;
                        let entry = wrong.entry(format!("{name} of {template}")).or_default();
                        entry.0 += 1;
                        entry.1 = format!("expected {expected:?}, found {found:?} in {sent}");
                    }
                }
                whole += u32::from(good);
            }
            form = None;
        }
    }
    println!("{file}: {lines} lines, {whole} right; {fields} fields, {right} right");
    assert!(lines >= 1_000, "{lines}");
    let list: String = wrong
        .iter()
        .map(|(what, (count, last))| format!("{count} of {ROUNDS}: {what}\n    {last}\n"))
        .collect();
    testkit::Golden::new("", env!("CARGO_MANIFEST_DIR")).holds(&format!("misread-{file}"), &list);
}
