//! Header, translation and sentence on one core.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sotp_syslog::header;
use sotp_syslog::translate::Translator;

pub(crate) fn measure() -> Value {
    let translator = Translator::built_in().unwrap();
    let lines: Vec<String> = translator
        .rules()
        .iter()
        .filter(|r| r.vendor.starts_with("cisco_ios") && r.key.contains('-'))
        .map(|r| {
            let (facility, name) = r.key.rsplit_once('-').unwrap();
            format!(
                "<189>521: r1: *Nov 14 08:30:56.699 UTC: %{facility}-3-{name}: {}",
                r.example
            )
        })
        .collect();
    let headers: Vec<_> = lines.iter().map(|l| header::parse(l)).collect();
    let rate = |work: &mut dyn FnMut(usize) -> bool| {
        let begin = Instant::now();
        let (mut count, mut known) = (0u64, 0u64);
        while begin.elapsed() < Duration::from_secs(2) {
            for at in 0..lines.len() {
                known += u64::from(work(at));
            }
            count += lines.len() as u64;
        }
        (
            count as f64 / begin.elapsed().as_secs_f64(),
            known as f64 / count as f64,
        )
    };
    let (parsed, _) = rate(&mut |at| header::parse(&lines[at]).mnemonic.is_some());
    let (translated, known) = rate(&mut |at| translator.translate(&headers[at]).is_some());
    let mut sentence = String::new();
    let (both, _) = rate(&mut |at| {
        sentence.clear();
        let found = translator.translate(&header::parse(&lines[at]));
        if let Some(found) = &found {
            found.sentence(&mut sentence);
        }
        found.is_some()
    });
    json!({
        "lines": lines.len(), "header_per_second": parsed, "translate_per_second": translated,
        "header_translate_sentence_per_second": both, "known": known,
    })
}
