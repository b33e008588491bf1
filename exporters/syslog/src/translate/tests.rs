use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::*;
use crate::header;

/// Read once for what is tried often.
static SHARED: LazyLock<Translator> = LazyLock::new(|| Translator::built_in().unwrap());

/// The pairs with another value of one of them: rules of several keys share a fixture.
fn with(text: &str, name: &str, value: &str) -> String {
    let (begins, rest) = text.split_once(&format!(" {name}=")).unwrap();
    let rest = rest.split_once(' ').map_or("", |r| r.1);
    format!("{begins} {name}={value} {rest}")
}

/// Chains of MikroTik's firewall, which stand as a process where a header is in front.
const CHAINS: [&str; 7] = [
    "forward",
    "input",
    "output",
    "prerouting",
    "postrouting",
    "srcnat",
    "dstnat",
];

/// A line with the rule's example in the form that its vendor sends.
fn line(rule: &Rule) -> String {
    lined(rule.vendor, rule.key, rule.example)
}

/// Whether the sentence has a hole where the message has a value.
fn holed(rule: &Rule, sentence: &str, text: &str) -> bool {
    let text = text.to_lowercase();
    let nobody = ["unknown", "none", "n/a", "nil", "**"]
        .iter()
        .any(|n| text.contains(n));
    sentence.contains("unknown") && !nobody && !format!("{:?}", rule.sentence).contains("unknown")
}

/// A line of this key with this text in the form that the vendor sends.
pub(super) fn lined(vendor: &str, key: &str, text: &str) -> String {
    // A whole line.
    if text.starts_with('<') && text.as_bytes()[1].is_ascii_digit() {
        return text.to_owned();
    }
    let head = "<189>Nov 14 08:30:56 r1";
    let numbered = |digit: &str| match key.rsplit_once('-') {
        Some((facility, name)) => format!("%{facility}-{digit}-{name}"),
        None => format!("%{key}"),
    };
    match vendor {
        "cisco_ios" | "cisco_nxos" | "dell" if !key.starts_with('@') => format!(
            "<189>521: r1: *Nov 14 08:30:56.699 UTC: {}: {text}",
            numbered("3")
        ),
        "cisco_asa" => format!("<189>Nov 14 2026 08:30:56 r1 : {}: {text}", numbered("6")),
        "cisco_iosxr" => format!(
            "<187>943: r1 LC/0/2/CPU0:Nov 14 08:30:56.834 UTC: ifmgr[214]: {} : {text}",
            numbered("3")
        ),
        "arista" => format!("{head} Ebra: {}: {text}", numbered("5")),
        "juniper" if text.starts_with("[junos@") => {
            format!("<189>1 2026-11-14T08:30:56.719Z r1 RT_FLOW - {key} {text}")
        }
        "juniper" if key == "@fpc" => format!("{head} fpc0 {text}"),
        "juniper" if !key.starts_with('@') => {
            format!("{head} rpd[2902]: {}: {text}", key.replace('*', "OTHER"))
        }
        "opengear" => format!("<30>r1 {} 2026-Nov- 9 15:38:25.341 {text}", &key[1..]),
        "huawei" | "comware" => {
            let (module, name) = key.split_once('/').unwrap();
            format!("<189>2026-11-14 08:30:56 r1 %%01{module}/4/{name}(l)[4997]:{text}")
        }
        "mikrotik" if CHAINS.contains(&&key[1..]) => {
            let text = text.split_once(": ").map_or(text, |t| t.1);
            format!("{head} {}: {text}", &key[1..])
        }
        "mikrotik" => format!("<134>{},info {text}", &key[1..]),
        "sonicwall" if !key.ends_with('*') => {
            format!("<189>{}", with(text, "m", &key["SONICWALL-".len()..]))
        }
        "fortimail" | "fortiweb" => format!("<189>{}", with(text, "type", &key[4..])),
        "stormshield" => format!(
            "<189>{}",
            with(text, "logtype", &format!("\"{}\"", &key[4..]))
        ),
        "meraki" => format!(
            "<134>1 1794645056.123456789 r1 {} {text}",
            &key["MERAKI-".len()..]
        ),
        "cisco_ise" => format!("{head} {} {text}", &key[1..]),
        "watchguard" => {
            let text = text.replacen("3000-0148", key, 1);
            format!("{head} 80DA0236DA8D1 (2026-11-14T08:30:56) firewall: {text}")
        }
        "clavister" => format!("<134>[2026-11-14 08:30:56] EFW: {text}"),
        "sophos" if key.starts_with("UTM-") => {
            format!("<189>2026:11:14-08:30:56 r1 ulogd[4747]: {text}")
        }
        "fortigate" | "sophos" | "sonicwall" | "palo_alto" | "cef" => format!("<189>{text}"),
        "nokia" => format!(
            "<188>Nov 14 08:30:56 r1 TMNX: 169 Base PORT-WARNING-{key}-2004 [1/1/c1/1]:  {text}"
        ),
        "netscreen" => format!("{head} fw: NetScreen device_id=r1  [Root]{key}: {text}"),
        "linux" if key == "pam" => format!("{head} login[7]: {text}"),
        "marvell" => format!("{head} %{key}: {text}"),
        "procurve" if key.starts_with('@') => format!("{head} 00999 {}:  {text}", &key[1..]),
        "procurve" => format!("{head} {key} mgr: {text}"),
        "check_point" => format!("<134>1 2026-11-14T08:30:56Z r1 CheckPoint 19710 - {text}"),
        "extreme" => format!("{head} EXOS: <Info:{key}> {text}"),
        "f5" if !key.starts_with('@') => format!("{head} notice mcpd[1]: {key}:5: {text}"),
        "citrix" => {
            format!("<134> 11/14/2026:08:30:56 GMT r1 0-PPE-0 : default {key} 12 0 : {text}")
        }
        "aruba" if text.starts_with("Event|") => {
            format!("<189>1 2026-11-14T08:30:56.719Z r1 hpe-restd 83 - - {text}")
        }
        "aruba" => format!("{head} authmgr[4130]: <{key}> <4130> <ERRS> <r1 192.0.2.10>  {text}"),
        "frr" if !key.starts_with('@') => format!("{head} bgpd[83]: [M59KS-A3ZXZ] %{key}: {text}"),
        _ => format!("{head} {}: {text}", key.trim_start_matches('@')),
    }
}

