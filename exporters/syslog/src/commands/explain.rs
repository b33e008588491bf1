//! `sotp-syslog explain`: what lines of syslog are taken for.

use std::io::{BufRead as _, Write as _};

use crate::header::{FACILITIES, SEVERITIES};
use crate::intake::now;
use crate::translate::{Translator, generic_fields};
use crate::{header, text};

/// Reads lines from standard input to its end.
pub(super) fn explain(json: bool) -> anyhow::Result<()> {
    let translator = Translator::built_in()?;
    let mut input = std::io::stdin().lock();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = text::decode(&line);
        if text.is_empty() {
            continue;
        }
        let shown = explanation(&translator, &text);
        if json {
            serde_json::to_writer(
                &mut out,
                &serde_json::Map::from_iter(shown.into_iter().map(|(k, v)| (k, v.into()))),
            )?;
            writeln!(out)?;
        } else {
            writeln!(out, "{text}")?;
            for (name, value) in shown {
                writeln!(out, "  {name:<12} {value}")?;
            }
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// What a line is, by name.
#[must_use]
pub fn explanation(translator: &Translator, text: &str) -> Vec<(String, String)> {
    let header = header::parse(text);
    let mut shown: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            shown.push((name.to_owned(), value));
        }
    };
    add("form", Some(header.form.name().to_owned()));
    add("device", header.host.map(str::to_owned));
    add("relay", header.relay.map(str::to_owned));
    add(
        "severity",
        Some(SEVERITIES[usize::from(header.severity())].to_owned()),
    );
    let facility = FACILITIES.get(usize::from(header.facility()));
    add("facility", facility.map(|name| (*name).to_owned()));
    let at = header
        .time
        .and_then(|t| t.resolve(i64::try_from(now()).ok()?, 0));
    add(
        "time",
        at.and_then(|t| jiff::Timestamp::from_nanosecond(i128::from(t)).ok())
            .map(|t| t.to_string()),
    );
    add("process", header.process.map(str::to_owned));
    add("pid", header.pid.map(str::to_owned));
    add("mnemonic", header.mnemonic.map(str::to_owned));
    add("sequence", header.sequence.map(|s| s.to_string()));
    match translator.translate(&header) {
        Some(found) => {
            let mut sentence = String::new();
            found.sentence(&mut sentence);
            add("vendor", Some(found.rule.vendor.to_owned()));
            let event = found.rule.event;
            add(
                "event",
                Some(if event.is_empty() { "none" } else { event }.to_owned()),
            );
            add("sentence", Some(sentence));
            add("rule", Some(found.rule.key.to_owned()));
            let runbook = (!event.is_empty()).then(|| format!("docs/syslog-events.md#{event}"));
            add("runbook", runbook);
            for (name, value) in &found.fields {
                add(&format!("field.{name}"), Some(value.to_string()));
            }
        }
        None => {
            add("event", Some("unknown".to_owned()));
            for (name, value) in generic_fields(&header, 40) {
                add(&format!("field.{name}"), Some(value.into_owned()));
            }
        }
    }
    add("message", Some(header.message.to_owned()));
    shown
}
