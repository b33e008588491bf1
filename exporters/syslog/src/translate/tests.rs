use std::collections::BTreeSet;

use super::*;
use crate::header;

/// A line with the rule's example in the form that its vendor sends.
fn line(rule: &Rule) -> String {
    let (key, text) = (rule.key, rule.example);
    let head = "<189>Nov 14 08:30:56 r1";
    let numbered = |digit: &str| match key.rsplit_once('-') {
        Some((facility, name)) => format!("%{facility}-{digit}-{name}"),
        None => format!("%{key}"),
    };
    match rule.vendor {
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
        "mikrotik" => format!("<134>{},info {text}", &key[1..]),
        "fortigate" | "sophos" | "sonicwall" | "palo_alto" | "cef" => format!("<189>{text}"),
        "nokia" => format!(
            "<188>Nov 14 08:30:56 r1 TMNX: 169 Base PORT-WARNING-{key}-2004 [1/1/c1/1]:  {text}"
        ),
        "netscreen" => format!("{head} fw: NetScreen device_id=r1  [Root]{key}: {text}"),
        "linux" if key == "pam" => format!("{head} login[7]: {text}"),
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
                if sentence.contains('?') || sentence.contains('{') {
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
    let thousands = |n: usize| format!("{},{:03}", n / 1_000, n % 1_000);
    let counted = format!(
        "{} rules know {} kinds of messages of {} vendors.",
        thousands(translator.rules().len()),
        thousands(kinds.len()),
        vendors.len()
    );
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/syslog.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains(&counted),
        "docs/syslog.md does not say: {counted}"
    );
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
            "security_event",
            "Vendor Product: Name.",
        ),
    ] {
        let header = header::parse(line);
        let found = translator.translate(&header).unwrap();
        let mut text = String::new();
        found.sentence(&mut text);
        assert_eq!((found.rule.event, text.as_str()), (event, sentence));
    }
}

/// Header truth on a corpus that is built from every rule's example and several heads around it: what was put in
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
                    || rule.vendor == "mikrotik";
                let relayed = text.contains("relay1");
                let header = header::parse(&text);
                lines += 1;
                let host = match rule.vendor {
                    "fortigate" | "sophos" => "fw1",
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
        let translator = Translator::built_in().unwrap();
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
        let known = translator
            .rules()
            .iter()
            .any(|r| r.vendor == vendor && r.key == key && r.event == cells[2]);
        assert!(known, "{row}");
        ids.insert(cells[1]);
    }
    assert_eq!(ids.len(), 57);
}