#[test]
fn every_rule_knows_its_own_example_and_says_a_sentence() {
    let translator = Translator::built_in().unwrap();
    let mut wrong = Vec::new();
    for rule in translator.rules() {
        let line = line(rule);
        let header = header::parse(&line);
        match translator.translate(&header) {
            None => wrong.push(format!(
                "{} {}: no rule knows {line}\n    {header:?}",
                rule.vendor, rule.key
            )),
            Some(found) if !std::ptr::eq(found.rule, *rule) => wrong.push(format!(
                "{} {}: {:?} was taken by {} {} {:?}",
                rule.vendor,
                rule.key,
                rule.example,
                found.rule.vendor,
                found.rule.key,
                found.rule.example
            )),
            Some(found) => {
                let mut sentence = String::new();
                found.sentence(&mut sentence);
                if holed(rule, &sentence, rule.example) || sentence.contains(" {") {
                    wrong.push(format!("{} {}: {sentence:?}", rule.vendor, rule.key));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let kinds: BTreeSet<(&str, &str)> = translator
        .rules()
        .iter()
        .map(|r| (r.vendor, r.key))
        .collect();
    let vendors: BTreeSet<&str> = translator.rules().iter().map(|r| r.vendor).collect();
    assert!(kinds.len() >= 300, "{} kinds of messages", kinds.len());
    assert!(vendors.len() >= 15, "{vendors:?}");
}

/// The table of *What is understood* in docs/syslog.md comes from the rules; `SOTP_UPDATE=1` writes it.
#[test]
fn what_is_understood_is_written_from_the_rules() {
    let translator = Translator::built_in().unwrap();
    let mut vendors: BTreeMap<&str, (BTreeSet<&str>, usize, usize, usize)> = BTreeMap::new();
    for rule in translator.rules() {
        let counted = vendors.entry(rule.title).or_default();
        counted.0.insert(rule.key);
        counted.1 += 1;
        counted.2 += 1 + rule.examples.len();
        counted.3 += rule.misses.len();
    }
    let kinds: usize = vendors.values().map(|v| v.0.len()).sum();
    let mut table = format!(
        "{} rules know {kinds} kinds of messages of {} vendors:\n\n| devices | kinds of messages | rules | fixtures | near misses |\n|---|---|---|---|---|\n",
        translator.rules().len(),
        vendors.len()
    );
    for (title, (keys, rules, fixtures, misses)) in &vendors {
        table += &format!(
            "| {title} | {} | {rules} | {fixtures} | {misses} |\n",
            keys.len()
        );
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/syslog.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- rules -->\n").unwrap();
    let (written, after) = rest.split_once("<!-- end of rules -->").unwrap();
    if std::env::var_os("SOTP_UPDATE").is_some() {
        let page = format!("{before}<!-- rules -->\n{table}<!-- end of rules -->{after}");
        std::fs::write(&path, page).unwrap();
    } else {
        assert_eq!(written, table, "SOTP_UPDATE=1 writes docs/syslog.md");
    }
}

#[test]
fn sentences_are_as_a_person_would_say_them() {
    let translator = Translator::built_in().unwrap();
    for (line, event, sentence) in [
        (
            "<187>943: pe1 LC/0/2/CPU0:Jul  7 20:16:14.834 UTC: ifmgr[214]: %PKT_INFRA-LINK-3-UPDOWN : Interface TenGigE0/2/0/4, changed state to Down",
            "interface_state",
            "Interface TenGigE0/2/0/4 is now Down.",
        ),
        (
            "<28>Jun 21 14:03:12  mx1 rpd[2902]: RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer 192.0.2.1 (External AS 64512) changed state from Established to Idle",
            "bgp_neighbor",
            "BGP neighbour 192.0.2.1 (AS 64512) went from Established to Idle.",
        ),
        (
            "<134>system,info,account user admin logged in from 192.0.2.5 via ssh",
            "login",
            "admin logged in from 192.0.2.5 by ssh.",
        ),
        (
            "<29>2026-7-23 01:00:34.270.1 sw1 %%01IFNET/4/IF_STATE(l)[4997]:Interface Ethernet0/0/8 has turned into DOWN state.",
            "interface_state",
            "Interface Ethernet0/0/8 is now DOWN.",
        ),
        (
            "<134>Nov 14 08:30:56 fw CEF:0|Vendor|Product|1.0|100|Name|5|src=192.0.2.1 msg=a \\= b",
            "",
            "Vendor Product: Name, source 192.0.2.1.",
        ),
    ] {
        let header = header::parse(line);
        let found = translator.translate(&header).unwrap();
        let mut text = String::new();
        found.sentence(&mut text);
        assert_eq!((found.rule.event, text.as_str()), (event, sentence));
    }
}

#[test]
fn the_escapes_of_structured_data_are_undone_in_values() {
    let line = r#"<134>1 2026-11-29T23:00:00Z fw1 app - ID [x@1 said="\"no\" \] \\ end" path="C:\dir"] text"#;
    let header = header::parse(line);
    let fields = generic_fields(&header, 9);
    // RFC 5424, 6.3.3: a backslash in front of anything else stands for itself.
    let expected = [("said", r#""no" ] \ end"#), ("path", r"C:\dir")];
    let found: Vec<(&str, &str)> = fields.iter().map(|f| (f.0, &*f.1)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_source_and_a_destination_are_addresses_in_every_fixture() {
    let translator = Translator::built_in().unwrap();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for rule in translator.rules() {
        for text in std::iter::once(&rule.example).chain(&rule.examples) {
            let line = lined(rule.vendor, rule.key, text);
            let header = header::parse(&line);
            let Some(found) = translator.translate(&header) else {
                continue;
            };
            for (name, value) in &found.fields {
                if matches!(*name, "source" | "destination") {
                    seen += 1;
                    if value.parse::<std::net::IpAddr>().is_err() {
                        wrong.push(format!("{} {}: {name}={value}", rule.vendor, rule.key));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 500, "{seen}");
    // A name stands in a field of its own.
    let line = "<85>Nov 14 08:30:56 h1 sshd[7]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=pc7.example.net  user=root";
    let header = header::parse(line);
    let found = translator.translate(&header).unwrap();
    assert!(
        found
            .fields
            .iter()
            .any(|f| f.0 == "host" && f.1 == "pc7.example.net")
    );
    assert!(!found.fields.iter().any(|f| f.0 == "source"));
}

/// Header truth on a corpus that is built from every rule's example and several headers around it: what was put in
/// must be found, but for the misreadings that `tests/golden/misread-rules.txt` lists.
#[test]
fn headers_are_true_on_a_corpus_of_more_than_a_thousand_lines() {
    let translator = Translator::built_in().unwrap();
    let (mut lines, mut right) = (0, 0);
    let mut wrong = Vec::new();
    for rule in translator.rules() {
        let plain = line(rule);
        let body = plain.split_once('>').unwrap().1;
        for (priority, severity) in [(187, 3), (134, 6)] {
            for text in [
                format!("<{priority}>{body}"),
                format!("<13>Nov 14 08:30:57 relay1 <{priority}>{body}"),
            ] {
                let hostless = body.starts_with("CEF:")
                    || body.starts_with("LEEF:")
                    || rule.vendor == "mikrotik" && !CHAINS.contains(&&rule.key[1..]);
                let relayed = text.contains("relay1");
                let header = header::parse(&text);
                lines += 1;
                let host = match rule.vendor {
                    "sophos" if rule.key.starts_with("UTM-") => "r1",
                    "fortigate" | "sophos" | "stormshield" => "fw1",
                    "fortimail" => "FE100",
                    "fortiweb" => "FVVM1",
                    "clavister" if relayed => "relay1",
                    "clavister" => "",
                    "palo_alto" if !relayed => "007200001056",
                    _ if relayed && (hostless || rule.vendor == "palo_alto") => "relay1",
                    _ if hostless => "",
                    _ => "r1",
                };
                let timed = !hostless;
                let good = header.host.unwrap_or_default() == host
                    && header.severity() == severity
                    && (header.time.is_some() == timed || hostless && relayed)
                    && translator.translate(&header).is_some();
                right += usize::from(good);
                if !good {
                    wrong.push(format!("{text}\n    {header:?}\n"));
                }
            }
        }
    }
    assert!(lines > 1_000, "{lines}");
    println!("{lines} lines, {right} right");
    let list = wrong.concat();
    testkit::Golden::new("", env!("CARGO_MANIFEST_DIR")).holds("misread-rules.txt", &list);
}

proptest::proptest! {
    #[test]
    fn any_line_is_translated_without_harm(text in "\\PC{0,200}", at in 0usize..400) {
        let translator = &*SHARED;
        let rule = translator.rules()[at % translator.rules().len()];
        let mut line = line(rule);
        let cut = line.char_indices().map(|c| c.0).nth(at % line.chars().count().max(1)).unwrap_or(0);
        line.insert_str(cut, &text);
        let header = header::parse(&line);
        if let Some(found) = translator.translate(&header) {
            let mut sentence = String::new();
            found.sentence(&mut sentence);
        }
        let _ = generic_fields(&header, 20);
    }
}

#[test]
fn every_kind_of_event_has_its_runbook() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/syslog-events.md");
    let text = std::fs::read_to_string(path).unwrap();
    let written: BTreeSet<&str> = text.lines().filter_map(|l| l.strip_prefix("## ")).collect();
    assert_eq!(written, EVENTS.into_iter().collect::<BTreeSet<_>>());
    assert_eq!(text.matches("\n- Not: ").count(), EVENTS.len());
    assert_eq!(text.matches("\n- Look: ").count(), EVENTS.len());
    assert_eq!(text.matches("\n- Do: ").count(), EVENTS.len());
}

#[test]
fn every_message_id_of_napalm_logs_has_its_event() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/details/syslog.md");
    let text = std::fs::read_to_string(path).unwrap();
    let translator = Translator::built_in().unwrap();
    let (_, table) = text.split_once("| napalm-logs | event | rule |").unwrap();
    let mut ids = BTreeSet::new();
    for row in table.lines().skip(2).take_while(|l| l.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(|c| c.trim().trim_matches('`')).collect();
        let (vendor, key) = cells[3].split_once(" `").unwrap();
        let known = translator.rules().iter().any(|r| {
            r.vendor == vendor && r.key == key && r.event == cells[2].trim_start_matches("none")
        });
        assert!(known, "{row}");
        ids.insert(cells[1]);
    }
    assert_eq!(ids.len(), 57);
}

/// A kind whose definition is what a message is about, and not what happened: only these may stand at a rule that takes
/// every message of a facility.
const TOPICS: [&str; 14] = [
    "certificate",
    "dhcp",
    "environment",
    "failover",
    "licence",
    "link_aggregation",
    "mpls",
    "optics",
    "poe",
    "spanning_tree",
    "stack",
    "time_sync",
    "upgrade",
    "vpn",
];

#[test]
fn every_rule_takes_its_further_fixtures_and_none_of_its_near_misses() {
    let translator = Translator::built_in().unwrap();
    let mut wrong = Vec::new();
    for rule in translator.rules() {
        for text in &rule.examples {
            let line = lined(rule.vendor, rule.key, text);
            let header = header::parse(&line);
            match translator.translate(&header) {
                Some(found) if std::ptr::eq(found.rule, *rule) => {
                    let mut sentence = String::new();
                    found.sentence(&mut sentence);
                    if holed(rule, &sentence, text) {
                        wrong.push(format!("{} {}: {sentence:?}", rule.vendor, rule.key));
                    }
                }
                other => wrong.push(format!(
                    "{} {}: {line}\n    taken by {:?}",
                    rule.vendor,
                    rule.key,
                    other.map(|o| (o.rule.key, o.rule.example))
                )),
            }
        }
        for (key, text) in &rule.misses {
            let line = lined(rule.vendor, key, text);
            let header = header::parse(&line);
            if let Some(found) = translator.translate(&header)
                && std::ptr::eq(found.rule, *rule)
            {
                wrong.push(format!(
                    "{} {}: takes the near miss {line}",
                    rule.vendor, rule.key
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_rule_for_a_whole_facility_says_only_what_the_facility_is_about() {
    let translator = Translator::built_in().unwrap();
    for rule in translator.rules() {
        let whole = rule
            .pattern
            .text()
            .is_some_and(|text| text.pieces().len() == 1 && rule.key.ends_with('*'));
        if whole {
            let topic =
                rule.event.is_empty() || TOPICS.contains(&rule.event) || rule.event == "wireless";
            assert!(topic, "{} {}: {}", rule.vendor, rule.key, rule.event);
        }
    }
}

/// Words that a sentence of the kind must not have, and of which it must have one.
const POLARITY: [(&str, &[&str], &[&str]); 8] = [
    (
        "login",
        &[
            "fail",
            "denied",
            "refused",
            "reject",
            "invalid",
            "logged out",
            "ended",
            "wrong",
        ],
        &[
            "logged in",
            "succeeded",
            "began",
            "let in",
            "proved",
            "with the rights",
        ],
    ),
    (
        "login_failed",
        &["logged in", "logged out", "was let in"],
        &[
            "fail",
            "refused",
            "unknown user",
            "before the login as",
            "wrong",
            "could not",
            "not let in",
        ],
    ),
    (
        "logout",
        &["logged in", "fail", "began", "refused"],
        &["logged out", "ended", "left", "has ended"],
    ),
    (
        "configuration_change",
        &["show ", "looked at", "fail", "refused"],
        &[
            "change",
            "configur",
            "added",
            "removed",
            "entered",
            "installed",
            "policy",
            "activate",
            "set",
            "modify",
            "delete",
        ],
    ),
    ("interface_state", &["neighbour", "logged"], &[]),
    (
        "session",
        &["denied", "refused", "stopped", "was kept", "blocked"],
        &[],
    ),
    ("acl", &["logged in"], &[]),
    ("command", &["fail", "refused"], &[]),
];

/// Words that contradict each other in one sentence.
const CONTRADICTIONS: [(&[&str], &[&str]); 5] = [
    // The file that went to somebody and did not.
    (
        &[" went to ", " went through", " went from "],
        &["deny", "denied", "refused", "reject"],
    ),
    (
        &[
            "was let",
            "let through",
            "was opened",
            "logged in",
            "succeeded",
            "to be let in",
        ],
        &[
            "deny", "denied", "block", "drop", "refused", "reject", "fail",
        ],
    ),
    (&["is up", "came up", "went up"], &[" down"]),
    (
        &["was stopped", "was refused", "was kept", "was denied"],
        &["allow", "accept", "permit", "pass)"],
    ),
    (&["has started", "began"], &["has stopped", "ended"]),
];

#[test]
fn no_sentence_of_a_fixture_contradicts_its_kind_or_itself() {
    let translator = Translator::built_in().unwrap();
    let mut wrong = Vec::new();
    for rule in translator.rules() {
        for text in std::iter::once(&rule.example).chain(&rule.examples) {
            let line = lined(rule.vendor, rule.key, text);
            let header = header::parse(&line);
            let Some(found) = translator.translate(&header) else {
                continue;
            };
            let mut sentence = String::new();
            found.sentence(&mut sentence);
            let mut plain = sentence.to_lowercase();
            // What somebody typed or gave as a reason is not what the sentence says.
            for (name, value) in &found.fields {
                if matches!(
                    *name,
                    "reason" | "command" | "text" | "user" | "value" | "detail"
                ) {
                    plain = plain.replace(&value.to_lowercase(), "");
                }
            }
            if let Some((kind, never, some)) = POLARITY.iter().find(|p| p.0 == found.rule.event) {
                let bad = never.iter().find(|word| plain.contains(**word));
                let none = !some.is_empty() && !some.iter().any(|word| plain.contains(*word));
                if bad.is_some() || none {
                    wrong.push(format!(
                        "{} {}: {kind} {bad:?} {sentence:?}",
                        rule.vendor, rule.key
                    ));
                }
            }
            for (some, others) in CONTRADICTIONS {
                let one = some.iter().find(|word| plain.contains(**word));
                let other = others.iter().find(|word| plain.contains(**word));
                if let (Some(one), Some(other)) = (one, other) {
                    wrong.push(format!(
                        "{} {}: {one:?} and {other:?}: {sentence:?}",
                        rule.vendor, rule.key
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What stands where a device has no value is told as none; a part in front of the text hides no message.
#[test]
fn an_absent_value_is_no_field_and_a_part_in_front_hides_nothing() {
    let translator = Translator::built_in().unwrap();
    for (line, kind, fields) in [
        (
            "<190>Jun 16 22:17:20 2026 sw1 %%10SHELL/6/SHELL_CMD: -Line=vty0-IPAddr=192.0.2.1-User=**; Command is shutdown",
            "command",
            "line=vty0 source=192.0.2.1 command=shutdown",
        ),
        (
            "<190>Jun 16 22:17:20 2026 sw1 %%10SHELL/6/SHELL_CMD: -Line=vty0-IPAddr=**-User=op; Command is shutdown",
            "command",
            "line=vty0 user=op command=shutdown",
        ),
        (
            "<187>Jun 16 22:17:20 2026 sw1 %%10DEV/2/FAN_FAILED: -MDC=1-Slot=2; Fan 1 failed.",
            "environment",
            "unit=1",
        ),
        (
            "<187>Jun 16 22:17:20 2026 sw1 %%10DEV/2/FAN_FAILED: -Line=vty0; Fan 1 failed.",
            "unknown",
            "",
        ),
        (
            "<190>Oct  6 13:50:24 cx1 log-proxyd[2872]: Event|5209|LOG_INFO|AMM|-|User op logged in from 192.0.2.5 through SSH session.",
            "login",
            "user=op source=192.0.2.5 service=SSH",
        ),
        // Names that no host has, and parts of VRP, IOS-XE and NX-OS in front.
        (
            "<188>Mar 28 2026 00:19:14 SW-2#css 192.0.2.7 %%01PHY/4/PHY_STATUS_DOWN(l)[847767]:Slot=1,Vcpu=0;GE1/0/2 change status to down.",
            "interface_state",
            "ifName=GE1/0/2 state=down interface=GE1/0/2",
        ),
        (
            "<188>Mar 28 2026 00:19:14 sw2 %%01PHY/4/PHY_STATUS_DOWN(l)[847767]:Port=1;GE1/0/2 change status to down.",
            "unknown",
            "",
        ),
        (
            "<189>2: sw1: *Nov 14 08:30:56.699 UTC: %NIF_MGR-6-STACK_LINK_UP: Chassis 1 R1/0: nif_mgr: Front side stack link 0 is UP.",
            "stack",
            "unit=0 state=UP",
        ),
        (
            "<189>: 2026 Nov 14 08:30:56 UTC: %PORT-5-IF_UP: %$VSAN 10%$ Interface fc1/5 is up in mode F",
            "interface_state",
            "ifName=fc1/5 mode=F interface=fc1/5",
        ),
        // What is counted behind the text is no part of it.
        (
            "<189>: 2026 Nov 14 08:30:56 UTC: %VSHD-5-VSHD_SYSLOG_CONFIG_I: Configured from vty by admin on console0 (message repeated 3 times)",
            "configuration_change",
            "user=admin line=console0",
        ),
        // A mark for no terminal.
        (
            "<37>Nov 14 08:30:56 h1 su[2859]: + ??? root:nobody",
            "privilege",
            "user=root target=nobody",
        ),
        (
            "<28>Dec  8 15:59:15.541 2026 r1 rpd[7538]: %DAEMON-4-RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer 192.0.2.3 (External AS 65324) changed state from Established to Idle (event BfdDown) (instance master)",
            "bgp_neighbor",
            "",
        ),
    ] {
        let header = header::parse(line);
        let found = translator.translate(&header);
        assert_eq!(
            found.as_ref().map_or("unknown", |f| f.rule.event),
            kind,
            "{line}"
        );
        if !fields.is_empty() {
            let told: Vec<String> = found
                .unwrap()
                .fields
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            assert_eq!(told.join(" "), fields, "{line}");
        }
    }
}

#[test]
fn every_rule_has_two_fixtures_and_a_near_miss() {
    let translator = Translator::built_in().unwrap();
    let few: Vec<String> = translator
        .rules()
        .iter()
        .filter(|rule| rule.examples.is_empty() || rule.misses.is_empty())
        .map(|rule| format!("{} {} {}", rule.vendor, rule.key, rule.event))
        .collect();
    assert!(few.is_empty(), "{} rules:\n{}", few.len(), few.join("\n"));
}

/// What comes out of each fixture, written down: the kind and every field.
#[test]
fn every_fixture_says_what_is_written_down() {
    let translator = Translator::built_in().unwrap();
    let mut all = String::new();
    let mut last = "";
    for rule in translator.rules() {
        // Several names of one message have the same fixtures.
        if std::ptr::eq(rule.example, last) {
            continue;
        }
        last = rule.example;
        for text in std::iter::once(&rule.example).chain(&rule.examples) {
            let line = lined(rule.vendor, rule.key, text);
            let header = header::parse(&line);
            let found = translator.translate(&header).unwrap();
            let kind = found.rule.event;
            all += &format!("{} {} {kind}:", rule.vendor, rule.key);
            for (name, value) in &found.fields {
                all += &format!(" {name}={value}");
            }
            all.push('\n');
        }
    }
    testkit::Golden::new("", env!("CARGO_MANIFEST_DIR")).holds("fixtures.txt", &all);
}
